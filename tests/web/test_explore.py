"""Runs, studies, comparisons and reports over HTTP: what is answered, against the store and the images themselves."""

import base64
import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest

from digitlab import lab
from digitlab.data import Dataset
from digitlab.live import Laboratory
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.store import Filter, Order, Store, open_store
from digitlab.studies import read_study
from digitlab.studies.progress import StudyProgress
from digitlab.web.app import create_app
from digitlab.web.settings import Settings
from tests.studies.test_progress import made_up
from tests.web.loops import run

TOKEN = "of-this-test"  # noqa: S105
SMALL = {"train_size": 2_000, "validation_size": 500, "epochs": 2}


@dataclass(frozen=True)
class Desktop:
    """An application with a store of three trained networks, two that broke, one that was computed elsewhere, and a
    study that is done.
    """

    laboratory: Laboratory
    app: Any
    a: RunResult
    b: RunResult
    diverged: RunResult
    collapsed: RunResult
    elsewhere: RunResult

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8420", headers=headers
            ) as client:
                return await client.request(method, f"/api/{path}", **more)

        return run(ask())

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.ask("GET", path, params=params)


def small_runs() -> list[RunResult]:
    """Two networks that differ in their seeds."""
    specs = [
        lab.make_spec(
            hidden=(20,), learning_rate=0.2, seed=seed, train_size=2_000, validation_size=500, epochs=2
        )
        for seed in (0, 1)
    ]
    return [lab.run(spec)[0] for spec in specs]


def from_elsewhere() -> RunResult:
    """A run that another processor has computed, with other bits."""
    result, _ = lab.run(lab.make_spec(hidden=(12,), learning_rate=0.2, train_size=2_000, epochs=2))
    metrics = result.metrics.model_copy(update={"test_loss": result.metrics.test_loss + 1e-6})
    provenance = result.provenance.model_copy(update={"processor": "an abacus"})
    return result.model_copy(update={"metrics": metrics, "provenance": provenance})


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory, mnist: Dataset) -> Iterator[Desktop]:
    store = open_store(tmp_path_factory.mktemp("explore") / "runs.db")
    a, b = small_runs()
    diverged = lab.train(hidden=(8,), steps=20, train_size=200, learning_rate=1e18)
    collapsed = lab.train(hidden=(20,), train_size=2_000, epochs=2, learning_rate=4.0)
    elsewhere = from_elsewhere()
    store.add([a, b, diverged, collapsed, elsewhere])
    answer("train-size", "quick", store)
    laboratory = Laboratory(store, workers=1)
    app = create_app(laboratory, Settings(port=8420, token=TOKEN))
    yield Desktop(laboratory, app, a, b, diverged, collapsed, elsewhere)
    laboratory.close()
    store.close()


def answer(name: str, scale: str, store: Store) -> None:
    """Let the store know every run of a study; accuracies are made up."""

    def accuracy(spec: RunSpec) -> float:
        off = math.log2(spec.optimiser.learning_rate / 0.25) ** 2
        return 0.9 - 2 / math.sqrt(spec.train_size) - 0.002 * off - 0.001 * spec.seed

    progress = StudyProgress(read_study(name).at(scale), store)
    while (stage := progress.stage()).missing:
        assert not stage.measurement
        store.add(
            [with_accuracy(made_up(spec, 1 - accuracy(spec)), accuracy(spec)) for spec in stage.missing]
        )


def with_accuracy(run: RunResult, accuracy: float) -> RunResult:
    """Losses of the made-up run stay; what is an accuracy is this one."""
    names = ("training_set_accuracy", "validation_accuracy", "test_accuracy")
    metrics = run.metrics.model_copy(update=dict.fromkeys(names, accuracy))
    curve = run.curve.model_copy(update={"validation_accuracy": (accuracy,) * len(run.curve.step)})
    return run.model_copy(update={"metrics": metrics, "curve": curve})


# --- runs ---


def test_runs_are_listed_page_by_page_as_the_store_sorts_them(desktop: Desktop) -> None:
    store = desktop.laboratory.store
    found = [desktop.get("runs", sort="test_accuracy", limit=2, offset=offset).json() for offset in (0, 2)]
    assert {page["total"] for page in found} == {store.count(Filter())}
    expected = store.list(Filter(), 4, order=Order("test_accuracy", descending=False))
    assert [row["key"] for page in found for row in page["rows"]] == [row.key for row in expected]
    assert [row["test_accuracy"] for page in found for row in page["rows"]] == [
        row.test_accuracy for row in expected
    ]
    of_one = desktop.get("runs", network="784-20-10", seed=1).json()
    assert [(row["key"], row["learning_rate"]) for row in of_one["rows"]] == [(desktop.b.key, 0.2)]
    (broken,) = desktop.get("runs", outcome="diverged").json()["rows"]
    assert (broken["key"], broken["test_accuracy"]) == (desktop.diverged.key, None)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"sort": "colour"}, "sort"),
        ({"limit": 100_000}, "limit"),
        ({"key": "xyz"}, "key"),
    ],
)
def test_what_cannot_be_asked_is_told(desktop: Desktop, params: dict[str, Any], field: str) -> None:
    answered = desktop.get("runs", **params)
    assert answered.status_code == 422
    assert answered.json()["field"] == field


def test_a_run_is_told_as_its_result_document(desktop: Desktop) -> None:
    answered = desktop.get(f"runs/{desktop.a.key[:12]}").json()
    assert answered["key"] == desktop.a.key
    assert answered["command"].startswith("digitlab train --")
    assert answered["options"] == {"hidden": [20], "learning_rate": 0.2, **SMALL}
    document = json.loads(desktop.a.to_json())
    assert {name: answered[name] for name in ("spec", "curve", "metrics")} == {
        name: document[name] for name in ("spec", "curve", "metrics")
    }
    broken = desktop.get(f"runs/{desktop.diverged.key}").json()
    assert broken["metrics"]["test_accuracy"] == "NaN"
    assert broken["says"].startswith("the loss blew up at step ")
    unknown = desktop.get(f"runs/{'0' * 64}")
    assert unknown.status_code == 404
    assert unknown.json()["says"].endswith(
        ": no run's key begins with that; `digitlab runs list` shows the runs that there are"
    )


def test_the_confusion_is_that_of_the_predictions(desktop: Desktop, mnist: Dataset) -> None:
    answered = desktop.get(f"runs/{desktop.a.key}/confusion").json()
    predicted = np.frombuffer(desktop.a.predictions or b"", np.uint8)
    expected = [
        [int(((mnist.test.labels == i) & (predicted == j)).sum()) for j in range(10)] for i in range(10)
    ]
    assert answered["counts"] == expected
    assert answered["accuracy"]["value"] == pytest.approx(desktop.a.metrics.test_accuracy)
    n, share, z = 10_000, desktop.a.metrics.test_accuracy, 1.959963984540054
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)  # Wilson (1927)
    reach = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    interval = [answered["accuracy"][end] for end in ("low", "high")]
    assert interval == pytest.approx([middle - reach, middle + reach], abs=1e-9)
    assert [one["images"] for one in answered["classes"]] == np.bincount(mnist.test.labels).tolist()
    refused = desktop.get(f"runs/{desktop.diverged.key}/confusion")
    assert refused.status_code == 409
    assert "diverged, so it classifies no test image" in refused.json()["says"]


def test_what_is_known_of_dead_units_is_told_with_a_run(desktop: Desktop) -> None:
    key, store = desktop.collapsed.key, desktop.laboratory.store
    says = desktop.get(f"runs/{key}").json()["says"]
    assert says.startswith("the network blew up and ended at chance: the learning rate 4 is too large")
    store.add_measurement(key, "dead-units", {"dead": 19, "units": 20})
    says = desktop.get(f"runs/{key}").json()["says"]
    assert "ended at chance, and 19 of 20 hidden units no longer answer to any image: " in says


def when_ready(desktop: Desktop, path: str, **params: Any) -> httpx.Response:
    end = time.monotonic() + 60
    while (answered := desktop.get(path, **params)).status_code == 202:
        assert answered.json()["says"]
        assert time.monotonic() < end
        time.sleep(0.05)
    return answered


def test_a_network_that_comes_out_differently_is_told_so(desktop: Desktop) -> None:
    key = desktop.elsewhere.key
    note = when_ready(desktop, f"runs/{key}/mistakes").json()["note"]
    assert f"{key[:12]}: trained again, it differs from the run in the store: processor was an abacus" in note
    header = when_ready(desktop, f"runs/{key}/weights").content
    length = int.from_bytes(header[:8], "little")
    assert json.loads(header[8 : 8 + length])["__metadata__"]["digitlab_note"] == note


def test_its_most_confident_mistakes_come_once_it_is_trained_again(desktop: Desktop, mnist: Dataset) -> None:
    answered = when_ready(desktop, f"runs/{desktop.a.key}/mistakes", limit=12)
    assert answered.json()["note"] == ""
    found = answered.json()["mistakes"]
    predicted = np.frombuffer(desktop.a.predictions or b"", np.uint8)
    assert len(found) == 12
    for one in found:
        assert one["label"] == mnist.test.labels[one["index"]] != one["predicted"] == predicted[one["index"]]
        assert base64.b64decode(one["image"]) == mnist.test.images[one["index"]].tobytes()
    sure = [one["probabilities"][one["predicted"]] for one in found]
    assert sure == sorted(sure, reverse=True)


# --- comparisons ---


def test_two_runs_are_compared_on_the_same_images(desktop: Desktop, mnist: Dataset) -> None:
    answered = desktop.get("compare", a=desktop.a.key, b=desktop.b.key).json()
    accuracy = [run.metrics.test_accuracy for run in (desktop.a, desktop.b)]
    assert answered["difference"]["value"] == pytest.approx(accuracy[1] - accuracy[0])
    assert [row[0] for row in answered["settings"]["rows"]] == ["seed"]
    of_a, of_b = (np.frombuffer(run.predictions or b"", np.uint8) for run in (desktop.a, desktop.b))
    right = (of_a == mnist.test.labels) != (of_b == mnist.test.labels)
    assert answered["disagreement_count"] == right.sum()
    assert len(answered["disagreements"]) == min(48, right.sum())
    for one in answered["disagreements"]:
        assert right[one["index"]]
        assert (one["a"], one["b"]) == (of_a[one["index"]], of_b[one["index"]])
    sides = [one["a"] == one["label"] for one in answered["disagreements"]]
    assert sides.count(True) == sides.count(False) == 24


def test_a_run_that_diverged_is_compared_as_far_as_it_goes(desktop: Desktop) -> None:
    answered = desktop.get("compare", a=desktop.a.key, b=desktop.diverged.key).json()
    assert (answered["difference"], answered["disagreements"]) == (None, [])
    assert answered["verdict"][0] == "B diverged, so that it classifies no test image."


# --- studies ---


def test_the_cards_say_how_far_studies_are_and_what_they_say(desktop: Desktop) -> None:
    cards = {card["name"]: card for card in desktop.get("studies").json()}
    assert list(cards) == ["batch-lr", "train-size", "depth", "parameters", "writers"]
    done, not_begun = cards["train-size"], cards["depth"]
    assert done["scale"] == "quick"
    assert done["answer"]["sentence"]
    assert done["answer"]["how_sure"]
    assert not_begun["answer"] is None
    assert {one["scale"]: one["known"] for one in not_begun["standings"]} == {"full": 0, "quick": 0}
    assert "digitlab data fetch mnist --writers" in cards["writers"]["cannot_run"]


def test_a_study_that_is_done_is_told_with_pictures_that_keep_to_the_policy(desktop: Desktop) -> None:
    study = desktop.get("studies/train-size").json()
    assert study["standing"]["is_done"]
    assert {cell["state"] for cell in study["cells"]} <= {"fine", "best"}
    assert study["sentences"]
    assert study["findings"]
    assert study["command"] == "digitlab study run train-size --scale quick"
    for picture in study["pictures"]:
        assert picture["table"]["rows"]
    address = study["pictures"][0]["url"].removeprefix("/api/")
    for theme in ("light", "dark", "page"):
        answered = desktop.get(f"{address}&theme={theme}")
        assert answered.headers["content-type"] == "image/svg+xml"
        assert not re.findall(r"\sstyle=|<style|<script|javascript:", answered.text)
    assert desktop.get("studies/depth").json()["pictures"] == []
    assert desktop.get("studies/depth/pictures/any.svg").status_code == 404


def test_what_no_study_can_do_is_told(desktop: Desktop) -> None:
    assert desktop.get("studies/deepness").status_code == 404
    wrong = desktop.ask("POST", "studies/depth/run", json={"scale": "enormous"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "scale")
    assert desktop.ask("POST", "studies/writers/run", json={"scale": "quick"}).status_code == 409
    assert desktop.ask("POST", "studies/depth/stop", json={}).json()["job"] is None


# --- reports ---


def test_reports_open_under_a_policy_that_suits_them(desktop: Desktop) -> None:
    answered = desktop.get("reports/compare", a=desktop.a.key, b=desktop.b.key)
    assert answered.status_code == 200
    assert "of 10,000 test images exactly one of them is right" in answered.text
    policy = answered.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "<script" not in answered.text
    sources = set(re.findall(r'(?:src|href)="((?!#)[^"]{0,12})', answered.text))
    assert {source.partition(":")[0] for source in sources} <= {"data"}
    assert desktop.get("reports/studies", study="depth").status_code == 404
    assert desktop.get(f"reports/runs/{desktop.diverged.key}").status_code == 409
