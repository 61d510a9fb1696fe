"""Study -> RunSpecs: the conditions it spans, and the runs of each. Pure, and counted before it is built."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from digitlab.errors import Fault, SpecError
from digitlab.options import make_spec
from digitlab.spec import RunSpec, geometric_steps
from digitlab.studies.definition import LEVEL_FIELDS, MOST_RUNS, Axis, Level, Range, Select, Study

RATES_FOR_ALL = 3
"""The best learning rate and its two neighbours: so many are trained with all seeds, at least."""
MOST_EXTENSIONS = 4
"""A range grows by so many values at most."""


@dataclass(frozen=True)
class Combination:
    """One level of every axis that is not tuned.

    labels: by axis
    groups: by axis, of levels that are shown together
    options: what every run of it sets
    range:  of the tuned axis; None where nothing is tuned
    select: which network of a run counts
    """

    labels: dict[str, str]
    groups: dict[str, str]
    options: dict[str, Any]
    range: Range | None
    select: Select


def combinations(study: Study) -> Iterator[Combination]:
    """All of them, the last axis varying fastest."""
    tuned = study.tuned
    for levels in product(*(axis.all_levels for axis in study.varied)):
        options, span, select = dict(study.fixed), tuned.range if tuned else None, study.select
        for level in levels:
            options |= {name: value for name, value in level.items() if name not in LEVEL_FIELDS}
            span = Range.model_validate(level["tune"]) if "tune" in level else span
            select = level.get("select", select)
        if tuned and tuned.name in options:
            span = None  # a level sets it itself
        labels, groups = (_by_axis(study.varied, levels, what) for what in ("label", "group"))
        yield Combination(labels, groups, options, span, select)


def each_level_once(study: Study) -> Iterator[dict[str, tuple[str, Any]]]:
    """Options of some combinations in which every level of every axis occurs; each option with its path.

    A path is such as `fixed.epochs`, `axes.0.values.2` or `axes.1.levels.0.momentum`. The tuned axis
    is left out.
    """
    fixed = {name: (f"fixed.{name}", value) for name, value in study.fixed.items()}
    axes = [_placed(i, axis) for i, axis in enumerate(study.axes) if not axis.tune]
    first = [levels[0] for levels in axes]
    for k, levels in enumerate(axes):
        for level in levels[1 if k else 0 :]:
            combination = [*first[:k], level, *first[k + 1 :]]
            yield fixed | {name: value for options in combination for name, value in options.items()}
    if not axes:
        yield fixed


def _placed(i: int, axis: Axis) -> list[dict[str, tuple[str, Any]]]:
    """For each level of an axis its options, each with its path."""
    kind = "levels" if axis.levels is not None else "values" if axis.values is not None else "range"
    ends = {"levels": ".{level}.{name}", "values": ".{level}", "range": ""}[kind]
    return [
        {
            name: (f"axes.{i}.{kind}{ends.format(level=number, name=name)}", value)
            for name, value in level.items()
            if name not in LEVEL_FIELDS
        }
        for number, level in enumerate(axis.all_levels)
    ]


def _by_axis(axes: Iterable[Axis], levels: Iterable[Level], what: str) -> dict[str, str]:
    return {axis.name: str(level.get(what, "")) for axis, level in zip(axes, levels, strict=True)}


def run_count(study: Study) -> int:
    """How many runs the study has, as far as that is known beforehand. Counted, not built.

    No range grows, three rates are enough for all seeds, what is reported besides lies outside the range, and
    the early-stopped networks are left out.
    Raises SpecError when the conditions alone are too many.
    """
    conditions, tuned = math.prod(len(axis.all_levels) for axis in study.varied), study.tuned
    if tuned is None:
        return conditions * study.seeds.report
    kinds = [level for axis in study.varied for level in axis.all_levels]
    if not any(level.keys() & {"tune", tuned.name} for level in kinds):
        return conditions * _run_count(study, len(tuned.all_levels))
    _refuse_too_many(study, conditions)
    return sum(
        _run_count(study, len(combination.range.values)) if combination.range else study.seeds.report
        for combination in combinations(study)
    )


def _run_count(study: Study, rates: int) -> int:
    """Runs of one condition whose range has so many rates."""
    also = len(study.tuned.also) if study.tuned else 0
    near, few = min(rates, RATES_FOR_ALL), min(study.seeds.tune, study.seeds.report)
    return (
        rates * study.seeds.tune + near * (study.seeds.report - few) + also * len(seeds_of_other_rates(study))
    )


def _refuse_too_many(study: Study, count: int) -> None:
    if count > MOST_RUNS:
        problem = f"makes {count:,} runs, more than {MOST_RUNS:,}; leave out values, levels or seeds"
        raise SpecError([Fault("study", study.name, problem)])


def checked(study: Study) -> list[Combination]:
    """The study's combinations, each of which can be run.

    Raises SpecError when they are too many, or with the faults of the first that cannot be run, or judged.
    """
    _refuse_too_many(study, run_count(study))
    found = list(combinations(study))
    for combination in found:
        spec = spec_of(study, combination, combination.range.values[0] if combination.range else None, seed=0)
        if not spec.validation_size and (study.tuned or combination.select == "best"):
            problem = "leaves nothing to choose the best by; fix one, such as validation_size = 10_000"
            raise SpecError([_named(study, combination, Fault("validation_size", 0, problem))])
    return found


def _named(study: Study, combination: Combination, fault: Fault) -> Fault:
    condition_name = ", ".join(f"{axis} {label}" for axis, label in combination.labels.items())
    return Fault(
        f"{study.name}{condition_name and f', {condition_name}'}: {fault.field}", fault.value, fault.problem
    )


def spec_of(study: Study, combination: Combination, rate: float | None, seed: int) -> RunSpec:
    """The RunSpec of one run.

    rate: of the tuned axis; None where nothing is tuned
    Raises SpecError, naming the combination.
    """
    options = combination.options | {"seed": seed} | ({"learning_rate": rate} if rate is not None else {})
    try:
        spec = make_spec(None, **options)
        if study.points is None:
            return spec
        return make_spec(None, **{**options, "evaluate_at": geometric_steps(spec.step_count, study.points)})
    except SpecError as error:
        raise SpecError([_named(study, combination, fault) for fault in error.faults]) from None


def varied(base: RunSpec, rate: float | None, seed: int) -> RunSpec:
    """The same run with another seed and, unless None, another rate."""
    fields = dict(base) | {"seed": seed}  # parts that stay are taken over as they are: there are many runs
    if rate is not None:
        fields["optimiser"] = base.optimiser.model_dump() | {"learning_rate": rate}
    return RunSpec.model_validate(fields)


def all_seeds(study: Study) -> range:
    """The seeds of a study."""
    return range(study.seeds.first, study.seeds.first + study.seeds.report)


def seeds_of_other_rates(study: Study) -> range:
    """Those that the rates are trained on which are reported beside the best."""
    seeds, count = all_seeds(study), study.seeds.also
    return seeds if count is None else seeds[:count]


def seeds_in_words(study: Study) -> str:
    """The seeds of a study: `seeds 1000-1015`."""
    seeds = all_seeds(study)
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]}-{seeds[-1]}"


def scouting_seeds(study: Study) -> range:
    """Those that the whole range of learning rates is tried on."""
    return range(study.seeds.first, study.seeds.first + study.seeds.tune)
