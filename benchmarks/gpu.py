"""Many networks on a GPU, beside the plain loop on the same GPU and beside what the GPU can do at best.

    python benchmarks/gpu.py [--device cuda] [--repeats 3] [--members 96 1024]

Writes benchmarks/results/gpu.md and gpu.json. Where there is no GPU it says so and measures nothing.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from tables import table
from training import EXAMPLES, MNIST, PLAIN, TASKS, Task, second_epoch, specs

from digitlab.data import load
from digitlab.engine import reference
from digitlab.engine.device import Device, find_device, processor_name
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.provenance import provenance
from digitlab.errors import DeviceError
from digitlab.spec import RunSpec

RESULTS = Path(__file__).parent / "results"
SIDE = 8_192
"""Of the square matrices whose product shows the dense rate."""
COPIED = 2**28
"""Numbers of float32 that are copied to show the bandwidth: 1 GiB."""

Found = dict[str, dict[str, list[float]]]
"""Seconds an epoch of MNIST a network, by task and by engine."""


def synchronised(device: torch.device, work: Callable[[], object], repeats: int = 5) -> float:
    """Median seconds of a piece of work on the device, warmed up."""
    wait = torch.cuda.synchronize if device.type == "cuda" else torch.mps.synchronize
    seconds = []
    for _ in range(repeats + 1):
        wait()
        start = time.perf_counter()
        work()
        wait()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def dense_rate(device: torch.device) -> float:
    """Operations a second of a float32 product of square matrices, as torch computes it by default."""
    a, b = (torch.rand(SIDE, SIDE, device=device) for _ in range(2))
    return 2 * SIDE**3 / synchronised(device, lambda: a @ b)


def bandwidth(device: torch.device) -> float:
    """Bytes a second that a copy within the device's memory reads and writes."""
    source = torch.rand(COPIED, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * COPIED / synchronised(device, lambda: target.copy_(source))


def least_bytes(task: Task) -> float:
    """What an epoch of MNIST must move for one network: each step reads and writes each parameter."""
    parameters = sum((inputs + 1) * units for inputs, units in pairwise((784, *task.hidden, 10)))
    return 2 * 4 * parameters * MNIST / task.batch_size


def measured(device: str, members: list[int], repeats: int) -> Found:
    """What each engine takes for each task."""
    dataset = load("mnist")
    found: Found = {}
    for task in TASKS:
        (spec,) = specs(task, 1)

        def plain(spec: RunSpec = spec) -> float:
            return second_epoch(lambda watch: reference.train(spec, dataset, device=device, watch=watch))

        def lockstep(count: int, task: Task = task) -> float:
            cohort = specs(task, count)
            seconds = second_epoch(lambda watch: train_cohort(cohort, dataset, device=device, watch=watch))
            return seconds / count

        works = {PLAIN: plain} | {f"lockstep, {count}": partial(lockstep, count) for count in (1, *members)}
        name = f"{task.network}, batch {task.batch_size}"
        found[name] = {engine: [] for engine in works}
        for repeat in range(repeats + 1):
            for engine, work in works.items():
                print(f"{name}: {repeat}/{repeats} {engine}", file=sys.stderr)
                seconds = work()
                if repeat:
                    found[name][engine].append(seconds)
    return found


def report(device: Device, repeats: int, dense: float, moved: float, found: Found) -> str:
    """All tables, as Markdown."""
    lines = [
        "# Speed on a GPU",
        "",
        f"{processor_name(device)}, torch {torch.__version__}; n = {repeats}, taking turns; written by "
        "`benchmarks/gpu.py`.",
        "",
        "Seconds that an epoch of 60,000 images takes a network, float32, SGD, without evaluation (timed on "
        f"{EXAMPLES:,} images). Dense: a product of square matrices of side {SIDE:,}, "
        f"{dense / 1e12:.1f} TFLOP/s. Bandwidth: a copy within the device's memory, {moved / 1e9:.0f} GB/s, "
        "beside the least that must be moved: each step reads and writes each parameter.",
    ]
    for task in TASKS:
        name = f"{task.network}, batch {task.batch_size}"
        plain = statistics.median(found[name][PLAIN])
        rows = []
        for engine, seconds in found[name].items():
            median = statistics.median(seconds)
            rows.append(
                [
                    engine,
                    f"{median:.5f}",
                    f"{min(seconds):.5f}–{max(seconds):.5f}",
                    f"{plain / median:.1f}",
                    f"{task.operations / median / dense:.0%}",
                    f"{least_bytes(task) / median / moved:.0%}",
                ]
            )
        head = ["how", "seconds, median", "range", "times as fast", "share of dense", "share of bandwidth"]
        lines += ["", f"## {name}", "", *table(head, rows)]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--members", type=int, nargs="+", default=[96, 1_024])
    arguments = parser.parse_args()
    try:
        device = find_device(arguments.device)
    except DeviceError as error:
        raise SystemExit(f"nothing was measured: {error}") from None
    if device.kind == "cpu":
        raise SystemExit("nothing was measured: this benchmark is for GPUs; benchmarks/run.py is for the CPU")
    torch_device = torch.device(device.name)
    dense, moved = dense_rate(torch_device), bandwidth(torch_device)
    found = measured(arguments.device, arguments.members, arguments.repeats)
    text = report(device, arguments.repeats, dense, moved, found)
    print(text)
    (RESULTS / "gpu.md").write_text(text)
    document = {
        "machine": provenance("benchmarks/gpu.py", device, 0, threads=torch.get_num_threads()).model_dump(
            exclude={"host", "seconds"}
        ),
        "dense_operations_a_second": dense,
        "bytes_a_second": moved,
        "seconds_an_epoch_a_network": found,
    }
    (RESULTS / "gpu.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
