"""The server's application: every router, behind the guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse

from digitlab.explore.desk import Desk
from digitlab.live import Laboratory
from digitlab.live.board import Classroom
from digitlab.live.reading import Readers
from digitlab.version import __version__
from digitlab.web.api.board import board_router
from digitlab.web.api.compare import compare_router
from digitlab.web.api.datasets import datasets_router
from digitlab.web.api.options import options_router
from digitlab.web.api.predict import predict_router
from digitlab.web.api.presets import presets_router
from digitlab.web.api.reports import reports_router
from digitlab.web.api.runs import runs_router
from digitlab.web.api.studies import studies_router
from digitlab.web.api.train import train_router
from digitlab.web.api.weights import weights_router
from digitlab.web.errors import answer_errors
from digitlab.web.pages import pages_router
from digitlab.web.reference import reference_page
from digitlab.web.schema import ErrorAnswer
from digitlab.web.security import Guard
from digitlab.web.settings import Settings
from digitlab.web.sockets import Feed

_ERRORS = {status: {"model": ErrorAnswer} for status in (401, 403, 404, 409, 413, 422, 429, 503)}

_DESCRIPTION = (
    "A laboratory for multilayer perceptrons on handwritten digits. Send `Authorization: Bearer TOKEN` with "
    "each request; the token is in the address that `digitlab serve` prints."
)


def create_app(laboratory: Laboratory, settings: Settings) -> FastAPI:
    """The application that serves a laboratory."""
    classroom = Classroom()
    feed = Feed(laboratory, settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with feed.running():
            yield

    app = FastAPI(
        title="digitlab",
        description=_DESCRIPTION,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    answer_errors(app)
    app.add_middleware(Guard, settings=settings)
    for router in (
        options_router(laboratory, settings),
        datasets_router(),
        presets_router(),
        train_router(laboratory, classroom),
        predict_router(Readers(laboratory), settings.limits),
        board_router(laboratory, settings, classroom),
        weights_router(laboratory),
        runs_router(laboratory),
        compare_router(laboratory),
        studies_router(Desk(laboratory)),
        reports_router(laboratory),
    ):
        app.include_router(router, prefix="/api", responses=_ERRORS)  # type: ignore[arg-type]
    app.include_router(pages_router(settings))

    @app.get("/docs", include_in_schema=False)
    def reference() -> HTMLResponse:
        return HTMLResponse(reference_page(app.openapi()))

    @app.websocket("/api/live/events")
    async def live_events(socket: WebSocket) -> None:
        await feed.serve(socket)

    return app
