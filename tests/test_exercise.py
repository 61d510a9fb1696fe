"""The exercise's steps, called from Python as the command line and a web page call them."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digitlab import lab
from digitlab.errors import RunError, SpecError, StoreError
from digitlab.exercise import keep, observations, train_networks, write_exercise_report
from digitlab.handout import Comparison, compare, handout_runs
from digitlab.lab import Advance, Failure
from digitlab.result import RunResult
from digitlab.store import Filter, open_store
from digitlab.studies import OBSERVATIONS, read_study


@pytest.fixture(scope="module")
def advances() -> list[Advance]:
    return []


@pytest.fixture(scope="module")
def reported_results() -> list[tuple[str, RunResult]]:
    return []


@pytest.fixture(scope="module")
def comparison(advances: list[Advance], reported_results: list[tuple[str, RunResult]]) -> Comparison:
    return train_networks(
        epochs=1,
        workers=1,
        on_result=lambda name, result: reported_results.append((name, result)),
        on_advance=advances.append,
    )


def test_the_networks_are_trained_and_compared_with_the_handout(
    comparison: Comparison, advances: list[Advance], reported_results: list[tuple[str, RunResult]]
) -> None:
    runs = handout_runs()
    assert [network.handout for network in comparison.networks] == list(runs)
    for network in comparison.networks:
        (result,) = network.results
        assert result.spec == lab.make_spec(hidden=network.handout.hidden, epochs=1)
        assert network.figures == compare(network.handout, [result])
    assert sorted(name for name, _ in reported_results) == sorted(run.name for run in runs)
    assert {result.key for _, result in reported_results} == {result.key for result in comparison.results}
    assert (advances[-1].share, advances[-1].runs) == (1.0, 3)


def test_the_comparison_says_whose_spread_it_is_and_what_lies_farthest(comparison: Comparison) -> None:
    assert (comparison.seeds, comparison.spread.seeds, comparison.has_own_spread) == (1, 24, False)
    assert len(comparison.figures) == 3
    assert comparison.outside == ()
    name, figure = comparison.farthest
    assert abs(figure.z) == max(abs(compared.z) for _, compared in comparison.figures)
    assert (name, figure) in comparison.figures
    first = comparison.networks[0]
    strange = replace(first.figures[0], handout=9.0, spread=replace(comparison.spread, seeds=1))
    moved = Comparison((replace(first, figures=(strange,)),))
    assert moved.has_own_spread
    assert moved.outside == (moved.farthest,) == ((first.handout.name, strange),)


def test_runs_of_the_lockstep_engine_alone_are_kept(comparison: Comparison, tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "runs.db")) as store:
        network = comparison.networks[0]
        reference = network.results[0].provenance.model_copy(update={"engine": "reference"})
        other = replace(network, results=(network.results[0].model_copy(update={"provenance": reference}),))
        assert not keep(Comparison((other,)), store)
        assert store.count(Filter()) == 0
        assert keep(comparison, store)
        assert store.known([result.key for result in comparison.results]) == {
            result.key for result in comparison.results
        }


def test_a_run_that_failed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_many(specs: Sequence[Any], **_: Any) -> Iterator[Failure]:
        yield Failure(specs[1], "out of memory")

    monkeypatch.setattr(lab, "run_many", run_many)
    with pytest.raises(RunError, match=r"784-100-10, seed 0: out of memory; try again with --workers 1"):
        train_networks(epochs=1)


def test_the_observations_are_the_built_in_studies_at_quick_scale() -> None:
    assert observations() == tuple(read_study(name).at("quick") for name in OBSERVATIONS)


def test_the_report_is_one_page(comparison: Comparison, tmp_path: Path) -> None:
    page = tmp_path / "exercise.html"
    write_exercise_report(comparison, page, None, has_observations=False)
    text = page.read_text()
    assert "networks beside the handout" in text
    assert "digitlab exercise --no-studies --epochs 1" in text
    with pytest.raises(SpecError, match="is not the name of a web page"):
        write_exercise_report(comparison, tmp_path / "exercise.pdf", None, has_observations=False)
    with (
        closing(open_store(tmp_path / "empty.db")) as store,
        pytest.raises(StoreError, match="no study is done in this store"),
    ):
        write_exercise_report(comparison, page, store, has_observations=True)
