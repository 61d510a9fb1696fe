"""What the API takes and answers, as types: the OpenAPI document is made of them."""

import math
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from digitlab.engine.progress import CurvePoint
from digitlab.live import LiveRun, Status
from digitlab.spec import RunSpec
from digitlab.spec_options import command_of, options_of

LiveNumber = float | Literal["Infinity", "-Infinity"] | None
"""A number as live runs tell it: null stands for NaN."""
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="The key of a run: 64 hexadecimal digits.")]
_MOST_POINTS = 1 << 17
"""Of curves that are told: each is told again with every update, until its run ends."""
Point = tuple[int, LiveNumber, LiveNumber, LiveNumber]


class Answer(BaseModel):
    """What the API answers."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Request(BaseModel):
    """What the API takes: nothing that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FaultAnswer(Answer):
    """One thing wrong with one field."""

    field: str
    says: str


class ErrorAnswer(Answer):
    """Why there is no other answer."""

    says: str = Field(description="One plain sentence with the remedy.")
    field: str | None = Field(None, description="The field that it is about, if it is about one.")
    faults: list[FaultAnswer] = Field([], description="All that is wrong with what was sent.")
    position: int | None = Field(None, description="Of a full queue: how many are ahead.")
    seconds: float | None = Field(None, description="Of a full queue: until there is room, about.")


class VisitorAnswer(Answer):
    """A member of the class."""

    name: str
    colour: int = Field(description="Number of one of the page's series, 1 to 8.")


class LiveRunAnswer(Answer):
    """A run that waits, trains or has ended lately."""

    key: str
    spec: dict[str, Any] = Field(description="The RunSpec.")
    options: dict[str, Any] = Field(description="The options of it that differ from their defaults.")
    network: str = Field(examples=["784-100-10"])
    title: str = Field(examples=["784-100-10, rate 1/8, batch 100"])
    command: str = Field(examples=["digitlab train --hidden 100 --learning-rate 0.125"])
    race: str | None = Field(description="Names the runs that were submitted together.")
    race_title: str | None
    status: Status
    position: int | None = Field(description="Of a run that waits: its place in the queue, from 1.")
    step: int
    step_count: int
    training_loss: LiveNumber = Field(description="Nats, of the batches since the curve's last point.")
    accuracy: LiveNumber = Field(description="On the validation split; without one, of the latest batch.")
    points: list[Point] = Field(
        description="Of the curve: step, training loss, validation loss, validation accuracy."
    )
    steps_per_second: LiveNumber
    seconds_left: LiveNumber
    seconds: LiveNumber
    test_accuracy: LiveNumber
    weights: int = Field(description="Number of the latest snapshot of its parameters; 0: none is here.")
    says: str | None = Field(description="Why it ended as it did, with a remedy.")
    visitor: VisitorAnswer | None


class LiveRunsAnswer(Answer):
    """Live runs, in the order in which they were submitted."""

    runs: list[LiveRunAnswer]


def live_number(value: float | None) -> LiveNumber:
    """A number as live runs tell it."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


@lru_cache(maxsize=2_000)
def _what_stays(key: str, spec: RunSpec) -> dict[str, Any]:
    return {
        "key": key,
        "spec": spec.model_dump(mode="json"),
        "options": options_of(spec),
        "network": spec.network_name,
        "command": command_of(spec),
        "step_count": spec.step_count,
    }


@lru_cache(maxsize=_MOST_POINTS)
def point_of(point: CurvePoint) -> list[LiveNumber]:
    """A point of a curve as live runs tell it."""
    values = (point.training_loss, point.validation_loss, point.validation_accuracy)
    return [point.step, *map(live_number, values)]


def live_run_document(run: LiveRun) -> dict[str, Any]:
    """A live run as the API tells it: the fields of LiveRunAnswer."""
    visitor = run.visitor
    return {
        **_what_stays(run.key, run.spec),
        "title": run.title,
        "race": run.race,
        "race_title": run.race_title,
        "status": run.status,
        "position": run.position,
        "step": run.step,
        "training_loss": live_number(run.training_loss),
        "accuracy": live_number(run.accuracy),
        "points": [point_of(point) for point in run.points],
        "steps_per_second": live_number(run.steps_per_second),
        "seconds_left": live_number(run.seconds_left),
        "seconds": live_number(run.seconds),
        "test_accuracy": live_number(run.test_accuracy),
        "weights": run.weights,
        "says": run.says,
        "visitor": None if visitor is None else {"name": visitor.name, "colour": visitor.colour},
    }


def live_runs_answer(runs: list[LiveRun] | tuple[LiveRun, ...]) -> LiveRunsAnswer:
    """Live runs as the API tells them."""
    return LiveRunsAnswer(runs=[LiveRunAnswer.model_validate(live_run_document(run)) for run in runs])
