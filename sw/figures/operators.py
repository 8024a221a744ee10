"""Supported operators in the documents: the README's table, and the blocks of docs/operators.md."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import boards
from sw import operators
from sw.compiler.rules import LIMITS, limits
from sw.figures.store import BOARD, Figures

__all__ = ["core_limits", "core_rules", "file_rules", "supported"]

WIDTH = 100
"""Columns of a line of rules."""


def supported(_: Figures) -> str:
    """Return where operators run, as a table."""
    places = operators.places(operators.operators())
    rows = (f"| {place} | {', '.join(names)} |" for place, names in places.items())
    return "\n".join(("| where | operators |", "| --- | --- |", *rows))


def core_limits(_: Figures) -> str:
    """Return what the core of the documents' board limits, as a table."""
    board = boards.get(BOARD)
    found = limits(board.config).items()
    rows = (f"| {LIMITS[what]} | {most:,} |" for what, most in found)
    return "\n".join((f"| | {board.title} |", "| --- | --- |", *rows))


def file_rules(_: Figures) -> str:
    """Return the rules of files."""
    return "\n\n".join(_sections(operators.file_blocks(operators.operators())))


def core_rules(_: Figures) -> str:
    """Return the rules of the core."""
    return "\n\n".join(_sections(operators.core_blocks(operators.operators())))


def _sections(blocks: Iterable[operators.Block]) -> Iterator[str]:
    for block in blocks:
        title = textwrap.fill(
            f"**{block.title[0].upper()}{block.title[1:]}**", WIDTH, break_on_hyphens=False
        )
        yield f"{title}\n\n" + "\n".join(
            textwrap.fill(
                rule, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
            )
            for rule in block.rules
        )
