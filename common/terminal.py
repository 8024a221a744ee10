"""Text for the terminal: never anything that it might take for a command.

Names of files, tensors and classes come from others.  JSON and CSV have them as they are.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.text import Text

from common import live

__all__ = ["OUTPUT", "Screen", "any_encoding", "console", "output_errors", "printable"]


def printable(text: str) -> str:
    """Return text without anything that a terminal might take for a command, on one line.

    Control characters, line ends among them, marks that turn the direction of writing, and halves
    of surrogate pairs (bytes of a file name that are no text) become U+FFFD.
    """
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


WIDE = 160
"""Columns of output that goes to no terminal."""

OUTPUT = "standard output"
"""What errors call it."""


@contextmanager
def output_errors() -> Iterator[None]:
    """Let errors of standard output say that they are its own."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, OUTPUT) from None


class Screen(live.Terminal):
    """A console whose strings, those in tables too, are printable whatever they are made of.

    Line ends in them are kept: names that come from others go through :func:`printable` before
    they become part of a text of several lines.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print what :class:`rich.console.Console` prints; nothing is cut at the last column."""
        options.setdefault("crop", False)
        with live.hidden(), output_errors():
            super().print(*objects, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return what is drawn for a string."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **options)


PLAIN = {
    "×": "x", "·": "*", "−": "-", "–": "-", "—": "-", "…": "...", "→": "->", "≥": ">=", "≤": "<=",
    "α": "alpha", "ρ": "rho", "μ": "u", "µ": "u", "°": " deg", "½": "1/2", "≈": "~",
    "█": "#", "▌": "|", "‘": "'", "’": "'", "“": '"', "”": '"',
}
"""What we write that encodings may lack, and what stands for it there."""


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that an encoding lacks: a question mark, if nothing does.

    An error handler of :mod:`codecs`.
    """
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(char, "?") for char in lacking), error.end


codecs.register_error("separable.plain", _plain)


def any_encoding() -> None:
    """Let standard output and standard error take any text, whatever their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="separable.plain")


def console() -> Screen:
    """Return the console for tables and text.

    On a terminal sentences are folded between words; elsewhere they are lines, and there is room
    for most tables.
    """
    output = Screen(highlight=False, emoji=False, markup=False)
    if not output.is_terminal:
        output.width, output.soft_wrap = WIDE, True
    return output
