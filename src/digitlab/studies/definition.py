"""Study: a question as data: what varies, what is held fixed, how often it repeats. Pure values.

A study's axes span conditions, every combination of their levels. One axis may be tuned: at every condition
the best of its values is found by the validation loss.
"""

import difflib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from digitlab.errors import Fault, SpecError, shown
from digitlab.options import Options
from digitlab.spec import Count, Name
from digitlab.validation import Document, Part, PlainInt, Positive, in_form, nearest, refuse, refuse_inside

Analysis = Literal["batch-lr", "train-size", "depth", "parameters", "writers", "comparison"]
Select = Literal["last", "best"]
Label = Annotated[str, Field(min_length=1, max_length=60)]
Level = dict[str, Any]
"""What a level sets of a run, by the flat names of Options; with a `label`, a `group` to show it under,
`tune`, a range of its own for the tuned axis, and `select`, which comes before the study's."""

_MOST_LABELS = 40
"""So many are named to who has misspelt one."""

MOST_RUNS = 200_000
MOST_VALUES = 1_000
"""A range has so many values at most."""
LAST_FIRST_SEED = 2**62
"""Seeds of a study begin there at the latest: all of them stay below 2^63."""
OPTIONS = frozenset(Options.__annotations__) - {"seed"}
"""What a study may set; how often it repeats is said by its seeds."""
LEVEL_FIELDS = frozenset({"label", "group", "tune", "select"})
_A_LEVEL = "[{ label = 'Adam', optimiser = 'adam' }]"


class Range(Part):
    """Values from one number to another, each `factor` times the one before; the last may pass `to` a little.

    from_, to: written `from` and `to` in a file
    """

    from_: Annotated[Positive, Field(alias="from")]
    to: Positive
    factor: Annotated[Positive, Field(gt=1)] = 2.0

    @model_validator(mode="after")
    def _rises(self) -> "Range":
        if self.to < self.from_:
            refuse("ends before it begins; give a `to` that is at least `from`")
        if self._steps >= MOST_VALUES:
            refuse(f"has {self._steps + 1:,} values, more than {MOST_VALUES:,}; give a larger factor")
        return self

    @property
    def _steps(self) -> int:
        return round((math.log(self.to) - math.log(self.from_)) / math.log(self.factor))

    @property
    def values(self) -> tuple[float, ...]:
        """The values, rising."""
        return tuple(self.from_ * self.factor**i for i in range(self._steps + 1))


class Axis(Part):
    """One thing that varies.

    name:   of an option (`batch_size`), whose values it takes; or any name, with levels that set options
    values: of the option
    levels: tables of options
    range:  from, to and factor: values of the option
    tune:   the best value is searched at every condition; only the learning rate, in a range
    extend: while the best value lies at an end of the range, the range grows there
    also:   values that are reported at every condition beside the best one
    """

    name: Annotated[str, in_form("[a-z][a-z0-9_-]{0,40}", "up to 41 of a-z, 0-9, _ and -, a letter first")]
    values: Annotated[tuple[Any, ...] | None, Field(strict=False, min_length=1, examples=["[50, 100]"])] = (
        None
    )
    levels: Annotated[tuple[Level, ...] | None, Field(strict=False, min_length=1, examples=[_A_LEVEL])] = None
    range: Range | None = None
    tune: bool = False
    extend: bool = False
    also: Annotated[tuple[Positive, ...], Field(strict=False, examples=["[0.01]"])] = ()

    @field_validator("levels")
    @classmethod
    def _options_are_known(cls, levels: tuple[Level, ...] | None) -> tuple[Level, ...] | None:
        refuse_inside(
            ((i, *path), value, problem)
            for i, level in enumerate(levels or ())
            for path, value, problem in _faults_of_level(level)
        )
        return levels

    @model_validator(mode="after")
    def _is_one_kind(self) -> "Axis":
        given = [kind for kind in ("values", "levels", "range") if getattr(self, kind) is not None]
        if len(given) != 1:
            refuse("needs exactly one of values, levels, range")
        if self.levels is None and self.name not in OPTIONS:
            advice = nearest(self.name, sorted(OPTIONS), "name an option, such as batch_size")
            refuse(f"has no levels, and {self.name} is not an option; {advice}")
        if self.tune and (self.range is None or self.name != "learning_rate"):
            refuse("cannot be tuned; tune the learning_rate, in a range")
        if (self.extend or self.also) and not self.tune:
            refuse("is not tuned, so it takes neither extend nor also; say tune = true")
        return self

    @property
    def all_levels(self) -> tuple[Level, ...]:
        """Its levels, those of plain values too."""
        if self.levels is not None:
            return self.levels
        values = self.values if self.values is not None else self.range.values if self.range else ()
        return tuple({"label": _label(value), self.name: value} for value in values)

    @property
    def options(self) -> frozenset[str]:
        """What its levels set."""
        return frozenset(name for level in self.all_levels for name in level.keys() - LEVEL_FIELDS)


def _faults_of_level(level: Level) -> Iterator[tuple[tuple[str, ...], object, str]]:
    yield from _faults_of_options(level, LEVEL_FIELDS)
    if not isinstance(level.get("label"), str):
        yield (), level, "lacks a label; give each level one, such as label = 'Adam'"
    if not isinstance(level.get("group", ""), str):
        yield ("group",), level["group"], "is not a text; give one in quotation marks"
    if "tune" in level and not _is_range(level["tune"]):
        yield ("tune",), level["tune"], "is not a range; give one such as { from = 0.01, to = 1 }"
    elif "tune" in level and "learning_rate" in level:
        yield ("tune",), level["tune"], "tunes the learning rate that the level sets; leave out one of them"
    if level.get("select", "last") not in get_args(Select):
        yield ("select",), level["select"], "is not known; use 'last' or 'best'"


def _faults_of_options(
    options: Level, others: frozenset[str] = frozenset()
) -> Iterator[tuple[tuple[str, ...], object, str]]:
    """Of names that are neither options nor among the others."""
    for name, value in options.items():
        if name == "seed":
            yield (name,), value, "is not an option: `seeds` says how often a study repeats; leave it out"
        elif name not in OPTIONS | others:
            yield (name,), value, f"is not an option; {nearest(name, sorted(OPTIONS | others))}"


def _is_range(value: object) -> bool:
    try:
        Range.model_validate(value)
    except ValidationError:
        return False
    return True


def _label(value: object) -> str:
    if isinstance(value, list | tuple):
        return "x".join(str(width) if isinstance(width, str) else shown(width) for width in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 64:
        return f"{value:,}"
    return value if isinstance(value, str) else shown(value)


class Seeds(Part):
    """How often a study repeats.

    report: seeds, each trained at the learning rates around the best
    tune:   the first of them, on which the whole range of learning rates is tried
    also:   the first of them, on which the rates are trained that are reported besides (the axis's `also`);
            None: all
    first:  the first seed; with another one the study is repeated with everything drawn anew
    """

    tune: Annotated[PlainInt, Field(ge=1, le=1_000)] = 3
    report: Annotated[PlainInt, Field(ge=1, le=100_000)] = 5
    also: Annotated[PlainInt, Field(ge=1, le=100_000)] | None = None
    first: Annotated[PlainInt, Field(ge=0, le=LAST_FIRST_SEED)] = 0


class Study(Document):
    """A question and how it is put.

    name, title, question: for people
    analysis: what becomes of the results; `comparison` suits any study
    fixed:    options that hold for every run
    axes:     what varies; at most one of them is tuned
    seeds:    how often
    points:   of each run's curve, evenly spaced in the logarithm of the steps; None: as `evaluate_at` says
    select:   judge a run by its `last` validation loss, or by the `best` of its curve, and then report the
              early-stopped network, that of the best point
    baseline: label of the level that others are compared with, where the analysis compares
    target:   validation accuracy that steps are counted to, where the analysis counts them
    scales:   by name, what of the above is other at that scale
    """

    name: Name
    title: str
    question: str
    analysis: Analysis = "comparison"
    fixed: Annotated[dict[str, Any], Field(default_factory=dict)]
    axes: Annotated[tuple[Axis, ...], Field(strict=False, min_length=1, examples=["[[axes]]"])]
    seeds: Seeds = Seeds()
    points: Annotated[Count, Field(le=1_000)] | None = None
    select: Select = "last"
    baseline: Label | None = None
    target: Annotated[Positive, Field(lt=1)] | None = None
    scales: Annotated[dict[str, dict[str, Any]], Field(default_factory=dict)]

    @field_validator("fixed")
    @classmethod
    def _fixed_options_are_known(cls, fixed: dict[str, Any]) -> dict[str, Any]:
        refuse_inside(_faults_of_options(fixed))
        return fixed

    @field_validator("axes")
    @classmethod
    def _axes_go_together(cls, axes: tuple[Axis, ...], info: ValidationInfo) -> tuple[Axis, ...]:
        names = [axis.name for axis in axes]
        if sum(axis.tune for axis in axes) > 1:
            refuse("tunes two axes; one can be tuned")
        if len(set(names)) < len(names):
            refuse("has two axes of one name; put their levels together")
        labels = [[level["label"] for level in axis.all_levels] for axis in axes if not axis.tune]
        if any(len(set(same)) < len(same) for same in labels):
            refuse("has two levels of one label on an axis; labels tell them apart")
        if any("tune" in level for axis in axes for level in axis.all_levels) and not any(
            axis.tune for axis in axes
        ):
            refuse("has a level with a range to tune over, and no axis that is tuned; say tune = true of one")
        # A level that sets the learning rate itself is not tuned.
        varied = Counter(name for axis in axes if not axis.tune for name in axis.options)
        twice = sorted(name for name, count in varied.items() if count > 1)
        if twice:
            refuse(f"varies {', '.join(twice)} on two axes; leave it to one")
        fixed = set(info.data.get("fixed", {})) & set(names)
        if fixed:
            refuse(f"varies {', '.join(sorted(fixed))}, which is fixed as well; leave it out of one")
        return axes

    @field_validator("points")
    @classmethod
    def _points_replace_nothing(cls, points: int | None, info: ValidationInfo) -> int | None:
        varied = {name for axis in info.data.get("axes", ()) for name in axis.options}
        if points is not None and "evaluate_at" in varied | info.data.get("fixed", {}).keys():
            refuse("would take the place of evaluate_at, which is chosen too; leave out one of them")
        return points

    @field_validator("baseline")
    @classmethod
    def _baseline_is_there(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        axes = info.data.get("axes")
        if baseline is None or axes is None:
            return baseline
        labels = [str(level["label"]) for axis in axes if not axis.tune for level in axis.all_levels]
        if baseline not in labels:
            nearest = difflib.get_close_matches(baseline, labels, n=1)
            advice = f"did you mean {nearest[0]!r}? " if nearest else ""
            known = ", ".join(map(repr, labels[:_MOST_LABELS])) + (", …" if labels[_MOST_LABELS:] else "")
            refuse(f"is the label of no level; {advice}there are {known}")
        return baseline

    @property
    def tuned(self) -> Axis | None:
        """The axis that is tuned."""
        return next((axis for axis in self.axes if axis.tune), None)

    @property
    def varied(self) -> tuple[Axis, ...]:
        """The axes that span the conditions."""
        return tuple(axis for axis in self.axes if not axis.tune)

    @property
    def usual_scale(self) -> str:
        """The scale that is meant where none is named: `full`, or else the first that there is."""
        return "full" if "full" in self.scales else next(iter(self.scales), "full")

    def at(self, scale: str) -> "Study":
        """The study at one of its scales; a study without scales is the same at any.

        Raises SpecError, whose fields name axes as a scale does: axes.batch_size.values.
        """
        if not self.scales:
            return self
        if scale not in self.scales:
            advice = nearest(scale, list(self.scales), f"use {' or '.join(self.scales)}")
            raise SpecError([Fault("scale", scale, f"is not a scale of {self.name}; {advice}")])
        changes = self.scales[scale]
        if faults := _faults_of_axes(changes.get("axes", {}), [axis.name for axis in self.axes]):
            raise SpecError(faults)
        document = self.model_dump(by_alias=True, exclude_unset=True)
        del document["scales"]
        try:
            return Study.model_validate(_overlaid(document, changes))
        except SpecError as error:
            faults = [Fault(self._by_name(fault.field), fault.value, fault.problem) for fault in error.faults]
            raise SpecError(faults) from None

    def _by_name(self, field: str) -> str:
        first, *more = field.split(".")
        if first == "axes" and more and more[0].isdecimal() and int(more[0]) < len(self.axes):
            more[0] = self.axes[int(more[0])].name
        return ".".join([first, *more])


def _faults_of_axes(changes: object, names: Sequence[str]) -> list[Fault]:
    if not isinstance(changes, Mapping):
        return [Fault("axes", changes, "is not a table; change an axis by a table of its name")]
    return [
        Fault(
            f"axes.{name}",
            change,
            "is not a table; give one such as { values = [1, 2] }"
            if name in names
            else f"is for no axis of the study; {nearest(name, names)}",
        )
        for name, change in changes.items()
        if name not in names or not isinstance(change, Mapping)
    ]


def _overlaid(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A document with a scale's changes; axes are changed by name, and new values replace all the old."""
    merged = dict(document)
    for field, change in changes.items():
        if field == "axes":
            merged["axes"] = [_changed_axis(axis, change.get(axis["name"], {})) for axis in document["axes"]]
        elif isinstance(change, Mapping) and isinstance(merged.get(field), Mapping):
            merged[field] = {**merged[field], **change}
        else:
            merged[field] = change
    return merged


def _changed_axis(axis: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"values", "levels", "range"}
    kept = {name: value for name, value in axis.items() if not (name in kinds and change.keys() & kinds)}
    return {**kept, **change}
