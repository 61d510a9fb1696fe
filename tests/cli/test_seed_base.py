"""A study repeated with other seeds: `--seed-base`, and a report of both beside each other."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.compare import independent_difference
from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.errors import SpecError, StoreError
from digitlab.report import build
from digitlab.report.replications import replicated_studies, replication_tables
from digitlab.store import Filter, Store, open_store
from digitlab.studies import read_study_at, run_command
from digitlab.studies.expansion import all_seeds, scouting_seeds
from digitlab.studies.files import parse_study, with_seed_base
from digitlab.studies.runner import run_study
from tests.report.test_build import SMALL

NUMBERS = st.floats(-1e6, 1e6)


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "digitlab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Knows the study with seeds from 0 and from 1000."""
    opened = open_store(tmp_path_factory.mktemp("store") / "runs.db")
    for first in (0, 1000):
        assert run_study(with_seed_base(parse_study(SMALL, "small.toml"), first), opened).is_done
    return opened


def test_all_seeds_begin_there_and_other_choices_stay(file: Path) -> None:
    study, _ = read_study_at(file, seeds=5, seed_base=40)
    assert list(all_seeds(study)) == [40, 41, 42, 43, 44]
    assert list(scouting_seeds(study)) == [40, 41]
    plain, _ = read_study_at(file, seeds=5)
    assert study == with_seed_base(plain, 40)
    assert read_study_at(file, seed_base=0)[0] == read_study_at(file)[0].model_copy(
        update={"seeds": read_study_at(file, seed_base=0)[0].seeds}
    )


def test_a_count_of_seeds_keeps_the_first_that_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(f"{SMALL}first = 70\n")
    assert list(all_seeds(read_study_at(path, seeds=2)[0])) == [70, 71]
    assert list(all_seeds(read_study_at(path, seed_base=3)[0])) == [3, 4, 5]


@pytest.mark.parametrize("first", [-1, 2**62 + 1])
def test_a_first_seed_that_there_is_not_is_refused(first: int, file: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_study_at(file, seed_base=first)
    assert str(caught.value) == (
        f"seed-base: {first} is no seed that a study can begin with; "
        "give one from 0 to 4,611,686,018,427,387,904"
    )


def test_the_command_that_runs_a_study_is_one_for_a_shell() -> None:
    assert run_command("depth", "quick") == "digitlab study run depth --scale quick"
    command = run_command("my study.toml", "full", seeds=3, seed_base=0)
    assert command == "digitlab study run 'my study.toml' --scale full --seeds 3 --seed-base 0"


def test_repetitions_share_no_run(store: Store) -> None:
    seeds = {result.spec.seed for result in store.get(list(store.keys(Filter()))).values()}
    assert seeds == {0, 1, 2, 1000, 1001, 1002}


# ---- The difference of two estimates ----


def test_half_widths_add_in_quadrature() -> None:
    found = independent_difference(Estimate(10, 7, 13), Estimate(12, 8, 16))
    assert (found.value, found.low, found.high) == (2, 2 - 5, 2 + 5)
    # Each on the side that faces the other: below, 4 of the second and 1 of the first; above, 1 and 2.
    lopsided = independent_difference(Estimate(10, 8, 11), Estimate(12, 8, 13))
    assert (lopsided.low, lopsided.high) == pytest.approx((2 - math.sqrt(17), 2 + math.sqrt(5)))


def test_without_an_interval_there_is_none() -> None:
    found = independent_difference(Estimate(1.0), Estimate(3, 2, 4))
    assert found.value == 2
    assert not found.has_interval


@given(*[NUMBERS] * 2, *[st.floats(0, 1e3)] * 4)
def test_a_difference_is_the_other_way_round_what_it_is(
    a: float, b: float, below_a: float, above_a: float, below_b: float, above_b: float
) -> None:
    first, second = Estimate(a, a - below_a, a + above_a), Estimate(b, b - below_b, b + above_b)
    there, back = independent_difference(first, second), independent_difference(second, first)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.low <= there.value <= there.high


def test_repetitions_of_one_truth_disagree_once_in_20() -> None:
    stream, repeats = np.random.default_rng(1), 3_000
    disagree = 0
    for _ in range(repeats):
        first, second = (mean_interval(stream.standard_normal(16)) for _ in range(2))
        difference = independent_difference(first, second)
        disagree += not difference.low <= 0 <= difference.high
    # Between z and t quantiles; 4 standard errors of a count of 5 % are 1.6 %.
    assert 0.025 * repeats < disagree < 0.066 * repeats


# ---- The report ----


def test_a_report_names_repetitions_by_their_seeds_and_compares_them(file: Path, store: Store) -> None:
    found = replicated_studies([str(file)], None, [0, 1000], store)
    assert [study.findings.title for study in found] == [
        "A small study, seeds 0-2",
        "A small study, seeds 1000-1002",
    ]
    (table,) = replication_tables(found)
    assert table.title == "Replications: A small study"
    assert table.columns == ("finding", "seeds 0-2", "seeds 1000-1002", "difference", "agree")
    firsts, seconds = (study.findings.findings for study in found)
    assert len(table.rows) == len(firsts)
    for row, first, second in zip(table.rows, firsts, seconds, strict=True):
        half = math.hypot(
            first.estimate.high - first.estimate.value, second.estimate.high - second.estimate.value
        )
        agrees = abs(second.estimate.value - first.estimate.value) <= half
        assert (row[0], row[4]) == (f"{first.title}, points", "yes" if agrees else "no")
    agreeing = [row[4] for row in table.rows].count("yes")
    assert table.note.startswith(f"{agreeing} of {len(firsts)} findings agree: ")
    report = build.report(found, [], None, replications=[table])
    assert table in report.tables
    assert report.commands == (
        f"digitlab study run {file} --scale full --seed-base 0",
        f"digitlab study run {file} --scale full --seed-base 1000",
        f"digitlab report {file} --seed-base 0 --seed-base 1000",
    )
    assert report.introduction[0].startswith("What one study says")


def test_findings_that_one_alone_has_and_those_that_differ_are_told(file: Path, store: Store) -> None:
    first, second = replicated_studies([str(file)], None, [0, 1000], store)
    (finding,) = first.findings.findings
    far = replace(finding, estimate=Estimate(50.0, 49.0, 51.0))
    near = replace(finding, estimate=Estimate(1.0, 0.0, 2.0))
    own, unsure = replace(near, title="a third"), replace(near, title="unsure", estimate=Estimate(1.0))
    one = replace(first, findings=replace(first.findings, findings=(near, unsure)))
    other = replace(second, findings=replace(second.findings, findings=(unsure, own, far)))
    (table,) = replication_tables([one, other])
    assert [(row[0], row[4]) for row in table.rows] == [
        (f"{finding.title}, points", "no"),
        ("unsure, points", "not known"),
        ("a third, points", "not known"),
    ]
    assert table.rows[0][3] == "49.0 (47.6 to 50.4)"
    assert table.rows[2][1:3] == ("–", "1.0 (0.0 to 2.0)")
    assert table.note.startswith("0 of 1 findings agree: ")


def test_studies_that_stand_alone_have_no_table(file: Path, store: Store) -> None:
    assert replication_tables(replicated_studies([str(file)], None, [1000], store)) == []


def test_repetitions_that_are_not_done_or_share_seeds_are_refused(file: Path, store: Store) -> None:
    with pytest.raises(StoreError) as missing:
        replicated_studies([str(file)], None, [0, 50, 60], store)
    commands = [f"`digitlab study run {file} --scale full --seed-base {first}`" for first in (50, 60)]
    assert (
        str(missing.value) == f"{file} is not done with each of these seeds; {' and '.join(commands)} do it"
    )
    with pytest.raises(StoreError, match=r"`digitlab study run all --scale quick --seed-base 50` takes some"):
        replicated_studies([], "quick", [50], store)
    for first, second in ((2, 0), (0, 2), (0, 0)):
        with pytest.raises(SpecError) as shared:
            replicated_studies([str(file)], None, [first, second], store)
        late = max(first, second)
        assert str(shared.value) == (
            f"seed-base: {late} is too close to 0: from there small takes the seeds up to 2, and repetitions "
            "share no seed; give one from 3 on"
        )


def test_the_commands_take_it(file: Path, tmp_path: Path) -> None:
    store, page = tmp_path / "runs.db", tmp_path / "report.html"
    shown = run("study", "show", file, "--store", store, "--seed-base", 9)
    text = " ".join(shown.stdout.split())
    assert "seeds: 9 to 11; the first 2 try the whole range of learning rates, all of them those" in text
    assert f"`digitlab study run {file} --scale full --seed-base 9` trains the rest" in text
    for first in (0, 9):
        assert run("study", "run", file, "--store", store, "--seed-base", first).returncode == 0
    assert "\ndone\n" in run("study", "status", file, "--store", store, "--seed-base", 9).stdout
    assert "\ndone\n" not in run("study", "status", file, "--store", store, "--seed-base", 99).stdout
    bases = ("--seed-base", 0, "--seed-base", 9)
    done = run("report", file, *bases, "--store", store, "--output", page, "--no-open")
    assert done.returncode == 0, done.stderr
    chapters = re.findall(r"<h2>(A small study.*?)</h2>", page.read_text())
    assert chapters == ["A small study, seeds 0-2", "A small study, seeds 9-11"]
    assert "<h3>Replications: A small study</h3>" in page.read_text()
    refused = run("study", "run", file, "--store", store, "--seed-base=-1")
    assert refused.returncode == 2
    assert "seed-base: -1 is no seed that a study can begin with" in refused.stderr
