"""The browser, where there is one to open a page in."""

import os
import shlex
import sys
import webbrowser
from pathlib import Path

_TEXT_BROWSERS = {"www-browser", "links", "links2", "elinks", "lynx", "w3m"}


def browser_with_window() -> webbrowser.BaseBrowser | None:
    """The browser, if it has a window of its own: no page is to take over the terminal."""
    is_unix = os.name == "posix" and sys.platform != "darwin"
    if is_unix and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return None
    program = Path(shlex.split(getattr(browser, "name", "") or "-")[0]).name
    return None if program in _TEXT_BROWSERS else browser
