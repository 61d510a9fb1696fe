"""Every speed figure that the project states, measured in one run: `make bench`.

    python benchmarks/run.py [--repeats 3] [--commands]

Each measure is repeated, the measures taking turns, so that a busy moment of a shared machine falls on all of
them; medians and ranges are written to benchmarks/results/ as Markdown and JSON, with the machine and the
versions. Compare ratios within one run, not seconds between runs.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from tables import Measured, commands_table, report
from threads import measured_threads, threads_table
from training import TASKS, Crew, engines, estimate_and_truth, memory

from digitlab.data import load
from digitlab.engine.device import find_device
from digitlab.engine.provenance import provenance
from digitlab.execution.protocol import receive
from digitlab.planning.planner import WORKER_BYTES

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DIGITLAB = Path(sys.executable).with_name("digitlab")


def timed(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def process(*command: object) -> Callable[[], object]:
    """A process of its own, its output dropped."""
    return lambda: subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def first_load() -> object:
    """MNIST from the package, into an empty cache."""
    directory, before = tempfile.mkdtemp(), os.environ["DIGITLAB_DATA"]
    os.environ["DIGITLAB_DATA"] = directory
    try:
        return load("mnist")
    finally:
        os.environ["DIGITLAB_DATA"] = before
        shutil.rmtree(directory)


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


class ReadyWorker:
    """A worker process that has said that it is ready."""

    def __init__(self) -> None:
        source, target = os.pipe()
        command = [sys.executable, "-P", "-m", "digitlab.execution.worker", str(target)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[target])
        os.close(target)
        with os.fdopen(source, "rb") as replies:
            receive(replies)

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def start_a_worker() -> None:
    """From nothing until it is ready."""
    ReadyWorker().end()


def memory_of_a_worker() -> int:
    """Bytes that a worker holds when it is ready."""
    worker = ReadyWorker()
    try:
        return psutil.Process(worker.process.pid).memory_info().rss
    finally:
        worker.end()


def exercise_scripts() -> None:
    """The exercise's three files, one after the other, as a student runs them."""
    for script in sorted((ROOT / "exercise").glob("*.py")):
        subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.DEVNULL)


def commands() -> dict[str, tuple[Callable[[], object], str]]:
    """Whole commands and single steps: the work of each, and the name of its baseline."""
    helps, first = "python -c 'import typer, rich'", "load MNIST, first time"
    scripts = "the three scripts of exercise/"
    torch_alone = "python -c 'import torch'"
    active = "200 steps beside another training, threads wait actively"
    return {
        helps: (process(sys.executable, "-c", "import typer, rich"), helps),
        "digitlab --help": (process(DIGITLAB, "--help"), helps),
        torch_alone: (process(sys.executable, "-c", "import torch"), torch_alone),
        "digitlab train --epochs 1": (process(DIGITLAB, "train", "--epochs", 1), torch_alone),
        "a worker until it is ready": (start_a_worker, torch_alone),
        first: (first_load, first),
        "load MNIST, later": (lambda: load("mnist"), first),
        scripts: (exercise_scripts, scripts),
        "digitlab exercise --no-studies": (process(DIGITLAB, "exercise", "--no-studies"), scripts),
        "the same, --workers 1": (process(DIGITLAB, "exercise", "--no-studies", "--workers", 1), scripts),
        active: (beside_another_training("ACTIVE"), active),
        "200 steps beside another training, threads wait passively": (
            beside_another_training("PASSIVE"),
            active,
        ),
    }


def take_turns(works: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Each work's figure, `repeats` times, taking turns; a first time before warms up."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats + 1):
        for name, work in works.items():
            print(f"{repeat}/{repeats} {name}", file=sys.stderr)
            found[name].append(work())
    return {name: figures[1:] for name, figures in found.items()}


def measured_commands(repeats: int) -> list[Measured]:
    """What `commands` lists, measured."""
    works_and_baselines = commands()
    works = {name: partial(timed, work) for name, (work, _) in works_and_baselines.items()}
    seconds = take_turns(works, repeats)
    return [Measured(name, seconds[name], baseline) for name, (_, baseline) in works_and_baselines.items()]


def measured_training(repeats: int) -> dict[str, Any]:
    """Seconds an epoch a network of each engine at each task, and operations a second of dense products."""
    crew = Crew()
    rates: list[float] = []
    seconds: dict[str, dict[str, list[float]]] = {}
    for task in TASKS:

        def dense() -> float:
            rates.append(crew.dense_rate())
            return rates[-1]

        name = f"{task.network}, batch {task.batch_size}"
        print(name, file=sys.stderr)
        seconds[name] = take_turns({"dense": dense, **engines(task, crew)}, repeats)
        del seconds[name]["dense"]
    return {
        "dense_operations_a_second": rates,
        "operations_an_epoch": {
            f"{task.network}, batch {task.batch_size}": task.operations for task in TASKS
        },
        "seconds_an_epoch_a_network": seconds,
    }


def measured_plans(repeats: int) -> dict[str, Any]:
    """What the planner says beforehand, and what then is."""
    estimates = []
    for repeat in range(repeats):
        print(f"{repeat + 1}/{repeats} estimate of 100 mixed runs", file=sys.stderr)
        estimates.append(estimate_and_truth())
    context = multiprocessing.get_context("spawn")
    peaks: dict[str, tuple[float, float]] = {"a worker that is ready": (WORKER_BYTES, memory_of_a_worker())}
    for network, batch_size, members in (("784-100-10", 100, 96), ("784-100-100-10", 1_000, 96)):
        with context.Pool(1) as alone:
            peaks[f"{members} of {network}, batch {batch_size}"] = alone.apply(
                memory, (network, batch_size, members)
            )
    return {"seconds": estimates, "peak_bytes": peaks}


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--commands", action="store_true", help="measure commands alone, and only print them")
    arguments = parser.parse_args()
    repeats = arguments.repeats
    with tempfile.TemporaryDirectory() as directory:
        os.environ["DIGITLAB_DATA"] = directory
        load("mnist")
        if arguments.commands:
            results = measured_commands(repeats)
            megabytes = memory_of_a_worker() / 1e6
            print("\n".join([*commands_table(results), "", f"A worker that is ready: {megabytes:.0f} MB"]))
            return
        training = measured_training(repeats)
        plans = measured_plans(max(repeats, 5))
        results = measured_commands(repeats)
        threads = list(measured_threads(max(repeats, 9)))
    text = report(repeats, results, training, plans, threads_table(threads))
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.md").write_text(text)
    machine = provenance(
        "benchmarks/run.py", find_device("cpu"), 0, threads=torch.get_num_threads()
    ).model_dump(exclude={"host", "seconds"})
    commands_measured = [asdict(result) for result in results]
    document = {"machine": machine, "results": commands_measured, "training": training, "plans": plans}
    document["threads"] = [asdict(shared) for shared in threads]
    (RESULTS / "speed.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
