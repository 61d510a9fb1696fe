"""A pool of real networks: every setting of the built-in studies, at the learning rates around its optimum,
with many seeds. `benchmarks/stability.py` draws studies from it.

    python benchmarks/pool.py quick depth parameters --seeds 48 --minutes 30
    python benchmarks/pool.py full depth --seeds 40 --minutes 60

Rows are written to benchmarks/results/pool-SCALE.csv.gz as soon as they are known, and a run that is there,
or in the store that `--store` names, is not trained again: stop it at any time, and go on later. What no
analysis reads is left out (weights, curves, predictions), so that the file stays small enough to be kept with
the project.
"""

import argparse
import csv
import gzip
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import get_type_hints

import numpy as np

from digitlab import lab
from digitlab.analysis.studies.steps import steps_of
from digitlab.data import load
from digitlab.execution.events import Failed, Finished
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.store import Store, open_store
from digitlab.studies import read_study
from digitlab.studies.definition import Axis, Study
from digitlab.studies.expansion import Combination, checked, spec_of, varied

RESULTS = Path(__file__).parent / "results"
_SCOUTS = 3
"""Seeds on which the whole range of learning rates is tried."""
_MOST_SEEDS = 64
_STATED: Mapping[tuple[str, str], Mapping[str, Sequence[str]]] = {
    ("full", "depth"): {
        "network": ("0", "1 x 100", "2 x 100", "3 x 100", "4 x 100", "5 x 100"),
        "initialisation": ("torch",),
    },
    ("full", "batch-lr"): {"budget": ("equal epochs",)},
}
"""Levels by axis, where only a part of a study is repeated: the part whose findings docs/exercise.md states
first. Differences are judged together within such a part, so the others take nothing from them.
"""
_PUPILS = 5_000
"""Test images before this one were written by pupils, the others by staff of the Census (Yadav & Bottou
2019).
"""


@dataclass(frozen=True)
class Row:
    """What is kept of one run. Losses are cross-entropies (nats); "stopped" is the early-stopped network's.

    key:           the first 12 digits of the run's key
    condition:     its labels, joined by " | "
    rate:          its learning rate
    best_step:     where the validation loss was smallest
    steps_to_goal: steps to the study's target; inf: never reached, NaN: there is none
    errors_pupils, errors_staff: misclassified test images of each series, of 5,000
    """

    key: str
    study: str
    condition: str
    rate: float
    seed: int
    is_stopped: int
    outcome: str
    validation_loss: float
    best_validation_loss: float
    best_step: int
    steps_to_goal: float
    validation_accuracy: float
    training_set_loss: float
    training_set_accuracy: float
    test_loss: float
    test_accuracy: float
    errors_pupils: int
    errors_staff: int


_TYPES: dict[str, type] = get_type_hints(Row)


def path_of(scale: str) -> Path:
    """Where the pool of a scale is kept."""
    return RESULTS / f"pool-{scale}.csv.gz"


def repeated_study(name: str, scale: str) -> Study:
    """A built-in study, or that part of it which the pool repeats."""
    study, stated = read_study(name).at(scale), _STATED.get((scale, name), {})
    axes = [_narrowed(axis, stated[axis.name]) if axis.name in stated else axis for axis in study.axes]
    return study.model_copy(update={"axes": tuple(axes)})


def _narrowed(axis: Axis, labels: Sequence[str]) -> Axis:
    if axis.values is not None:
        return axis.model_copy(update={"values": tuple(labels)})
    levels = tuple(level for level in axis.levels or () if level["label"] in labels)
    return axis.model_copy(update={"levels": levels})


def read(path: Path) -> list[Row]:
    """All rows; none where there is no file. A last line that was cut off is left out."""
    if not path.exists():
        return []
    rows: list[Row] = []
    with gzip.open(path, "rt", newline="") as file:
        try:
            rows.extend(map(_row, csv.DictReader(file)))
        except (EOFError, TypeError, ValueError):
            print(f"{path.name}: ends in the middle of a row, which is left out", file=sys.stderr)
    return rows


def _row(line: Mapping[str, str]) -> Row:
    return Row(**{name: _TYPES[name](value) for name, value in line.items()})


def write(path: Path, rows: Iterable[Row]) -> None:
    """All rows, in an order that does not depend on when they were computed."""
    ordered = sorted(rows, key=lambda row: (row.study, row.condition, row.rate, row.is_stopped, row.seed))
    new = path.with_suffix(".new")
    with gzip.GzipFile(new, "wb", mtime=0) as packed:
        lines: list[list[object]] = [[field.name for field in fields(Row)], *map(_cells, ordered)]
        packed.write("\n".join(",".join(map(str, line)) for line in lines).encode() + b"\n")
    new.replace(path)


def _cells(row: Row) -> list[object]:
    return [f"{value:.7g}" if isinstance(value, float) else value for value in astuple(row)]


def label_of(labels: Mapping[str, str]) -> str:
    """A condition's name in the pool."""
    return " | ".join(labels.values()).replace(",", ";")


class Pool:
    """The rows of one scale, and the training of those that are missing."""

    def __init__(self, scale: str, seeds: int, wider: int, end: float, store: Store | None = None) -> None:
        self.scale, self.seeds, self.wider, self.end, self.path = scale, seeds, wider, end, path_of(scale)
        self.store = store
        self.rows = {(row.study, row.condition, row.key): row for row in read(self.path)}
        self._by_key = {row.key: row for row in self.rows.values()}
        labels = load("mnist").test.labels
        self._labels = np.asarray(labels)

    def fill(self, study: Study) -> None:
        """Train what a study lacks, as far as the time allows."""
        specs_of = [_Runs(study, combination, self.wider) for combination in checked(study)]
        self._train(study, [spec for runs in specs_of for spec in runs.scouted(_SCOUTS)])
        for _ in range(8):
            wanted = [spec for runs in specs_of for spec in runs.near(self._by_key, self.seeds)]
            if not self._train(study, wanted):
                break
        stopped = [spec for runs in specs_of for spec in runs.stopped(self._by_key, self.seeds)]
        self._train(study, stopped)
        write(self.path, self.rows.values())

    def _train(self, study: Study, runs: "Sequence[tuple[Combination, RunSpec, bool]]") -> bool:
        """Whether there was anything to train."""
        missing = {}
        for combination, spec, is_stopped in runs:
            condition, key = label_of(combination.labels), spec.key[:12]
            other = self._by_key.get(key)
            if (study.name, condition, key) in self.rows:
                continue
            if other is not None and study.target is None:  # another study has trained the same network
                self._add(replace(other, study=study.name, condition=condition, is_stopped=int(is_stopped)))
            else:
                missing[spec.key] = (combination, spec, is_stopped)
        for key, result in (self.store.get(list(missing)) if self.store else {}).items():
            combination, _, is_stopped = missing.pop(key)
            self._add(self._row(study, combination, result, is_stopped))
        if not missing or time.monotonic() > self.end:
            return False
        begun, written = time.monotonic(), time.monotonic()
        print(f"{study.name}: {len(missing)} runs", file=sys.stderr, flush=True)
        with lab.start([spec for _, spec, _ in missing.values()]) as training:
            done = 0
            for events in training.batches():
                for event in events:
                    if isinstance(event, Finished):
                        combination, _, is_stopped = missing[event.result.key]
                        self._add(self._row(study, combination, event.result, is_stopped))
                        done += 1
                    elif isinstance(event, Failed):
                        sys.exit(f"a run failed: {event.failure.cause}")
                now = time.monotonic()
                if now - written > 60:
                    written = now
                    write(self.path, self.rows.values())
                    left = (now - begun) / max(done, 1) * (len(missing) - done)
                    print(
                        f"  {done} of {len(missing)}, {left / 60:.1f} min left", file=sys.stderr, flush=True
                    )
                if now > self.end:
                    break
        write(self.path, self.rows.values())
        return time.monotonic() <= self.end

    def _add(self, row: Row) -> None:
        self.rows[row.study, row.condition, row.key] = self._by_key[row.key] = row

    def _row(self, study: Study, combination: Combination, result: RunResult, is_stopped: bool) -> Row:
        curve, metrics = result.curve, result.metrics
        finite = [loss if math.isfinite(loss) else math.inf for loss in curve.validation_loss]
        best = int(np.argmin(finite)) if finite else 0
        given = np.frombuffer(result.predictions or b"", np.uint8)
        wrong = given != self._labels if len(given) else np.ones(len(self._labels), np.bool_)  # it diverged
        return Row(
            key=result.key[:12],
            study=study.name,
            condition=label_of(combination.labels),
            rate=result.spec.optimiser.learning_rate,
            seed=result.spec.seed,
            is_stopped=int(is_stopped),
            outcome=result.outcome,
            validation_loss=curve.validation_loss[-1],
            best_validation_loss=finite[best],
            best_step=curve.step[best],
            steps_to_goal=steps_of(result, study.target) if study.target else math.nan,
            validation_accuracy=metrics.validation_accuracy
            if metrics.validation_accuracy is not None
            else math.nan,
            training_set_loss=metrics.training_set_loss,
            training_set_accuracy=metrics.training_set_accuracy,
            test_loss=metrics.test_loss,
            test_accuracy=metrics.test_accuracy,
            errors_pupils=int(wrong[:_PUPILS].sum()),
            errors_staff=int(wrong[_PUPILS:].sum()),
        )


class _Runs:
    """The runs of one condition."""

    def __init__(self, study: Study, combination: Combination, wider: int) -> None:
        self.study, self.combination, self.wider = study, combination, wider
        self.rates = list(combination.range.values) if combination.range else []
        self.factor = combination.range.factor if combination.range else 1.0
        self._base = spec_of(study, combination, self.rates[0] if self.rates else None, 0)
        self._specs: dict[tuple[float | None, int], RunSpec] = {}

    def spec(self, rate: float | None, seed: int) -> RunSpec:
        identity = (rate, seed)
        if identity not in self._specs:
            self._specs[identity] = varied(self._base, rate, seed)
        return self._specs[identity]

    def _all(
        self, rates: Iterable[float | None], seeds: int
    ) -> "Iterator[tuple[Combination, RunSpec, bool]]":
        for rate in rates:
            for seed in range(seeds):
                yield self.combination, self.spec(rate, seed), False

    def scouted(self, seeds: int) -> "list[tuple[Combination, RunSpec, bool]]":
        return list(self._all(self.rates, seeds))

    def _near(self, rows: Mapping[str, Row]) -> list[float]:
        """The best of those that are known and its neighbours, two on the side where the parabola's bottom
        lies: a study of fewer seeds may put the best there. The range is widened where it must be.
        """
        while True:
            losses = [self._loss(rows, rate) for rate in self.rates]
            known = [loss for loss in losses if math.isfinite(loss)]
            if not known:
                return []
            best = losses.index(min(known))
            inner = [losses[at] if 0 <= at < len(losses) else math.nan for at in (best - 1, best + 1)]
            leans_up = not inner[0] <= inner[1]  # where the bottom of the parabola lies
            low = best - (1 if leans_up else 2) - self.wider
            high = best + (2 if leans_up else 1) + self.wider
            if low < 0:
                self.rates.insert(0, self.rates[0] / self.factor)
            elif high >= len(self.rates):
                self.rates.append(self.rates[-1] * self.factor)
            else:
                return self.rates[low : high + 1]

    def _loss(self, rows: Mapping[str, Row], rate: float) -> float:
        """Mean logarithm of the validation loss over the seeds that are known; a broken network guesses."""
        found = [rows.get(self.spec(rate, seed).key[:12]) for seed in range(_MOST_SEEDS)]
        logs = []
        for row in found:
            if row is None:
                break
            loss = row.best_validation_loss if self.combination.select == "best" else row.validation_loss
            logs.append(math.log(loss if row.outcome == "completed" else math.log(10)))
        return float(np.mean(logs)) if logs else math.nan

    def near(self, rows: Mapping[str, Row], seeds: int) -> "list[tuple[Combination, RunSpec, bool]]":
        rates: list[float | None] = list(self._near(rows)) if self.rates else [None]
        also = self.study.tuned.also if self.study.tuned and self.rates else ()
        return list(self._all([*rates, *(rate for rate in also if rate not in rates)], seeds))

    def stopped(self, rows: Mapping[str, Row], seeds: int) -> "list[tuple[Combination, RunSpec, bool]]":
        """The early-stopped networks, where they count."""
        if self.combination.select != "best":
            return []
        found = []
        for _, spec, _ in self.near(rows, seeds):
            row = rows.get(spec.key[:12])
            if row is not None and row.outcome != "diverged":
                found.append((self.combination, spec.until(row.best_step), True))
        return found


def main() -> None:
    """Fill the pool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scale", choices=("quick", "full"))
    parser.add_argument("studies", nargs="+")
    parser.add_argument("--seeds", type=int, default=48)
    parser.add_argument(
        "--wider", type=int, default=0, help="further rates on both sides, where the valley is flat"
    )
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--store", type=Path, help="a store in which some of the runs may be")
    options = parser.parse_args()
    store = open_store(options.store, must_exist=True) if options.store else None
    pool = Pool(options.scale, options.seeds, options.wider, time.monotonic() + 60 * options.minutes, store)
    for name in options.studies:
        pool.fill(repeated_study(name, options.scale))
        print(f"{name}: {len(pool.rows):,} rows in all", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
