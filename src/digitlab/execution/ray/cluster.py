"""A Ray cluster as digitlab sees it: nodes that were looked at, their workers, data sets that lie there."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, cast

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from digitlab.data import Dataset
from digitlab.errors import RunError
from digitlab.execution.interface import Runs
from digitlab.execution.ray import remote
from digitlab.execution.ray.carried import Carried, arrays_of
from digitlab.execution.ray.causes import cause
from digitlab.execution.ray.connection import connected

T = TypeVar("T")

_SECONDS_TO_ANSWER = 120.0
"""A node that says nothing for so long is left out: it starts a process, and may build a kernel."""
_SECONDS_OF_SILENCE = 45.0
"""A head node that says nothing for so long is lost, and with it the cluster."""
_MOST_FAILED_STARTS = 3


@dataclass(frozen=True)
class Node:
    """A node that may train.

    name:  its host's; where several nodes have the same, with the beginning of its id
    slots: how many workers it can have
    """

    id: str
    name: str
    slots: int
    memory_bytes: int
    facts: remote.Facts

    @property
    def kind(self) -> tuple[str, str, str | None]:
        """What bits depend on beside the versions: equal bits are promised where it is equal."""
        return self.facts.processor, self.facts.c_library, self.facts.compiler


@dataclass(eq=False)
class Slot:
    """A worker of a node, and what it does.

    ready: done when it has started
    order: number of the cohort that it trains, or trained last
    reply: of its last call, while it trains
    """

    node: Node
    actor: Any
    ready: "Future[object]"
    is_ready: bool = False
    order: int = 0
    runs: Runs = field(default_factory=dict)
    reply: "Future[Any] | None" = None

    def kill(self) -> None:
        """End its process, whatever it is doing."""
        with suppress(Exception):  # it is gone, or so is the cluster
            ray.kill(self.actor)


@dataclass(frozen=True)
class Rate:
    """How fast a node is: runs that ended there, and how many a minute since its first worker began."""

    node: str
    slots: int
    runs: int
    runs_a_minute: float


class Cluster:
    """A connection that is kept over any number of trainings, one after the other.

    on:      `ray` starts a cluster on this machine, `auto` joins the one that runs here, ray://HOST:PORT
             another
    workers: how many cohorts may train at once, at most
    gpu:     train on GPUs where nodes have them
    Raises SpecError, and RunError when there is no cluster, or no node that can train.
    """

    def __init__(self, on: str = "ray", workers: int | None = None, *, gpu: bool = False) -> None:
        self._workers, self._gpu, self._stack = workers, gpu, ExitStack()
        self.nodes: dict[str, Node] = {}
        self.slots: list[Slot] = []
        self.notes: list[str] = []
        self.lost = ""
        self._looked_at: set[str] = set()
        self._failed_starts: Counter[str] = Counter()
        self._carried: dict[str, Carried] = {}
        self._verified: set[tuple[str, str]] = set()
        self._runs: Counter[str] = Counter()
        self._began: dict[str, float] = {}
        self._looking = threading.Lock()
        self._stack.enter_context(connected(on, workers))
        try:
            self.look()
            self._check_nodes()
        except BaseException:
            self.close()
            raise

    @property
    def slot_count(self) -> int:
        """How many cohorts train at once."""
        count = sum(node.slots for node in list(self.nodes.values()))
        return max(1, count if self._workers is None else min(count, self._workers))

    @property
    def memory_bytes(self) -> int:
        """What all workers together may take, where each may take as much as one of the poorest node."""
        nodes = list(self.nodes.values())
        return self.slot_count * min((node.memory_bytes // node.slots for node in nodes), default=0)

    def look(self) -> None:
        """See which nodes there are, and prepare new ones.

        Raises RunError when the cluster is gone; then `lost` says why, and stays.
        """
        with self._looking:
            try:
                found = _within(_SECONDS_OF_SILENCE, cast("Any", ray).nodes)
            except Exception as error:  # noqa: BLE001  # whatever it is, there is no cluster any more
                self.nodes = {}
                silent = f"its head node has not answered for {_SECONDS_OF_SILENCE:g} seconds"
                why = silent if isinstance(error, TimeoutError) else cause(error, "the head node").text
                self.lost = f"the Ray cluster was lost: {why}"
                raise RunError(self.lost) from None
            alive = {node["NodeID"]: node for node in found if node["Alive"]}
            names = Counter(str(found["NodeManagerHostname"]) for found in alive.values())
            new = [id_ for id_ in alive if id_ not in self._looked_at]
            self._looked_at.update(new)
            for id_ in self.nodes.keys() - alive.keys():
                self.notes.append(f"node {self.nodes[id_].name} was lost")
            self.nodes = {id_: node for id_, node in self.nodes.items() if id_ in alive}
            asked = [(id_, self._ask(id_, alive[id_]["Resources"])) for id_ in new if _slots(alive[id_])]
            for id_, answer in asked:
                host = str(alive[id_]["NodeManagerHostname"])
                name = host if names[host] == 1 else f"{host} ({id_[:6]})"
                self._take_in(id_, name, alive[id_]["Resources"], answer)
            self._note_kinds()
            self._verify_missing()

    def _ask(self, id_: str, resources: dict[str, float]) -> Any:
        wants_gpu = self._gpu and resources.get("GPU", 0) >= 1
        task = ray.remote(remote.facts).options(
            num_cpus=0, num_gpus=int(wants_gpu), max_retries=0, scheduling_strategy=_there(id_)
        )
        return cast("Any", task).remote(gpu=wants_gpu)

    def _take_in(self, id_: str, name: str, resources: dict[str, float], answer: Any) -> None:
        try:
            facts = ray.get(answer, timeout=_SECONDS_TO_ANSWER)
        except Exception as error:  # noqa: BLE001  # whatever it is, this node cannot be used
            self.notes.append(f"node {name} is left out: {cause(error, name).text}")
            return
        ours = remote.versions()
        if different := refusal(ours, facts.versions):
            self.notes.append(f"node {name} is left out: {different}")
            return
        processors, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
        if self._gpu and gpus and facts.gpu_bytes is None:
            self.notes.append(
                f"node {name} is said to have a GPU, but torch finds none there; its processors train"
            )
        slots = gpus if facts.gpu_bytes is not None else processors
        self.nodes[id_] = Node(id_, name, slots, int(resources.get("memory", 0)), facts)

    def _note_kinds(self) -> None:
        kinds: dict[object, list[Node]] = {}
        for node in self.nodes.values():
            kinds.setdefault(node.kind, []).append(node)
        if len(kinds) > 1:
            told = "; ".join(
                f"{', '.join(node.name for node in nodes)}: {', '.join(map(str, nodes[0].kind))}"
                for nodes in kinds.values()
            )
            note = (
                f"the nodes are of {len(kinds)} kinds, and equal bits are promised within one alone: {told}"
            )
            if note not in self.notes:
                self.notes.append(note)

    def carry(self, datasets: Iterable[Dataset]) -> dict[str, Carried]:
        """Bring data sets to all nodes, verified there; references by digest.

        Raises RunError when a node has something else than it should, DataError.
        """
        for dataset in datasets:
            digest = dataset.entry.sha256
            if digest not in self._carried:
                try:
                    self._carried[digest] = Carried(dataset.entry, ray.put(arrays_of(dataset)))
                except Exception as error:  # noqa: BLE001
                    told = cause(error, "the cluster").text
                    raise RunError(
                        f"{dataset.entry.name} cannot be put into Ray's object store: {told}"
                    ) from None
        with self._looking:
            self._verify_missing()
        self._check_nodes()
        return dict(self._carried)

    def _check_nodes(self) -> None:
        if not self.nodes:
            told = "; ".join(self.notes or ["it has none with a processor"])
            raise RunError(f"no node of the Ray cluster can train: {told}")

    def _verify_missing(self) -> None:
        """Nodes verify what they have not verified yet; one that cannot is left out."""
        asked = []
        for node in self.nodes.values():
            new = [each for digest, each in self._carried.items() if (node.id, digest) not in self._verified]
            if new:
                task = ray.remote(remote.verify_all).options(
                    num_cpus=0, max_retries=0, scheduling_strategy=_there(node.id)
                )
                asked.append((node, new, task.remote(new)))
        for node, new, answer in asked:
            try:
                ray.get(answer, timeout=_SECONDS_TO_ANSWER)
                self._verified.update((node.id, each.entry.sha256) for each in new)
            except Exception as error:  # noqa: BLE001
                self.leave_out(node, cause(error, node.name).text)

    def leave_out(self, node: Node, why: str) -> None:
        """Use a node no more."""
        if self.nodes.get(node.id) is node:
            self.nodes = {id_: each for id_, each in self.nodes.items() if id_ != node.id}
            self.notes.append(f"node {node.name} is left out: {why}")

    def fill(self) -> list[Slot]:
        """Start the workers that are missing, and forget those of nodes that are gone; the new ones."""
        nodes = list(self.nodes.values())
        self.slots = [slot for slot in self.slots if slot.runs or slot.node.id in self.nodes]
        count = Counter(slot.node.id for slot in self.slots)
        room = self.slot_count - len(self.slots)
        wanted = [
            node
            for i in range(max((node.slots for node in nodes), default=0))
            for node in nodes
            if count[node.id] <= i < node.slots
        ]
        new = [self._start(node) for node in wanted[: max(room, 0)]]
        self.slots += new
        return new

    def _start(self, node: Node) -> Slot:
        on_gpu = node.facts.gpu_bytes is not None
        actor: Any = (
            ray.remote(remote.Trainer)
            .options(
                num_cpus=0 if on_gpu else 1,
                num_gpus=int(on_gpu),
                max_restarts=0,  # what is tried again, and how often, is `retry`'s
                max_task_retries=0,
                max_concurrency=4,
                scheduling_strategy=_there(node.id),
            )
            .remote()
        )
        self._began.setdefault(node.name, time.monotonic())
        return Slot(node, actor, actor.ready.remote().future())

    def drop(self, slot: Slot, *, failed_start: str = "") -> None:
        """End a worker; a node where none starts is left out.

        failed_start: why it did not start
        """
        slot.kill()
        self.slots = [each for each in self.slots if each is not slot]
        if failed_start:
            self._failed_starts[slot.node.id] += 1
            if self._failed_starts[slot.node.id] >= _MOST_FAILED_STARTS:
                self.leave_out(slot.node, failed_start)

    def count(self, node: Node, runs: int) -> None:
        """Count runs that have ended on a node."""
        self._runs[node.name] += runs

    def rates(self) -> Sequence[Rate]:
        """How fast the nodes are that have had workers."""
        slots = {node.name: node.slots for node in list(self.nodes.values())}
        now = time.monotonic()
        return [
            Rate(name, slots.get(name, 0), self._runs[name], 60 * self._runs[name] / max(now - began, 1e-9))
            for name, began in list(self._began.items())
        ]

    def close(self) -> None:
        """End all workers and the connection."""
        for slot in self.slots:
            slot.kill()
        self.slots = []
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _within(seconds: float, ask: Callable[[], T]) -> T:
    """The answer to a question that may never be answered. Raises TimeoutError, and what `ask` raises."""
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001  # it is raised where it was asked
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True, name="digitlab asks Ray").start()
    return answer.result(seconds)


def refusal(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Why a node with such versions cannot train for us; empty: it can."""
    different = [
        f"{name} is {theirs.get(name, 'missing')} there and {version} here"
        for name, version in ours.items()
        if theirs.get(name) != version
    ]
    return f"{', '.join(different)}; install the same versions on all nodes" if different else ""


def _slots(found: dict[str, Any]) -> bool:
    return bool(found["Resources"].get("CPU", 0) >= 1)


def _there(id_: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(id_, soft=False)
