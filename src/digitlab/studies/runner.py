"""Running a study: its stages, one after the other, into a store."""

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from functools import cache
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from digitlab import lab
from digitlab.analysis.registry import NOISE_SCALE
from digitlab.data import Dataset, registry
from digitlab.engine.inputs import run_split
from digitlab.engine.noise_scale import noise_scale
from digitlab.errors import RunError, StoreError
from digitlab.execution.events import Event, Failed, Failure, Finished
from digitlab.execution.training import AdvanceMeter, Training
from digitlab.lab import OnAdvance
from digitlab.models.trained import TrainedNetwork, load, saved_in
from digitlab.result import RunResult
from digitlab.store import Store
from digitlab.studies.definition import Study
from digitlab.studies.progress import StudyProgress
from digitlab.studies.sharing import OnNote, Sharing
from digitlab.studies.stages import Stage

if TYPE_CHECKING:
    from digitlab.execution.ray.cluster import Cluster

_SECONDS_FOR_THE_NEXT = 10.0
"""When the time is over, the cohort that is done next is waited for so long."""
_SECONDS_TO_LOOK_UP = 1.0
_NOISE_EXAMPLES = 10_000
"""The gradient noise scale is measured on so many of the images that a run trains on, at most."""


def run_study(
    study: Study,
    store: Store,
    *,
    device: str = "cpu",
    workers: int | None = None,
    on: "Cluster | None" = None,
    seconds_limit: float = math.inf,
    is_stopped: Callable[[], bool] = lambda: False,
    on_stage: Callable[[Stage], None] = lambda _: None,
    on_results: Callable[[Sequence[RunResult]], None] = lambda _: None,
    on_events: Callable[[Sequence[Event]], None] = lambda _: None,
    on_advance: OnAdvance = lambda _: None,
    on_note: OnNote = lambda _: None,
) -> Stage:
    """Train and measure what a study lacks, stage by stage; each cohort is kept as soon as it is done.

    on:            a cluster whose machines train; see `lab.joined`
    seconds_limit: after so many seconds, end with the cohort that is done next, or ten seconds later; others
                   under way are lost. The first cohort is waited for, so that each call gets further.
    is_stopped:    asked often; once it says so, end at once: the cohorts under way are lost
    on_stage:      told each stage that has missing runs, before they are trained
    on_results:    told what was put into the store
    on_events:     told what happens to the runs that are trained
    on_note:       told, in a sentence, what other drivers of this study do, where the store is shared
    Returns the stage that was reached: done, unless the time was over or it was stopped.
    Raises what `lab.train` raises, StoreError, also when the store does not know what was put into it, and
    RunError when a run failed, after all others are done.
    """
    end, progress = time.monotonic() + seconds_limit, StudyProgress(study, store)
    stage, has_kept = progress.stage(), False

    def is_over() -> bool:
        return time.monotonic() > end or is_stopped()

    def must_end() -> bool:
        return is_stopped() or (has_kept and time.monotonic() > end + _SECONDS_FOR_THE_NEXT)

    while stage.missing:
        sharing = Sharing(store, stage, on_note)
        part = sharing.free(is_over)
        kept: set[tuple[str, str]] = set()
        if part.missing:
            on_stage(part)
            if stage.measurement:
                steps = _measured(part, store, sharing, device, workers, on, must_end, on_advance)
            else:
                steps = _trained(
                    part, sharing, device, workers, on, must_end, on_results, on_events, on_advance
                )
            with closing(steps):
                for keys in steps:
                    has_kept = True
                    kept |= {(stage.measurement, key) for key in keys}
                    if is_over():
                        break
        stage = progress.stage()
        sharing.tell_others({key for _, key in kept}, stage)
        if lost := kept & {(stage.measurement, spec.key) for spec in stage.missing}:
            raise StoreError(
                f"{len(lost)} of {len(kept)} runs were trained and put into the store, which does not know "
                "them; another program may have taken them out. Run the study with another --store"
            )
        if is_over():
            break
    return stage


_Steps = Generator[set[str], None, None]
"""Keys of what is in the store now, each time there is more."""


def _trained(
    stage: Stage,
    sharing: Sharing,
    device: str,
    workers: int | None,
    on: "Cluster | None",
    must_end: Callable[[], bool],
    on_results: Callable[[Sequence[RunResult]], None],
    on_events: Callable[[Sequence[Event]], None],
    on_advance: OnAdvance,
) -> _Steps:
    """Train the stage's runs; the keys of each cohort, when its results are in the store."""

    def keep(results: Sequence[RunResult]) -> None:
        sharing.keep(results)
        on_results(results)

    with lab.start(stage.missing, device=device, workers=workers, on=on, claims=sharing.claims) as training:
        yield from _kept(stage, training, keep, must_end, on_events, on_advance)


def _measured(
    stage: Stage,
    store: Store,
    sharing: Sharing,
    device: str,
    workers: int | None,
    on: "Cluster | None",
    must_end: Callable[[], bool],
    on_advance: OnAdvance,
) -> _Steps:
    """Train the stage's networks again and measure them; the keys of each cohort."""
    load_once, measure = cache(registry.load), _MEASUREMENTS[stage.measurement]

    def keep(results: Sequence[RunResult]) -> None:
        for result in results:
            network = load(saved_in(folder, result.key))
            values = measure(network, load_once(network.spec.data.name))
            store.add_measurement(result.key, stage.measurement, values)
            sharing.release([result.key])

    with (
        TemporaryDirectory(prefix="digitlab-") as folder,
        lab.start(
            stage.missing, device=device, workers=workers, on=on, save=folder, claims=sharing.claims
        ) as training,
    ):
        yield from _kept(stage, training, keep, must_end, lambda _: None, on_advance)


def _kept(
    stage: Stage,
    training: Training,
    keep: Callable[[Sequence[RunResult]], None],
    must_end: Callable[[], bool],
    on_events: Callable[[Sequence[Event]], None],
    on_advance: OnAdvance,
) -> _Steps:
    """Keep the results of a training as they come. Raises RunError at its end when a run has none."""
    failures: list[Failure] = []
    meter = AdvanceMeter()
    for events in training.batches(_SECONDS_TO_LOOK_UP):
        on_events(events)
        failures += [event.failure for event in events if isinstance(event, Failed)]
        results = [event.result for event in events if isinstance(event, Finished)]
        if results:
            keep(results)
        on_advance(meter.see(events))
        if results:
            yield {result.key for result in results}
        if must_end():
            return
    if failures:
        first = failures[0]
        raise RunError(
            f"{len(failures)} of {len(stage.missing)} runs failed, the first with "
            f"{first.spec.network_name}, seed {first.spec.seed}: {first.cause}; run the study again to "
            "try them again"
        )


def _noise_scale(network: TrainedNetwork, dataset: Dataset) -> Mapping[str, float]:
    positions = run_split(network.spec, dataset).train[:_NOISE_EXAMPLES]
    return noise_scale(network, dataset.train.images[positions], dataset.train.labels[positions])


_MEASUREMENTS: Mapping[str, Callable[[TrainedNetwork, Dataset], Mapping[str, float]]] = {
    NOISE_SCALE: _noise_scale
}
