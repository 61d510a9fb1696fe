"""The console through which everything that is not JSON is printed."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from digitlab.cli.streams import clean


class CleanConsole(Console):
    """A console on which no text controls the terminal, and only a real terminal counts as one."""

    @property
    def is_terminal(self) -> bool:
        """Whether there is a terminal; rich's own answer follows FORCE_COLOR, which means colours alone."""
        try:
            return self.file.isatty()
        except ValueError:  # closed
            return False

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed, its texts cleaned; the codes that rich itself makes are not texts."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=clean(segment.text))
