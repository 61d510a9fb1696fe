"""The board of a class: everyone's runs of a preset; what the teacher has set."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from digitlab.live import Laboratory
from digitlab.live.board import BoardRow, Classroom, Lesson, board_rows
from digitlab.live.presets import PRESETS, Preset, preset
from digitlab.options import make_spec
from digitlab.spec import RunSpec
from digitlab.web.api.presets import PresetAnswer, preset_answer
from digitlab.web.errors import NotHereError
from digitlab.web.schema import Answer, LiveNumber, Request, VisitorAnswer, live_number
from digitlab.web.settings import Settings

PresetName = Annotated[str, Path(max_length=40)]


class BoardRunAnswer(Answer):
    """One run of the class."""

    key: str
    seed: int
    status: str
    accuracy: LiveNumber
    """On the test set."""
    visitor: VisitorAnswer | None


class BoardRowAnswer(Answer):
    """The class's runs of one value."""

    value: float | None
    count: int
    """Of different seeds, without those that diverged."""
    mean: LiveNumber
    low: LiveNumber
    high: LiveNumber
    broken: int
    runs: list[BoardRunAnswer]


class BoardAnswer(Answer):
    """Everyone's runs of a preset: mean test accuracy over seeds, with Student's interval of 95 %."""

    preset: PresetAnswer
    rows: list[BoardRowAnswer]


class LessonAnswer(Answer):
    """What the teacher has set."""

    preset: str | None
    frozen: bool
    visitors: int
    """How many have come in."""


class LessonRequest(Request):
    """What the teacher sets."""

    preset: Annotated[str, Field(max_length=40)] | None = Field(None, examples=["learning-rate"])
    frozen: bool = False


def board_router(laboratory: Laboratory, settings: Settings, classroom: Classroom) -> APIRouter:
    """`/board`."""
    router = APIRouter(tags=["classroom"])

    def _check_class() -> None:
        if not settings.is_classroom:
            raise NotHereError("there is no class here; start the server with `digitlab serve --classroom`")

    def _lesson() -> LessonAnswer:
        lesson = classroom.lesson
        return LessonAnswer(preset=lesson.preset, frozen=lesson.is_frozen, visitors=settings.visitors.count)

    @router.get("/board")
    def lesson() -> LessonAnswer:
        """What the teacher has set."""
        _check_class()
        return _lesson()

    @router.post("/board")
    def set_lesson(request: LessonRequest) -> LessonAnswer:
        """Set the preset that the class is at, and whether it may train. For the teacher alone."""
        _check_class()
        if request.preset is not None:
            _preset(request.preset)
        classroom.set(Lesson(request.preset, request.frozen))
        return _lesson()

    @router.get("/board/{name}")
    def board(name: PresetName) -> BoardAnswer:
        """Everyone's runs of a preset."""
        _check_class()
        found = _preset(name)
        rows = board_rows(found, laboratory.state(), _spec)
        return BoardAnswer(preset=preset_answer(found), rows=[_row(row) for row in rows])

    return router


def _spec(options: dict[str, Any]) -> RunSpec:
    return make_spec(None, **options)


def _preset(name: str) -> Preset:
    found = preset(name)
    if found is None:
        raise NotHereError(f"there is no such preset; there are {', '.join(each.name for each in PRESETS)}")
    return found


def _row(row: BoardRow) -> BoardRowAnswer:
    estimate = row.accuracy
    runs = [
        BoardRunAnswer(
            key=run.key,
            seed=run.spec.seed,
            status=run.status,
            accuracy=live_number(run.test_accuracy),
            visitor=VisitorAnswer(name=run.visitor.name, colour=run.visitor.colour) if run.visitor else None,
        )
        for run in row.runs
    ]
    return BoardRowAnswer(
        value=row.value,
        count=row.count,
        mean=live_number(estimate.value),
        low=live_number(estimate.low),
        high=live_number(estimate.high),
        broken=row.broken,
        runs=runs,
    )
