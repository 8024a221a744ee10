"""The C interface of the simulated board."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from sim.board import verilate

__all__ = ["load"]


@cache
def load(contents: bytes) -> ctypes.CDLL:
    """Return the board's C interface (``harness.cpp``), from a compiled library."""
    library = verilate.load(contents)
    board, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    data, flag = ctypes.c_void_p, ctypes.c_int
    prototypes: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "board_create": (board, (u64, *[ctypes.c_double] * 3, flag, u32)),
        "board_destroy": (None, (board,)),
        "board_error": (ctypes.c_char_p, (board,)),
        "board_flash_write": (flag, (board, u32, data, u32)),
        "board_flash_read": (flag, (board, u32, data, u32)),
        "board_flash_faults": (None, (board, ctypes.c_double, u32, u32, u32, u64)),
        "board_taps": (None, (board, u32, data, data)),
        "board_transfer": (flag, (board, flag, flag, u32, data, u32)),
        "board_uart_divisor": (None, (board, ctypes.c_double)),
        "board_uart_send": (None, (board, data, u32, u64)),
        "board_uart_idle": (flag, (board,)),
        "board_uart_receive": (u32, (board, data, u32, u64, u64)),
        "board_begin": (None, (board,)),
        "board_feed": (None, (board, u64, u64, u32, data, u32, u32, ctypes.c_uint16)),
        "board_run": (flag, (board, u64)),
        "board_wait": (flag, (board, u64, flag)),
        "board_busy": (flag, (board,)),
        "board_cycle": (u64, (board,)),
        "board_layers": (u32, (board, data, u32)),
        "board_memory": (None, (board, data)),
        "board_memory_replace": (None, (board, data)),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
