"""What logging costs a training: the same network trained without a log, and with each kind, in turns.

    python benchmarks/sinks.py [--repeats 7] [--epochs 30]

The time of the training alone, from its first step to its result, and the time that is waited for the log at
its end. A sink that hangs, and one that raises, are measured like the real ones; the bits of every result are
compared with those without a log. Written to benchmarks/results/sinks.md.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from digitlab import lab
from digitlab.engine.device import find_device, processor_name
from digitlab.sinks.interface import Ending, Sink
from digitlab.sinks.mlflow import MLflowSink
from digitlab.sinks.subscriber import PATIENCE_SECONDS, Subscriber
from digitlab.sinks.tensorboard import TensorBoardSink
from digitlab.spec import RunSpec

RESULT = Path(__file__).parent / "results" / "sinks.md"


class HangingSink:
    """Takes what it is told and never returns."""

    def start(self, spec: RunSpec) -> None:  # noqa: ARG002
        """Hang."""
        threading.Event().wait()

    def log(self, key: str, step: int, figures: Mapping[str, float]) -> None:
        """Never reached."""

    def end(self, key: str, ending: Ending, cause: str) -> None:
        """Never reached."""

    def close(self) -> None:
        """Never reached."""


def raising_sink() -> Sink:
    """Fail at once."""
    raise OSError(28, "No space left on device")


@dataclass(frozen=True)
class Turn:
    """Seconds of a training: that pass, of the processor in all threads, and waited for the log after it."""

    passed: float
    used: float
    waited: float
    bits: str


def trained(spec: RunSpec, open_sink: Callable[[], Sink] | None) -> Turn:
    """Train once, with a log or without."""
    begin, used = time.perf_counter(), time.process_time()
    if open_sink is None:
        result, _ = lab.run(spec)
        after = time.perf_counter()
        used = time.process_time() - used
    else:
        subscriber = Subscriber("sink", open_sink, lambda _: None)
        result, _ = lab.run(spec, on_event=lambda event: subscriber.see([event]))
        after = time.perf_counter()
        used = time.process_time() - used
        subscriber.close()
    waited = time.perf_counter() - after
    return Turn(after - begin, used, waited, result.model_dump_json(exclude={"provenance"}))


def _ratios(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def main() -> None:
    """Measure all kinds, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    repeats, epochs = options.repeats, options.epochs
    spec = lab.make_spec(hidden=(100,), learning_rate=0.1, epochs=epochs, validation_size=10_000)
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Callable[[], Sink] | None] = {
            "no log": None,
            "TensorBoard": lambda: TensorBoardSink(Path(folder)),
            "MLflow, a database file": lambda: MLflowSink(f"sqlite:///{folder}/runs.db"),
            "a sink that raises": raising_sink,
            "a sink that hangs": HangingSink,
        }
        expected = trained(spec, None).bits
        for make in kinds.values():  # libraries are loaded, tables made
            trained(spec.model_copy(update={"seed": 1}), make)
        turns: dict[str, list[Turn]] = {name: [] for name in kinds}
        for _ in range(repeats):
            for name, make in kinds.items():
                turns[name].append(trained(spec, make))
                if turns[name][-1].bits != expected:
                    raise SystemExit(f"{name}: other bits")
    lines = [
        "# What logging costs a training",
        "",
        f"784-100-10, batch 100, {epochs} epochs with a point each, in this process; "
        f"{processor_name(find_device('cpu'))}; n = {repeats} turns of all kinds; written by "
        "`benchmarks/sinks.py`. Ratios to the turn without a log: median (least to largest). Every result "
        f"has the same bits. A sink that takes nothing for {PATIENCE_SECONDS:g} seconds is given up then.",
        "",
        "| log | seconds of the training | time that passes | processor's time | seconds waited at the end |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, measured in turns.items():
        pairs = list(zip(measured, turns["no log"], strict=True))
        seconds, waited = (
            statistics.median(getattr(turn, kind) for turn in measured) for kind in ("passed", "waited")
        )
        passed = _ratios([after.passed / before.passed for after, before in pairs])
        used = _ratios([after.used / before.used for after, before in pairs])
        lines.append(f"| {name} | {seconds:.2f} | {passed} | {used} | {waited:.2f} |")
    print("\n".join(lines))
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
