"""Hands cohorts to the workers of a Ray cluster, and tells what comes back.

One thread does it for all workers. It sleeps until something has happened: an answer of a worker, a cohort, a
cancellation. A second one looks at the nodes now and then, for nodes come and go.
"""

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from digitlab.data import Dataset
from digitlab.engine.lockstep import cohort_key
from digitlab.engine.progress import SECONDS_BETWEEN, CohortProgress
from digitlab.errors import DigitlabError
from digitlab.execution.interface import CohortStarted, Runs, Tell
from digitlab.execution.queues import Orders
from digitlab.execution.ray.causes import cause
from digitlab.execution.ray.cluster import Cluster, Node, Slot
from digitlab.execution.ray.remote import Done, Order
from digitlab.files import write_whole
from digitlab.planning.cost import Images, memory_bytes

_SECONDS_BETWEEN_LOOKS = 2.0
_SECONDS_TO_END = 5.0
_ANSWERS_A_SECOND = 500
"""Progress is told so often by all workers together, at most."""


class OnRay:
    """As many cohorts at once as the cluster has processors, or GPUs; see `Executor`.

    datasets: of the runs to come; each goes once to each node
    save:     a folder for the trained networks, on this machine
    Raises RunError when they cannot be brought there.
    """

    def __init__(self, cluster: Cluster, datasets: Iterable[Dataset], *, save: Path | None = None) -> None:
        self._cluster, self._save, self._orders = cluster, save, Orders()
        datasets = list(datasets)
        self._carried = cluster.carry(datasets)
        self._images = {dataset.entry.sha256: Images.of(dataset) for dataset in datasets}
        self.slots = cluster.slot_count
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lost_on: defaultdict[str, set[str]] = defaultdict(set)
        self._is_closed = threading.Event()
        self._tell: Tell
        self._threads = [
            threading.Thread(target=target, daemon=True, name="digitlab ray")
            for target in (self._serve, self._look)
        ]

    def start(self, tell: Tell) -> None:
        """See `Executor`."""
        self._tell = tell
        for slot in self._cluster.slots:
            self._await_start(slot)
        for thread in self._threads:
            thread.start()
        self._inbox.put(self._nothing)

    def submit(self, runs: Runs) -> None:
        """See `Executor`."""
        self._orders.put(runs)
        self._inbox.put(self._nothing)

    def cancel(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        if gone := self._orders.cancel(keys):
            self._tell(self._orders.ended(gone))
        self._inbox.put(self._stop_cancelled)

    def observe(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        self._orders.observe(keys)
        self._inbox.put(self._observe)

    def close(self) -> None:
        """See `Executor`. Workers without work stay, for the next training."""
        self._orders.close()
        self._is_closed.set()
        self._inbox.put(None)
        serving, looking = self._threads
        serving.join()
        looking.join(_SECONDS_TO_END)  # where the cluster is lost it waits for an answer
        busy = [slot for slot in self._cluster.slots if slot.runs]
        for slot in busy:
            self._cluster.drop(slot)
        wait([slot.reply for slot in busy if slot.reply is not None], _SECONDS_TO_END)

    def _serve(self) -> None:
        while (happened := self._inbox.get()) is not None:
            if self._is_closed.is_set():
                continue
            try:
                happened()
                self._hand_out()
            except Exception as error:  # noqa: BLE001  # else everyone would wait for ever
                self._give_up(cause(error, "the cluster").text)

    def _look(self) -> None:
        while not self._is_closed.wait(_SECONDS_BETWEEN_LOOKS):
            with suppress(DigitlabError):  # then the cluster is lost, which the other thread sees
                self._cluster.look()
            self._inbox.put(self._nothing)
            if self._cluster.lost:
                return

    def _give_up(self, why: str) -> None:
        """End what trains and what waits: the cluster cannot be used."""
        for slot in [slot for slot in self._cluster.slots if slot.runs]:
            self._cluster.drop(slot)
            self._end(slot, cause=why, is_lost=True)
        while (left := self._orders.take_now()) is not None:
            self._tell(self._orders.ended(left, cause=why, began=False))

    def _nothing(self) -> None:
        """Something may be handed out."""

    # --- workers: started, given cohorts, listened to ---

    def _await_start(self, slot: Slot) -> None:
        if not slot.is_ready:
            slot.ready.add_done_callback(lambda _: self._inbox.put(partial(self._started, slot)))

    def _started(self, slot: Slot) -> None:
        error = slot.ready.exception()
        if error is None:
            slot.is_ready = True
        else:
            self._cluster.drop(slot, failed_start=cause(error, slot.node.name).text)

    def _hand_out(self) -> None:
        if self._cluster.lost:
            self._give_up(self._cluster.lost)
            return
        for slot in self._cluster.fill():
            self._await_start(slot)
        for slot in self._cluster.slots:
            if slot.is_ready and not slot.runs and (runs := self._taken(slot.node)):
                self._order(slot, runs)
        if not self._cluster.slots:
            notes = "; ".join(self._cluster.notes[-3:]) or "it cannot be reached"
            self._give_up(f"no node of the Ray cluster can train: {notes}")

    def _taken(self, node: Node) -> Runs | None:
        """A cohort for a node; for a GPU several in one, as many as its memory holds."""

        def fits(runs: Runs) -> bool:
            """Not where a worker was lost with it, as long as there is a node where none was."""
            lost_on = set().union(*(self._lost_on[key] for key in runs if key in self._lost_on))
            return node.id not in lost_on or self._cluster.nodes.keys() <= lost_on

        runs = self._orders.take_now(fits)
        if runs is None or node.facts.gpu_bytes is None:
            return runs
        whole = dict(runs)
        while more := self._orders.take_now(lambda other: fits(other) and self._join(whole, other, node)):
            whole.update(more)
        return whole

    def _join(self, runs: Runs, other: Runs, node: Node) -> bool:
        """Whether two cohorts can train as one on a node's GPU."""
        specs = [*runs.values(), *other.values()]
        if len({cohort_key(spec) for spec in specs}) > 1:
            return False
        needed = memory_bytes(specs, self._images[specs[0].data.sha256], stacked=True)
        return needed <= (node.facts.gpu_bytes or 0)

    def _order(self, slot: Slot, runs: Runs) -> None:
        data = next(iter(runs.values())).data
        if data.sha256 not in self._carried or self._carried[data.sha256].entry.name != data.name:
            told = f"its data set {data.name} was not brought to the cluster"
            self._tell(self._orders.ended(runs, cause=told))
            self._inbox.put(self._nothing)
            return
        slot.runs, slot.order = runs, slot.order + 1
        order = Order(
            number=slot.order,
            specs=[spec.canonical_json for spec in runs.values()],
            data=self._carried[data.sha256],
            device="cpu" if slot.node.facts.gpu_bytes is None else "cuda",
            with_weights=self._save is not None,
            seconds=max(SECONDS_BETWEEN, self.slots / _ANSWERS_A_SECOND),
            observed=frozenset(runs.keys() & self._orders.observed),
        )
        self._tell(CohortStarted(runs))
        slot.actor.train.remote(order)
        self._listen(slot)
        self._stop_cancelled()

    def _listen(self, slot: Slot) -> None:
        number, slot.reply = slot.order, slot.actor.reply.remote().future()
        slot.reply.add_done_callback(
            lambda reply: self._inbox.put(partial(self._replied, slot, number, reply))
        )

    def _replied(self, slot: Slot, number: int, answer: "Future[Any]") -> None:
        if slot.order != number or not slot.runs:  # it was cancelled meanwhile
            return
        if (error := answer.exception()) is not None:
            why = cause(error, slot.node.name)
            for key in slot.runs:
                self._lost_on[key].add(slot.node.id)
            self._cluster.drop(slot)
            self._end(slot, cause=why.text, is_lost=why.is_lost)
        elif isinstance(reply := answer.result(), CohortProgress):
            self._tell(reply)
            self._listen(slot)
        else:
            self._end(slot, reply)

    def _end(self, slot: Slot, done: Done | None = None, *, cause: str = "", is_lost: bool = False) -> None:
        runs, slot.runs, slot.reply = slot.runs, {}, None
        results = [] if done is None else done.results
        if done is not None:
            cause = done.cause
            try:
                for name, content in done.weights.items():
                    write_whole(Path(self._save or "") / name, content)
            except OSError as error:
                results, cause = [], f"its network cannot be written: {error.strerror}"
        self._cluster.count(slot.node, len(results))
        self._tell(self._orders.ended(runs, results, cause, is_lost=is_lost))

    # --- what is told to workers while they train ---

    def _stop_cancelled(self) -> None:
        for slot in list(self._cluster.slots):
            gone = slot.runs.keys() & self._orders.cancelled
            if gone and len(gone) == len(slot.runs):
                self._cluster.drop(slot)
                self._end(slot)
            elif gone:
                slot.actor.stop.remote(slot.order, gone)

    def _observe(self) -> None:
        for slot in self._cluster.slots:
            if slot.runs:
                slot.actor.observe.remote(slot.runs.keys() & self._orders.observed)
