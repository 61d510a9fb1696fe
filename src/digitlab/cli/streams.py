"""The standard streams, made fit to be used, and texts made fit for them.

An encoding that lacks a character writes one like it, and an error of writing says which stream it befell.
"""

import codecs
import io
import os
import re
import sys
import unicodedata
from typing import Any, BinaryIO, cast

_LIKE_CHARACTERS = "digitlab.like"
"""The name of our way with characters that an encoding lacks."""

_LIKE = {"–": "-", "—": "-", "−": "-", "±": "+-", "×": "x", "·": ".", "…": "...", "≥": ">=", "≤": "<="}
_LIKE |= dict.fromkeys("─━╸╺", "-") | dict.fromkeys("│┃", "|") | dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+")
_LIKE |= {"∞": "inf", "√": "sqrt ", "’": "'", "‘": "'", "“": '"', "”": '"', "•": "*", "→": "->"}

# Control characters but tab and newline, C1 among them; marks that turn the direction of text; what no
# encoding can write.
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean(text: str) -> str:
    """A text that moves no cursor and changes no colour: each control character is shown as `\ufffd`."""
    return CONTROL.sub("\ufffd", text)


def prepare_streams() -> None:
    """Make the standard streams fit to be used, whatever the caller has made of them."""
    if sys.stdout is None:  # closed
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115
    codecs.register_error(_LIKE_CHARACTERS, _like)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_LIKE_CHARACTERS)
            is_file = isinstance(getattr(stream.buffer, "raw", stream.buffer), io.FileIO)
            if is_file and stream is getattr(sys, f"__{name}__"):  # which keeps the file open
                setattr(sys, name, _named(stream, name))


class _Named(io.FileIO):
    """A standard stream whose errors say which one it is, as those of files do."""

    stream_name = ""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = self.stream_name
            raise


def _named(stream: io.TextIOWrapper, name: str) -> io.TextIOWrapper:
    """The same stream, with its name in its errors."""
    raw = _Named(stream.fileno(), "w", closefd=False)
    raw.stream_name = name
    is_unbuffered = isinstance(stream.buffer, io.RawIOBase)
    return io.TextIOWrapper(
        cast("BinaryIO", raw if is_unbuffered else io.BufferedWriter(raw)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _like(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that the stream's encoding lacks: some like them, else `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(
        _LIKE.get(character) or _without_accents(character) or "?" for character in lacking
    ), error.end


def _without_accents(character: str) -> str:
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
