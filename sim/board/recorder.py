"""Recorder of a simulated board's wave."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from common import files
from common.errors import SeparableError
from sim.board.waves import Wave

__all__ = ["Recorder"]

MODEL = "top"
"""Name of the compiled design in the harness, above its scopes."""

BEFORE = 7
"""Cycles from the host's start command to the one in which the core's counter begins."""


class Recorder:
    """Recorder of a window of one run.

    The file appears when it is finished, with what there is if the run ended early.

    Parameters
    ----------
    library : CDLL
        Of a board that was compiled for waves.
    board : int
    wave : Wave
    signals : sequence of str
        Whole names.
    """

    def __init__(
        self, library: ctypes.CDLL, board: Any, wave: Wave, signals: Sequence[str]
    ) -> None:
        self._library, self._board, self._wave = library, board, wave
        self._starts = 0
        self._file = ExitStack()
        u64 = ctypes.c_uint64
        library.board_wave_want.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        library.board_wave_open.argtypes = (ctypes.c_void_p, ctypes.c_char_p, u64, u64, u64)
        library.board_wave_close.argtypes = (ctypes.c_void_p,)
        for name in signals:
            library.board_wave_want(board, f"{MODEL}.{name}".encode())

    def begin(self, cycle: int) -> None:
        """The core is going to be started."""
        wave = self._wave
        if self._starts == wave.start:
            with ExitStack() as stack:
                partial = stack.enter_context(files.appearing(wave.path))
                # Verilator ends the process if it cannot open a file.
                partial.touch()
                failed = self._library.board_wave_open(
                    self._board, os.fsencode(partial), cycle + BEFORE, wave.first, wave.end)
                if failed:
                    raise SeparableError(f"{wave.path}: cannot be written")
                self._file = stack.pop_all()
        elif self._starts == wave.start + 1:
            self.finish()
        self._starts += 1

    def finish(self) -> None:
        """Nothing more is recorded."""
        self._library.board_wave_close(self._board)
        self._file.close()
