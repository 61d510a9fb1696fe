"""What reporting runs as events costs: the same cohorts trained with and without, in turns.

    python benchmarks/events.py [--repeats 9]

Without: the engine alone, which tells nobody. With: the whole way of `digitlab.start` in this process, a
thread that trains and a reader that takes every event. Ratios of neighbouring turns, of the time that passes
and of the processor's time in all threads; written to benchmarks/results/events.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from digitlab import lab
from digitlab.data import load
from digitlab.engine.device import find_device, processor_name
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.progress import Watch
from digitlab.execution.events import Finished
from digitlab.execution.in_process import InProcess
from digitlab.execution.training import AdvanceMeter, Training
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.spec import RunSpec

RESULT = Path(__file__).parent / "results" / "events.md"
CASES = {
    "1 network 784-100-10, batch 100": (1, {"hidden": (100,), "epochs": 4}),
    "96 networks 784-100-10, batch 100": (96, {"hidden": (100,), "train_size": 2_000, "epochs": 3}),
    "96 networks 784-10, batch 10": (96, {"hidden": (), "train_size": 2_000, "epochs": 2, "batch_size": 10}),
    "400 networks 784-10, batch 100": (400, {"hidden": (), "train_size": 1_000, "epochs": 4}),
    "20 networks 784-30-10, a point of the curve each step": (
        20,
        {"hidden": (30,), "steps": 2_000, "train_size": 5_000, "evaluate_at": range(1, 2_001)},
    ),
}


def without_events(specs: Sequence[RunSpec]) -> int:
    """Train; how many events there were."""
    train_cohort(specs, load("mnist"))
    return 0


def with_events(specs: Sequence[RunSpec]) -> int:
    """Train, told by events; how many there were."""
    dataset = load("mnist")

    def train(cohort: Sequence[RunSpec], watch: Watch) -> list[tuple[RunResult, TrainedNetwork]]:
        return train_cohort(cohort, dataset, watch=watch)

    runs = {spec.key: spec for spec in specs}
    meter, count, finished = AdvanceMeter(), 0, 0
    with Training(InProcess(train), [runs], dict.fromkeys(runs, 1 / len(runs))) as training:
        for events in training.batches():
            meter.see(events)
            count += len(events)
            finished += sum(isinstance(event, Finished) for event in events)
    if finished != len(specs):
        raise SystemExit("a run failed")
    return count


def measured(work: Callable[[], int]) -> tuple[float, float, int]:
    """Seconds that pass, seconds of the processor, events."""
    passed, used = time.perf_counter(), time.process_time()
    count = work()
    return time.perf_counter() - passed, time.process_time() - used, count


def row(name: str, repeats: int) -> str:
    """A case's line of the table."""
    count, options = CASES[name]
    specs = [lab.make_spec(learning_rate=0.05, seed=seed, **options) for seed in range(count)]  # type: ignore[arg-type]
    without, with_ = partial(without_events, specs), partial(with_events, specs)
    measured(without)
    pairs = []
    for repeat in range(repeats):
        # Who comes first changes each time: what a machine does next is not the same as what it did before.
        first, second = (measured(work) for work in ((without, with_) if repeat % 2 else (with_, without)))
        pairs.append((first, second) if repeat % 2 else (second, first))
    cells = []
    for i in (0, 1):
        ratios = sorted(after[i] / before[i] for before, after in pairs)
        cells.append(f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    seconds = statistics.median(before[0] for before, _ in pairs)
    events = round(statistics.median(after[2] for _, after in pairs))
    return f"| {name} | {seconds:.2f} | {events:,} | {cells[0]} | {cells[1]} |"


def main() -> None:
    """Measure all cases, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    lines = [
        "# What events cost",
        "",
        f"{processor_name(find_device('cpu'))}; n = {repeats} pairs of turns; written by "
        "`benchmarks/events.py`. Ratios of with to without: median (least to largest).",
        "",
        "| cohort | seconds without | events | time that passes | processor's time |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in CASES:
        lines.append(row(name, repeats))
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
