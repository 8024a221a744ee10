"""What goes to the terminal: never anything that it might take for a command.

Names of files, tensors and classes come from others.  JSON and CSV have them as they are.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

__all__ = ["Screen", "any_encoding", "printable"]


def printable(text: str) -> str:
    """Return text without anything that a terminal might take for a command, on one line.

    Control characters, line ends among them, marks that turn the direction of writing, and halves
    of surrogate pairs (bytes of a file name that are no text) become U+FFFD.
    """
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


class Screen(Console):
    """A console whose strings, those in tables too, are printable whatever they are made of.

    Line ends in them are kept: names that come from others go through :func:`printable` before
    they become part of a text of several lines.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return what is drawn for a string."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **options)


def any_encoding() -> None:
    """Let standard output take any text: what its encoding lacks becomes a question mark."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
