"""The evidence for the answers: the pool of real networks is what the studies train, and the pages say what was counted."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from digitlab import lab
from digitlab.studies import OBSERVATIONS, read_study
from digitlab.studies.expansion import checked, spec_of, varied

PROJECT = Path(__file__).parent.parent
RESULTS = PROJECT / "benchmarks" / "results"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The modules `pool` and `stability`."""
    monkeypatch.setattr(sys, "path", [str(PROJECT / "benchmarks"), *sys.path])
    import pool
    import stability

    return pool, stability


def test_a_network_of_the_pool_is_the_one_that_the_study_trains(benchmarks: tuple[Any, Any]) -> None:
    pool, _ = benchmarks
    rows = {row.key: row for row in pool.read(pool.path_of("quick"))}
    study = read_study("depth").at("quick")
    linear = checked(study)[0]
    assert linear.range is not None
    base = spec_of(study, linear, linear.range.values[0], 0)
    spec = varied(base, 0.25, 7)
    row = rows[spec.key[:12]]
    assert (row.study, row.condition, row.rate, row.seed) == ("depth", "0 | torch", 0.25, 7)
    result, _network = lab.run(spec)
    # Bits differ between kinds of machine: a few images of 10,000 at most.
    assert row.test_accuracy == pytest.approx(result.metrics.test_accuracy, abs=0.001)
    assert row.validation_loss == pytest.approx(result.curve.validation_loss[-1], rel=1e-2)
    wrong = row.errors_pupils + row.errors_staff
    assert wrong == round(10_000 * (1 - row.test_accuracy))


def test_pools_are_read_as_they_were_written(benchmarks: tuple[Any, Any], tmp_path: Path) -> None:
    pool, _ = benchmarks
    rows = pool.read(pool.path_of("quick"))[:50]
    path = tmp_path / "pool.csv.gz"
    pool.write(path, rows)
    assert pool.read(path) == sorted(
        rows, key=lambda row: (row.study, row.condition, row.rate, row.is_stopped, row.seed)
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])  # the program was killed
    assert len(pool.read(path)) < 50
    assert pool.read(tmp_path / "none.csv.gz") == []


def test_studies_that_are_drawn_anew_say_what_all_seeds_say(benchmarks: tuple[Any, Any]) -> None:
    """A short form of `python benchmarks/stability.py quick parameters`."""
    pool, stability = benchmarks
    study = read_study("parameters").at("quick")
    pooled = stability.PooledStudy(study, pool.read(pool.path_of("quick")))
    whole = stability.repeat(pooled, 5)
    assert whole.outside == 0
    found = {one.title: one for one in whole.findings}
    assert found["width 30"].verdicts() == {"worse": 5}
    assert found["learning rate 0.03"].verdicts() == {"worse": 5}
    assert found["standardised"].verdicts() == {"better": 5}
    assert found["width 30"].truth == pytest.approx(-1.47, abs=0.05)
    assert all(one.wrong_sign == 0 for one in whole.findings)
    assert found["width 30"].factor == pytest.approx(math.sqrt(1 - study.seeds.report / pooled.seeds))


def test_coverage_and_power_are_counted_as_they_are_said(benchmarks: tuple[Any, Any]) -> None:
    _, stability = benchmarks
    from digitlab.analysis.findings import Estimate

    estimates = (Estimate(1.0, 0.5, 1.5), Estimate(0.4, -0.1, 0.9), Estimate(-0.6, -1.0, -0.2))
    one = stability.Repeated("a", "points", 0.5, estimates[0], estimates, 0.5)
    # Half as wide: 0.75 to 1.25, 0.15 to 0.65, -0.8 to -0.4.
    assert one.holds == [False, True, False]
    assert one.coverage == pytest.approx(1 / 3)
    assert one.verdicts() == {"better": 1, "no clear difference": 1, "worse": 1}
    assert (one.said(one.first), one.said_again) == ("better", pytest.approx(1 / 3))
    assert one.wrong_sign == pytest.approx(1 / 3)
    # Moved to a true difference of 0.3: 0.3 to 1.3, -0.3 to 0.7, -1.2 to -0.4.
    assert one.power(0.3) == pytest.approx(2 / 3)


def test_the_page_says_what_was_counted() -> None:
    counted = json.loads((RESULTS / "stability-quick.json").read_text())
    assert [study["study"] for study in counted["studies"]] == list(OBSERVATIONS)
    page = (PROJECT / "docs" / "evidence.md").read_text()
    for study in counted["studies"]:
        assert study["seeds"] == read_study(study["study"]).at("quick").seeds.report
        for question, share in study["answered"].items():
            assert f"| {question} | {100 * share:.0f} |" in page
    expected = (PROJECT / "docs" / "teaching.md").read_text()
    for study in counted["studies"]:
        for finding in study["findings"]:
            if finding["with interval"] and not finding["title"].startswith("The law"):
                assert f"| {finding['title']} | {finding['truth']:.3g} |" in expected
