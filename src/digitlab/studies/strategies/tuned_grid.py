"""Tune, then report: every learning rate of a grid on some seeds, then fresh seeds at the best one.

What is needed later depends on what came out before. Everything is decided anew from the results, by key: a
study that was interrupted, or widened, goes on where it was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from digitlab.analysis.conditions import Condition, validation_losses
from digitlab.analysis.statistics.choice import choose
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.studies.definition import Study
from digitlab.studies.expansion import (
    MOST_EXTENSIONS,
    checked,
    report_seeds,
    run_count,
    spec_of,
    tuning_seeds,
    varied,
)
from digitlab.studies.stages import Known, Stage


@dataclass(frozen=True)
class _Keyed:
    """A RunSpec and its key, which takes as long to compute as the rest of what is done with it."""

    spec: RunSpec
    key: str

    @classmethod
    def of(cls, spec: RunSpec) -> "_Keyed":
        return cls(spec, spec.key)


class TunedGrid:
    """See `Strategy`. It remembers what it has read, so that each result is read once.

    Raises SpecError when the study cannot be run.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._combinations = checked(study)
        self._rates = [
            list(combination.range.values) if combination.range else [] for combination in self._combinations
        ]
        self._grown = [0] * len(self._combinations)
        self._notes: list[str] = []
        self._bases = [
            spec_of(study, combination, combination.range.values[0] if combination.range else None, 0)
            for combination in self._combinations
        ]
        self._specs: dict[tuple[int, float | None, int], _Keyed] = {}
        self._known: dict[str, RunResult] = {}

    @property
    def planned_count(self) -> int:
        """How many runs the study has before any range grows."""
        return run_count(self.study)

    def next(self, known: Known) -> Stage:
        """The stage that is due."""
        needed: dict[str, RunSpec] = {}
        while True:
            if stage := self._due(known, "tuning the learning rate", needed, self._tunings()):
                return stage
            if not self._grow():
                break
        if stage := self._due(known, "fresh seeds", needed, self._reports()):
            return stage
        if stage := self._due(known, "early-stopped networks", needed, self._early_stopped()):
            return stage
        conditions = tuple(self._condition(i) for i in range(len(self._combinations)))
        return Stage("done", (), len(needed), tuple(self._notes), conditions)

    def _due(
        self, known: Known, title: str, needed: dict[str, RunSpec], runs: Iterable[_Keyed]
    ) -> Stage | None:
        """The stage of these runs, when some of them are not known."""
        specs = {run.key: run.spec for run in runs}
        needed |= specs
        self._known |= known.get([key for key in specs if key not in self._known])
        missing = tuple(spec for key, spec in specs.items() if key not in self._known)
        return Stage(title, missing, len(needed), tuple(self._notes)) if missing else None

    # ---- Specs of each stage ----

    def _spec(self, i: int, rate: float | None, seed: int) -> _Keyed:
        identity = (i, rate, seed)
        if identity not in self._specs:
            self._specs[identity] = _Keyed.of(varied(self._bases[i], rate, seed))
        return self._specs[identity]

    def _tunings(self) -> list[_Keyed]:
        return [
            self._spec(i, rate, seed)
            for i, rates in enumerate(self._rates)
            for rate in rates
            for seed in tuning_seeds(self.study)
        ]

    def _reports(self) -> list[_Keyed]:
        return [
            self._spec(i, rate, seed)
            for i in range(len(self._combinations))
            for rate in self._reported_rates(i)
            for seed in report_seeds(self.study)
        ]

    def _reported_rates(self, i: int) -> list[float | None]:
        """The best rate and those that are reported beside it; None where nothing is tuned."""
        if self.study.tuned is None:
            return [None]
        best_rate = self._best_rate(i)
        return [*([] if best_rate is None else [best_rate]), *self.study.tuned.also]

    def _early_stopped(self) -> list[_Keyed]:
        return [
            _Keyed.of(early_stopped(self._known[self._spec(i, rate, seed).key]))
            for i, combination in enumerate(self._combinations)
            if combination.select == "best"
            for rate in self._reported_rates(i)
            for seed in report_seeds(self.study)
        ]

    # ---- Decisions ----

    def _tuned_runs(self, i: int) -> list[list[RunResult]]:
        return [
            [self._known[self._spec(i, rate, seed).key] for rate in self._rates[i]]
            for seed in tuning_seeds(self.study)
        ]

    def _best_rate_index(self, i: int) -> int | None:
        losses = validation_losses(self._tuned_runs(i), best=self._combinations[i].select == "best")
        return choose(losses)

    def _best_rate(self, i: int) -> float | None:
        index = self._best_rate_index(i)
        return None if index is None else self._rates[i][index]

    def _grow(self) -> bool:
        """Widen each range at whose end the best value lies; whether some were."""
        if self.study.tuned is None:
            return False
        grew = False
        for i, rates in enumerate(self._rates):
            index, span = self._best_rate_index(i), self._combinations[i].range
            condition_name = _named(self._combinations[i].labels)
            if index not in (None, 0, len(rates) - 1) or span is None:
                continue
            if not self.study.tuned.extend or self._grown[i] >= MOST_EXTENSIONS:
                self._note(
                    f"{condition_name}: the best learning rate lies at the end of its range"
                    if index is not None
                    else f"{condition_name}: some network broke at every learning rate"
                )
                continue
            at_top = index == len(rates) - 1
            rate = rates[-1] * span.factor if at_top else rates[0] / span.factor
            rates.insert(len(rates) if at_top else 0, rate)
            self._grown[i] += 1
            cause = (
                "the best learning rate lay at the end of its range"
                if index is not None
                else "some network broke at every learning rate of its range"
            )
            self._note(f"{condition_name}: {cause}, which grew to {rate:g}")
            grew = True
        return grew

    def _note(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)

    def _condition(self, i: int) -> Condition:
        combination, seeds = self._combinations[i], report_seeds(self.study)

        def reported(rate: float | None) -> tuple[RunResult, ...]:
            runs = [self._known[self._spec(i, rate, seed).key] for seed in seeds]
            if combination.select == "best":
                runs = [self._known[early_stopped(run).key] for run in runs]
            return tuple(runs)

        best_rate = self._best_rate(i) if self.study.tuned else None
        return Condition(
            labels=combination.labels,
            groups=combination.groups,
            is_best=combination.select == "best",
            rates=tuple(self._rates[i]),
            tunings=tuple(map(tuple, self._tuned_runs(i))) if self.study.tuned else (),
            chosen=best_rate,
            reports=() if self.study.tuned and best_rate is None else reported(best_rate),
            also={rate: reported(rate) for rate in (self.study.tuned.also if self.study.tuned else ())},
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


def _named(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{axis.replace('_', ' ')} {label}" for axis, label in labels.items()) or "the study"
