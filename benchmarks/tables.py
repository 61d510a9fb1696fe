"""The tables of benchmarks/results/speed.md."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from training import EXAMPLES, PLAIN

from digitlab.engine.device import find_device, processor_name, usable_cores
from digitlab.engine.provenance import provenance


@dataclass(frozen=True)
class Measured:
    """Seconds of one measure over its repeats, and what they are to be compared with."""

    name: str
    seconds: list[float]
    baseline: str

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]


def commands_table(results: Sequence[Measured]) -> list[str]:
    """Seconds of each command, and its ratio to its baseline."""
    medians = {result.name: result.median for result in results}
    rows = [
        [
            result.name,
            f"{result.median:.3f}",
            f"{min(result.seconds):.3f}–{max(result.seconds):.3f}",
            ""
            if result.baseline == result.name
            else f"{result.median / medians[result.baseline]:.2f} × {result.baseline}",
        ]
        for result in results
    ]
    return table(["what", "seconds, median", "range", "ratio of medians"], rows)


def training_tables(training: dict[str, Any]) -> list[str]:
    """For each task: seconds an epoch a network, beside the plain loop and beside the dense rate."""
    dense = statistics.median(training["dense_operations_a_second"])
    lines: list[str] = []
    for task, engines_seconds in training["seconds_an_epoch_a_network"].items():
        plain = statistics.median(engines_seconds[PLAIN])
        rows = []
        for name, seconds in engines_seconds.items():
            median = statistics.median(seconds)
            share = training["operations_an_epoch"][task] / median / dense
            rows.append(
                [
                    name,
                    f"{median:.4f}",
                    f"{min(seconds):.4f}–{max(seconds):.4f}",
                    f"{plain / median:.1f}",
                    f"{share:.0%}",
                ]
            )
        lines += [
            f"### {task}",
            "",
            *table(["how", "seconds, median", "range", "times as fast", "share of dense"], rows),
            "",
        ]
    return lines


def plans_table(plans: dict[str, Any]) -> list[str]:
    """Estimates beside the truth."""
    ratios = [estimate / truth for estimate, truth in plans["seconds"]]
    estimate, truth = (statistics.median(values) for values in zip(*plans["seconds"], strict=True))
    rows = [
        [
            "seconds of 100 mixed runs (median)",
            f"{estimate:.1f}",
            f"{truth:.1f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
        ]
    ]
    for name, (planned, measured) in plans["peak_bytes"].items():
        rows.append(
            [f"peak MB, {name}", f"{planned / 1e6:.0f}", f"{measured / 1e6:.0f}", f"{planned / measured:.2f}"]
        )
    return table(["what", "as planned", "as measured", "ratio"], rows)


def report(
    repeats: int,
    results: Sequence[Measured],
    training: dict[str, Any],
    plans: dict[str, Any],
    threads: Sequence[str],
) -> str:
    """All tables, as Markdown; that of the threads is made already."""
    record = provenance("", find_device("cpu"), 0, threads=torch.get_num_threads())
    versions = [
        f"Python {record.versions.python}",
        f"torch {record.versions.torch}",
        f"NumPy {record.versions.numpy}",
    ]
    versions += [f"{name} {version(name)}" for name in ("jax", "scikit-learn") if installed(name)]
    rates = [rate / 1e9 for rate in training["dense_operations_a_second"]]
    machine = f"{processor_name(find_device('cpu'))}, {usable_cores()} cores, {platform.system()}"
    lines = [
        "# Speed",
        "",
        f"{machine}; {', '.join(versions)}; n = {repeats}, taking turns; written by `benchmarks/run.py`.",
        "Compare ratios, not seconds of different runs.",
        "",
        "## Training",
        "",
        "Seconds that an epoch of 60,000 images takes a network, float32, SGD, without evaluation (timed on "
        f"{EXAMPLES:,} images). `lockstep, 96`: 96 networks at once in one process a core, 16 rates a seed; "
        f"`lockstep, 1`: one thread. The others use their default threads ({record.threads}). Times as fast: "
        "as the plain loop.",
        "",
        "Share of dense: the operations of the mathematics, zeros included, against float32 products of "
        f"square matrices on all cores at the same time, {statistics.median(rates):.0f} GFLOP/s "
        f"({min(rates):.0f}–{max(rates):.0f}). It can pass 100 %: what is exactly zero is left out.",
        "",
        *training_tables(training),
        "## Threads of one network",
        "",
        "Training steps on several threads against one: medians (ranges) over turns, and the fastest turns.",
        "",
        *threads,
        "",
        "## Plans",
        "",
        *plans_table(plans),
        "",
        "## Commands",
        "",
        *commands_table(results),
        "",
    ]
    return "\n".join(lines)


def installed(name: str) -> bool:
    """Whether a distribution of this name is there."""
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
