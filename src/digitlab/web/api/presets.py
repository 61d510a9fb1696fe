"""The presets: a set-up for each of the exercise's questions."""

from typing import Any

from fastapi import APIRouter

from digitlab.live.presets import PRESETS, Preset
from digitlab.web.schema import Answer


class RaceAnswer(Answer):
    """What differs between the runs of a race."""

    axis: str
    """An option; or `depth`, the number of hidden layers, or `width`, the units of each."""
    values: list[float]


class PresetAnswer(Answer):
    """A question, and the runs that answer it."""

    name: str
    title: str
    question: str
    watch: str
    setup: dict[str, Any]
    race: RaceAnswer | None
    runs: list[dict[str, Any]]
    """The options of each of its runs, as /api/train takes them."""


def presets_router() -> APIRouter:
    """`/presets`."""
    router = APIRouter(tags=["options"])

    @router.get("/presets")
    def presets() -> list[PresetAnswer]:
        """A set-up for each of the exercise's questions, with what to watch."""
        return [preset_answer(preset) for preset in PRESETS]

    return router


def preset_answer(preset: Preset) -> PresetAnswer:
    """A preset as the API tells it."""
    race = preset.race
    return PresetAnswer(
        name=preset.name,
        title=preset.title,
        question=preset.question,
        watch=preset.watch,
        setup=dict(preset.setup),
        race=RaceAnswer(axis=race.axis, values=list(race.values)) if race else None,
        runs=preset.runs(),
    )
