"""Two axes crossed: effects against sums written out, sentences, cells that broke, and the truth of simulations."""

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
import pytest
from jaxtyping import Float64

from digitlab.analysis.conditions import About, Condition, Evidence, level_name, name_of
from digitlab.analysis.findings import Forest, HeatMap, StudyFindings
from digitlab.analysis.registry import ANALYSES
from digitlab.analysis.statistics.two_way import FOUR_CELLS, family_intervals, interactions, main_effects
from digitlab.result import RunResult
from tests.analysis.results import run, spec

SEEDS = 8
MOMENTA, BATCHES = ("0", "0.9"), ("20", "100", "200")
RATES = (0.1, 0.2, 0.4)
Cells = Float64[np.ndarray, "seed row column"]


def untuned(labels: Mapping[str, str], accuracies: Float64[np.ndarray, "seed"]) -> Condition:
    runs = tuple(run(spec(), seed, accuracy=float(value)) for seed, value in enumerate(accuracies))
    return Condition(labels, dict.fromkeys(labels, ""), False, (), (), (0.1,), (runs,), (runs,), {})


def tuned(
    labels: Mapping[str, str], accuracies: Float64[np.ndarray, "seed"], outcome: str = "completed"
) -> Condition:
    """At three rates, of which the middle one is best by as much on either side."""

    def at(rate: float) -> tuple[RunResult, ...]:
        loss = 0.1 if rate == RATES[1] else 0.2
        return tuple(
            run(spec(), seed, rate, loss=loss, accuracy=float(value), outcome=outcome)
            for seed, value in enumerate(accuracies)
        )

    runs = tuple(map(at, RATES))
    return Condition(labels, dict.fromkeys(labels, ""), False, RATES, runs, RATES, runs, runs, {})


def labels_of(i: int, j: int) -> dict[str, str]:
    return {"momentum": MOMENTA[i], "batch_size": BATCHES[j]}


def findings(
    cells: Cells,
    make: Callable[[Mapping[str, str], Float64[np.ndarray, "seed"]], Condition] = untuned,
    baseline: str | None = None,
) -> StudyFindings:
    conditions = [make(labels_of(i, j), cells[:, i, j]) for i in range(2) for j in range(3)]
    about = About("mine", "Mine", "Does it?", "full", baseline)
    return ANALYSES["comparison"].find(Evidence(about, conditions))


def drawn(seed: int, effect: Float64[np.ndarray, "row column"] | float = 0.0, sd: float = 0.001) -> Cells:
    """Accuracies: blocks for seeds, noise in each cell."""
    stream = np.random.default_rng(seed)
    blocks = 0.01 * stream.standard_normal((SEEDS, 1, 1))
    return np.asarray(0.9 + blocks + effect + sd * stream.standard_normal((SEEDS, 2, 3)))


def test_contrasts_are_those_written_out() -> None:
    cells = np.random.default_rng(1).standard_normal((5, 3, 4))
    mains, columns = main_effects(cells, 1), main_effects(cells.swapaxes(1, 2), 2)
    between = interactions(cells, 1, 2)
    for seed, i, j in product(range(5), range(3), range(4)):
        by_hand = sum(cells[seed, i, k] - cells[seed, 1, k] for k in range(4)) / 4
        assert mains[seed, i] == pytest.approx(by_hand, abs=1e-12)
        by_hand = sum(cells[seed, k, j] - cells[seed, k, 2] for k in range(3)) / 3
        assert columns[seed, j] == pytest.approx(by_hand, abs=1e-12)
        by_hand = (cells[seed, i, j] - cells[seed, 1, j]) - (cells[seed, i, 2] - cells[seed, 1, 2])
        assert between[seed, i, j] == pytest.approx(by_hand, abs=1e-12)


def test_what_a_cell_that_is_not_known_is_needed_for_is_left_out() -> None:
    cells = np.random.default_rng(2).standard_normal((5, 3, 3))
    cells[:, 2, 1] = np.nan
    known = [0, 2]
    expected = (cells[:, 2, known] - cells[:, 0, known]).mean(axis=1)
    assert main_effects(cells, 0)[:, 2] == pytest.approx(expected)
    assert np.isfinite(main_effects(cells, 0)).all()
    assert np.isnan(interactions(cells, 0, 0)[:, 2, 1]).all()
    assert np.isfinite(interactions(cells, 0, 0)[:, 2, 2]).all()
    cells[:, 0] = np.nan
    assert np.isnan(main_effects(cells, 0)).all()


def test_an_interval_does_not_depend_on_contrasts_that_are_not_known() -> None:
    known = np.random.default_rng(3).standard_normal((6, 3))
    with_a_hole = np.insert(known, 1, np.nan, axis=1)
    found = family_intervals(with_a_hole)
    assert [found[i] for i in (0, 2, 3)] == list(family_intervals(known))
    assert not found[1].has_interval
    assert np.isnan(found[1].value)


@pytest.mark.parametrize("spreads", [(1.0, 1.0), (0.5, 2.0)])
def test_all_interactions_of_a_simulated_grid_hold_together_in_95_of_100(
    spreads: tuple[float, float],
) -> None:
    stream, repeats, missed = np.random.default_rng(4), 1_500, 0
    sds = np.where(np.arange(3) == 1, spreads[1], spreads[0])  # by column
    truth = np.array([[0.0, 0.0, 0.0], [0.5, 1.0, 1.5]])
    for _ in range(repeats):
        cells = truth + sds * stream.standard_normal((10, 2, 3)) + stream.standard_normal((10, 1, 1))
        intervals = family_intervals(interactions(cells, 0, 0)[:, 1, 1:], FOUR_CELLS)
        missed += any(not e.low <= t <= e.high for e, t in zip(intervals, (0.5, 1.0), strict=True))
    assert 0.028 * repeats <= missed <= 0.073 * repeats  # 5 %, and 4 standard errors on either side


def test_main_effects_are_means_over_the_other_axis_in_points() -> None:
    effect = np.array([[0.0, 0.0, 0.0], [0.01, 0.01, 0.01]])
    cells = drawn(5, effect)
    found = findings(cells)
    by_title = {finding.title: finding for finding in found.findings}
    assert list(by_title)[:3] == [
        "momentum 0.9 against momentum 0, averaged over batch size",
        "batch size 100 against batch size 20, averaged over momentum",
        "batch size 200 against batch size 20, averaged over momentum",
    ]
    steps = [100 * np.mean([cells[s, 1, j] - cells[s, 0, j] for j in range(3)]) for s in range(SEEDS)]
    main = by_title["momentum 0.9 against momentum 0, averaged over batch size"]
    assert main.estimate.value == pytest.approx(np.mean(steps))
    # One effect alone in its family: Student's interval, 2.3646 standard errors at 7 degrees of freedom.
    half = 2.3646 * np.std(steps, ddof=1) / np.sqrt(SEEDS)
    assert main.estimate.high - main.estimate.value == pytest.approx(half, rel=1e-3)
    assert (main.n, main.n_of, main.unit) == (SEEDS, "seeds", "points")
    assert found.answer[0].startswith("Averaged over batch size, momentum 0.9 is better than momentum 0: +")
    (no_interaction,) = [sentence for sentence in found.answer if "interaction" in sentence]
    assert no_interaction.startswith(
        "No clear interaction: the effect of momentum differs between batch size 20 and the others by at most "
    )


def test_the_bound_of_no_clear_interaction_holds_all_of_their_intervals() -> None:
    found = findings(drawn(6))
    between = [finding.estimate for finding in found.findings if finding.title.startswith("effect of")]
    most = max(max(-estimate.low, estimate.high) for estimate in between)
    (sentence,) = [sentence for sentence in found.answer if sentence.startswith("No clear interaction")]
    bound = float(sentence.rpartition("at most ")[2].removesuffix(" points."))
    assert most <= bound < most + 0.1


def test_a_clear_interaction_tells_both_effects() -> None:
    effect = np.array([[0.0, 0.0, 0.0], [0.01, 0.01, 0.03]])
    found = findings(drawn(7, effect))
    sentence = found.answer[0]  # before any average
    cells = drawn(7, effect)
    at_20, at_200 = (100 * (cells[:, 1, j] - cells[:, 0, j]).mean() for j in (0, 2))
    assert sentence.startswith(
        "The effect of momentum depends on batch size: at batch size 20, momentum 0.9 instead of momentum 0 "
        f"changes the accuracy by {at_20:+.2f} points, and at batch size 200 by {at_200:+.2f} points: "
        f"a difference of {at_200 - at_20:+.2f} points, 95 % interval "
    )


def test_the_headline_is_what_is_clear_and_names_its_picture() -> None:
    both = findings(drawn(7, np.array([[0.0, 0.0, 0.0], [0.01, 0.01, 0.03]]))).headline
    one = findings(drawn(5, np.array([[0.0, 0.0, 0.0], [0.01, 0.01, 0.01]]))).headline
    none = findings(drawn(14, sd=1e-4)).headline
    assert both is not None
    assert one is not None
    assert none is not None
    assert both.sentence == "The effect of momentum depends on batch size."
    assert both.how_sure.startswith(
        "effect of momentum 0.9 at batch size 200, minus that at batch size 20: +"
    )
    assert one.sentence == "momentum 0.9 against momentum 0, averaged over batch size: +1.0 points."
    assert none.sentence == "Neither momentum nor batch size clearly changes the accuracy."
    assert {each.picture for each in (both, one, none)} == {"effects"}


def test_the_baseline_is_the_reference_of_its_axis() -> None:
    found = findings(drawn(8), baseline="100")
    titles = [finding.title for finding in found.findings]
    assert "batch size 20 against batch size 100, averaged over momentum" in titles
    assert "momentum 0.9 against momentum 0, averaged over batch size" in titles
    assert "effect of momentum 0.9 at batch size 200, minus that at batch size 100" in titles


def test_a_tuned_grid_is_read_off_at_its_best_rate_and_says_so() -> None:
    cells = drawn(9, np.array([[0.0, 0.0, 0.0], [0.01, 0.01, 0.01]]))
    found, plain = findings(cells, tuned), findings(cells)
    for one, other in zip(found.findings, plain.findings, strict=True):
        assert one.estimate.value == pytest.approx(other.estimate.value)
    assert "jackknife over seeds" in " ".join(found.methods)
    assert "learning rate" not in " ".join(plain.methods)
    assert [picture.name for picture in found.pictures] == ["grid", "effects", "sensitivity"]


def test_a_cell_in_which_most_networks_broke_is_left_out_with_a_sentence() -> None:
    cells = drawn(10)

    def make(labels: Mapping[str, str], values: Float64[np.ndarray, "seed"]) -> Condition:
        broke = labels == labels_of(1, 2)
        return tuned(labels, values, outcome="diverged" if broke else "completed")

    found = findings(cells, make)
    assert found.answer[-1] == (
        "Left out, for most networks broke there at every learning rate: momentum 0.9, batch size 200. "
        "Effects are averaged over the settings that are left."
    )
    titles = [finding.title for finding in found.findings]
    assert "effect of momentum 0.9 at batch size 200, minus that at batch size 20" not in titles
    (main,) = [finding for finding in found.findings if finding.title.startswith("momentum")]
    assert main.estimate.value == pytest.approx(100 * (cells[:, 1, :2] - cells[:, 0, :2]).mean())
    (grid,) = [picture for picture in found.pictures if isinstance(picture, HeatMap)]
    assert {(s.y, s.x): s.state for s in grid.squares}["0.9", "200"] == "diverged"
    assert found.tables[0].rows[1][3] is None


def test_one_seed_has_no_intervals_and_says_so() -> None:
    found = findings(drawn(11)[:1])
    assert not any(finding.estimate.has_interval for finding in found.findings)
    assert found.answer[-1].startswith("Whether the effect of momentum depends on batch size is not known")


def test_the_grid_is_a_table_and_a_heat_map() -> None:
    cells = drawn(12)
    found = findings(cells)
    table, (grid, forest) = found.tables[0], found.pictures
    assert isinstance(grid, HeatMap)
    assert isinstance(forest, Forest)
    assert table.columns == ("momentum ↓ · batch size →", *BATCHES)
    assert [row[0] for row in table.rows] == list(MOMENTA)
    for i, row in enumerate(table.rows):
        assert row[1:] == pytest.approx(cells[:, i].mean(axis=0), abs=1e-5)
    best = [(square.y, square.x) for square in grid.squares if square.state == "best"]
    i, j = np.unravel_index(cells.mean(axis=0).argmax(), (2, 3))
    assert best == [(MOMENTA[i], BATCHES[j])]
    assert len(forest.effects) == len(found.findings) == 1 + 2 + 2


def test_three_axes_are_compared_setting_by_setting_with_full_names() -> None:
    cells = drawn(13)
    conditions = [
        untuned({**labels_of(i, j), "width": width}, cells[:, i, j])
        for i, j, width in product(range(2), range(2), ("30", "100"))
    ]
    found = ANALYSES["comparison"].find(Evidence(About("mine", "Mine", "Does it?", "full"), conditions))
    assert found.findings[0].title == "momentum 0, batch size 20, width 100"
    assert "compared with momentum 0, batch size 20, width 30:" in found.answer[0]
    assert "momentum 0, batch size 20, width 100; momentum 0, batch size 100, width 30" in found.answer[-1]


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({}, "the study"),
        ({"variant": "Adam"}, "Adam"),
        ({"batch_size": "20", "momentum": "0"}, "batch size 20, momentum 0"),
        ({"momentum": "Momentum 0.9", "batch_size": "20"}, "Momentum 0.9, batch size 20"),
    ],
)
def test_conditions_are_named_with_their_axes_where_there_are_several(
    labels: dict[str, str], name: str
) -> None:
    assert name_of(untuned(labels, np.array([0.9]))) == name


def test_a_label_that_only_begins_like_its_axis_keeps_the_axis() -> None:
    assert level_name("step", "steps") == "step steps"
