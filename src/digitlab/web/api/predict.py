"""Which digits are in a picture."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from digitlab.live import BusyError
from digitlab.live.networks import Preparing
from digitlab.live.reading import Readers
from digitlab.prediction import Prediction, predict
from digitlab.vision import decode
from digitlab.vision.explanation import step_pictures
from digitlab.web.api.weights import PreparingAnswer
from digitlab.web.limits import Limits
from digitlab.web.schema import Answer

_SECONDS_TO_WAIT = 10.0
_MOST_DIGITS = 64
_PICTURE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


class DigitAnswer(Answer):
    """One digit of a picture."""

    digit: str | None
    """Name of the likeliest class; null: not sure, and `doubt` says why."""
    probabilities: list[float]
    box: list[int]
    """Left, top, right, bottom, in pixels of the picture."""
    image: str
    """What the network sees: base64 of 784 bytes, row by row."""
    doubt: str | None


class StepAnswer(Answer):
    """One step from the picture to what the network sees."""

    name: str
    png: str
    """Base64."""


class PredictAnswer(Answer):
    """What was found in a picture, from left to right."""

    digits: list[DigitAnswer]
    class_names: list[str]
    refused: str | None
    """Why there are no digits."""
    steps: list[StepAnswer]


def predict_router(readers: Readers, limits: Limits) -> APIRouter:
    """`/predict`."""
    router = APIRouter(tags=["predict"])
    room = threading.BoundedSemaphore(limits.predictions)

    @router.post(
        "/predict",
        response_model=PredictAnswer,
        responses={
            202: {"model": PreparingAnswer, "description": "The network is being trained; ask again."}
        },
        openapi_extra={"requestBody": {"required": True, "content": _PICTURE}},
    )
    def predict_picture(
        picture: Annotated[bytes, Depends(_body)],
        key: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None,
        single: Annotated[bool, Query(description="It holds one digit, in however many pieces.")] = False,
    ) -> PredictAnswer | JSONResponse:
        """Which digits are in a picture, by a run's network or the default one.

        The body is the picture's file: PNG, JPEG, WebP, BMP, TIFF or GIF.
        """
        with _one_of(room):
            decoded = decode(picture, "picture")
            model = readers.find(key)
            if isinstance(model, Preparing):
                return JSONResponse(PreparingAnswer(says=model.says, progress=model.share).model_dump(), 202)
            return _answer(predict(decoded, model, single=single))

    return router


async def _body(request: Request) -> bytes:
    return await request.body()


@contextmanager
def _one_of(room: threading.BoundedSemaphore) -> Iterator[None]:
    if not room.acquire(timeout=_SECONDS_TO_WAIT):
        raise BusyError("many pictures are being read already; send it again in a moment", 0, None)
    try:
        yield
    finally:
        room.release()


def _answer(prediction: Prediction) -> PredictAnswer:
    reading = prediction.reading
    images = [] if reading is None else list(reading.images)
    digits = [
        DigitAnswer(
            digit=answer.name,
            probabilities=list(answer.probabilities),
            box=list(answer.box),
            image=base64.b64encode(image.tobytes()).decode(),
            doubt=answer.doubt or None,
        )
        for answer, image in zip(prediction.answers[:_MOST_DIGITS], images, strict=False)
    ]
    steps = [] if reading is None else step_pictures(reading)
    return PredictAnswer(
        digits=digits,
        class_names=list(prediction.class_names),
        refused=prediction.refusal or None,
        steps=[StepAnswer(name=name, png=base64.b64encode(png).decode()) for name, png in steps],
    )
