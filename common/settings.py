"""Settings of a folder and those below it: the file ``separable.toml``, which nobody has to have.

::

    board = "icebreaker"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from common import reading
from common.errors import InputError

__all__ = ["NAME", "Settings", "settings"]

NAME = "separable.toml"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a file says.

    Attributes
    ----------
    path : Path or None
        The file; ``None`` if there is none.
    board : str or None
        Name of the board that commands work for if none is given.
    """

    path: Path | None = None
    board: str | None = None


def settings(folder: Path | None = None) -> Settings:
    """Return what the file in a folder (the working one), or in the nearest above it, says.

    Raises
    ------
    InputError
        If it cannot be read, is no TOML, or says what nobody asks for.
    """
    try:
        start = (folder or Path.cwd()).resolve()
    except OSError:
        # The working folder is deleted.
        return Settings()
    for place in (start, *start.parents):
        path = place / NAME
        if path.exists():
            return _read(path)
    return Settings()


def _read(path: Path) -> Settings:
    try:
        found = tomllib.loads("\n".join(reading.read_lines(path)))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}: not TOML ({error}); write a line such as board = 'icebreaker'"
        ) from None
    if unknown := sorted(found.keys() - {"board"}):
        raise InputError(
            f"{path}: says {', '.join(map(repr, unknown))}, and the only setting is 'board'; "
            "leave the rest out"
        )
    board = found.get("board")
    if board is not None and not (isinstance(board, str) and board):
        raise InputError(f"{path}: board is the name of one, such as 'icebreaker', not {board!r}")
    return Settings(path=path, board=board)
