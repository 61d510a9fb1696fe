"""The `digitlab` command: its signals, its exit codes, its last words.

Exit codes: 0 done (a run that diverged is a result); 1 data or run failure, or stdout was closed; 2 usage;
130 interrupted by Ctrl-C; 143 terminated by SIGTERM.

This module loads nothing that takes time: signals are taken in hand before the commands are loaded.
"""

import os
import signal
import sys

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

EXIT_FAILURE, EXIT_USAGE = 1, 2

_received = 0
"""The first signal that asked us to end. What follows from it is not told as an error, whatever it is."""


def _on_signal(number: int, _frame: "FrameType | None") -> "NoReturn":
    # The first cleans up on its way out, as an exception; a second one does not wait for it, wherever it is.
    global _received  # noqa: PLW0603
    _received = number
    _listen(_leave_at_once)
    # Raised in the midst of what cannot pass an exception on, it would be told there and then forgotten.
    sys.unraisablehook = lambda _: _leave_at_once(number, None)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def _leave_at_once(number: int, _frame: "FrameType | None") -> "NoReturn":
    if os.isatty(2):
        os.write(2, b"\x1b[?25h")  # a bar may have hidden the cursor
    os._exit(128 + (_received or number))


def _listen(handler: "Callable[[int, FrameType | None], NoReturn]") -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # whoever started us may have it ignored
        signal.signal(signal.SIGINT, handler)


def _end_after_signal() -> "NoReturn":
    # All is cleaned up. Not by way of the interpreter's end, in which a second signal would kill it.
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # whoever read them has gone
    os._exit(128 + _received)


def _fail(message: object, code: int) -> "NoReturn":
    if _received:
        sys.exit(code)
    from digitlab.cli.streams import clean

    try:
        for line in clean(str(message)).splitlines():
            print(f"error: {line}" if not line.startswith(" ") else line, file=sys.stderr)
    except OSError:
        pass  # stderr is full or closed
    sys.exit(code)


def main() -> "NoReturn":
    """Run the command line and exit."""
    _listen(_leave_at_once)  # as yet there is nothing to clean up
    from digitlab.cli.streams import prepare_streams

    prepare_streams()
    # Torch's threads wait for each other at every step. By default they do so busily, and hold the cores that
    # another program's threads, or their own, would need. To be said before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _run()
    except BaseException:
        # A signal's exception may arrive as another: Python wraps what is raised while a class is made, and
        # libraries what is raised while they are loaded.
        if not _received:
            raise
    if _received:
        _end_after_signal()
    sys.exit(0)


def _run() -> None:
    """Run a command; tell what went wrong in a sentence, and exit with its code."""
    from pathlib import Path

    from digitlab.errors import DigitlabError, SpecError

    try:
        Path.cwd()
    except OSError:  # removed: torch's libraries would end the process
        _fail("the current folder is no longer there; change to one that is", EXIT_FAILURE)
    try:
        from digitlab.cli.app import app

        _listen(_on_signal)
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read stdout has gone.
        _drop_stdout()
        sys.exit(EXIT_FAILURE)
    except SpecError as error:
        _fail(error, EXIT_USAGE)
    except DigitlabError as error:
        _fail(error, EXIT_FAILURE)
    except OSError as error:
        _drop_stdout()
        message = error.strerror or str(error) or type(error).__name__
        _fail(message if error.filename is None else f"{error.filename}: {message}", EXIT_FAILURE)
    except ImportError as error:  # a limit on memory, a broken installation
        _fail(
            f"a library cannot be loaded ({error}); see that there is memory for it, or install it again", 1
        )


def _drop_stdout() -> None:
    """Let nothing more go to stdout: Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
