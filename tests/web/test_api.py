"""The HTTP API as programs use it: its document, its examples, its answers."""

import json
import re
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from digitlab.data import Dataset
from digitlab.live import Laboratory
from digitlab.option_fields import option_fields
from digitlab.options import make_spec
from digitlab.spec import RunSpec
from digitlab.store import open_store
from digitlab.web.app import create_app
from digitlab.web.reference import reference_page
from digitlab.web.settings import Settings
from tests.web.servers import Server

DOCUMENT = Path(__file__).parent / "openapi.json"
EXAMPLES = Path(__file__).parents[2] / "docs" / "api.md"
SMALL = {"hidden": [20], "train_size": 2_000, "epochs": 2, "learning_rate": 0.1}


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    store = open_store(tmp_path / "runs.db")
    laboratory = Laboratory(store)
    found = create_app(laboratory, Settings(80)).openapi()
    laboratory.close()
    store.close()
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def ended(client: httpx.Client, keys: list[str]) -> dict[str, Any]:
    end = time.monotonic() + 120
    while True:
        runs = {run["key"]: run for run in client.get("/api/live").json()["runs"] if run["key"] in keys}
        if all(run["status"] not in ("waiting", "training") for run in runs.values()):
            return runs
        assert time.monotonic() < end
        time.sleep(0.1)


def png(image: np.ndarray) -> bytes:
    """A PNG file of a grey image, [rows, columns]."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack("!I", len(content)) + kind + content + struct.pack("!I", zlib.crc32(kind + content))
        )

    rows, columns = image.shape
    lines = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack("!IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def broken_by(old: Any, new: Any, place: str = "") -> list[str]:
    """What of a document is no longer there, or is another: what programs may rely on. More may be there."""
    if isinstance(old, dict) and isinstance(new, dict):
        gone = [f"{place}/{name}" for name in old if name not in new]
        inside = [broken_by(old[name], new[name], f"{place}/{name}") for name in old if name in new]
        return gone + [each for found in inside for each in found]
    if place.endswith("/required"):  # of a request nothing more may be required
        return [f"{place}: {name}" for name in set(new) - set(old)] if "Request" in place else []
    if place.rpartition("/")[2] in ("description", "summary", "examples", "version", "title", "tags"):
        return []
    if isinstance(old, list) and isinstance(new, list) and place.endswith("/enum"):
        return [f"{place}: {value}" for value in old if value not in new]
    return [] if old == new else [f"{place}: {old!r} is {new!r} now"]


def test_no_change_breaks_the_api(document: dict[str, Any]) -> None:
    """To allow one, and to write down what is new: python -m tests.web.write_openapi."""
    known = json.loads(DOCUMENT.read_text())
    assert broken_by(known, document) == []
    assert set(document["paths"]) == set(known["paths"]), (
        "write down what is new: python -m tests.web.write_openapi"
    )


def test_a_breaking_change_is_found() -> None:
    old = {"paths": {"/a": {"get": {"description": "x"}}, "/b": {}}, "TrainRequest": {"required": ["runs"]}}
    new = {"paths": {"/a": {"get": {"description": "y"}}}, "TrainRequest": {"required": ["runs", "title"]}}
    assert broken_by(old, new) == ["/paths//b", "/TrainRequest/required: title"]
    assert broken_by({"type": "integer"}, {"type": "string"}) == ["/type: 'integer' is 'string' now"]


def test_the_reference_has_every_address_and_nothing_that_the_policy_forbids(
    document: dict[str, Any],
) -> None:
    page = reference_page(document)
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in page
    assert "<script" not in page
    assert "style=" not in page
    assert not re.search(r'(src|href)="(?!/|#)', page)


def test_every_operation_says_what_it_does_and_how_it_refuses(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation.get("description"), path
            assert {"401", "403", "404", "422", "429"} <= set(operation["responses"]), path
            (content,) = operation["responses"]["422"]["content"].values()
            assert content["schema"]["$ref"].endswith("/ErrorAnswer"), path


def test_the_examples_run(live_server: Server) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", EXAMPLES.read_text(), re.MULTILINE | re.DOTALL)
    said: list[str] = []
    names = {
        "ADDRESS": f"http://{live_server.authority}/?token={live_server.token}",
        "print": lambda *values: said.append(" ".join(map(str, values))),
    }
    for block in blocks:
        exec(block, names)  # noqa: S102
    names["session"].close()  # type: ignore[attr-defined]
    assert "784-30-10, rate 1/16, batch 100 done" in " ".join(said)
    assert any(line.startswith("7 [") for line in said)  # the first test image is a seven
    assert any(
        line.startswith("lr lr: 1 is for an option that does not exist; did you mean") for line in said
    )


def test_options_are_those_of_a_run(live_server: Server) -> None:
    with live_server.client() as client:
        found = {each["name"]: each for each in client.get("/api/options").json()}
    assert list(found) == [name for name in option_fields(RunSpec) if name != "parent"]
    assert (found["hidden"]["type"], found["hidden"]["default"]) == ("integers", [])
    assert (found["batch_size"]["type"], found["batch_size"]["low"]) == ("integer", 1)
    assert (found["momentum"]["low"], found["momentum"]["high"]) == (0, 1)
    assert set(found["scaling"]["choices"]) == {
        "unit", "symmetric", "standard",
    }  # fmt: skip
    assert found["nesterov"]["type"] == "boolean"


def test_test_images_are_the_data_sets(live_server: Server, mnist: Dataset) -> None:
    with live_server.client() as client:
        content = client.get("/api/datasets/mnist/test", params={"offset": 9_990, "limit": 100}).content
        assert client.get("/api/datasets/mnist/test", params={"limit": 100_000}).status_code == 422
    images = np.frombuffer(content[:7_840], np.uint8).reshape(10, 28, 28)
    assert np.array_equal(images, mnist.test.images[-10:])
    assert np.array_equal(np.frombuffer(content[7_840:], np.uint8), mnist.test.labels[-10:])


def test_a_picture_is_read_by_a_runs_network(live_server: Server, mnist: Dataset) -> None:
    with live_server.client() as client:
        options = {"hidden": [30], "learning_rate": 0.5, "train_size": 10_000, "epochs": 2}
        (run,) = client.post("/api/train", json={"runs": [options]}).json()["runs"]
        ended(client, [run["key"]])
        place = {"key": run["key"]}
        found = client.post("/api/predict", params=place, content=png(mnist.test.images[0])).json()
        (digit,) = found["digits"]
        assert digit["digit"] == "7"
        assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert len(digit["image"]) == 1_048  # base64 of 784 bytes
        blank = client.post(
            "/api/predict", params=place, content=png(np.full((50, 50), 255, np.uint8))
        ).json()
        assert blank["digits"] == []
        assert blank["refused"].startswith("no digit found")
        assert blank["steps"]


def test_pages_are_told_what_happens(live_server: Server) -> None:
    with live_server.client() as client:
        headers = {"Authorization": f"Bearer {live_server.token}"}
        with connect(f"ws://{live_server.authority}/api/live/events", additional_headers=headers) as socket:
            assert json.loads(socket.recv())["type"] == "hello"
            state = json.loads(socket.recv())
            known = {run["key"]: run for run in state["runs"]}
            (run,) = client.post("/api/train", json={"runs": [{**SMALL, "seed": 900, "epochs": 20}]}).json()[
                "runs"
            ]
            socket.send(json.dumps({"type": "watch", "keys": [run["key"]]}))
            while known.get(run["key"], {}).get("status") != "done":
                message = json.loads(socket.recv(60))
                for update in message["runs"]:
                    mine = known.setdefault(update["key"], {"points": []})
                    if message["type"] == "update" and "points" in update:
                        mine["points"] = mine["points"][: update.pop("from")] + update.pop("points")
                    mine.update(update)
            for key in message.get("removed", ()):
                known.pop(key)
        now = ended(client, [run["key"]])[run["key"]]
        assert {name: known[run["key"]][name] for name in now} == now
        assert len(now["points"]) == 20


def test_a_class_trains_within_its_limits(live_server: Server) -> None:
    options = {"hidden": [], "train_size": 1_000, "epochs": 1, "learning_rate": 0.125}
    with live_server.visitor() as one, live_server.visitor() as other, live_server.client() as teacher:
        about = one.get("/api/about").json()
        assert about["role"] == "visitor"
        assert about["visitor"]["name"] != other.get("/api/about").json()["visitor"]["name"]
        mine, theirs = (
            client.post("/api/train", json={"runs": [options]}).json()["runs"][0] for client in (one, other)
        )
        assert mine["visitor"] == about["visitor"]
        assert mine["spec"]["seed"] != theirs["spec"]["seed"]
        ended(one, [mine["key"], theirs["key"]])
        endless = {**options, "epochs": 2_000, "train_size": 50_000, "evaluate_at": [1]}
        (run,) = other.post("/api/train", json={"runs": [endless]}).json()["runs"]
        one.post("/api/train/cancel", json={"keys": [run["key"]]})
        assert teacher.get("/api/live").json()["runs"][-1]["status"] in ("waiting", "training")
        refused = one.post(
            "/api/train", json={"runs": [{**endless, "seed": seed} for seed in range(100, 109)]}
        )
        assert (refused.status_code, refused.json()["says"]) == (
            429,
            "0 of your runs wait or train; at most 8 may. Wait for them, or stop one",
        )
        other.post("/api/train/cancel", json={"keys": [run["key"]]})
        assert ended(other, [run["key"]])[run["key"]]["status"] == "cancelled"
        (run,) = teacher.post("/api/train", json={"runs": [endless]}).json()["runs"]
        with live_server.client(live_server.class_token) as nobody:  # of the class, and no visitor
            for client in (nobody, one):
                assert client.post("/api/train/cancel", json={"keys": [run["key"]]}).json()["runs"] == []
        assert teacher.get("/api/live").json()["runs"][-1]["status"] in ("waiting", "training")
        teacher.post("/api/train/cancel", json={"keys": [run["key"]]})
        ended(teacher, [run["key"]])
        for place in ("/api/train/clear", "/api/board", "/api/studies/depth/run"):
            assert one.post(place, json={"keys": []}).status_code == 403
        teacher.post("/api/board", json={"preset": "blank", "frozen": True})
        assert (
            one.post("/api/train", json={"runs": [options]})
            .json()["says"]
            .startswith("the teacher has stopped")
        )
        teacher.post("/api/board", json={"preset": "blank"})
        assert one.get("/api/board").json()["preset"] == "blank"
        board = one.get("/api/board/blank").json()
        assert len(board["rows"]) == 1
        assert one.get("/api/board/nothing").status_code == 404


def test_parents_and_faults_are_told_by_field(live_server: Server) -> None:
    with live_server.client() as client:
        refused = client.post("/api/train", json={"runs": [{"epochs": 0}, {"hiden": [3]}]})
        answer = refused.json()
        assert [fault["field"] for fault in answer["faults"]] == ["epochs", "hiden"]
        assert "(run 2 of 2)" in answer["faults"][1]["says"]
        assert make_spec().key  # the server's own words are those of make_spec
