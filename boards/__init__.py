"""Boards: one small file each, named like the board.

Nothing here imports Amaranth: the compiler and the driver read the same objects as the generator.
"""

import importlib
import pkgutil
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from hw.contract.config import CoreConfig
from sw.errors import SeparableError

__all__ = ["Board", "BoardError", "Flash", "board_names", "get"]


class BoardError(SeparableError):
    """There is no such board."""


@dataclass(frozen=True, kw_only=True)
class Flash:
    """The board's flash.

    Attributes
    ----------
    size : int
        Bytes.
    program_base : int
        Byte address of what the core reads; below it lies the FPGA's configuration.
    sector : int
        Bytes of the smallest erase.
    """

    size: int
    program_base: int
    sector: int = 4096

    def __post_init__(self) -> None:
        if self.program_base % self.sector:
            raise ValueError(
                f"program_base must be a multiple of {self.sector}, not {self.program_base!r}")
        if not 0 < self.program_base < self.size:
            raise ValueError(f"program_base must be inside the flash, not {self.program_base!r}")


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board that the flow builds for.

    Attributes
    ----------
    name : str
        As given to ``--board``.
    title : str
        As its makers call it.
    platform_path : str
        Module and class of its Amaranth platform, with a colon between.
    oscillator_mhz : float
        The clock that comes in, on the resource that is the platform's default clock.
    baud : int
        Highest rate of the host link.
    flash : Flash
    config : CoreConfig
        The core that is built for it; its ``core_mhz`` is the PLL's output.
    seed : int
        Of place and route: one that is known to reach the clock.
    """

    name: str
    title: str
    platform_path: str
    oscillator_mhz: float
    baud: int
    flash: Flash
    config: CoreConfig = field(default_factory=CoreConfig)
    seed: int = 1

    def platform(self) -> Any:
        """Return a new Amaranth platform."""
        module, _, name = self.platform_path.partition(":")
        return getattr(importlib.import_module(module), name)()


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
