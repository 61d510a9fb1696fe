"""Runs of a store, trained again."""

from contextlib import closing
from pathlib import Path

import pytest

from digitlab import lab
from digitlab.recomputation import Recomputed, recomputed, trained_again
from digitlab.result import RunResult
from digitlab.store import open_store


@pytest.fixture(scope="module")
def result() -> RunResult:
    return lab.train(train_size=200, steps=20)


def recompute(result: RunResult, path: Path) -> Recomputed:
    with closing(open_store(path)) as store:
        store.add([result])
        assert list(recomputed(store, 0)) == []
        (recomputed_run,) = recomputed(store, 9)
        return recomputed_run


def test_the_same_bits_come_out_again(result: RunResult, tmp_path: Path) -> None:
    recomputed_run = recompute(result, tmp_path / "runs.db")
    assert recomputed_run == Recomputed(result.key, is_same=True, elsewhere=())
    assert (recomputed_run.differs, recomputed_run.verdict) == (False, "the same to the last bit")


def test_what_differs_without_a_reason_is_told(result: RunResult, tmp_path: Path) -> None:
    metrics = result.metrics.model_copy(update={"test_loss": 1.25})
    recomputed_run = recompute(result.model_copy(update={"metrics": metrics}), tmp_path / "runs.db")
    assert (recomputed_run.differs, recomputed_run.verdict) == (True, "DIFFERS")


def test_bits_from_elsewhere_are_not_compared(result: RunResult, tmp_path: Path) -> None:
    metrics = result.metrics.model_copy(update={"test_loss": 1.25})
    provenance = result.provenance.model_copy(update={"processor": "an abacus"})
    changed = result.model_copy(update={"metrics": metrics, "provenance": provenance})
    recomputed_run = recompute(changed, tmp_path / "runs.db")
    assert not recomputed_run.differs
    assert recomputed_run.verdict.startswith("not compared: processor was an abacus, is ")


def test_a_network_is_had_again(result: RunResult) -> None:
    again = trained_again(result)
    assert again.note == ""
    assert again.network.spec == result.spec
    metrics = result.metrics.model_copy(update={"test_loss": 1.25})
    changed = result.model_copy(update={"metrics": metrics})
    assert trained_again(changed).note == (
        f"{result.key[:12]}: trained again, it differs from the run in the store, and nothing explains it"
    )
    provenance = result.provenance.model_copy(update={"processor": "an abacus"})
    note = trained_again(changed.model_copy(update={"provenance": provenance})).note
    assert "it differs from the run in the store: processor was an abacus, is " in note
