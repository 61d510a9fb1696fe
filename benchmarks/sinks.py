"""What logging costs a training: the same network trained without a log, and with each kind, in turns.

    python benchmarks/sinks.py [--repeats 7]

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
from pathlib import Path

from digitlab import lab
from digitlab.engine.device import find_device, processor_name
from digitlab.sinks.interface import Ending, Sink
from digitlab.sinks.mlflow import MLflowSink
from digitlab.sinks.subscriber import PATIENCE_SECONDS, Subscriber
from digitlab.sinks.tensorboard import TensorBoardSink
from digitlab.spec import RunSpec

RESULT = Path(__file__).parent / "results" / "sinks.md"
EPOCHS = 30


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


def trained(spec: RunSpec, open_sink: Callable[[], Sink] | None) -> tuple[float, float, str]:
    """Seconds of the training, seconds with the end of the log, and all of the result's bits."""
    faults: list[str] = []
    begin = time.perf_counter()
    if open_sink is None:
        result, _ = lab.run(spec)
        after = time.perf_counter()
    else:
        subscriber = Subscriber("sink", open_sink, faults.append)
        result, _ = lab.run(spec, on_event=lambda event: subscriber.see([event]))
        after = time.perf_counter()
        subscriber.close()
    bits = result.model_dump_json(exclude={"provenance"})
    return after - begin, time.perf_counter() - begin, bits


def main() -> None:
    """Measure all kinds, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    spec = lab.make_spec(hidden=(100,), learning_rate=0.1, epochs=EPOCHS, validation_size=10_000)
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Callable[[], Sink] | None] = {
            "no log": None,
            "TensorBoard": lambda: TensorBoardSink(Path(folder)),
            "MLflow, a database file": lambda: MLflowSink(f"sqlite:///{folder}/runs.db"),
            "a sink that raises": raising_sink,
            "a sink that hangs": HangingSink,
        }
        _, _, expected = trained(spec, None)
        for make in kinds.values():  # libraries are loaded, tables made
            trained(spec.model_copy(update={"seed": 1}), make)
        turns: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
        for _ in range(repeats):
            for name, make in kinds.items():
                training, whole, bits = trained(spec, make)
                if bits != expected:
                    raise SystemExit(f"{name}: other bits")
                turns[name].append((training, whole))
    lines = [
        "# What logging costs a training",
        "",
        f"784-100-10, batch 100, {EPOCHS} epochs with a point each, in this process; "
        f"{processor_name(find_device('cpu'))}; n = {repeats} turns of all kinds; written by "
        "`benchmarks/sinks.py`. Ratios to the turn without a log: median (least to largest). Every result "
        f"has the same bits. A sink that takes nothing for {PATIENCE_SECONDS:g} seconds is given up then.",
        "",
        "| log | seconds of the training | ratio | seconds waited at the end |",
        "|---|--:|--:|--:|",
    ]
    for name, measured in turns.items():
        ratios = sorted(
            after / before for (after, _), (before, _) in zip(measured, turns["no log"], strict=True)
        )
        seconds = statistics.median(training for training, _ in measured)
        waited = statistics.median(whole - training for training, whole in measured)
        shown = f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        lines.append(f"| {name} | {seconds:.2f} | {shown} | {waited:.2f} |")
    print("\n".join(lines))
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
