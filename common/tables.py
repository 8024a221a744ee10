"""Tables of all commands: names on the left, which may be cut, and figures, which never are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from common.terminal import printable

__all__ = ["add_figures", "add_names", "new_table"]

NAME_WIDTH = 48
"""Characters of a name that are shown."""


def new_table(names: Sequence[str], figures: Sequence[str] = (), *, title: str = "") -> Table:
    """Return a table without rows, for a :class:`common.terminal.Screen`.

    Parameters
    ----------
    names, figures : sequence of str
        Headers of the first columns, and of those after them.
    title : str
    """
    table = Table(title=printable(title) or None, title_justify="left")
    add_names(table, *names)
    add_figures(table, *figures)
    return table


def add_names(table: Table, *headers: str) -> None:
    """Add columns of names and words."""
    for header in headers:
        table.add_column(printable(header), no_wrap=True, max_width=NAME_WIDTH)


def add_figures(table: Table, *headers: str) -> None:
    """Add columns of figures."""
    for header in headers:
        table.add_column(printable(header), justify="right", no_wrap=True)
