"""The laboratory behind a page: runs are submitted, watched, stopped, from any thread; results are kept."""

import math
import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from digitlab import lab
from digitlab.data import registry
from digitlab.engine.device import usable_cores
from digitlab.engine.progress import Progress, Snapshot
from digitlab.errors import DigitlabError, StoreError, cause_of
from digitlab.execution.events import Cancelled, Event, Failed, Finished, Started
from digitlab.execution.pool import Pool
from digitlab.execution.training import Training
from digitlab.live import explanation
from digitlab.live.jobs import Job, Jobs, Work
from digitlab.live.limits import BusyError, LabLimits, UnknownRunError, check_size
from digitlab.live.live_run import LiveRun, points_of, status_of
from digitlab.live.networks import NetworksAgain, Preparing, Weights, kept_network, network_at
from digitlab.live.speed import Speed
from digitlab.live.visitors import Visitor
from digitlab.models.trained import saved_in
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.store import Store

_ASKED = "asked for"
_MOST_REMOVED = 5_000
_JUDGED_IMAGES = 500
"""Test images on which hidden units are looked at."""


@dataclass(frozen=True)
class Changes:
    """What is new since a version.

    runs:    as they are now, in the order in which they were submitted
    removed: keys of those that are no longer shown
    studies: names of studies of which there is news
    """

    version: int
    runs: tuple[LiveRun, ...]
    removed: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()


class Laboratory:
    """Trainings under way, and those that have ended lately; see the package.

    store:   takes every result; it is not closed here
    workers: processes that train; by default one a core
    limits:  how much is taken at once
    """

    def __init__(self, store: Store, *, workers: int | None = None, limits: LabLimits | None = None) -> None:
        self.store = store
        self.limits = limits or LabLimits()
        self.workers = workers or usable_cores()
        self._temporary = tempfile.TemporaryDirectory(prefix="digitlab-", ignore_cleanup_errors=True)
        self._folder = Path(self._temporary.name)
        self._pool: Pool | None = None
        self._pool_made = threading.Lock()
        self._lock = threading.RLock()
        self._is_closed = False
        self._version = self._last_seed = 0
        self._runs: OrderedDict[str, LiveRun] = OrderedDict()
        self._removed: OrderedDict[str, int] = OrderedDict()
        self._studies: OrderedDict[str, int] = OrderedDict()
        self._trainings: dict[str, Training | None] = {}  # by key; None: it is about to begin
        self._cancelled: set[str] = set()  # of those that are about to begin
        self._threads: list[threading.Thread] = []
        self._speeds: dict[str, Speed] = {}
        self._snapshots: dict[str, Snapshot] = {}
        self._observed: dict[Hashable, frozenset[str]] = {}
        self._listeners: list[Callable[[], None]] = []
        self._networks = NetworksAgain(
            self._folder, self._workers_kept, self.limits.networks, self.limits.seconds_again
        )
        self._jobs = Jobs(self.limits.jobs, self.announce)

    # --- what is seen ---

    def state(self) -> tuple[LiveRun, ...]:
        """All runs that are shown, in the order in which they were submitted."""
        with self._lock:
            return tuple(self._runs.values())

    def changes(self, since: int) -> Changes:
        """What is new since a version, 0 for all."""
        with self._lock:
            return Changes(
                self._version,
                tuple(run for run in self._runs.values() if run.version > since),
                tuple(key for key, version in self._removed.items() if version > since),
                tuple(name for name, version in self._studies.items() if version > since),
            )

    def run(self, key: str) -> LiveRun | None:
        """One of the runs that are shown."""
        with self._lock:
            return self._runs.get(key)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call this when something has changed, from any thread; it must return at once.

        Returns what ends that.
        """
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return unsubscribe

    # --- runs ---

    def submit(
        self, specs: Sequence[RunSpec], *, title: str | None = None, visitor: Visitor | None = None
    ) -> list[LiveRun]:
        """Train these runs together: those of one kind in lockstep. It returns at once.

        A run that the store knows has ended at once; one that waits or trains already is that one.

        title:   what they are called, together
        visitor: who asks for it
        Raises SpecError when they are too many, too large or too long; BusyError when the queue is full;
        StoreError.
        """
        distinct = list({spec.key: spec for spec in specs}.values())
        check_size(distinct, self.limits)
        race = secrets.token_hex(6) if len(distinct) > 1 else None
        known = self.store.get([spec.key for spec in distinct])
        dead = explanation.known_dead_units(self.store, known.values())
        ended = {key: self._as_ended(result, dead=dead.get(key)) for key, result in known.items()}
        with self._lock:
            new = [spec for spec in distinct if spec.key not in ended and not self._is_under_way(spec.key)]
            self._check_room(len(new), visitor)
            for spec in distinct:
                shown = self._runs.get(spec.key)
                # What another has asked for before, no visitor takes away.
                is_anothers = shown is not None and visitor is not None and shown.visitor != visitor
                theirs = LiveRun(spec.key, spec, race, title, visitor=visitor)
                if self._is_under_way(spec.key):
                    if race is not None and not is_anothers:
                        self._change(spec.key, race=race, race_title=title)
                elif spec.key in ended:
                    here = kept_weights(shown, ended[spec.key])
                    self._show(of_same(here, shown if shown is not None and is_anothers else theirs))
                else:
                    self._show(theirs)
            if new:
                self._begin(new)
            self._drop_oldest()
            self._number_the_queue()
            runs = [self._runs[spec.key] for spec in distinct]
        self._tell()
        return runs

    def next_seed(self) -> int:
        """A seed that no visitor's run has had since the start: 1, then 2, and so on."""
        with self._lock:
            self._last_seed += 1
            return self._last_seed

    def cancel(self, keys: Collection[str]) -> None:
        """Stop runs, wherever they are; it returns at once. Keys of other runs are ignored."""
        with self._lock:
            trainings: dict[Training, list[str]] = {}
            for key in keys:
                training = self._trainings.get(key)
                if training is not None:
                    trainings.setdefault(training, []).append(key)
                elif key in self._trainings:
                    self._cancelled.add(key)
        for training, theirs in trainings.items():
            training.cancel(theirs)

    def clear(self, keys: Iterable[str]) -> None:
        """Show these no longer, as far as they have ended; the store keeps their results."""
        with self._lock:
            for key in keys:
                run = self._runs.get(key)
                if run is not None and self._is_over(run):
                    self._remove(key)
        self._tell()

    def observe(self, who: Hashable, keys: Collection[str]) -> None:
        """Take snapshots of the parameters of these runs now and then, for one who looks at them.

        keys: all that this one looks at; none: it has gone
        """
        with self._lock:
            if keys:
                self._observed[who] = frozenset(keys)
            else:
                self._observed.pop(who, None)
        self._observe()

    def weights(self, key: str) -> Weights | Preparing:
        """The network of a run that is shown, or of one of the store, as far as it is known now.

        Raises UnknownRunError when there is no such run; WeightsError and BusyError as `NetworksAgain`.
        """
        with self._lock:
            run, snapshot = self._runs.get(key), self._snapshots.get(key)
            is_under_way = self._is_under_way(key)
        if run is not None and is_under_way:
            if snapshot is not None:
                return Weights(snapshot.step, network_at(run.spec, snapshot))
            with self._lock:
                asked = self._observed.get(_ASKED, frozenset())
                self._observed[_ASKED] = frozenset({key, *(k for k in asked if self._is_under_way(k))})
            self._observe()
            return Preparing(
                run.step / run.spec.step_count, "the first snapshot of its weights is on its way"
            )
        if run is not None and run.weights:
            network = kept_network(self._folder, key)
            if network is not None:
                return Weights(run.step, network)
        result = self.store.get([key], predictions=True).get(key)
        if result is None:
            raise UnknownRunError(
                f"{key[:12]}: there is no such run; see the list of runs for those there are"
            )
        return self._networks.find(result)

    # --- studies ---

    def submit_job(self, name: str, work: Work) -> Job:
        """Do long work, such as a study, when its turn comes; see `Jobs`. Raises BusyError."""
        return self._jobs.submit(name, work)

    def stop_job(self, name: str) -> None:
        """Stop it, or take it out of the queue."""
        self._jobs.stop(name)

    def jobs(self) -> tuple[Job, ...]:
        """All that wait or run, and those that have ended lately."""
        return self._jobs.all()

    def announce(self, name: str) -> None:
        """Let everybody know that there is news of a study."""
        with self._lock:
            self._version += 1
            self._studies[name] = self._version
        self._tell()

    # --- the end ---

    def warm_up(self) -> None:
        """Start the workers, in a thread, so that the first training need not wait for them."""
        threading.Thread(target=self._warm_up, daemon=True, name="digitlab warm-up").start()

    def close(self) -> None:
        """End everything that trains, with its processes, and wait for that."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._listeners.clear()
            under_way = {training for training in self._trainings.values() if training is not None}
            threads = list(self._threads)
        self._jobs.close()
        with self._pool_made:
            if self._pool is not None:
                self._pool.close()
        for training in under_way:
            training.close()
        for thread in threads:
            thread.join()
        self._temporary.cleanup()

    # --- inside ---

    def _warm_up(self) -> None:
        with suppress(DigitlabError):  # it is told by the first training
            self._workers_kept()

    def _workers_kept(self) -> Pool:
        with self._pool_made:
            if self._is_closed:
                raise BusyError("the server is ending; start it again", 0, None)
            if self._pool is None:
                self._pool = Pool(self.workers, save=self._folder)
            return self._pool

    def _is_under_way(self, key: str) -> bool:
        return key in self._trainings

    def _is_over(self, run: LiveRun) -> bool:
        """Whether nothing more will be told of it: one that has diverged may still train beside others."""
        return run.has_ended and not self._is_under_way(run.key)

    def _check_room(self, count: int, visitor: Visitor | None) -> None:
        """Raise BusyError when so many more are too many: of this visitor, this network, or in all."""
        waiting = [run for run in self._runs.values() if not run.has_ended]
        limits, seconds = self.limits, self._seconds_left()
        about = "" if seconds is None else f", in about {max(round(seconds), 1)} s"
        if visitor is not None:
            mine = [run for run in waiting if run.visitor == visitor]
            if len(mine) + count > limits.visitor_runs:
                problem = f"{len(mine)} of your runs wait or train; at most {limits.visitor_runs} may"
                left = max((run.seconds_left or 0.0 for run in mine), default=None)
                raise BusyError(f"{problem}. Wait for them, or stop one", len(mine), left)
            near = sum(run.visitor is not None and run.visitor.address == visitor.address for run in waiting)
            if near + count > limits.address_runs:
                problem = (
                    f"{near} runs from your network wait or train; at most {limits.address_runs} may, "
                    f"of all who share it. Try again when some have ended{about}"
                )
                raise BusyError(problem, near, seconds)
        if len(waiting) + count > limits.queued_runs:
            problem = f"{len(waiting)} runs wait or train already; try again when some have ended{about}"
            raise BusyError(problem, len(waiting), seconds)

    def _seconds_left(self) -> float | None:
        """Until the runs that train have ended, about."""
        return max((run.seconds_left for run in self._runs.values() if run.seconds_left), default=None)

    def _begin(self, specs: Sequence[RunSpec]) -> None:
        if self._is_closed:
            raise BusyError("the server is ending; start it again", 0, None)
        self._trainings.update(dict.fromkeys((spec.key for spec in specs), None))
        thread = threading.Thread(
            target=self._train, args=(specs,), daemon=True, name="digitlab live training"
        )
        self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()

    def _train(self, specs: Sequence[RunSpec]) -> None:
        keys = [spec.key for spec in specs]
        try:
            with lab.start(specs, pool=self._workers_kept()) as training:
                with self._lock:
                    self._trainings.update(dict.fromkeys(keys, training))
                    cancelled = self._cancelled.intersection(keys)
                    self._cancelled -= cancelled
                    is_closed = self._is_closed
                if is_closed:  # `close` did not see it, and the workers have ended
                    training.close()
                if cancelled:
                    training.cancel(cancelled)
                self._observe()
                for events in training.batches():
                    self._see(events)
        except Exception as error:  # noqa: BLE001  # it is these runs' failure, and is told
            self._fail(keys, cause_of(error))
        with self._lock:
            left = [key for key in keys if key in self._trainings]
        if left:
            self._fail(left, "the server ended before the run did; train it again")

    def _see(self, events: Sequence[Event]) -> None:
        results = [event.result for event in events if isinstance(event, Finished)]
        unkept = self._keep(results)
        dead = {result.key: self._dead_units(result) for result in results if result.outcome == "collapsed"}
        ended = {result.key: self._as_ended(result, unkept, dead.get(result.key)) for result in results}
        with self._lock:
            for event in events:
                match event:
                    case Started(key):
                        self._speeds[key] = Speed(time.monotonic())
                        self._change(key, status="training", position=None)
                    case Progress():
                        self._progress(event)
                    case Finished(key):
                        self._end(key, ended[key])
                    case Failed(key, failure):
                        shown = self._runs[key]
                        says = f"it could not be trained: {failure.cause}"
                        self._end(key, replace(shown, status="failed", says=says))
                    case Cancelled(key):
                        self._end(key, replace(self._runs[key], status="cancelled"))
                    case _:
                        pass
            self._number_the_queue()
        self._tell()

    def _progress(self, event: Progress) -> None:
        run = self._runs[event.key]
        speed = self._speeds.setdefault(event.key, Speed(time.monotonic()))
        points = run.points + event.points
        if not math.isfinite(event.training_loss):
            step = event.points[-1].step if event.points else event.step
            says = explanation.diverged(run.spec, step)
            self._change(
                event.key, status="diverged", step=step, training_loss=event.training_loss, points=points,
                steps_per_second=None, seconds_left=None, says=says,
            )  # fmt: skip
            return
        speed.see(event.step)
        weights = run.weights
        if event.snapshot is not None:
            self._snapshots[event.key] = event.snapshot
            weights += 1
        self._change(
            event.key,
            status="training",
            step=event.step,
            training_loss=event.training_loss,
            accuracy=event.accuracy,
            points=points,
            steps_per_second=speed.steps_per_second,
            seconds_left=speed.seconds_left(event.step, event.step_count),
            seconds=speed.seconds,
            weights=weights,
        )

    def _keep(self, results: Sequence[RunResult]) -> str | None:
        """Put results into the store; why they are not there."""
        try:
            if results:
                self.store.add(results)
        except StoreError as error:
            return str(error)
        return None

    def _dead_units(self, result: RunResult) -> explanation.DeadUnits | None:
        """Those of a run that has just collapsed: the store keeps them, for it keeps no network."""
        network = kept_network(self._folder, result.key)
        if network is None:
            return None
        images = registry.load(result.spec.data.name).test.images[:_JUDGED_IMAGES]
        found = explanation.dead_units(network, images)
        if found is not None:
            with suppress(StoreError):  # then it is known here alone
                explanation.keep_dead_units(self.store, result.key, found)
        return found

    def _as_ended(
        self, result: RunResult, unkept: str | None = None, dead: explanation.DeadUnits | None = None
    ) -> LiveRun:
        """A result as it is shown.

        unkept: why it is not in the store
        dead:   hidden units of a collapsed one, as far as they are known
        """
        metrics = result.metrics
        says = explanation.explained(result, dead)
        if unkept is not None:
            says = f"{says}. " if says else ""
            says += f"The result could not be kept: {unkept}"
        accuracy = metrics.validation_accuracy
        return LiveRun(
            result.key,
            result.spec,
            status=status_of(result),
            step=metrics.steps,
            training_loss=metrics.training_loss,
            accuracy=metrics.test_accuracy if accuracy is None else accuracy,
            points=points_of(result.curve),
            seconds=result.provenance.seconds,
            test_accuracy=metrics.test_accuracy,
            says=says,
        )

    def _end(self, key: str, ended: LiveRun) -> None:
        """A run has ended: what is known of who asked for it stays."""
        shown = self._runs[key]
        self._trainings.pop(key, None)
        self._cancelled.discard(key)
        self._speeds.pop(key, None)
        self._snapshots.pop(key, None)
        has_network = saved_in(self._folder, key).exists()
        self._put(
            replace(
                of_same(ended, shown),
                position=None,
                steps_per_second=None,
                seconds_left=None,
                weights=shown.weights + 1 if has_network else 0,
            )
        )

    def _fail(self, keys: Iterable[str], problem: str) -> None:
        with self._lock:
            for key in keys:
                if key in self._trainings:
                    self._end(key, replace(self._runs[key], status="failed", says=problem))
            self._number_the_queue()
        self._tell()

    def _show(self, run: LiveRun) -> None:
        """Show a run as the latest."""
        self._removed.pop(run.key, None)
        self._put(run)
        self._runs.move_to_end(run.key)

    def _put(self, run: LiveRun) -> None:
        self._version += 1
        self._runs[run.key] = replace(run, version=self._version)

    def _change(self, key: str, **changes: object) -> None:
        self._put(replace(self._runs[key], **changes))  # type: ignore[arg-type]

    def _remove(self, key: str) -> None:
        self._version += 1
        del self._runs[key]
        self._removed[key] = self._version
        while len(self._removed) > _MOST_REMOVED:
            self._removed.popitem(last=False)
        saved_in(self._folder, key).unlink(missing_ok=True)

    def _drop_oldest(self) -> None:
        over = len(self._runs) - self.limits.listed_runs
        for key in [key for key, run in self._runs.items() if self._is_over(run)][: max(over, 0)]:
            self._remove(key)

    def _number_the_queue(self) -> None:
        waiting = (key for key, run in self._runs.items() if run.status == "waiting")
        for position, key in enumerate(list(waiting), start=1):
            if self._runs[key].position != position:
                self._change(key, position=position)

    def _observe(self) -> None:
        with self._lock:
            wanted = frozenset().union(*self._observed.values())
            trainings: dict[Training, set[str]] = {}
            for key, training in self._trainings.items():
                if training is not None:
                    theirs = trainings.setdefault(training, set())
                    theirs |= {key} & wanted
        for training, theirs in trainings.items():
            training.observe(theirs)

    def _tell(self) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()


def of_same(run: LiveRun, other: LiveRun) -> LiveRun:
    """A run as one of the race, and of whom, another is."""
    return replace(run, race=other.race, race_title=other.race_title, visitor=other.visitor)


def kept_weights(shown: LiveRun | None, ended: LiveRun) -> LiveRun:
    """A run that has ended, with the weights that are here of it."""
    return ended if shown is None else replace(ended, weights=shown.weights)
