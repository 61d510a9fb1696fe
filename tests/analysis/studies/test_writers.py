"""Whose handwriting: findings of networks that misread digits as they are told to."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from digitlab.analysis.conditions import Condition, Evidence
from digitlab.analysis.findings import Finding, Lines, StudyFindings
from digitlab.analysis.statistics.clusters import design_factor
from digitlab.analysis.studies.writers import find
from digitlab.data.writers import PUPILS, Writers
from digitlab.result import RunResult
from tests.analysis.results import about, condition, reports, run, spec

HANDS, EACH = 10, 100
"""Writers of either kind, and images of each."""
PUPIL = np.repeat([True, False], HANDS * EACH)
WRITER = np.repeat(np.arange(2 * HANDS), EACH)
LABELS = np.arange(len(WRITER), dtype=np.uint8) % 10
SIZES = (1_000, 4_000, 16_000)
FALLING = ((32, 16), (16, 16), (8, 16))
"""Misread images of each pupil and of each of the staff, by size: exponents 1/2 and 0."""


def writers() -> Writers:
    series = np.where(PUPIL, PUPILS, 0).astype(np.int32)
    return Writers(WRITER.astype(np.int32) + 100, WRITER.astype(np.int32), series, series)


def first_of_each(pupils: int, staff: int) -> np.ndarray:
    """The first so many images of every writer are misread."""
    return np.arange(len(WRITER)) % EACH < np.where(PUPIL, pupils, staff)


def evidence(
    wrong: Sequence[Sequence[np.ndarray]],
    sizes: Sequence[int] = SIZES,
    network: str = "1 x 100",
    scale: str = "full",
) -> Evidence:
    """What networks misread, [size][seed][image]."""
    conditions, predictions = [], {}
    for size, of_seeds in zip(sizes, wrong, strict=True):
        accuracies = [1 - float(row.mean()) for row in of_seeds]
        conditions.append(
            condition(
                spec(train_size=size),
                accuracies=accuracies,
                labels={"network": network, "train_size": f"{size:,}"},
            )
        )
        for result, row in zip(conditions[-1].reports, of_seeds, strict=True):
            predictions[result.key] = ((LABELS + row) % 10).astype(np.uint8).tobytes()
    return Evidence(
        about(scale), conditions, predictions=predictions, labels=LABELS.tobytes(), writers=writers()
    )


def alike(counts: Sequence[tuple[int, int]] = FALLING, seeds: int = 3) -> list[list[np.ndarray]]:
    """All seeds misread the same."""
    return [[first_of_each(*count)] * seeds for count in counts]


def drawn(chances: Sequence[tuple[float, float]], seeds: int, seed: int = 0) -> list[list[np.ndarray]]:
    """Each image is misread by chance, more often by some writers' hands."""
    random = np.random.default_rng(seed)
    hands = random.uniform(0.5, 1.5, 2 * HANDS)[WRITER]
    return [
        [random.random(len(WRITER)) < np.where(PUPIL, *chance) * hands for _ in range(seeds)]
        for chance in chances
    ]


def finding(found: StudyFindings, title: str) -> Finding:
    (one,) = [finding for finding in found.findings if finding.title.startswith(title)]
    return one


def picture(found: StudyFindings, name: str) -> Lines:
    (one,) = [picture for picture in found.pictures if picture.name == name]
    assert isinstance(one, Lines)
    return one


def test_pupils_digits_are_harder_by_what_was_misread() -> None:
    found = finding(find(evidence(alike([(32, 16), (16, 16), (12, 3)]))), "Error on pupils' digits less")
    assert found.estimate.value == pytest.approx(12 - 3)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((9, 9))  # all seeds, all hands alike
    assert (found.n, found.n_of, found.unit) == (3, "seeds", "points")
    assert (
        "Trained on 16,000 images, 1 x 100 misreads 12.00 % of the pupils' digits and 3.00 %" in found.verdict
    )
    assert "pupils' digits are harder (+9.00 points" in found.verdict
    turned = finding(find(evidence(alike([(3, 12)]), [4_000])), "Error on pupils' digits less")
    assert "staff' digits" not in turned.verdict
    assert "the staff's digits are harder (-9.00 points" in turned.verdict


def test_what_writers_by_chance_make_different_is_not_resolved() -> None:
    # Every other pupil's hand is hard, and every other one's of the staff a little less: 5 of 10 hands decide.
    hard = np.where(WRITER % 2 == 0, np.where(PUPIL, 40, 36), 0)
    row = np.arange(len(WRITER)) % EACH < hard
    found = finding(find(evidence([[row] * 5], [4_000])), "Error on pupils' digits less")
    assert found.estimate.value == pytest.approx(2.0)
    assert found.estimate.low < 0 < found.estimate.high
    assert "whether either are harder is not resolved" in found.verdict
    # Hands of 40, 0, 40, … and 36, 0, 36, … %: standard errors 20 / 3 and 18 / 3 points, seeds add nothing.
    error = math.sqrt((20 / 3) ** 2 + 6**2)
    assert found.estimate.high - 2.0 == pytest.approx(2.09 * error, rel=0.05)


def test_more_images_help_the_kind_whose_error_falls_faster() -> None:
    found = finding(find(evidence(alike())), "Exponent of the error on pupils'")
    assert found.estimate.value == pytest.approx(0.5)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((0.5, 0.5))
    assert "ten times as many leave 0.32 of the errors on pupils' digits and 1.00" in found.verdict
    assert "in proportion, more images help pupils' digits more" in found.verdict
    staff = finding(find(evidence(alike([(16, 32), (16, 16), (16, 8)]))), "Exponent")
    assert "more images help the staff's digits more" in staff.verdict
    same = finding(find(evidence(drawn([(0.3, 0.2), (0.15, 0.1), (0.06, 0.04)], 5))), "Exponent")
    assert same.estimate.low < 0 < same.estimate.high
    assert "whether more images help either more is not resolved" in same.verdict


def test_a_network_without_errors_has_no_exponent() -> None:
    found = find(evidence(alike([(8, 8), (4, 4), (4, 0)])))
    exponent = finding(found, "Exponent")
    assert not exponent.estimate.has_interval
    assert exponent.verdict == (
        "From 1,000 to 16,000 images, 1 x 100: whether more images help either more is not resolved."
    )
    none = find(evidence(alike([(0, 0)]), [4_000]))
    assert finding(none, "Error on pupils' digits less").estimate.value == 0
    assert finding(none, "Variance").verdict == "Nothing varies between writers."


def test_how_much_images_by_one_writer_are_alike_is_told() -> None:
    wrong = drawn([(0.2, 0.1)], seeds=4)
    factor = finding(find(evidence(wrong, [4_000])), "Variance of an accuracy over writers")
    expected = [design_factor(row[None], WRITER) for row in wrong[0]]
    assert factor.estimate.value == pytest.approx(np.mean(expected))
    assert factor.estimate.value > 1.5
    assert f"tell as much of new writers as {len(WRITER) / factor.estimate.value:,.0f} such" in factor.verdict


def test_pictures_and_tables_hold_the_same_numbers() -> None:
    found = find(evidence(drawn([(0.4, 0.3), (0.2, 0.1), (0.1, 0.05)], seeds=4)))
    (table,) = found.tables
    assert [row[0] for row in table.rows] == list(SIZES)
    for kind, column in (("pupils", 2), ("staff", 5)):
        (line,) = [line for line in picture(found, "error").lines if line.name == kind]
        assert [point.y for point in line.points] == pytest.approx([row[column] for row in table.rows])
        assert [point.high for point in line.points] == pytest.approx([row[column + 2] for row in table.rows])
    assert float(table.rows[-1][8] or 0) == pytest.approx(
        finding(found, "Error on pupils' digits less").estimate.value
    )
    (ratio,) = picture(found, "ratio").lines
    assert [point.x for point in ratio.points] == list(SIZES)
    assert 1.5 < ratio.points[-1].y < 2.5


def test_every_writer_has_a_place_in_the_picture_of_writers() -> None:
    row = np.arange(len(WRITER)) % EACH < WRITER  # the k-th writer's first k images, 0 … 19
    found = picture(find(evidence([[row] * 2], [4_000])), "writers")
    pupils, staff = found.lines
    assert [point.y for point in pupils.points] == pytest.approx([k / 100 for k in range(10)])
    assert [point.y for point in staff.points] == pytest.approx([k / 100 for k in range(10, 20)])
    assert [point.x for point in staff.points] == pytest.approx([0.05 + k / 10 for k in range(10)])
    # 190 errors in all, and 19 + 18 + 17 + 16 + 15 + 14 = 99 of them by the last six writers.
    assert "The 6 writers with the most errors, 30 % of 20, have half of all errors." in found.caption


def test_the_network_of_the_fewest_errors_is_drawn_and_all_are_compared() -> None:
    two = [evidence(alike([(9, 9)]), [4_000], "a"), evidence(alike([(4, 2)]), [4_000], "b")]
    predictions = {key: given for part in two for key, given in part.predictions.items()}
    conditions = [condition for part in two for condition in part.conditions]
    # Other networks, for their runs must differ.
    other = reports(spec(train_size=4_000, hidden=(7,)), [0.97] * 3)
    predictions |= {
        mine.key: two[1].predictions[theirs.key]
        for mine, theirs in zip(other, conditions[1].reports, strict=True)
    }
    predictions |= {
        run.key: ((LABELS + first_of_each(9, 9)) % 10).astype(np.uint8).tobytes()
        for run in conditions[0].reports
    }
    both = [conditions[0], _with_reports(conditions[1], other)]
    found = find(Evidence(about(), both, predictions=predictions, labels=LABELS.tobytes(), writers=writers()))
    assert [line.name for line in picture(found, "ratio").lines] == ["a", "b"]
    assert picture(found, "error").title.endswith(", b")
    assert len(found.answer) == 3  # which digits are harder, of each; how alike a writer's images are


def _with_reports(base: Condition, runs: Sequence[RunResult]) -> Condition:
    return replace(base, judged=(tuple(runs),), reported=(tuple(runs),))


def test_a_broken_network_leaves_its_size_out() -> None:
    told = evidence(alike())
    broken = run(spec(train_size=SIZES[2]), 1_000, outcome="diverged")
    conditions = [*told.conditions[:2], _with_reports(told.conditions[2], [broken])]
    left = Evidence(
        about(), conditions, predictions=told.predictions, labels=told.labels, writers=told.writers
    )
    left.predictions.pop(broken.key, None)  # type: ignore[attr-defined]
    found = find(left)
    assert [row[0] for row in found.tables[0].rows] == list(SIZES[:2])
    nothing = find(Evidence(about(), conditions[2:], labels=told.labels, writers=told.writers))
    assert (nothing.findings, nothing.pictures, nothing.tables) == ((), (), ())


def test_without_writers_it_is_said_how_they_are_had() -> None:
    told = evidence(alike())
    found = find(Evidence(about(), told.conditions, predictions=told.predictions, labels=told.labels))
    assert found.findings == ()
    assert found.answer[0].endswith("`digitlab data fetch mnist --writers` gets the files that say it.")


def test_methods_say_who_wrote_how_much() -> None:
    found = find(evidence(alike()))
    assert "10 pupils wrote 1,000 of them, 10 of the Census Bureau's staff 1,000. None of" in found.methods[0]
