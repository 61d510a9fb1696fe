"""Two axes crossed: what each does, averaged over the other, and whether its effect depends on the other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import Condition, Evidence, seed_count
from digitlab.analysis.findings import (
    Axis,
    Effect,
    Estimate,
    Finding,
    Forest,
    Headline,
    StudyFindings,
)
from digitlab.analysis.statistics.compare import judge
from digitlab.analysis.statistics.two_way import FOUR_CELLS, family_intervals, interactions, main_effects
from digitlab.analysis.studies.grid import Grid, grid_table, heat_map
from digitlab.analysis.studies.parameters import accuracy_table, choice, rate_pictures, tuning
from digitlab.analysis.summary import (
    MARGIN,
    bound_in_words,
    broken_in_words,
    closeness_in_words,
    compared_in_words,
    most_in_words,
    points_in_words,
    study_findings,
)

_MOST_ANSWERS = 4
"""So many interactions are told in the answer, the largest first."""


def find(evidence: Evidence, grid: Grid) -> StudyFindings:
    """What the study says."""
    conditions, points = grid.conditions, grid.points
    mains = [_main_effects(grid, points, number) for number in (0, 1)]
    between = _interactions(grid, points)
    effects = [*mains[0], *mains[1], *between]
    averaged, together = [e.verdict for main in mains for e in main], _on_interactions(grid, between)
    # Where the axes act together, an average over one of them is not the whole answer.
    is_clear = any(effect.is_clear for effect in between)
    answer = [*together, *averaged] if is_clear else [*averaged, *together]
    return study_findings(
        evidence.about,
        conditions,
        answer=[*answer, *_left_out(conditions)],
        headline=_headline(grid, effects),
        findings=[_finding(grid, effect) for effect in effects],
        pictures=[
            heat_map(grid),
            *([_forest(grid, effects)] if effects else []),
            *rate_pictures(conditions),
        ],
        tables=[grid_table(grid), accuracy_table(conditions)],
        methods=_methods(grid),
    )


# ---- Effects ----


@dataclass(frozen=True)
class _Effect:
    """What changes test accuracy: a level of one axis, or of one in company with one of the other.

    title:   in full
    label:   among those of its family
    family:  those that its interval holds together with
    points:  of test accuracy
    verdict: what may be said of it
    is_between: whether it is an interaction
    """

    title: str
    label: str
    family: str
    points: Estimate
    verdict: str
    is_between: bool = False

    @property
    def is_clear(self) -> bool:
        return judge(self.points, MARGIN) in ("better", "worse")


def _main_effects(grid: Grid, points: Float64[np.ndarray, "seed row column"], number: int) -> list[_Effect]:
    """Of each level of an axis, averaged over the other axis."""
    levels, base = grid.others(number), grid.level(number, grid.reference[number])
    contrasts = main_effects(points if number == 0 else points.swapaxes(1, 2), grid.reference[number])
    over = f"averaged over {grid.axis(1 - number)}"
    found = zip(levels, family_intervals(contrasts[:, levels]), strict=True)
    return [
        _Effect(
            title=f"{grid.level(number, level)} against {base}, {over}",
            label=grid.level(number, level),
            family=f"against {base}",
            points=estimate,
            verdict=f"{over.capitalize()}, {compared_in_words(grid.level(number, level), base, estimate)}",
        )
        for level, estimate in found
        if math.isfinite(estimate.value)
    ]


def _interactions(grid: Grid, points: Float64[np.ndarray, "seed row column"]) -> list[_Effect]:
    """By how much the effect of each row is another in each column than in the reference column."""
    row, column = grid.reference
    contrasts = interactions(points, row, column)
    places = [(i, j) for i in grid.others(0) for j in grid.others(1)]
    estimates = family_intervals(np.stack([contrasts[:, i, j] for i, j in places], axis=1), FOUR_CELLS)
    steps = (points - points[:, [row]]).mean(axis=0)  # [row, column]
    base = grid.level(1, column)
    return [
        _Effect(
            title=f"effect of {grid.level(0, i)} at {grid.level(1, j)}, minus that at {base}",
            label=f"{grid.level(0, i)} at {grid.level(1, j)}",
            family="interaction",
            points=estimate,
            verdict=f"At {_between(grid, (i, j), steps, estimate)}",
            is_between=True,
        )
        for (i, j), estimate in zip(places, estimates, strict=True)
        if math.isfinite(estimate.value)
    ]


def _between(
    grid: Grid, place: tuple[int, int], steps: Float64[np.ndarray, "row column"], points: Estimate
) -> str:
    """A row's effect in two columns, and how far they are apart, as a sentence that lacks its first word."""
    (i, j), (row, column) = place, grid.reference
    both = (
        f"{grid.level(1, column)}, {grid.level(0, i)} instead of {grid.level(0, row)} changes the accuracy "
        f"by {steps[i, column]:+.2f} points, and at {grid.level(1, j)} by {steps[i, j]:+.2f} points"
    )
    if judge(points, MARGIN) in ("better", "worse"):
        return f"{both}: a difference of {points_in_words(points)}.{closeness_in_words(points)}"
    return f"{both}; that is no clear difference: {bound_in_words(points)} ({points_in_words(points)})."


def _on_interactions(grid: Grid, between: Sequence[_Effect]) -> list[str]:
    """Whether the effect of one axis depends on the other."""
    (rows, columns), base = map(grid.axis, (0, 1)), grid.level(1, grid.reference[1])
    known = [effect for effect in between if effect.points.has_interval]
    if not known:
        return [
            f"Whether the effect of {rows} depends on {columns} is not known: that needs two seeds at least, "
            "and settings at which networks do not break."
        ]
    clear = sorted((e for e in known if e.is_clear), key=lambda effect: -abs(effect.points.value))
    if clear:
        first, *others = (effect.verdict for effect in clear[:_MOST_ANSWERS])
        more = f" Likewise {len(clear) - _MOST_ANSWERS} more." if len(clear) > _MOST_ANSWERS else ""
        depends = f"The effect of {rows} depends on {columns}: {first[0].lower()}{first[1:]}"
        return [depends, *others[:-1], *(f"{last}{more}" for last in others[-1:])]
    most = max((effect.points for effect in known), key=lambda points: max(-points.low, points.high))
    other = grid.levels[1][grid.others(1)[0]] if len(grid.levels[1]) == 2 else "the others"
    return [
        f"No clear interaction: the effect of {rows} differs between {base} and {other} by at most "
        f"{most_in_words(most)}."
    ]


def _headline(grid: Grid, effects: Sequence[_Effect]) -> Headline | None:
    """Whether the axes act together; else the largest effect of one of them."""
    if not effects:
        return None
    rows, columns = map(grid.axis, (0, 1))
    clear = sorted((e for e in effects if e.is_clear), key=lambda e: (not e.is_between, -abs(e.points.value)))
    count = seed_count(grid.conditions)
    seeds = f"{count} seed{'' if count == 1 else 's'}"
    if not clear:
        sentence = f"Neither {rows} nor {columns} clearly changes the accuracy."
        return Headline(sentence, f"{len(effects)} differences, none of them clear; {seeds}", "effects")
    first = clear[0]
    interval = f"{points_in_words(first.points)}, {seeds}"
    if first.is_between:
        return Headline(
            f"The effect of {rows} depends on {columns}.", f"{first.title}: {interval}", "effects"
        )
    return Headline(f"{first.title}: {first.points.value:+.1f} points.", interval, "effects")


def _left_out(conditions: Sequence[Condition]) -> list[str]:
    broken = broken_in_words(conditions)
    return [f"{broken} Effects are averaged over the settings that are left."] if broken else []


def _finding(grid: Grid, effect: _Effect) -> Finding:
    return Finding(
        title=effect.title,
        estimate=effect.points,
        unit="points",
        n=seed_count(grid.conditions),
        n_of="seeds",
        method="difference in test accuracy, seed by seed, in a two-way layout with seeds as blocks; the "
        "interval holds together with the others of its kind",
        verdict=effect.verdict,
    )


def _methods(grid: Grid) -> list[str]:
    (rows, columns), (row, column) = map(len, grid.levels), grid.reference
    first = grid.conditions[0]
    return [
        f"Every level of {grid.axis(0)} was combined with every level of {grid.axis(1)}, {rows} × {columns} "
        f"settings, with the same seeds: a two-way layout with seeds as blocks. {tuning(first)}An effect is "
        f"the test accuracy at a level minus that at {grid.level(0, row)} or {grid.level(1, column)}, seed "
        "by seed, averaged over the other axis. An interaction is how much the effect of a level differs "
        "between two levels of the other axis.",
        f"The intervals {choice(first)}hold together with 95 % within each family: the effects of "
        f"{grid.axis(0)}, those of {grid.axis(1)}, and the interactions (Dunnett 1955, with moderated "
        "variances after Smyth 2004; for interactions with the least correlation that two of them have).",
    ]


# ---- Picture ----


def _forest(grid: Grid, effects: Sequence[_Effect]) -> Forest:
    return Forest(
        name="effects",
        title=f"What {grid.axis(0)} and {grid.axis(1)} change",
        caption=(
            f"Differences in test accuracy, {seed_count(grid.conditions)} seeds: each level against another, "
            "averaged over the other axis; then, as interaction, how far the effect at a level of "
            f"{grid.axis(1)} is above that at {grid.level(1, grid.reference[1])}. Intervals of a group hold "
            f"together with 95 %. Within the grey band, ±{MARGIN} points, differences count as practically "
            "equal."
        ),
        x=Axis("points of test accuracy"),
        effects=tuple(Effect(effect.label, effect.family, effect.points) for effect in effects),
        margin=MARGIN,
    )
