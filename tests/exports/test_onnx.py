"""ONNX files: what three runtimes compute from them, what they say of themselves, and when there is none."""

import math
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx.reference import ReferenceEvaluator

from digitlab.data import Dataset
from digitlab.errors import WeightsError
from digitlab.exports import agreement as agreement_module
from digitlab.exports.agreement import Agreement, agreement, by_onnxruntime, by_torch
from digitlab.exports.facts import Facts, facts_of
from digitlab.exports.onnx import onnx_model, write_onnx
from digitlab.exports.service import Targets, export
from digitlab.models.trained import TrainedNetwork
from tests.exports.networks import facts, network

KINDS = [
    {},
    {"hidden": (30,), "scaling": "standard", "initialisation": "he"},
    {"hidden": (20, 10), "scaling": "symmetric", "precision": "float64"},
]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_three_runtimes_and_the_batch_s_size(
    options: dict[str, object], mnist: Dataset, tmp_path: Path
) -> None:
    shown, file = facts(mnist, **options), tmp_path / "n.onnx"
    found = write_onnx(shown, file)
    assert found.images == 1_000
    assert 0 <= found.difference < 1e-6
    reference = ReferenceEvaluator(str(file))
    for count in (1, 3, 40):
        images = np.ascontiguousarray(mnist.test.images[:count])
        ours = shown.network.probabilities(images)  # NumPy
        theirs = np.asarray(next(iter(reference.run(None, {"images": images}))))
        assert theirs == pytest.approx(ours, abs=1e-6)
        assert by_onnxruntime(file, images) == pytest.approx(ours, abs=1e-6)
        assert by_torch(shown.network, images) == pytest.approx(ours, abs=1e-6)
        assert theirs.dtype == ours.dtype == np.dtype(shown.network.spec.precision)
    assert by_onnxruntime(file, np.empty((0, 28, 28), np.uint8)).shape == (0, 10)


@pytest.fixture(scope="module")
def exported(mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainedNetwork]:
    file = tmp_path_factory.mktemp("onnx") / "n.onnx"
    shown = facts(mnist, hidden=(30,), scaling="standard")
    write_onnx(shown, file)
    return file, shown.network


@settings(max_examples=20)
@given(images=arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(28), st.just(28))))
def test_any_image_has_the_same_probabilities(
    exported: tuple[Path, TrainedNetwork], images: np.ndarray
) -> None:
    file, made = exported
    found = by_onnxruntime(file, images)
    assert found == pytest.approx(made.probabilities(images), abs=1e-6)
    assert found.sum(1) == pytest.approx(1, abs=1e-6)


def test_a_file_says_what_it_is_and_is_always_the_same(
    exported: tuple[Path, TrainedNetwork], mnist: Dataset
) -> None:
    file, made = exported
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said == {
        "digitlab_spec": made.spec.canonical_json,
        "digitlab_key": made.spec.key,
        "data": "mnist",
        "data_sha256": mnist.entry.sha256,
        "class_names": '["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]',
        "test_accuracy": "0.125",
    }
    assert (model.producer_name, model.opset_import[0].version, model.ir_version) == ("digitlab", 11, 6)
    assert [node.op_type for node in model.graph.node] == [
        *("Cast", "Flatten", "Sub", "Div", "Gemm", "Relu", "Gemm", "Softmax")
    ]
    shapes = [
        [dimension.dim_param or dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["n", 28, 28], ["n", 10]]
    again = onnx_model(Facts(made, mnist, 0.125)).SerializeToString(deterministic=True)
    assert again == file.read_bytes()


def test_a_runtime_that_differs_leaves_nothing_and_an_older_file(
    mnist: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(made: TrainedNetwork, images: np.ndarray) -> np.ndarray:
        return by_torch(made, images) + np.float32(2e-5)

    monkeypatch.setattr(agreement_module, "by_torch", wrong)
    with pytest.raises(WeightsError) as error:
        write_onnx(facts(mnist), tmp_path / "n.onnx")
    assert str(error.value) == (
        f"{tmp_path / 'n.onnx'}: not written: onnxruntime's probabilities differ from torch's by up to 2.0e-05 on "
        "1,000 test images, where less than 1e-05 is asked for; try another version of onnxruntime"
    )
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "n.onnx").write_text("older")
    with pytest.raises(WeightsError, match="not written"):
        write_onnx(facts(mnist), tmp_path / "n.onnx")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


def test_what_is_close() -> None:
    assert Agreement(9.9e-6, 1_000).is_close
    assert not Agreement(1e-5, 1_000).is_close
    assert not Agreement(math.nan, 1_000).is_close


def test_a_small_test_set_is_compared_whole(mnist: Dataset, tmp_path: Path) -> None:
    shown = facts(mnist)
    write_onnx(shown, tmp_path / "n.onnx")
    few = type(mnist)(
        mnist.entry, mnist.train, type(mnist.test)(mnist.test.images[:7], mnist.test.labels[:7])
    )
    assert agreement(tmp_path / "n.onnx", Facts(shown.network, few, 0.5)).images == 7


def test_a_place_that_cannot_be_written_is_told(mnist: Dataset, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be written: there is no such folder"):
        write_onnx(facts(mnist), tmp_path / "none" / "n.onnx")


def test_a_missing_library_is_told_with_its_extra(
    mnist: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("onnx", "onnxruntime"):
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, library, None)
            patched.delitem(sys.modules, "digitlab.exports.onnx")
            patched.delitem(sys.modules, "digitlab.exports.agreement")
            with pytest.raises(
                WeightsError,
                match=rf"^onnx: {library} is missing; in digitlab's folder: pip install '\.\[onnx\]'$",
            ):
                export(network(mnist), Targets(onnx=tmp_path / "n.onnx"))
    assert list(tmp_path.iterdir()) == []


def test_facts_are_measured(mnist: Dataset) -> None:
    made = network(mnist)
    found = facts_of(made)
    right = made.probabilities(mnist.test.images).argmax(1) == mnist.test.labels
    assert found.test_accuracy == pytest.approx(float(np.mean(right)))
    assert found.sentence == f"784-10, trained on mnist, test accuracy {found.test_accuracy:.4f}"
