"""The exercise, step by step: its networks beside the handout's figures, four observations, a report.

The steps in their order: `train_networks`; `keep` what came of them; run the `observations`, as any study;
and `write_exercise_report`. Each gives back what it found; none prints.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from digitlab import lab
from digitlab.errors import RunError
from digitlab.handout import EPOCHS, Comparison, compare_networks, handout_runs
from digitlab.lab import Engine, Failure, OnAdvance
from digitlab.result import RunResult
from digitlab.studies import OBSERVATIONS, Study, read_study

if TYPE_CHECKING:
    from digitlab.store import Store

SCALE = "quick"
"""The scale at which the exercise makes its observations."""


def train_networks(
    *,
    seeds: int = 1,
    epochs: int = EPOCHS,
    device: str = "cpu",
    engine: Engine = "lockstep",
    workers: int | None = None,
    on_result: Callable[[str, RunResult], None] = lambda _name, _result: None,
    on_advance: OnAdvance = lambda _: None,
) -> Comparison:
    """Train the handout's networks, each with the seeds 0, 1, …, and compare them with its figures.

    on_result: told the network's name in the handout and the result, as soon as it is there
    The others are as of `run_many`. Raises what that raises, and RunError when a run failed.
    """
    specs = {
        run.name: [lab.make_spec(hidden=run.hidden, epochs=epochs, seed=seed) for seed in range(seeds)]
        for run in handout_runs()
    }
    names = {spec.key: name for name, same in specs.items() for spec in same}
    found: dict[str, RunResult] = {}
    for ended in lab.run_many(
        [spec for same in specs.values() for spec in same],
        device=device,
        engine=engine,
        workers=workers,
        on_advance=on_advance,
    ):
        if isinstance(ended, Failure):
            spec = ended.spec
            raise RunError(
                f"{spec.network_name}, seed {spec.seed}: {ended.cause}; try again with --workers 1"
            )
        found[ended.key] = ended
        on_result(names[ended.key], ended)
    compared = compare_networks(found.values())
    if compared is None:
        raise RunError(f"seeds: {seeds} of them train no network; ask for 1 or more")
    return compared


def keep(comparison: Comparison, store: "Store") -> bool:
    """Put the runs into the store; False where they are not kept: it takes the lockstep engine's alone."""
    if any(result.provenance.engine != "lockstep" for result in comparison.results):
        return False
    store.add(comparison.results)
    return True


def observations() -> tuple[Study, ...]:
    """The studies that make the exercise's observations, at its scale."""
    return tuple(read_study(name).at(SCALE) for name in OBSERVATIONS)


def write_exercise_report(
    comparison: Comparison, output: Path, store: "Store | None", *, has_observations: bool
) -> None:
    """Write the report of the networks and, if they were made, of the observations.

    Raises what `write_report` raises, and StoreError when the store knows none of the observations.
    """
    # Loaded here, for the networks alone need neither a store nor charts.
    from digitlab.report.build import completed_studies
    from digitlab.report.writing import write_report

    studies = completed_studies(OBSERVATIONS, SCALE, store) if has_observations and store is not None else []
    write_report(studies, store, output, exercise=comparison)
