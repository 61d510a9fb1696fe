"""Runs of the store: listed, and each looked at closely."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from digitlab.explore.runs import classes_of, most_confident_mistakes, own_test_set
from digitlab.live import Laboratory
from digitlab.live.explanation import explained, known_dead_units
from digitlab.live.live_run import title_of
from digitlab.live.networks import Preparing
from digitlab.models.inspection import Digit
from digitlab.result import Outcome
from digitlab.spec_options import command_of, options_of
from digitlab.store import Filter, Order, RunRow, SortBy
from digitlab.web.api.explored import (
    EstimateAnswer,
    ImageAnswer,
    KeyPath,
    estimate_answer,
    finite,
    found_run,
    packed,
)
from digitlab.web.api.weights import PreparingAnswer
from digitlab.web.schema import Answer

_LARGEST = 2**63 - 1
_MOST_ROWS = 1_000
_MOST_DIGITS = 48
_MOST_KEPT = 64
_SORTS = ("key", "data", "network", "batch_size", "learning_rate", "seed", "outcome", "test_accuracy",
          "validation_loss", "seconds", "finished")  # fmt: skip


class RunRowAnswer(Answer):
    """A run of the list."""

    key: str
    data: str
    network: str
    batch_size: int
    learning_rate: float | None
    seed: int
    outcome: Outcome
    test_accuracy: float | None = Field(description="null: the run diverged.")
    validation_loss: float | None
    seconds: float | None
    finished: str
    is_intact: bool = Field(description="False: the row is damaged, and nothing but its key is known.")


class RunRowsAnswer(Answer):
    """Some of the runs that were asked for."""

    total: int = Field(description="How many there are in all.")
    rows: list[RunRowAnswer]


class RunAnswer(Answer):
    """A run: its RunSpec, and what came of it, as `RunResult.to_json` writes it."""

    key: str
    title: str
    network: str
    parameters: int
    options: dict[str, Any] = Field(description="The options of it that differ from their defaults.")
    command: str
    outcome: Outcome
    says: str | None = Field(description="Why it ended as it did, with a remedy.")
    spec: dict[str, Any]
    curve: dict[str, Any]
    metrics: dict[str, Any]
    provenance: dict[str, Any]


class ClassAnswer(Answer):
    """How the images of one class were classified."""

    name: str
    images: int
    accuracy: EstimateAnswer


class ConfusionAnswer(Answer):
    """What a run takes for what, on its test images."""

    data: str
    images: int
    accuracy: EstimateAnswer
    classes: list[ClassAnswer]
    counts: list[list[int]] = Field(description="Images: [true class][predicted class].")


class MistakeAnswer(ImageAnswer):
    """A test image that the network gets wrong."""

    predicted: int
    probabilities: list[float]


class MistakesAnswer(Answer):
    """The most confident mistakes."""

    class_names: list[str]
    mistakes: list[MistakeAnswer]
    note: str = Field(
        "", description="How the network, trained again, differs from the run; empty: not at all."
    )


def runs_router(laboratory: Laboratory) -> APIRouter:
    """`/runs`."""
    router, store = APIRouter(tags=["runs"]), laboratory.store
    known: OrderedDict[str, tuple[Sequence[Digit], str]] = OrderedDict()

    @router.get("/runs")
    def runs(
        data: Annotated[str | None, Query(max_length=64)] = None,
        network: Annotated[str | None, Query(max_length=200)] = None,
        outcome: Outcome | None = None,
        batch_size: Annotated[int | None, Query(ge=1, le=_LARGEST)] = None,
        seed: Annotated[int | None, Query(ge=0, le=_LARGEST)] = None,
        key: Annotated[str | None, Query(pattern=r"^[0-9a-fA-F]{0,64}$")] = None,
        sort: Annotated[str, Query(pattern=f"^-?({'|'.join(_SORTS)})$")] = "-finished",
        offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=_MOST_ROWS)] = 100,
    ) -> RunRowsAnswer:
        """Runs that agree with every field that is given, in an order: `-` before a name is falling."""
        chosen = Filter(data, network, outcome, batch_size, seed, key or None)
        by: SortBy = sort.removeprefix("-")  # type: ignore[assignment]
        rows = store.list(chosen, limit, offset=offset, order=Order(by, descending=sort.startswith("-")))
        return RunRowsAnswer(total=store.count(chosen), rows=[_row_answer(row) for row in rows])

    @router.get("/runs/{key}")
    def run(key: KeyPath) -> RunAnswer:
        """One run."""
        found = found_run(store, key)
        spec, document = found.spec, json.loads(found.to_json())
        return RunAnswer(
            key=found.key,
            title=title_of(spec),
            network=spec.network_name,
            parameters=spec.parameter_count,
            options=options_of(spec),
            command=command_of(spec),
            outcome=found.outcome,
            says=explained(found, known_dead_units(store, [found]).get(found.key)),
            spec=document["spec"],
            curve=document["curve"],
            metrics=document["metrics"],
            provenance=document["provenance"],
        )

    @router.get("/runs/{key}/confusion")
    def confusion(key: KeyPath) -> ConfusionAnswer:
        """What a run takes for what; nothing is trained for it."""
        found = classes_of(found_run(store, key, predictions=True))
        of_all, *of_classes = map(estimate_answer, found.accuracies)
        counted = found.confusion
        return ConfusionAnswer(
            data=counted.data,
            images=counted.images,
            accuracy=of_all,
            classes=[
                ClassAnswer(name=name, images=images, accuracy=accuracy)
                for name, images, accuracy in zip(
                    counted.class_names, counted.class_images, of_classes, strict=True
                )
            ],
            counts=[list(row) for row in counted.counts],
        )

    @router.get(
        "/runs/{key}/mistakes",
        response_model=MistakesAnswer,
        responses={202: {"model": PreparingAnswer, "description": "The run is trained again; ask again."}},
    )
    def mistakes(
        key: KeyPath, limit: Annotated[int, Query(ge=1, le=_MOST_DIGITS)] = 24
    ) -> MistakesAnswer | JSONResponse:
        """Its most confident mistakes; for these it is trained again."""
        result = found_run(store, key, predictions=True)
        names = classes_of(result).confusion.class_names
        found = known.get(result.key)
        if found is None:
            weights = laboratory.weights(result.key)
            if isinstance(weights, Preparing):
                answer = PreparingAnswer(says=weights.says, progress=weights.share)
                return JSONResponse(answer.model_dump(), 202)
            worst = most_confident_mistakes(weights.network, own_test_set(result), _MOST_DIGITS)
            known[result.key] = found = worst, weights.note
            while len(known) > _MOST_KEPT:
                known.popitem(last=False)
        digits, note = found
        return MistakesAnswer(
            class_names=list(names), mistakes=[_mistake_answer(digit) for digit in digits[:limit]], note=note
        )

    return router


def _row_answer(row: RunRow) -> RunRowAnswer:
    return RunRowAnswer(
        key=row.key,
        data=row.data,
        network=row.network,
        batch_size=row.batch_size,
        learning_rate=finite(row.learning_rate),
        seed=row.seed,
        outcome=row.outcome,
        test_accuracy=finite(row.test_accuracy),
        validation_loss=finite(row.validation_loss),
        seconds=finite(row.seconds),
        finished=row.finished,
        is_intact=row.is_intact,
    )


def _mistake_answer(digit: Digit) -> MistakeAnswer:
    shares = digit.probabilities
    return MistakeAnswer(
        index=digit.index,
        label=digit.label,
        image=packed(bytes(value for row in digit.image for value in row)),
        predicted=max(range(len(shares)), key=shares.__getitem__),
        probabilities=list(shares),
    )
