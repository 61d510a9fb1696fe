"""Reports as pages of their own: of the studies that are done, of one run, of two."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response

from digitlab.errors import StoreError
from digitlab.explore.pages import mistakes_report, pair_report, study_report
from digitlab.explore.runs import classes_of
from digitlab.live import Laboratory
from digitlab.live.networks import Preparing
from digitlab.studies import built_in_names
from digitlab.web.api.explored import KeyPath, KeyQuery, found_run
from digitlab.web.errors import NotHereError

# A report is one file with its style and its pictures inside; it has no script, and asks for nothing.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_PAGE: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}
_WAIT = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>digitlab: a report</title>
<meta http-equiv="refresh" content="1"><meta name="viewport" content="width=device-width">
<style>body { font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem }</style></head>
<body><p>The run is trained again for its report, for no weights are kept. It opens here by itself.</p></body>
</html>"""


def reports_router(laboratory: Laboratory) -> APIRouter:
    """`/reports`."""
    router, store = APIRouter(tags=["reports"]), laboratory.store

    @router.get("/reports/studies", response_class=HTMLResponse, responses=_PAGE)
    def studies(
        study: Annotated[list[str] | None, Query(max_length=20)] = None,
        scale: Annotated[str | None, Query(pattern=r"^[a-z0-9-]{1,40}$")] = None,
    ) -> Response:
        """The report of these studies, by default of all that are done. It takes some seconds."""
        names = tuple(dict.fromkeys(study or ()))
        if unknown := [name for name in names if name not in built_in_names()]:
            raise NotHereError(
                f"{unknown[0]}: there is no such study; there are {', '.join(built_in_names())}"
            )
        try:
            return _page(study_report(store, names, scale))
        except StoreError as error:
            raise NotHereError(str(error)) from None

    @router.get("/reports/runs/{key}", response_class=HTMLResponse, responses=_PAGE)
    def run(key: KeyPath) -> Response:
        """What one run gets wrong, as a page. It is trained again for that."""
        result = found_run(store, key, predictions=True)
        classes_of(result)
        weights = laboratory.weights(result.key)
        if isinstance(weights, Preparing):
            return _page(_WAIT, status=202)
        return _page(mistakes_report(weights.network, store))

    @router.get("/reports/compare", response_class=HTMLResponse, responses=_PAGE)
    def compare(a: KeyQuery, b: KeyQuery) -> Response:
        """Two runs beside each other, as a page."""
        return _page(pair_report(store, found_run(store, a).key, found_run(store, b).key))

    return router


def _page(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, headers={"content-security-policy": POLICY})
