"""All colours of charts. Those of the page around them are in style.css."""

from typing import Final, Literal

Theme = Literal["light", "dark", "page"]
"""page: for a chart inside a page, with the page's own colours of text and paper."""

INK_AND_PAPER: dict[Theme, tuple[str, str]] = {
    "light": ("#24292f", "#ffffff"),
    "dark": ("#e3e6ea", "#14171b"),
    "page": ("currentColor", "var(--paper, transparent)"),
}
"""Of text and lines, and of what is below them."""

# Okabe and Ito's hues (2008), told apart by the colour-blind; the bright ones darkened to be seen on white.
SERIES = ("#2878b5", "#d55e00", "#009e73", "#b0589f", "#a8780c", "#5a6fd0")
GREY = "#8a8a8a"
"""Of what is not the point of a chart."""
GREYS = (GREY, "#9a7f66", "#66889a")
"""The same, where several are to be told apart."""

SCHEME: Final = "viridis"
"""Of a heat map's cells, dark to bright."""
ONE_HUE = ("rgba(40, 120, 181, 0.08)", "rgba(40, 120, 181, 1)")
"""The same where cells are shares of a whole, faint to strong."""
BLACK, WHITE = "#000000", "#ffffff"
"""Of writing on a heat map's cells."""
ON_CELLS, CASING = ("#ffffff", "#ff8a5c", "#7fd8ff"), "#1b1b1b"
"""Of lines across a heat map's cells, and of their edges."""
