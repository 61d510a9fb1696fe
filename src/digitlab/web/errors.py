"""What went wrong -> an answer of the API: a plain sentence with the remedy, and the field it is about."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from digitlab.errors import (
    DataError,
    DigitlabError,
    PictureError,
    RunError,
    SpecError,
    StoreError,
    WeightsError,
    plain,
)
from digitlab.live import BusyError, UnknownRunError
from digitlab.options import flat_name
from digitlab.validation import fault_of
from digitlab.web.schema import ErrorAnswer, FaultAnswer

_STATUS: tuple[tuple[type[DigitlabError], int], ...] = (
    (SpecError, 422),
    (PictureError, 422),
    (UnknownRunError, 404),
    (BusyError, 429),
    (DataError, 409),
    (WeightsError, 409),
    (RunError, 409),
    (StoreError, 503),
)
_SENTENCES = {
    404: "there is no such address; see /docs for those there are",
    405: "this address does not know this method; see /docs for what it knows",
    422: "the body cannot be read: it is not valid JSON, or its tables and lists are too deep; mend it",
    413: "the request is larger than what is taken; send less",
}
_MOST_CHARACTERS = 2_000


class NotHereError(DigitlabError):
    """There is nothing of this name."""


class ForbiddenError(DigitlabError):
    """Whoever asks may not do this."""


def answer_errors(app: FastAPI) -> None:
    """Let every error of the application be answered as the API says it."""
    app.add_exception_handler(DigitlabError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_request)
    app.add_exception_handler(HTTPException, _of_http)


def _of_ours(_request: Request, error: Exception) -> Response:
    if isinstance(error, SpecError):
        faults = [
            FaultAnswer(field=flat_name(fault.field)[0], says=str(fault)) for fault in error.faults[:50]
        ]
        return _answer(422, str(error), faults[0].field if faults else None, faults=faults)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 409)
    if isinstance(error, NotHereError):
        status = 404
    if isinstance(error, ForbiddenError):
        status = 403
    if isinstance(error, BusyError):
        return _answer(429, str(error), position=error.position, seconds=error.seconds)
    return _answer(status, str(error))


def _of_request(_request: Request, error: Exception) -> Response:
    faults = []
    for detail in error.errors() if isinstance(error, RequestValidationError) else ():
        if detail["type"] == "json_invalid":
            return _answer(422, f"the body is not valid JSON: {detail.get('ctx', {}).get('error', '')}")
        path = [str(part) for part in detail["loc"][1:]]
        field = ".".join(path) or "the body"
        faults.append(FaultAnswer(field=plain(field, 200), says=str(fault_of(field, detail))))
    if not faults:
        return _answer(422, "the request is not what this address takes; see /docs")
    return _answer(422, faults[0].says, faults[0].field, faults=faults[:50])


def _of_http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    headers = error.headers if isinstance(error, HTTPException) else None
    if status == 400:  # what FastAPI says of a body that cannot be read
        status = 422
    response = _answer(status, _SENTENCES.get(status, detail))
    response.headers.update(headers or {})
    return response


def _answer(status: int, says: str, field: str | None = None, **more: object) -> JSONResponse:
    answer = ErrorAnswer.model_validate({"says": says[:_MOST_CHARACTERS], "field": field, **more})
    return JSONResponse(answer.model_dump(mode="json", exclude_none=False), status)
