"""Bars of progress: title, bar, figures, time left, within the width of the terminal."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from digitlab.cli.streams import clean
from digitlab.cli.terminal import stderr

_BAR, _LONGEST_BAR = 20, 40
_NO_ESTIMATE = "no estimate yet"

Update = Callable[[float, float, Sequence[str]], None]
"""How much is done, of how much, and figures, the most important first."""


class _TimeLeft(ProgressColumn):
    """Digits and what they are, never one without the other."""

    def render(self, task: Task) -> Text:
        if task.total is None or task.time_remaining is None:
            return Text(_NO_ESTIMATE, style="progress.remaining")
        minutes, seconds = divmod(int(task.time_remaining), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02}:{seconds:02} left", style="progress.remaining")


@contextmanager
def progress_bar(title: str) -> Iterator[Update]:
    """A bar on stderr, which is gone when it is done; nothing where stderr is not a terminal."""
    title = clean(title)
    bar = BarColumn()
    columns = (
        TextColumn("{task.description}", markup=False),
        bar,
        TextColumn("{task.fields[figures]}", markup=False),
        _TimeLeft(),
    )
    console = stderr()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None, figures="")

        def update(done: float, total: float, figures: Sequence[str]) -> None:
            head, bar.bar_width, shown = layout(title, figures, console.width)
            progress.update(task, description=head, completed=done, total=total, figures=shown)

        yield update


def layout(title: str, figures: Sequence[str], width: int) -> tuple[str, int, str]:
    """Title, length of the bar and figures that fit a width beside the time left.

    figures: the most important first. Counters of zero (`diverged 0`) go first when space is short, then the
             last ones; the first stays. Then the bar gives way, and at last the title
    """
    space = width - len(_NO_ESTIMATE) - 3  # and what parts the columns
    by_importance = sorted(figures, key=lambda figure: figure.endswith(" 0"))
    kept = list(figures)
    for gone in reversed(by_importance[1:]):
        if len(title) + _BAR + len("  ".join(kept)) <= space:
            break
        kept.remove(gone)
    shown = "  ".join(kept)
    bar = min(max(space - len(title) - len(shown), _BAR // 4), _LONGEST_BAR)
    room = max(space - bar - len(shown), 1)
    return title if len(title) <= room else f"{title[: room - 1]}…", bar, shown
