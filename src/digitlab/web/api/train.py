"""Training from the page: runs are submitted, stopped and cleared; what is seen of them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from digitlab.errors import Fault, SpecError
from digitlab.live import Laboratory
from digitlab.live.board import Classroom
from digitlab.live.seeds import over_seeds
from digitlab.options import make_spec
from digitlab.spec import RunSpec
from digitlab.web.api.caller import CallerOf
from digitlab.web.errors import ForbiddenError, NotHereError
from digitlab.web.schema import (
    Answer,
    Key,
    LiveNumber,
    LiveRunsAnswer,
    Request,
    live_number,
    live_runs_answer,
)
from digitlab.web.security import Caller

_MOST_KEYS = 1_000


class TrainRequest(Request):
    """Runs to be trained together: a race, if they are several."""

    runs: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=64,
        description="The options of each, as `digitlab.train` takes them; /api/options has them all.",
        examples=[[{"hidden": [100], "learning_rate": 0.5, "epochs": 2, "validation_size": 10000}]],
    )
    title: Annotated[str, Field(max_length=200)] | None = Field(None, examples=[None])


class KeysRequest(Request):
    """Some of the runs."""

    keys: list[Key] = Field(max_length=_MOST_KEYS)


class SeedsAnswer(Answer):
    """A network over its seeds: mean accuracy of those that ended well, with Student's interval of 95 %."""

    count: int
    mean: LiveNumber
    low: LiveNumber
    high: LiveNumber


def train_router(laboratory: Laboratory, classroom: Classroom) -> APIRouter:
    """`/train` and `/live`."""
    router = APIRouter(tags=["training"])

    @router.post("/train", status_code=202)
    def train(request: TrainRequest, caller: CallerOf) -> LiveRunsAnswer:
        """Train runs, those of one kind in lockstep. What the store knows has ended at once."""
        if caller.role == "visitor" and caller.visitor is None:
            raise ForbiddenError("who trains in a class opens the link of the class in a browser; open it")
        if caller.role == "visitor" and classroom.lesson.is_frozen:
            raise ForbiddenError("the teacher has stopped the class's trainings; wait until they go on")
        specs = _specs([_with_seed(options, caller, laboratory) for options in request.runs])
        return live_runs_answer(laboratory.submit(specs, title=request.title, visitor=caller.visitor))

    @router.post("/train/cancel", status_code=202)
    def cancel(request: KeysRequest, caller: CallerOf) -> LiveRunsAnswer:
        """Stop runs; those that have ended stay as they are. They end within a second or so."""
        keys = [key for key in request.keys if _is_theirs(key, caller)]
        laboratory.cancel(keys)
        return live_runs_answer([run for key in keys if (run := laboratory.run(key)) is not None])

    @router.post("/train/clear")
    def clear(request: KeysRequest) -> LiveRunsAnswer:
        """Show runs that have ended no longer; the store keeps them. Answers what is shown now."""
        laboratory.clear(request.keys)
        return live_runs_answer(laboratory.state())

    @router.get("/live")
    def live() -> LiveRunsAnswer:
        """All runs that wait, train or have ended lately."""
        return live_runs_answer(laboratory.state())

    @router.get("/live/races/{race}/seeds")
    def seeds(race: Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]) -> SeedsAnswer:
        """What the runs of a race have in common that differ by their seed alone."""
        found = over_seeds([run for run in laboratory.state() if run.race == race])
        if found is None:
            raise NotHereError("there is no such race, or more than the seed differs between its runs")
        estimate = found.accuracy
        return SeedsAnswer(
            count=found.count,
            mean=live_number(estimate.value),
            low=live_number(estimate.low),
            high=live_number(estimate.high),
        )

    def _is_theirs(key: str, caller: Caller) -> bool:
        run, visitor = laboratory.run(key), caller.visitor
        return caller.role == "owner" or (run is not None and visitor is not None and run.visitor == visitor)

    return router


def _with_seed(options: dict[str, Any], caller: Caller, laboratory: Laboratory) -> dict[str, Any]:
    """A visitor's runs have a seed of their own, so that the class repeats the experiment."""
    if caller.visitor is None or "seed" in options:
        return options
    return {**options, "seed": laboratory.next_seed()}


def _specs(runs: list[dict[str, Any]]) -> list[RunSpec]:
    """The RunSpecs of options; all faults of all of them are told together."""
    specs, faults = [], []
    for i, options in enumerate(runs):
        try:
            specs.append(_spec(options))
        except SpecError as error:
            of = f" (run {i + 1} of {len(runs)})" if len(runs) > 1 else ""
            faults += [Fault(fault.field, fault.value, fault.problem + of) for fault in error.faults]
    if faults:
        raise SpecError(faults)
    return specs


def _spec(options: dict[str, Any]) -> RunSpec:
    if options.get("parent") is not None:  # it would be the name of a file
        raise SpecError([Fault("parent", options["parent"], "cannot be used here; use the command")])
    if "base" in options:
        raise SpecError(
            [Fault("base", options["base"], "is for an option that does not exist; leave it out")]
        )
    data = options.get("data", "mnist")
    if not isinstance(data, str):
        raise SpecError([Fault("data", data, "is not the name of a data set; /api/datasets has them")])
    return make_spec(None, **options)
