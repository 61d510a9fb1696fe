"""What the answers on runs, studies and comparisons share: runs by their keys, numbers, tables."""

import base64
import math
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import Field

from digitlab.analysis.findings import Estimate
from digitlab.explore.chapter import WrittenTable
from digitlab.result import RunResult
from digitlab.store import Store, UnknownKeyError, known_run
from digitlab.web.errors import NotHereError
from digitlab.web.schema import Answer

_DIGITS = r"^[0-9a-fA-F]{6,64}$"
KeyPath = Annotated[str, Path(pattern=_DIGITS, description="The key of a run, or its first digits.")]
KeyQuery = Annotated[str, Query(pattern=_DIGITS, description="The key of a run, or its first digits.")]


class HeadAnswer(Answer):
    """A column's name."""

    name: str
    kind: Literal["text", "number"]


class TableAnswer(Answer):
    """A table, as it is written."""

    title: str
    heads: list[HeadAnswer]
    rows: list[list[str]]
    note: str


class EstimateAnswer(Answer):
    """A number with the ends of its interval of 95 %; null where there is none."""

    value: float | None
    low: float | None
    high: float | None


class ImageAnswer(Answer):
    """A test image and what was made of it."""

    index: int = Field(description="Which of the test images it is, from 0.")
    label: int
    image: str = Field(description="28 x 28 bytes, 0 paper to 255 ink, in base64.")


def found_run(store: Store, key: str, *, predictions: bool = False) -> RunResult:
    """The run whose key begins with these digits; NotHereError where `known_run` raises UnknownKeyError."""
    try:
        return known_run(store, key, predictions=predictions)
    except UnknownKeyError as error:
        raise NotHereError(str(error)) from None


def finite(value: float | None) -> float | None:
    """A number as JSON knows it: none for what is not finite."""
    return value if value is not None and math.isfinite(value) else None


def estimate_answer(estimate: Estimate) -> EstimateAnswer:
    """An estimate as the API tells it."""
    return EstimateAnswer(value=finite(estimate.value), low=finite(estimate.low), high=finite(estimate.high))


def table_answer(found: WrittenTable) -> TableAnswer:
    """A table as the API tells it."""
    table = found.table
    return TableAnswer(
        title=found.title,
        heads=[HeadAnswer(name=head.name, kind=head.kind) for head in table.heads],
        rows=[list(row) for row in table.rows],
        note=table.note,
    )


def packed(image: bytes) -> str:
    """The bytes of an image in base64."""
    return base64.b64encode(image).decode()
