"""Every speed figure that the project states, measured in one run: `make bench`.

    python benchmarks/run.py [--repeats 5]

Each measure is repeated, the measures taking turns, so that a busy moment of a shared machine falls on all of
them; medians and ranges are written to benchmarks/results/ as Markdown and JSON, with the machine and the
versions. Compare ratios within one run, not seconds between runs.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from digitlab import lab
from digitlab.datasets import load
from digitlab.engine import reference
from digitlab.engine.device import processor_name
from digitlab.engine.provenance import provenance

RESULTS = Path(__file__).parent / "results"
DIGITLAB = Path(sys.executable).with_name("digitlab")
HIDDEN: dict[str, tuple[int, ...]] = {"784-10": (), "784-100-10": (100,), "784-100-100-10": (100, 100)}


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


def timed(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def process(*command: object) -> Callable[[], object]:
    """A process of its own, its output dropped."""
    return lambda: subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def product() -> object:
    """23 GFLOP as float32 products of square matrices: what the machine can do at best."""
    side = 1414
    a, b = torch.rand(side, side), torch.rand(side, side)
    for _ in range(4):
        a @ b
    return None


def first_load() -> object:
    """MNIST from the package, into an empty cache."""
    directory, before = tempfile.mkdtemp(), os.environ["DIGITLAB_DATA"]
    os.environ["DIGITLAB_DATA"] = directory
    try:
        return load("mnist")
    finally:
        os.environ["DIGITLAB_DATA"] = before
        shutil.rmtree(directory)


def epoch(hidden: tuple[int, ...]) -> Callable[[], object]:
    """One epoch of 60,000 images by the reference engine, evaluation included."""
    spec, dataset = lab.make_spec(hidden=hidden, epochs=1), load("mnist")
    return lambda: reference.train(spec, dataset)


class Items(Dataset[tuple[torch.Tensor, int]]):
    """MNIST item by item, each turned into a tensor when it is asked for."""

    def __init__(self) -> None:
        self.data = load("mnist").train

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = torch.tensor(self.data.images[index]).reshape(784) / 255
        return image, int(self.data.labels[index])


def loader_epoch(hidden: tuple[int, ...]) -> Callable[[], object]:
    """The same work as most solutions of the exercise have it: item by item, through a DataLoader."""
    items = Items()

    def train() -> None:
        sizes = (784, *hidden, 10)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        model = nn.Sequential(*layers[:-1])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for batch, targets in DataLoader(items, batch_size=100, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), targets).backward()
            optimizer.step()

    return train


def beside_another_training(wait_policy: str) -> Callable[[], object]:
    """200 steps of 784-100-100-10 in a process of its own, while another one trains on and on."""
    script = "from digitlab import lab; lab.train(hidden=(100, 100), steps=200)"
    environment = os.environ | {"OMP_WAIT_POLICY": wait_policy}

    def train() -> None:
        endless = "from digitlab import lab; lab.train(hidden=(100, 100), epochs=10_000)"
        busy = subprocess.Popen([sys.executable, "-c", endless], env=environment)
        try:
            subprocess.run([sys.executable, "-c", script], env=environment, check=True)
        finally:
            busy.kill()
            busy.wait()

    return train


def measures() -> dict[str, tuple[Callable[[], object], str]]:
    """Each measure's work, and the name of its baseline."""
    helps = "python -c 'import typer, rich'"
    found: dict[str, tuple[Callable[[], object], str]] = {
        helps: (process(sys.executable, "-c", "import typer, rich"), helps),
        "digitlab --help": (process(DIGITLAB, "--help"), helps),
        "load MNIST, first time": (first_load, "load MNIST, first time"),
        "load MNIST, later": (lambda: load("mnist"), "load MNIST, first time"),
        "dense product, 22.6 GFLOP": (product, "dense product, 22.6 GFLOP"),
    }
    for name, hidden in HIDDEN.items():
        found[f"{name}, DataLoader"] = (loader_epoch(hidden), f"{name}, DataLoader")
        found[f"{name}, reference engine"] = (epoch(hidden), f"{name}, DataLoader")
    active = "200 steps beside another training, threads wait actively"
    found[active] = (beside_another_training("ACTIVE"), active)
    found["200 steps beside another training, threads wait passively"] = (
        beside_another_training("PASSIVE"),
        active,
    )
    return found


def report(results: list[Measured]) -> str:
    """The Markdown table."""
    medians = {result.name: result.median for result in results}

    def ratio(result: Measured) -> str:
        of = result.baseline
        return "" if of == result.name else f"{result.median / medians[of]:.2f} × {of}"

    rows = [
        f"| {result.name} | {result.median:.3f} | {min(result.seconds):.3f}–{max(result.seconds):.3f} "
        f"| {ratio(result)} |"
        for result in results
    ]
    where = provenance("", torch.device("cpu"), 0)
    return "\n".join(
        [
            "# Speed",
            "",
            f"{processor_name(torch.device('cpu'))}, {os.cpu_count()} cores, {platform.system()}; "
            f"Python {where.versions.python}, torch {where.versions.torch}, {where.threads} threads; "
            f"n = {len(results[0].seconds)}; written by `benchmarks/run.py`.",
            "Training rows: one epoch over 60,000 images at batch 100, float32; the last two: 200 steps of "
            "784-100-100-10 in a process of its own, its start included.",
            "DataLoader: item by item, each image turned into a tensor when asked for, no evaluation; "
            "reference engine: data in memory, scaling and final evaluation included; dense product: float32 "
            "products of square matrices, about as many operations as an epoch of 784-100-100-10.",
            "",
            "| what | seconds, median | range | ratio of medians |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as directory:
        os.environ["DIGITLAB_DATA"] = directory
        chosen = measures()
        seconds: dict[str, list[float]] = {name: [] for name in chosen}
        for repeat in range(repeats + 1):  # the first one warms up
            for name, (work, _) in chosen.items():
                print(f"{repeat}/{repeats} {name}", file=sys.stderr)
                seconds[name].append(timed(work))
    results = [Measured(name, seconds[name][1:], baseline) for name, (_, baseline) in chosen.items()]
    text = report(results)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.md").write_text(text)
    machine = provenance("benchmarks/run.py", torch.device("cpu"), 0).model_dump(exclude={"host", "seconds"})
    document = {"machine": machine, "results": [asdict(result) for result in results]}
    (RESULTS / "speed.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
