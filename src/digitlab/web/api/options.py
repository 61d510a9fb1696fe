"""What there is to choose: the server itself, and every option of a RunSpec."""

from typing import Any

from fastapi import APIRouter

from digitlab.data import registry
from digitlab.live import Laboratory
from digitlab.option_fields import OptionField, option_fields
from digitlab.spec import RunSpec
from digitlab.validation import bounds_of
from digitlab.version import __version__
from digitlab.web.api.caller import CallerOf
from digitlab.web.pages import page_digest
from digitlab.web.schema import Answer, VisitorAnswer
from digitlab.web.settings import Settings


class AboutAnswer(Answer):
    """What this server is."""

    version: str
    server: str
    """Names this start: another one has another name."""
    cores: int
    datasets: list[str]
    classroom: bool
    page: str
    """Digest of the page's files: a page with another one has to be loaded anew."""
    role: str
    visitor: VisitorAnswer | None


class OptionAnswer(Answer):
    """One option of a run, as the command line has it."""

    name: str
    heading: str
    type: str
    """`integer`, `number`, `boolean`, `text`, `choice`, `integers`."""
    default: Any
    default_in_words: str
    choices: list[str]
    low: float | None
    high: float | None
    help: str


def options_router(laboratory: Laboratory, settings: Settings) -> APIRouter:
    """`/about` and `/options`."""
    router = APIRouter(tags=["options"])

    @router.get("/about")
    def about(caller: CallerOf) -> AboutAnswer:
        """What this server is."""
        visitor = caller.visitor
        return AboutAnswer(
            version=__version__,
            server=settings.server,
            cores=laboratory.workers,
            datasets=registry.names(),
            classroom=settings.is_classroom,
            page=page_digest(),
            role=caller.role,
            visitor=VisitorAnswer(name=visitor.name, colour=visitor.colour) if visitor else None,
        )

    @router.get("/options")
    def options() -> list[OptionAnswer]:
        """Every option of a run, with its default: what `digitlab train --help` has."""
        fields = option_fields(RunSpec).values()
        return [_answer(field) for field in fields if field.name != "parent"]

    return router


def _answer(field: OptionField) -> OptionAnswer:
    low, high = bounds_of(RunSpec, field.path)
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return OptionAnswer(
        name=field.name,
        heading=field.group,
        type=_type(field),
        default=default,
        default_in_words=field.default_in_words,
        choices=list(field.words),
        low=low,
        high=high,
        help=field.description,
    )


def _type(field: OptionField) -> str:
    if field.is_list:
        return "integers"
    if field.words:
        return "choice"
    return {int: "integer", float: "number", bool: "boolean"}.get(field.type, "text")
