"""Runs that show themselves in a notebook while they train: how far they are, and their curves."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from digitlab import html
from digitlab.errors import DigitlabError, with_extra
from digitlab.execution.events import (
    Cancelled,
    CurvePoint,
    Ended,
    Event,
    Failed,
    Finished,
    Planned,
    Progress,
)

_SECONDS_BETWEEN = 0.5
"""Between two drawings: more of them would be work for the browser, and nothing to see."""
_MOST_CURVES = 6
"""Of more runs than this one bar is drawn, for all together."""
_BAR = '<progress value="{}" max="{}" style="width:420px;max-width:100%"></progress>'


@dataclass
class _Shown:
    """What is known of one run."""

    name: str = ""
    latest: Progress | None = None
    points: list[CurvePoint] = field(default_factory=list)
    end: Ended | None = None


@dataclass(frozen=True)
class _Html:
    """A text that a notebook shows as HTML."""

    text: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.text


class LiveCurve:
    """A drawing in a notebook's cell that is told where runs are and draws them anew, twice a second at most.

    Of up to six runs the curves, of more a bar.

        result = dl.train(hidden=(100,), on_progress=dl.LiveCurve())

    or of several runs, from their events:

        live = dl.LiveCurve()
        with dl.start(specs) as training:
            for event in training:
                live(event)

    It needs IPython, which every notebook has, and no widgets. Raises DigitlabError where there is none.
    """

    def __init__(self) -> None:
        try:
            from IPython.display import display
        except ImportError:
            raise DigitlabError(
                "LiveCurve: IPython is missing, so this is no notebook; leave on_progress out, or, "
                + with_extra("notebook")
            ) from None
        self._display: Any = display
        self._handle: Any = None
        self._last = 0.0
        self._runs: dict[str, _Shown] = {}

    def __call__(self, event: Event) -> None:
        """Take in what happened to a run."""
        run = self._runs.setdefault(event.key, _Shown())
        is_news = False
        if isinstance(event, Planned):
            run.name = event.spec.network_name
            return
        if isinstance(event, Progress):
            run.latest = event
            run.points += event.points
            is_news = event.step == event.step_count and len(self._runs) == 1
        elif isinstance(event, Finished | Failed | Cancelled):
            run.end = event
            is_news = all(known.end is not None for known in self._runs.values())
        if is_news or time.monotonic() - self._last >= _SECONDS_BETWEEN:
            self._draw()

    def _draw(self) -> None:
        self._last = time.monotonic()
        runs = list(self._runs.values())
        shown = _Html("".join(map(_of_run, runs)) if len(runs) <= _MOST_CURVES else _of_many(runs))
        if self._handle is None:
            self._handle = self._display(shown, display_id=True)
        else:
            self._handle.update(shown)


def _of_run(run: _Shown) -> str:
    """A run as HTML: a line of figures, a bar, its curve."""
    match run.end:
        case Finished(result=result):
            metrics, curve = result.metrics, result.curve
            words = (
                f"{result.outcome} after {metrics.steps:,} steps, test accuracy {metrics.test_accuracy:.4f}"
            )
            lines = {"training loss": curve.training_loss, "validation loss": curve.validation_loss}
            return _block(run.name, words, html.line_chart("step", curve.step, lines))
        case Failed(failure=failure):
            return _block(run.name, f"failed: {failure.cause}")
        case Cancelled():
            return _block(run.name, "cancelled")
    if run.latest is None:
        return _block(run.name, "waits")
    at = run.latest
    words = f"step {at.step:,} of {at.step_count:,}, loss {at.training_loss:.4f}, accuracy {at.accuracy:.4f}"
    losses = [point.validation_loss for point in run.points if point.validation_loss is not None]
    lines = {
        "training loss": tuple(point.training_loss for point in run.points),
        "validation loss": tuple(losses),
    }
    chart = html.line_chart("step", [point.step for point in run.points], lines)
    return _block(run.name, words, _BAR.format(at.step, at.step_count), chart)


def _of_many(runs: Sequence[_Shown]) -> str:
    """How many of the runs have ended, and how far those are that train."""
    ended = sum(run.end is not None for run in runs)
    under_way = sum(run.latest.step / run.latest.step_count for run in runs if run.end is None and run.latest)
    return _block(
        "", f"{ended:,} of {len(runs):,} networks trained", _BAR.format(ended + under_way, len(runs))
    )


def _block(name: str, words: str, *below: str) -> str:
    title = f"<strong>{escape(name)}</strong>: " if name else ""
    return f"<div>{title}{escape(words)}</div>{''.join(below)}"
