"""RunResult: its JSON, its non-finite numbers, how it shows itself."""

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab import html
from digitlab.errors import SpecError
from digitlab.result import Fingerprint, Provenance, RunResult
from digitlab.spec import DataSpec, RunSpec

SPEC = RunSpec(data=DataSpec(name="mnist", sha256="ab" * 32, train_images=60_000, classes=10))
VERSIONS = {"digitlab": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6"}
PROVENANCE = {
    "engine": "reference",
    "arithmetic": "torch",
    "device": "cpu",
    "processor": "a processor",
    "threads": 2,
    "versions": VERSIONS,
    "platform": "Linux",
    "host": "a host",
    "seconds": 1.5,
    "finished": "2026-01-01T00:00:00+00:00",
}


def result(number: float = 0.25, **fields: Any) -> RunResult:
    metrics = dict.fromkeys(
        ("training_loss", "training_set_loss", "training_set_accuracy", "test_loss", "test_accuracy"), number
    )
    metrics |= {"first_batch_loss": 2.25, "peak_batch_loss": number, "steps": 1_200}
    curve = {"step": [600, 1_200], "training_loss": [1.5, number]}
    parts = {"outcome": "completed", "curve": curve, "metrics": metrics, "provenance": PROVENANCE, **fields}
    return RunResult.of(SPEC, **parts)


def test_the_json_has_its_form() -> None:
    document = json.loads(result().to_json())
    assert list(document) == ["key", "spec", "outcome", "curve", "metrics", "provenance"]
    assert document["key"] == SPEC.key
    assert document["spec"] == json.loads(SPEC.canonical_json)
    assert document["curve"] == {
        "step": [600, 1_200],
        "training_loss": [1.5, 0.25],
        "validation_loss": [],
        "validation_accuracy": [],
    }
    assert document["metrics"]["validation_loss"] is None
    assert document["metrics"]["steps"] == 1_200
    assert document["provenance"] == PROVENANCE


@pytest.mark.parametrize(
    ("number", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (1e308, 1e308)]
)
def test_non_finite_numbers_are_strings_and_come_back(number: float, text: object) -> None:
    original = result(number, outcome="diverged")
    document = json.loads(original.to_json(), parse_constant=lambda name: pytest.fail(f"a bare {name}"))
    assert document["metrics"]["test_loss"] == text
    assert document["curve"]["training_loss"] == [1.5, text]
    reread = RunResult.from_json(original.to_json())
    assert repr(reread.metrics) == repr(original.metrics)
    assert reread.to_json() == original.to_json()


@given(st.floats())
def test_every_number_comes_back_bit_for_bit(number: float) -> None:
    back = RunResult.from_json(result(number).to_json()).metrics.test_loss
    assert repr(back) == repr(number)


def test_predictions_stay_out_of_the_json() -> None:
    with_predictions = result(predictions=b"\7\2\1")
    assert RunResult.from_json(with_predictions.to_json()) == result()
    assert "predictions" not in repr(with_predictions)


def test_a_key_that_is_not_the_specs_is_refused() -> None:
    document = json.loads(result().to_json())
    document["spec"]["seed"] = 1
    with pytest.raises(SpecError, match=r"spec: .* has the key [0-9a-f]{64}, not the one given"):
        RunResult.from_json(json.dumps(document))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"key": 3}', '{"key": "x", "key": "y"}', "[" * 100_000]
)
def test_what_is_not_a_result_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        RunResult.from_json(text)


def test_an_unknown_field_at_any_depth_is_told() -> None:
    document = json.loads(result().to_json())
    document["provenance"]["versions"]["numpi"] = "3"
    with pytest.raises(
        SpecError, match=r"provenance.versions.numpi: '3' is for a field .*; did you mean numpy\?"
    ):
        RunResult.from_json(json.dumps(document))


def test_a_curve_has_a_value_for_each_step() -> None:
    for name in ("training_loss", "validation_loss", "validation_accuracy"):
        curve = {"step": [600, 1_200], "training_loss": [1.5, 0.5]} | {name: [1.5]}
        with pytest.raises(SpecError, match=rf"{name}: \[1.5\] has 1 points where there are 2 steps"):
            result(curve=curve)


def test_other_texts_are_not_numbers() -> None:
    document = json.loads(result().to_json())
    for text in ("nan", "inf", "1.5", "Infinity "):
        document["metrics"]["test_loss"] = text
        with pytest.raises(SpecError, match=r"metrics.test_loss: .* is not a number"):
            RunResult.from_json(json.dumps(document))


def test_a_result_shows_itself_as_table_and_curve() -> None:
    html = result(
        curve={"step": [600, 1_200], "training_loss": [1.5, math.nan], "validation_loss": [2.0, 1.0]}
    )
    root = ET.fromstring(f"<div>{html._repr_html_()}</div>")  # noqa: S314
    cells = ["".join(row.itertext()) for row in root.iter("tr")]
    assert "network784-10" in cells
    assert "test accuracy0.2500" in cells
    lines = [line.get("points") for line in root.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len((points or "").split()) for points in lines] == [1, 2]  # the NaN is left out


def test_a_chart_places_points_by_their_values() -> None:
    root = ET.fromstring(html.line_chart("step", [0, 50, 100], {"loss <&>": [4.0, 2.0, 0.0]}))  # noqa: S314
    (line,) = root.iter("{http://www.w3.org/2000/svg}polyline")
    points = [tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y1 - y0 == pytest.approx(y2 - y1)
    assert y0 < y2  # upwards is smaller in SVG
    assert "loss <&>" in ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_nothing_to_draw_is_drawn_as_nothing() -> None:
    assert html.line_chart("step", [1], {"loss": [math.nan]}) == ""
    assert html.line_chart("step", [], {"loss": []}) == ""
    assert html.table({"a": "<b>"}).count("&lt;b&gt;") == 1


def test_results_from_before_arithmetics_were_told_are_read() -> None:
    document = json.loads(result().to_json())
    del document["provenance"]["arithmetic"]
    assert RunResult.from_json(json.dumps(document)).provenance.arithmetic == "torch"


LATER = {"compiler": "gcc 12.2.0", "c_library": "glibc 2.36", "matmul_precision": "highest"}


def provenance(**fields: Any) -> Provenance:
    return Provenance.model_validate({**PROVENANCE, **fields})


def test_results_from_before_compilers_were_told_are_written_as_they_were() -> None:
    before = result().to_json()
    assert not any(name in before for name in LATER)
    assert RunResult.from_json(before).to_json() == before
    now = result(provenance={**PROVENANCE, **LATER})
    assert json.loads(now.to_json())["provenance"] == PROVENANCE | LATER
    assert RunResult.from_json(now.to_json()) == now


# What two computations may differ in, and with what arithmetic it counts.
CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "engine": ({"engine": "lockstep"}, {"torch", "compiled kernel"}),
    "device": ({"device": "mps"}, {"torch", "compiled kernel"}),
    "processor": ({"processor": "another"}, {"torch", "compiled kernel"}),
    "numpy": ({"versions": VERSIONS | {"numpy": "3"}}, {"torch", "compiled kernel"}),
    "c_library": ({"c_library": "musl"}, {"torch", "compiled kernel"}),
    "compiler": ({"compiler": "clang"}, {"compiled kernel"}),
    "torch": ({"versions": VERSIONS | {"torch": "3"}}, {"torch"}),
    "matmul_precision": ({"matmul_precision": "high"}, {"torch"}),
    "threads": ({"threads": 3}, {"torch"}),
    "digitlab": ({"versions": VERSIONS | {"digitlab": "9"}}, set()),  # the numerics version is in the key
    "python": ({"versions": VERSIONS | {"python": "9"}}, set()),
    "the rest": ({"platform": "x", "host": "y", "seconds": 2, "finished": "z"}, set()),
}


@pytest.mark.parametrize("arithmetic", ["torch", "compiled kernel"])
@pytest.mark.parametrize(("change", "counts"), CHANGES.values(), ids=CHANGES.keys())
def test_a_fingerprint_holds_what_bits_depend_on(
    arithmetic: str, change: dict[str, Any], counts: set[str]
) -> None:
    fingerprint = provenance(**LATER, arithmetic=arithmetic).fingerprint
    other = provenance(**(LATER | {"arithmetic": arithmetic} | change)).fingerprint
    assert (fingerprint != other) == bool(fingerprint.differences(other)) == (arithmetic in counts)


def test_every_field_of_a_provenance_was_thought_of() -> None:
    changed = {name for change, _ in CHANGES.values() for name in change} | {"arithmetic"}
    assert Provenance.model_fields.keys() == changed
    assert {field.name for field in fields(Fingerprint)} <= CHANGES.keys() | {"arithmetic"}


def test_fingerprints_tell_their_differences() -> None:
    before = provenance(arithmetic="compiled kernel", device="cuda:1").fingerprint
    now = provenance(arithmetic="compiled kernel", device="cuda:0", compiler="gcc 12").fingerprint
    assert before.differences(now) == ["compiler was not recorded, is gcc 12"]
    assert provenance(c_library="glibc 2.36").fingerprint.differences(provenance().fingerprint) == [
        "c library was glibc 2.36, is not recorded"
    ]
