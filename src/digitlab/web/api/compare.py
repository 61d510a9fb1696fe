"""Two runs beside each other."""

from fastapi import APIRouter
from pydantic import Field

from digitlab.comparing import compared
from digitlab.explore.chapter import written_table
from digitlab.explore.runs import disagreements, own_test_set
from digitlab.live import Laboratory
from digitlab.web.api.explored import (
    EstimateAnswer,
    ImageAnswer,
    KeyQuery,
    TableAnswer,
    estimate_answer,
    found_run,
    packed,
    table_answer,
)
from digitlab.web.schema import Answer

_MOST_IMAGES = 48


class DisagreementAnswer(ImageAnswer):
    """A test image that exactly one of the two networks reads rightly."""

    a: int = Field(description="The class that A predicts.")
    b: int


class CompareAnswer(Answer):
    """What two runs say beside each other."""

    a: str
    b: str
    verdict: list[str] = Field(description="What may be said, a sentence each.")
    difference: EstimateAnswer | None = Field(description="Test accuracy of B less that of A, a share.")
    p_value: float | None = Field(description="Of McNemar's exact test.")
    settings: TableAnswer = Field(description="What differs in their RunSpecs.")
    tables: list[TableAnswer]
    curves: TableAnswer
    class_names: list[str]
    disagreements: list[DisagreementAnswer] = Field(description="Some of them.")
    disagreement_count: int


def compare_router(laboratory: Laboratory) -> APIRouter:
    """`/compare`."""
    router, store = APIRouter(tags=["runs"]), laboratory.store

    @router.get("/compare")
    def compare(a: KeyQuery, b: KeyQuery) -> CompareAnswer:
        """Two runs of the store: what differs, and what the same test images say of both."""
        runs = found_run(store, a, predictions=True), found_run(store, b, predictions=True)
        pair = compared(*runs)
        settings, *tables = (table_answer(written_table(table)) for table in pair.tables)
        images, count = disagreements(*runs, _MOST_IMAGES) if pair.images is not None else ((), 0)
        return CompareAnswer(
            a=runs[0].key,
            b=runs[1].key,
            verdict=list(pair.verdict),
            difference=None if pair.difference is None else estimate_answer(pair.difference),
            p_value=pair.p_value,
            settings=settings,
            tables=tables,
            curves=table_answer(written_table(pair.curves)),
            class_names=list(own_test_set(runs[0]).entry.class_names),
            disagreements=[
                DisagreementAnswer(index=it.index, label=it.label, a=it.a, b=it.b, image=packed(it.image))
                for it in images
            ],
            disagreement_count=count,
        )

    return router
