"""One network on two threads, and on as many as there are cores, against one thread: seconds a step.

    python benchmarks/threads.py [--repeats 9] [--seconds 0.1]

The numbers of threads take turns, each for a short piece of a training of its own; what is compared is the
ratio within a turn, and of the fastest turns: that says more on a machine that does other work meanwhile.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tables import table

from digitlab import lab
from digitlab.data import load
from digitlab.engine.device import usable_cores
from digitlab.engine.lockstep.backend import block_steps
from digitlab.engine.lockstep.c.backend import CompiledMembers, Team
from digitlab.engine.lockstep.c.build import kernel

NETWORKS = ((100, 100), (500,), (2_500, 2_000, 1_500, 1_000, 500))
BATCH_SIZES = (10, 100, 1_000)


@dataclass(frozen=True)
class Shared:
    """Seconds a step of a network, turn by turn, by the number of threads."""

    name: str
    seconds: dict[int, list[float]]

    def ratios(self, threads: int) -> list[float]:
        """How many times as fast as one thread, turn by turn."""
        pairs = zip(self.seconds[1], self.seconds[threads], strict=True)
        return [alone / shared for alone, shared in pairs]

    def fastest_ratio(self, threads: int) -> float:
        """The same of the fastest turns."""
        return min(self.seconds[1]) / min(self.seconds[threads])


class _Training:
    """A training that goes on step by step."""

    def __init__(self, hidden: tuple[int, ...], batch_size: int, threads: int) -> None:
        library = kernel("float32")
        if library is None:
            raise SystemExit("there is no compiled kernel")
        self.spec = lab.make_spec(
            hidden=hidden, batch_size=batch_size, learning_rate=0.001, steps=10_000_000 // batch_size
        )
        self._members = CompiledMembers([self.spec], load("mnist"), library, Team(library, threads))
        self._made = 0

    def seconds_a_step(self, steps: int) -> float:
        """Of so many steps, in blocks as an engine makes them."""
        end, most = self._made + steps, block_steps(self.spec)
        start = time.perf_counter()
        while self._made < end:
            made = min(self._made + most, end)
            self._members.train(range(self._made, made))
            self._made = made
        return (time.perf_counter() - start) / steps


def measured_threads(repeats: int, seconds: float = 0.1) -> Iterator[Shared]:
    """Each network at each size of batch, on one, two and all threads."""
    counts = sorted({1, 2, usable_cores()})
    for hidden in NETWORKS:
        for batch_size in BATCH_SIZES:
            trainings = {threads: _Training(hidden, batch_size, threads) for threads in counts}
            warm = [training.seconds_a_step(2) for training in trainings.values()]
            steps = max(1, round(seconds / warm[0]))
            found: dict[int, list[float]] = {threads: [] for threads in counts}
            for turn in range(repeats):
                for threads in counts if turn % 2 else reversed(counts):
                    found[threads].append(trainings[threads].seconds_a_step(steps))
            yield Shared(f"{trainings[1].spec.network_name}, batch {batch_size:,}", found)


def threads_table(measured: Sequence[Shared]) -> list[str]:
    """What was measured, as lines of Markdown."""
    rows = []
    for shared in measured:
        alone = [1e3 * seconds for seconds in shared.seconds[1]]
        for threads in [threads for threads in shared.seconds if threads > 1]:
            ratios = shared.ratios(threads)
            rows.append(
                [
                    shared.name,
                    str(threads),
                    f"{median(alone):.3f} ({min(alone):.3f}–{max(alone):.3f})",
                    f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
                    f"{shared.fastest_ratio(threads):.2f}",
                    str(len(ratios)),
                ]
            )
    heads = ["network", "threads", "one thread, ms a step", "times as fast", "of the fastest turns", "n"]
    return table(heads, rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.1)
    arguments = parser.parse_args()
    print("\n".join(threads_table(list(measured_threads(arguments.repeats, arguments.seconds)))))


if __name__ == "__main__":
    main()
