"""Look, then repeat: the whole range of learning rates on a few seeds, then every seed around the best.

Every run serves twice: for the choice of the rate, and for what is reported at it (an analysis makes the
choice anew without each seed, so that its intervals hold the choice). What is needed later depends on what
came out before. Everything is decided anew from the results, by key: a study that was interrupted, or
widened, goes on where it was.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from digitlab.analysis.conditions import Condition, level_name, validation_losses
from digitlab.analysis.statistics.choice import choices, choose
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.studies.definition import Study
from digitlab.studies.expansion import (
    MOST_EXTENSIONS,
    Combination,
    all_seeds,
    checked,
    run_count,
    scouting_seeds,
    seeds_of_other_rates,
    spec_of,
    varied,
)
from digitlab.studies.stages import Asked, Known, Stage


@dataclass(frozen=True)
class _Keyed:
    """A RunSpec and its key, which takes as long to compute as the rest of what is done with it."""

    spec: RunSpec
    key: str

    @classmethod
    def of(cls, spec: RunSpec) -> "_Keyed":
        return cls(spec, spec.key)


@dataclass
class _Search:
    """The search for one combination's best learning rate.

    rates: of its range, rising; none where nothing is tuned
    near:  those that every seed is trained at, rising
    grown: by how many rates the range has grown
    """

    combination: Combination
    base: RunSpec
    rates: list[float]
    near: list[float] = field(default_factory=list)
    grown: int = 0
    specs: dict[tuple[float | None, int], _Keyed] = field(default_factory=dict)

    def run(self, rate: float | None, seed: int) -> _Keyed:
        """The run of one seed at one rate."""
        identity = (rate, seed)
        if identity not in self.specs:
            self.specs[identity] = _Keyed.of(varied(self.base, rate, seed))
        return self.specs[identity]

    @property
    def is_best(self) -> bool:
        """Whether the early-stopped network counts."""
        return self.combination.select == "best"

    @property
    def name(self) -> str:
        labels = self.combination.labels.items()
        return ", ".join(level_name(axis, label) for axis, label in labels) or "the study"


class AroundOptimum:
    """See `Strategy`. It remembers what it has read, so that each result is read once.

    Raises SpecError when the study cannot be run.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._searches = [
            _Search(
                combination,
                spec_of(study, combination, combination.range.values[0] if combination.range else None, 0),
                list(combination.range.values) if combination.range else [],
            )
            for combination in checked(study)
        ]
        self._seeds, self._scouts = all_seeds(study), scouting_seeds(study)
        self._seeds_of_others = seeds_of_other_rates(study)
        self._notes: list[str] = []
        self._known: dict[str, RunResult] = {}

    @property
    def planned_count(self) -> int:
        """How many runs the study has, when no range grows and three rates are enough for all seeds."""
        return run_count(self.study)

    def next(self, known: Known) -> Stage:
        """The stage that is due."""
        needed: dict[str, RunSpec] = {}
        where = " around the best learning rate" if self.study.tuned else ""
        for title, runs, grow in (
            ("trying the range of learning rates", self._scouted, self._grow),
            (f"all seeds{where}", self._repeated, self._shift),
        ):
            while True:
                if stage := self._due(known, title, needed, runs()):
                    return stage
                if not grow():
                    break
        if stage := self._due(known, "early-stopped networks", needed, self._stopped()):
            return stage
        conditions = tuple(map(self._condition, self._searches))
        for search, condition in zip(self._searches, conditions, strict=True):
            if condition.chosen is None:
                self._note(f"{search.name}: most networks broke at every learning rate")
            elif search.near and condition.chosen in (search.near[0], search.near[-1]):
                self._note(f"{search.name}: the best learning rate lies at the end of its range")
        return Stage("done", (), len(needed), tuple(self._notes), conditions)

    def asked(self) -> tuple[Asked, ...]:
        """What was asked for up to now."""
        return tuple(
            asked
            for search in self._searches
            for asked in sorted(self._asked(search), key=lambda asked: asked.rate)
        )

    def _asked(self, search: _Search) -> Iterable[Asked]:
        by_rate: dict[float | None, dict[int, str]] = {}
        for (rate, seed), run in search.specs.items():
            by_rate.setdefault(rate, {})[seed] = run.key
        for rate, by_seed in by_rate.items():
            keys = tuple(by_seed[seed] for seed in sorted(by_seed))
            yield Asked(
                labels=search.combination.labels,
                groups=search.combination.groups,
                is_best=search.is_best,
                rate=search.base.optimiser.learning_rate if rate is None else rate,
                keys=keys,
                runs=tuple(self._known[key] for key in keys if key in self._known),
            )

    def _due(
        self, known: Known, title: str, needed: dict[str, RunSpec], runs: Iterable[_Keyed]
    ) -> Stage | None:
        """The stage of these runs, when some of them are not known."""
        specs = {run.key: run.spec for run in runs}
        needed |= specs
        self._known |= known.get([key for key in specs if key not in self._known])
        missing = tuple(spec for key, spec in specs.items() if key not in self._known)
        return Stage(title, missing, len(needed), tuple(self._notes)) if missing else None

    # ---- Runs of each stage ----

    def _scouted(self) -> list[_Keyed]:
        return [
            search.run(rate, seed)
            for search in self._searches
            for rate in search.rates
            for seed in self._scouts
        ]

    def _repeated(self) -> list[_Keyed]:
        return [
            search.run(rate, seed)
            for search in self._searches
            for rate, seeds in self._reported(search).items()
            for seed in seeds
        ]

    def _reported(self, search: _Search) -> dict[float | None, range]:
        """Seeds of the rates around the best, and of those that are reported besides; None where nothing is
        tuned.
        """
        if not search.rates:
            return {None: self._seeds}
        near: dict[float | None, range] = dict.fromkeys(search.near, self._seeds)
        return near | {rate: self._seeds_of_others for rate in self._also(search) if rate not in near}

    def _also(self, search: _Search) -> tuple[float, ...]:
        return self.study.tuned.also if self.study.tuned and search.rates else ()

    def _stopped(self) -> list[_Keyed]:
        return [
            _Keyed.of(early_stopped(self._known[search.run(rate, seed).key]))
            for search in self._searches
            if search.is_best
            for rate, seeds in self._reported(search).items()
            for seed in seeds
        ]

    # ---- Decisions ----

    def _runs(self, search: _Search, rate: float | None, seeds: Iterable[int]) -> tuple[RunResult, ...]:
        return tuple(self._known[search.run(rate, seed).key] for seed in seeds)

    def _best(self, search: _Search, rates: list[float], seeds: Iterable[int]) -> int:
        """Index of the best of the rates on these seeds."""
        runs = [self._runs(search, rate, seeds) for rate in rates]
        return choose(validation_losses(runs, best=search.is_best))

    def _grow(self) -> bool:
        """Widen each range at whose end the best rate of the few seeds lies; whether some were."""
        grew = False
        for search in self._searches:
            if search.rates and not search.near:
                best = self._best(search, search.rates, self._scouts)
                if 0 < best < len(search.rates) - 1 or not self._widen(search, at_top=best > 0):
                    search.near = search.rates[max(best - 1, 0) : best + 2]
                else:
                    grew = True
        return grew

    def _shift(self) -> bool:
        """Add a rate to those around the best where all seeds, or all but one, put it at an end of them;
        whether some were.
        """
        grew = False
        for search in self._searches:
            if not search.rates:
                continue
            runs = [self._runs(search, rate, self._seeds) for rate in search.near]
            chosen = choices(validation_losses(runs, best=search.is_best))
            for at_top, end in ((False, 0), (True, len(search.near) - 1)):
                grew |= end in chosen and self._extend(search, at_top=at_top)
        return grew

    def _extend(self, search: _Search, *, at_top: bool) -> bool:
        """Train every seed at one more rate, the next above or below, if there is one or the range may
        grow.
        """
        outermost, last = (-1, search.rates[-1]) if at_top else (0, search.rates[0])
        if search.near[outermost] == last and not self._widen(search, at_top=at_top):
            return False
        place = search.rates.index(search.near[outermost])
        search.near.insert(len(search.near) if at_top else 0, search.rates[place + (1 if at_top else -1)])
        return True

    def _widen(self, search: _Search, *, at_top: bool) -> bool:
        """Let the range grow by one rate, if it may."""
        span, name = search.combination.range, search.name
        may_grow = self.study.tuned is not None and self.study.tuned.extend
        if span is None or not may_grow or search.grown >= MOST_EXTENSIONS:
            return False
        rate = search.rates[-1] * span.factor if at_top else search.rates[0] / span.factor
        search.rates.insert(len(search.rates) if at_top else 0, rate)
        search.grown += 1
        self._note(f"{name}: the best learning rate lay at the end of its range, which grew to {rate:g}")
        return True

    def _note(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)

    def _condition(self, search: _Search) -> Condition:
        combination = search.combination

        def reported(rate: float | None, seeds: range = self._seeds) -> tuple[RunResult, ...]:
            runs = self._runs(search, rate, seeds)
            return tuple(self._known[early_stopped(run).key] for run in runs) if search.is_best else runs

        near = search.near if search.rates else [search.base.optimiser.learning_rate]
        own: list[float | None] = [*search.near] if search.rates else [None]
        return Condition(
            labels=combination.labels,
            groups=combination.groups,
            is_best=search.is_best,
            rates=tuple(search.rates),
            trials=tuple(
                self._runs(search, rate, self._seeds if rate in search.near else self._scouts)
                for rate in search.rates
            ),
            near=tuple(near),
            judged=tuple(self._runs(search, rate, self._seeds) for rate in own),
            reported=tuple(map(reported, own)),
            also={rate: reported(rate, self._seeds_of_others) for rate in self._also(search)},
        )


def early_stopped(result: RunResult) -> RunSpec:
    """The run that ends where the validation loss of this one was smallest: the early-stopped network.

    Only the schedule could see how long a run is meant to be, so it must be constant.
    """
    spec, losses = result.spec, result.curve.validation_loss
    if result.outcome == "diverged" or not losses or spec.schedule.kind != "constant":
        return spec
    step = result.curve.step[min(range(len(losses)), key=losses.__getitem__)]
    return spec.until(step)
