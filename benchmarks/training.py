"""How fast networks train: the lockstep engine, the reference engine and their peers, at the same work.

A pass over EXAMPLES images in batches, without evaluation. Our own engines are timed from outside, between
what they tell at the end of their first and of their second epoch.
"""

import multiprocessing
import random
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from peers import PEERS, Work, missing

from digitlab import lab
from digitlab.data import Dataset, load
from digitlab.engine import reference
from digitlab.engine.device import usable_cores
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.progress import CohortProgress, Watch
from digitlab.execution.events import Failed
from digitlab.execution.training import Training
from digitlab.execution.workers import Workers
from digitlab.planning.calibration import calibrate
from digitlab.planning.cost import Images, memory_bytes
from digitlab.planning.planner import plan
from digitlab.spec import RunSpec

EXAMPLES = 12_000
MNIST = 60_000
RATES = 16
"""Members that share a seed, and so the order of their examples, as in a sweep of rates."""
HIDDEN: dict[str, tuple[int, ...]] = {"784-10": (), "784-100-10": (100,), "784-100-100-10": (100, 100)}
BATCH_SIZES = (10, 100, 1_000)
PLAIN = "plain PyTorch loop (reference engine)"


@dataclass(frozen=True)
class Task:
    """One cell of the table: a network and a batch size."""

    network: str
    batch_size: int

    @property
    def hidden(self) -> tuple[int, ...]:
        """Its hidden layers."""
        return HIDDEN[self.network]

    @property
    def operations(self) -> float:
        """Multiplications and additions of an epoch of MNIST, by the mathematics: no zero is left out."""
        first, *later = [inputs * outputs for inputs, outputs in pairwise((784, *self.hidden, 10))]
        return 2.0 * MNIST * (2 * first + 3 * sum(later))


TASKS = [Task(network, batch_size) for network in HIDDEN for batch_size in BATCH_SIZES]


def specs(task: Task, members: int, first_seed: int = 0) -> list[RunSpec]:
    """Runs of two epochs: a sweep of rates for each seed."""
    return [
        lab.make_spec(
            hidden=task.hidden,
            batch_size=task.batch_size,
            train_size=EXAMPLES,
            epochs=2,
            learning_rate=0.01 * (1 + i % RATES) / RATES,
            seed=first_seed + i // RATES,
        )
        for i in range(members)
    ]


def second_epoch(train: Callable[[Watch], object]) -> float:
    """Seconds of a training's second epoch, for a whole epoch of MNIST."""
    at: dict[float, float] = {}

    def tell(progress: CohortProgress) -> None:
        at[progress.step / progress.step_count] = time.perf_counter()

    train(Watch(tell, seconds=0))
    return (at[1.0] - at[0.5]) * MNIST / EXAMPLES


def _train(cohort: Sequence[RunSpec], dataset: Dataset, watch: Watch) -> None:
    train_cohort(cohort, dataset, watch=watch)


# ---- Workers: as many as there are cores, one thread each, alive for the whole benchmark ----


def _serve(pipe: Connection, barrier: Any) -> None:
    """Train cohorts of a task at the same time as the other workers; reply with the seconds."""
    torch.set_num_threads(1)
    dataset = load("mnist")
    while (order := pipe.recv()) is not None:
        task, members, first_seed = order
        if task == "product":
            barrier.wait()
            pipe.send(_products())
        else:
            cohort = specs(task, members, first_seed)
            barrier.wait()
            pipe.send(second_epoch(partial(_train, cohort, dataset)))


def _products(side: int = 1_536, repeats: int = 6) -> float:
    """Operations a second of float32 products of square matrices, by one thread."""
    a, b = torch.rand(side, side), torch.rand(side, side)
    start = time.perf_counter()
    for _ in range(repeats):
        a @ b
    return 2 * side**3 * repeats / (time.perf_counter() - start)


class Crew:
    """Worker processes that work at the same time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.size = usable_cores()
        self._barrier = context.Barrier(self.size)  # kept, or the workers would not find it
        self._pipes = []
        for _ in range(self.size):
            here, there = context.Pipe()
            context.Process(target=_serve, args=(there, self._barrier), daemon=True).start()
            self._pipes.append(here)

    def dense_rate(self) -> float:
        """Operations a second of all cores together, one product each."""
        return float(sum(self._all([("product", 0, 0)] * self.size)))

    def seconds_a_network(self, task: Task, members: int) -> float:
        """Seconds that an epoch takes a network when `members` train at once on all cores."""
        each = members // self.size
        orders = [(task, each, 100 * worker if each >= RATES else 0) for worker in range(self.size)]
        return float(max(self._all(orders))) / (each * self.size)

    def _all(self, orders: Sequence[Any]) -> list[Any]:
        for pipe, order in zip(self._pipes, orders, strict=True):
            pipe.send(order)
        return [pipe.recv() for pipe in self._pipes]


# ---- What is measured ----


def engines(task: Task, crew: Crew) -> dict[str, Callable[[], float]]:
    """Each way to do a task: a function that does it and gives seconds an epoch of MNIST a network."""
    dataset = load("mnist")
    (spec,) = specs(task, 1)
    found: dict[str, Callable[[], float]] = {
        PLAIN: lambda: second_epoch(lambda watch: reference.train(spec, dataset, watch=watch)),
        "lockstep, 1": lambda: second_epoch(partial(_train, [spec], dataset)),
        "lockstep, 16": lambda: crew.seconds_a_network(task, 16),
        "lockstep, 96": lambda: crew.seconds_a_network(task, 96),
    }
    images = np.ascontiguousarray(dataset.train.images[:EXAMPLES])
    work = Work(images, np.array(dataset.train.labels[:EXAMPLES]), task.hidden, task.batch_size)
    for peer in PEERS:
        if (name := missing(peer)) is not None:
            print(f"{peer.name} is left out: {name} is not installed", file=sys.stderr)
            continue
        one_pass = peer.prepare(work)

        def seconds(one_pass: Callable[[], object] = one_pass, members: int = peer.members) -> float:
            start = time.perf_counter()
            one_pass()
            return (time.perf_counter() - start) * MNIST / EXAMPLES / members

        found[peer.name] = seconds
    return found


def mixed(count: int = 100) -> list[RunSpec]:
    """Runs of all kinds, as studies have them; about a minute of work."""
    draw = random.Random(1)
    return [
        lab.make_spec(
            hidden=draw.choice([(), (100,), (100, 100), (100, 100, 100), (30,), (300,)]),
            batch_size=draw.choice([8, 32, 100, 256, 1_024, 4_096]),
            train_size=draw.choice([5_000, 20_000, 50_000]),
            validation_size=draw.choice([0, 10_000]),
            optimiser=draw.choice(["sgd", "sgd", "adam"]),
            learning_rate=2.0 ** draw.randint(-9, -4),
            seed=draw.randrange(3),
            epochs=2,
        )
        for _ in range(count)
    ]


def estimate_and_truth() -> tuple[float, float]:
    """Seconds that the mixed runs are to take in workers, as planned, and that they take."""
    dataset, runs = load("mnist"), mixed()
    planned = plan(runs, {runs[0].data: Images.of(dataset)}, calibrate(dataset), workers=usable_cores())
    start = time.perf_counter()
    cohorts = [{spec.key: spec for spec in cohort.specs} for cohort in planned.cohorts]
    with Training(
        Workers(planned.workers, ["float32"]), cohorts, dict.fromkeys((s.key for s in runs), 0.01)
    ) as training:
        if any(isinstance(event, Failed) for event in training):
            raise SystemExit("a run failed")
    truth = time.perf_counter() - start
    return planned.seconds, truth


def memory(network: str, batch_size: int, members: int) -> tuple[float, float]:
    """Peak memory of a cohort above what its process had before, bytes: as planned, as measured.

    To be called in a process of its own.
    """
    dataset, task = load("mnist"), Task(network, batch_size)
    train_cohort(specs(Task("784-10", 10), 1), dataset)
    before = psutil.Process().memory_info().rss
    cohort = specs(task, members)
    results = train_cohort(cohort, dataset)
    measured = _peak_bytes() - before
    del results
    return memory_bytes(cohort, Images.of(dataset)), measured


def _peak_bytes() -> int:
    """The most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss begins with what the process had that started this one
        return int(re.findall(r"VmHWM:\s*(\d+)", status.read_text())[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
