"""Tables of all commands, which fit the terminal that they are shown on.

Figures are never cut.  Where there is not enough room, lines go first, then names are cut in their
middle (layers differ at the end), headers take their short forms, and at last columns give way,
those first that matter least; a line below says which.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

from rich import box
from rich import table as rich_table
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult

from common.terminal import printable

__all__ = ["Table", "add_figures", "add_names", "add_text", "new_table"]

NAME_WIDTH = 48
"""Characters of a name that are shown, however wide the terminal."""

KEY_WIDTH = 16
"""Characters that the first name of a row keeps."""

WORD_WIDTH = 20
"""Characters that other names keep, such as those of operators."""

TEXT_WIDTH = 24
"""Characters of a column of sentences, which are folded."""

SHORT = {"utilisation": "in use", "inferences/s": "inf/s", "requantise": "requ."}
"""Headers where there is not enough room for the words."""


class Table(rich_table.Table):
    """A table that is drawn as wide as there is room for.

    Parameters
    ----------
    title : str
    give_way : sequence of str
        Headers of columns that may be left out, those first that matter least.
    """

    def __init__(self, title: str = "", give_way: Sequence[str] = ()) -> None:
        super().__init__(title=printable(title) or None, title_justify="left")
        self.give_way = list(give_way)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table."""
        table = self.fitted(options.max_width)
        # Where even so there is no room, the terminal folds lines; rich would cut figures.
        least = sum(column.width or 0 for column in table.columns) + 3 * len(table.columns) + 1
        room = options.max_width if table.box is box.SIMPLE_HEAD else least
        if table.box is box.SIMPLE_HEAD:
            room = max(room, least - 2 * len(table.columns))
        yield from table.__rich_console__(console, options.update(max_width=room))

    def fitted(self, width: int) -> rich_table.Table:
        """Return the table as it is drawn on so many columns."""
        shown = [copy.copy(column) for column in self.columns]
        natural = [_natural(column) for column in shown]
        result = rich_table.Table(title=self.title, title_justify="left")
        result.rows, result.columns = self.rows, shown
        if sum(natural) + 3 * len(shown) + 1 > width:
            result.box, result.padding = box.SIMPLE_HEAD, (0, 0)
            left_out = self._narrow(shown, width)
            if left_out:
                result.caption = f"left out: {', '.join(left_out)}"
                result.caption_justify = "left"
        else:
            for column, its in zip(shown, natural, strict=True):
                column.width = its
        for number, column in enumerate(shown):
            column._index = number
            if column.no_wrap and column.justify != "right":
                assert column.width is not None
                column._cells = [middle(str(cell), column.width) for cell in column._cells]
            column.no_wrap = False
        return result

    def _narrow(self, shown: list[rich_table.Column], width: int) -> list[str]:
        """Give columns their widths, after those were left out for which there is no room."""
        for column in shown:
            column.header = SHORT.get(str(column.header), column.header)
        left_out: list[str] = []
        leaving = iter(self.give_way)
        # There is a space between columns, and one on either side of all.
        while sum(map(_least, shown, range(len(shown)))) > width - len(shown) - 1:
            going = next(leaving, None)
            if going is None:
                break
            for column in list(shown):
                if str(column.header) in (going, SHORT.get(going)):
                    shown.remove(column)
                    left_out.append(going)
        widths = [_least(column, number) for number, column in enumerate(shown)]
        room = width - len(shown) - 1 - sum(widths)
        for number, column in enumerate(shown):
            more = min(max(room, 0), max(_natural(column) - widths[number], 0))
            if column.justify != "right":
                widths[number] += more
                room -= more
            column.width = widths[number]
        return left_out


def _longest(cells: Iterable[object]) -> int:
    return max((cell_len(str(cell)) for cell in cells), default=0)


def _header(column: rich_table.Column) -> int:
    """Return the width of a header's longest word: it is folded between them."""
    return _longest(str(column.header).split())


def _natural(column: rich_table.Column) -> int:
    """Return the width that a column takes if there is room."""
    width = _longest([column.header, *column._cells])
    return min(width, NAME_WIDTH) if column.no_wrap and column.justify != "right" else width


def _least(column: rich_table.Column, number: int) -> int:
    """Return the width that a column takes at least; ``number`` is its place."""
    cells = _longest(column._cells)
    if column.justify == "right":
        return max(cells, _header(column))
    keeps = TEXT_WIDTH if not column.no_wrap else WORD_WIDTH if number else KEY_WIDTH
    return max(min(cells, keeps), _header(column))


def middle(text: str, width: int) -> str:
    """Return a text in so many columns, without its middle if it is longer."""
    if cell_len(text) <= width:
        return text
    tail = ""
    for char in reversed(text):
        if cell_len(char + tail) > (width - 1) // 2:
            break
        tail = char + tail
    return set_cell_size(text, width - 1 - cell_len(tail)).rstrip() + "…" + tail


def new_table(
    names: Sequence[str], figures: Sequence[str] = (), *, title: str = "",
    give_way: Sequence[str] = (),
) -> Table:
    """Return a table without rows, for a :class:`common.terminal.Screen`.

    Parameters
    ----------
    names, figures : sequence of str
        Headers of the first columns, and of those after them.
    title, give_way
        See :class:`Table`.
    """
    table = Table(title, give_way)
    add_names(table, *names)
    add_figures(table, *figures)
    return table


def add_names(table: Table, *headers: str) -> None:
    """Add columns of names and words."""
    for header in headers:
        table.add_column(printable(header), no_wrap=True)


def add_figures(table: Table, *headers: str) -> None:
    """Add columns of figures."""
    for header in headers:
        table.add_column(printable(header), justify="right", no_wrap=True)


def add_text(table: Table, header: str) -> None:
    """Add a column of sentences, which are folded where they have to be."""
    table.add_column(printable(header), overflow="fold")
