"""Text for the terminal: never anything that it might take for a command.

Names of files, tensors and classes come from others.  JSON and CSV have them as they are.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from common import live

__all__ = ["OUTPUT", "Screen", "any_encoding", "console", "output_errors", "printable"]


def printable(text: str) -> str:
    """Return text without anything that a terminal might take for a command, on one line.

    Control characters, line ends among them, marks that turn the direction of writing, and halves
    of surrogate pairs (bytes of a file name that are no text) become U+FFFD.
    """
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


UNLIMITED = 1000
"""Columns, more than any table has."""

SHORT = 6
"""Characters that any name keeps, and headers of figures if their words are that long."""

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
        """Print what :class:`rich.console.Console` prints."""
        for table in objects:
            if isinstance(table, Table):
                self._narrow(table)
        with live.hidden(), output_errors():
            super().print(*objects, **options)

    def _narrow(self, table: Table) -> None:
        """Let a table that is too wide give up lines and ends of names, but no figures."""
        everything = self.options.update(max_width=UNLIMITED)
        if Measurement.get(self, everything, table).maximum <= self.width:
            return
        table.box, table.padding = box.SIMPLE_HEAD, (0, 0)
        names, figures = [], []
        for number, column in enumerate(table.columns):
            header = Measurement.get(self, everything, column.header)
            cells = [Measurement.get(self, everything, cell).maximum for cell in column.cells]
            if column.justify == "right":
                figures.append(max([*cells, min(header.minimum, SHORT)]))
                column.width = column.min_width = figures[-1]
                column.no_wrap = False
            else:
                names.append((max([*cells, header.maximum]), number))
        # There is a space between columns, and one on either side of all.
        room = self.width - sum(figures) - len(table.columns) - 1
        while sum(width for width, _ in names) > room and max(names, default=(0, 0))[0] > SHORT:
            width, number = names.pop(names.index(max(names)))
            names.append((width - 1, number))
        for width, number in names:
            table.columns[number].width = width

    def render_str(self, text: str, **options: Any) -> Text:
        """Return what is drawn for a string."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **options)


def any_encoding() -> None:
    """Let standard output take any text: what its encoding lacks becomes a question mark."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def console() -> Screen:
    """Return the console for tables and text; redirected output is wide enough for a table."""
    output = Screen(highlight=False, emoji=False, markup=False, soft_wrap=True)
    if not output.is_terminal:
        output.width = 160
    return output
