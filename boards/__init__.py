"""Boards: one small file each, named like the board.

Nothing here imports Amaranth: the compiler and the driver read the same objects as the generator.
"""

import argparse
import importlib
import json
import pkgutil
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from common.errors import SeparableError
from common.settings import NAME, settings
from hw.contract.board import Board
from hw.contract.config import CoreConfig

__all__ = ["DEFAULT", "REPORTS", "BoardError", "add_option", "board_names", "default", "get",
           "report", "single_rate"]

DEFAULT = "icebreaker"
"""The board where nobody names one."""


REPORTS = Path(__file__).parent / "reports"
"""Folder of the committed reports: what was built of each board, and how fast that is."""


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


def report(name: str) -> dict[str, Any] | None:
    """Return the committed report of a board's build, if there is one.

    It is what ``python -m hw.build --report`` has written: see :meth:`hw.flow.report.BuildResult
    .json`; ``design`` is the digest of the design that was built.
    """
    path = REPORTS / f"{name}.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def single_rate(config: CoreConfig, baud: int) -> list[str]:
    """Return the boards that those of a configuration are when their flash has no DTR.

    Parameters
    ----------
    config : CoreConfig
    baud : int
        Highest rate of the host link.
    """
    known = [get(name) for name in board_names()]
    platforms = {board.platform_path for board in known
                 if board.config == config and board.baud == baud}
    return [board.name for board in known
            if not board.config.flash_dtr and board.platform_path in platforms]


def default() -> Board:
    """Return the board that ``separable.toml`` names, or the iCEBreaker.

    Raises
    ------
    SeparableError
        If that file is wrong, or there is no such board.
    """
    chosen = settings()
    try:
        return get(chosen.board or DEFAULT)
    except BoardError as error:
        raise BoardError(f"{chosen.path}: {error}") from None


def add_option(parser: argparse.ArgumentParser, purpose: str = "the board") -> None:
    """Add ``--board NAME``: a name, by default that of :func:`default`.

    Parameters
    ----------
    parser : ArgumentParser
    purpose : str
        What the board is there for.
    """

    def named(name: str) -> str:
        # argparse asks it for what stands in the place of an option that is missing.
        return name or default().name

    option = parser.add_argument(
        "--board", metavar="NAME", type=named, default="",
        help=f"{purpose} (default: the one that {NAME} names, here or in a folder above; "
        f"otherwise {DEFAULT})",
    )
    option.completer = lambda **_: board_names()  # type: ignore[attr-defined]  # argcomplete's
