"""Boards: one small file each, named like the board.

Nothing here imports Amaranth: the compiler and the driver read the same objects as the generator.
"""

import importlib
import pkgutil
from difflib import get_close_matches

from common.errors import SeparableError
from hw.contract.board import Board

__all__ = ["BoardError", "board_names", "get"]


class BoardError(SeparableError):
    """There is no such board."""


def board_names() -> list[str]:
    """Return the names of all boards."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Board:
    """Return a board by name.

    Raises
    ------
    BoardError
        If there is none, with the names that there are.
    """
    names = board_names()
    if name not in names:
        guess = get_close_matches(name, names, n=1)
        hint = f"did you mean {guess[0]}? " if guess else ""
        raise BoardError(f"there is no board {name!r}; {hint}boards: {', '.join(names)}")
    board: Board = importlib.import_module(f"boards.{name}").BOARD
    return board
