"""The built-in studies: how far they are, their cells, what they say, and their running."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field

from digitlab.analysis.findings import State
from digitlab.errors import DataError
from digitlab.explore.chapter import Chapter, chapter, drawn
from digitlab.explore.desk import Desk, Running
from digitlab.explore.study import Standing, WatchedStudy
from digitlab.live.jobs import JobStatus
from digitlab.report.opening import answer_of
from digitlab.result import Outcome
from digitlab.studies import run_command
from digitlab.studies.cells import Cell
from digitlab.studies.service import cannot_run
from digitlab.web.api.explored import TableAnswer, finite, table_answer
from digitlab.web.errors import NotHereError
from digitlab.web.schema import Answer, Request

_NAME = r"^[a-z0-9][a-z0-9-]{0,40}$"
NamePath = Annotated[str, Path(pattern=_NAME)]
ScaleQuery = Annotated[
    str | None, Query(pattern=r"^[a-z0-9-]{1,40}$", description="By default the one that says most.")
]


class StandingAnswer(Answer):
    """How far a study is at one scale."""

    scale: str
    planned: int = Field(description="Runs that it has before any range grows.")
    known: int = Field(description="Runs that are known, of those that are due.")
    due: int
    stage: str
    is_done: bool


class RunningAnswer(Answer):
    """A study's job."""

    scale: str
    status: JobStatus
    stage: str
    share: float = Field(description="Of the stage, 0 to 1.")
    runs: int
    of: int
    seconds_left: float | None = Field(description="Of the stage.")
    best: float | None = Field(description="Best validation accuracy of what was trained in this job.")
    broken: int
    says: str | None


class SaidAnswer(Answer):
    """A study's answer."""

    sentence: str
    how_sure: str
    picture: str | None = Field(description="Address of its main picture, as SVG.")
    picture_title: str


class CardAnswer(Answer):
    """A study in short."""

    name: str
    title: str
    question: str
    scale: str = Field(description="The scale that is shown: one that runs, is done, or is nearest to it.")
    standings: list[StandingAnswer]
    job: RunningAnswer | None
    answer: SaidAnswer | None = Field(description="null while it is not done.")
    cannot_run: str | None = Field(description="What it lacks here before it can be run.")


class CellRunAnswer(Answer):
    """A known run of a cell."""

    key: str
    seed: int
    outcome: Outcome
    validation_loss: float | None
    validation_accuracy: float | None


class CellAnswer(Answer):
    """What is known at one learning rate of one condition."""

    labels: dict[str, str]
    groups: dict[str, str]
    rate: float
    state: State | None
    seeds: int
    validation_loss: float | None
    validation_accuracy: float | None
    outcomes: dict[Outcome, int]
    runs: list[CellRunAnswer]


class CellsAnswer(Answer):
    """A study as it stands."""

    name: str
    standing: StandingAnswer
    job: RunningAnswer | None
    axes: list[str] = Field(description="What varies besides the learning rate.")
    tuned: bool = Field(description="Whether the learning rate is chosen at each condition.")
    cells: list[CellAnswer]


class FindingAnswer(Answer):
    """One thing that was found."""

    title: str
    estimate: str
    interval: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    n: int
    n_of: str
    method: str
    verdict: str


class PictureAnswer(Answer):
    """A picture, with the table of its numbers."""

    name: str
    title: str
    caption: str
    url: str
    table: TableAnswer


class ChapterAnswer(CellsAnswer):
    """All that there is of a study at one scale."""

    title: str
    question: str
    scales: list[StandingAnswer]
    command: str
    cannot_run: str | None
    answer: SaidAnswer | None
    missing: str | None = Field(description="What is missing here before it can be said what it found.")
    sentences: list[str]
    findings: list[FindingAnswer]
    pictures: list[PictureAnswer]
    tables: list[TableAnswer]
    methods: list[str]
    run_count: int
    seeds: str


class StartRequest(Request):
    """At which scale to run a study."""

    scale: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "quick"


class StopRequest(Request):
    """Nothing is to be said."""


def studies_router(desk: Desk) -> APIRouter:
    """`/studies`."""
    router = APIRouter(tags=["studies"])

    def known(name: str) -> str:
        if name not in desk.names:
            raise NotHereError(f"{name}: there is no such study; there are {', '.join(desk.names)}")
        return name

    def watched(name: str, scale: str | None) -> WatchedStudy:
        return desk.watched(known(name), scale)

    @router.get("/studies")
    def studies() -> list[CardAnswer]:
        """All built-in studies, in short."""
        return [_card(desk, name) for name in desk.names]

    @router.get("/studies/{name}")
    def study(name: NamePath, scale: ScaleQuery = None) -> ChapterAnswer:
        """All that there is of a study: how far it is, its cells, and what it says once it is done."""
        found = watched(name, scale)
        said, definition = found.findings(), found.study
        laid_out = chapter(said) if said is not None and not isinstance(said, DataError) else None
        missing = cannot_run(definition)
        return ChapterAnswer(
            **_cells(desk, found),
            title=definition.title,
            question=definition.question,
            scales=[_standing(name, standing) for name, standing in desk.standings(name).items()],
            command=run_command(name, found.scale),
            cannot_run=None if missing is None else str(missing),
            answer=_said(found),
            missing=str(said) if isinstance(said, DataError) else None,
            **_laid_out(found, laid_out),
        )

    @router.get("/studies/{name}/cells")
    def cells(name: NamePath, scale: ScaleQuery = None) -> CellsAnswer:
        """How far a study is, and its cells: to be asked again whenever there is news of it."""
        return CellsAnswer(**_cells(desk, watched(name, scale)))

    @router.get(
        "/studies/{name}/pictures/{picture}.svg",
        response_class=Response,
        responses={200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}},
    )
    def picture(
        name: NamePath,
        picture: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,100}$")],
        scale: ScaleQuery = None,
        theme: Literal["light", "dark", "page"] = "light",
        pixels: Annotated[int, Query(ge=216, le=1_200)] = 700,
    ) -> Response:
        """A picture of a study that is done. page: for inside a page, in its colours, without title."""
        said = watched(name, scale).findings()
        pictures = (
            {} if said is None or isinstance(said, DataError) else {it.name: it for it in said.pictures}
        )
        if picture not in pictures:
            raise NotHereError(f"{name} has no picture {picture}; it has pictures when it is done")
        text = drawn(pictures[picture], theme, pixels, f"{name}-{picture}")
        return Response(text, media_type="image/svg+xml", headers={"cache-control": "no-cache"})

    @router.post("/studies/{name}/run", status_code=202)
    def run(name: NamePath, request: StartRequest) -> RunningAnswer:
        """Run a study when its turn comes; what the store knows is not trained again."""
        return _running(desk.start(known(name), request.scale))

    @router.post("/studies/{name}/stop", status_code=202)
    def stop(name: NamePath, _request: StopRequest) -> CardAnswer:
        """Stop a study; what it has found is kept."""
        desk.stop(known(name))
        return _card(desk, name)

    return router


def _card(desk: Desk, name: str) -> CardAnswer:
    found = desk.watched(name)
    job, missing = desk.running(name), cannot_run(found.study)
    return CardAnswer(
        name=name,
        title=found.study.title,
        question=found.study.question,
        scale=found.scale,
        standings=[_standing(scale, standing) for scale, standing in desk.standings(name).items()],
        job=None if job is None else _running(job),
        answer=_said(found),
        cannot_run=None if missing is None else str(missing),
    )


def _said(found: WatchedStudy) -> SaidAnswer | None:
    said = found.findings()
    if said is None or isinstance(said, DataError):
        return None
    answer = answer_of(said)
    picture = answer.picture
    return SaidAnswer(
        sentence=answer.sentence,
        how_sure=answer.how_sure,
        picture=None if picture is None else _address(found, picture.name),
        picture_title="" if picture is None else picture.title,
    )


def _address(found: WatchedStudy, picture: str) -> str:
    return f"/api/studies/{found.study.name}/pictures/{picture}.svg?scale={found.scale}"


def _standing(scale: str, standing: Standing) -> StandingAnswer:
    return StandingAnswer(
        scale=scale,
        planned=standing.planned,
        known=standing.known,
        due=standing.due,
        stage=standing.stage,
        is_done=standing.is_done,
    )


def _running(job: Running) -> RunningAnswer:
    return RunningAnswer(
        scale=job.scale,
        status=job.status,
        stage=job.stage,
        share=job.share,
        runs=job.runs,
        of=job.of,
        seconds_left=finite(job.seconds_left),
        best=finite(job.best),
        broken=job.broken,
        says=job.says,
    )


def _cells(desk: Desk, found: WatchedStudy) -> dict[str, object]:
    """The fields of CellsAnswer."""
    standing, cells = found.look()
    study = found.study
    job = desk.running(study.name)
    return {
        "name": study.name,
        "standing": _standing(found.scale, standing),
        "job": None if job is None else _running(job),
        "axes": [axis.name for axis in study.varied],
        "tuned": study.tuned is not None,
        "cells": [_cell(cell) for cell in cells],
    }


def _cell(cell: Cell) -> CellAnswer:
    return CellAnswer(
        labels=dict(cell.labels),
        groups=dict(cell.groups),
        rate=cell.rate,
        state=cell.state,
        seeds=cell.seeds,
        validation_loss=finite(cell.validation_loss),
        validation_accuracy=finite(cell.validation_accuracy),
        outcomes=dict(cell.outcomes),
        runs=[
            CellRunAnswer(
                key=run.key,
                seed=run.seed,
                outcome=run.outcome,
                validation_loss=finite(run.validation_loss),
                validation_accuracy=finite(run.validation_accuracy),
            )
            for run in cell.runs
        ],
    )


def _laid_out(found: WatchedStudy, said: Chapter | None) -> dict[str, object]:
    """The fields of ChapterAnswer that hold what was found."""
    if said is None:
        empty = ("sentences", "findings", "pictures", "tables", "methods")
        return {**{name: [] for name in empty}, "run_count": 0, "seeds": ""}
    return {
        "sentences": list(said.sentences),
        "findings": [
            FindingAnswer(
                title=it.title,
                estimate=it.estimate,
                interval=it.interval,
                value=finite(it.value),
                low=finite(it.low),
                high=finite(it.high),
                unit=it.unit,
                n=it.n,
                n_of=it.n_of,
                method=it.method,
                verdict=it.verdict,
            )
            for it in said.findings
        ],
        "pictures": [
            PictureAnswer(
                name=picture.name,
                title=picture.title,
                caption=picture.caption,
                url=_address(found, picture.name),
                table=table_answer(table),
            )
            for picture, table in said.pictures
        ],
        "tables": [table_answer(table) for table in said.tables],
        "methods": list(said.methods),
        "run_count": said.run_count,
        "seeds": said.seeds,
    }
