"""Planning: RunSpecs -> cohorts that fit the memory, are short, and keep all workers busy to the end."""

import heapq
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from digitlab.engine.device import free_memory
from digitlab.engine.lockstep import cohort_key
from digitlab.errors import RunError
from digitlab.planning.calibration import Costs
from digitlab.planning.cost import Images, memory_bytes, work
from digitlab.spec import DataSpec, RunSpec

MOST_SECONDS = 15.0
"""A cohort takes about so long at most: more would be lost with a worker, and wait at the end."""
_COHORTS_A_WORKER = 6
"""So many at least, where there are enough runs, so that no worker waits long at the end."""
WORKER_BYTES = 130_000_000
"""What a worker takes before it trains: Python, NumPy and the pages of MNIST that it has looked at."""
TORCH_WORKER_BYTES = 350_000_000
"""The same where torch computes."""


@dataclass(frozen=True)
class Cohort:
    """Runs that train together.

    seconds:      estimate
    memory_bytes: estimate of the peak while it trains, above what the process had before
    """

    specs: tuple[RunSpec, ...]
    seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Plan:
    """Cohorts, longest first, for so many workers.

    seconds:      estimate of the time until all are done
    memory_bytes: estimate of the peak of all workers together, what each has before it trains included
    """

    cohorts: tuple[Cohort, ...]
    workers: int
    seconds: float
    memory_bytes: int


def plan(
    specs: Sequence[RunSpec],
    images: Mapping[DataSpec, Images],
    costs: Costs,
    *,
    workers: int,
    memory_limit: int | None = None,
    stacked: bool = False,
    worker_bytes: int = WORKER_BYTES,
) -> Plan:
    """Sort runs into cohorts.

    images:       of every data set that the specs name
    costs:        seconds a unit of work
    workers:      processes that train at the same time, at most
    memory_limit: bytes, for all workers together; by default most of what is free on this machine
    stacked:      cohorts compute as on a GPU: as large as memory allows, whatever the time
    worker_bytes: what a worker takes before it trains
    Raises RunError when a single run needs more memory than there is.
    """
    limit = memory_limit if memory_limit is not None else free_memory()
    groups: dict[Hashable, list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault(cohort_key(spec), []).append(spec)

    def cohort(members: Sequence[RunSpec]) -> Cohort:
        sizes = images[members[0].data]
        seconds = float(work(members, sizes) @ costs)
        return Cohort(tuple(members), seconds, memory_bytes(members, sizes, stacked=stacked))

    largest = max(
        (cohort(group[:1]) for group in groups.values()),
        key=lambda planned: planned.memory_bytes,
        default=None,
    )
    if largest is None:
        return Plan((), 0, 0.0, 0)
    if largest.memory_bytes > limit:
        spec, needed = largest.specs[0], largest.memory_bytes
        raise RunError(
            f"{spec.network_name} at batch size {spec.batch_size} needs about {needed / 1e9:.1f} GB of "
            f"memory, and {limit / 1e9:.1f} GB is available; use smaller layers or batches"
        )
    workers = max(1, min(workers, limit // (largest.memory_bytes + worker_bytes)))
    share = max(limit // workers - worker_bytes, largest.memory_bytes)
    total = sum(cohort(group).seconds for group in groups.values())
    most_seconds = math.inf if stacked else min(MOST_SECONDS, total / (_COHORTS_A_WORKER * workers))
    cohorts = [
        cohort(part)
        for group in groups.values()
        for part in _parts(sorted(group, key=lambda spec: spec.seed), cohort, most_seconds, share)
    ]
    cohorts.sort(key=lambda planned: -planned.seconds)
    busiest = sorted((planned.memory_bytes for planned in cohorts), reverse=True)[:workers]
    return Plan(
        tuple(cohorts),
        workers,
        makespan([planned.seconds for planned in cohorts], workers),
        sum(busiest) + workers * worker_bytes,
    )


def side_by_side(specs: Sequence[RunSpec], workers: int) -> list[dict[str, RunSpec]]:
    """Different runs by key in cohorts as large as can be, that all advance together before one's eyes.

    Only where there are fewer kinds of runs than workers, a kind is shared evenly by several.
    """
    groups: dict[Hashable, list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault(cohort_key(spec), []).append(spec)
    cohorts = []
    for group in groups.values():
        count = min(max(1, workers // len(groups)), len(group))
        cohorts += [{spec.key: spec for spec in group[i::count]} for i in range(count)]
    return cohorts


def _parts(
    group: Sequence[RunSpec],
    cohort: Callable[[Sequence[RunSpec]], Cohort],
    most_seconds: float,
    most_bytes: int,
) -> list[Sequence[RunSpec]]:
    """A group cut evenly into as few parts as limits allow; members of one seed stay together if they can."""
    for count in range(_fewest(cohort(group), most_seconds, most_bytes), len(group)):
        size = math.ceil(len(group) / count)
        parts = [group[i : i + size] for i in range(0, len(group), size)]
        if all(cohort(part).memory_bytes <= most_bytes for part in parts):
            return parts
    return [[spec] for spec in group]


def _fewest(whole: Cohort, most_seconds: float, most_bytes: int) -> int:
    by_time = whole.seconds / most_seconds if most_seconds > 0 else len(whole.specs)
    return max(1, min(len(whole.specs), math.ceil(max(by_time, whole.memory_bytes / most_bytes / 2))))


def makespan(seconds: Sequence[float], workers: int) -> float:
    """When the last of these pieces of work ends, each taken in turn by the worker that is free first."""
    ends = [0.0] * workers
    for duration in seconds:
        heapq.heappush(ends, heapq.heappop(ends) + duration)
    return max(ends)
