"""Frames over the simulated serial line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import boards
from common.errors import SeparableError
from sw import golden
from sw.driver import StreamResult, open_device
from sw.figures.networks import path_of, predicted_figures
from sw.figures.store import BOARD, file_digest
from sw.ir import Graph

__all__ = ["HOW", "NETWORK", "measure_line", "period"]

NETWORK = "vww_96_int8"
HOW = f"python -m sw.stream {NETWORK}.tflite FRAMES --board {BOARD} --backend sim:link --verify"
FRAMES = 12
BITS = 10
"""A byte on the line: start, eight bits, stop."""


def period(results: list[StreamResult]) -> float:
    """Return the milliseconds from one result to the next in a stream that runs.

    The first frame has nothing to overlap with, and no input comes behind the last one.
    """
    ends = [result.finished for result in results[1:-1]]
    return 1e3 * (ends[-1] - ends[0]) / (len(ends) - 1)


def measure_line(say: Callable[[str], None]) -> tuple[dict[str, str], dict[str, Any]]:
    """Stream frames of random pixels: returns the network's digest, and the rate.

    Raises
    ------
    SeparableError
        If a result is not the golden model's, or a packet was sent again.
    """
    path, board = path_of(NETWORK), boards.get(BOARD)
    graph, program, figures = predicted_figures(path, "compact_input")
    rng = np.random.default_rng(7)
    shape = graph.tensors[graph.inputs[0]].shape
    frames = [rng.integers(-128, 128, shape, np.int8) for _ in range(FRAMES)]
    results = []
    with open_device("sim:link", board.config, baud=board.baud) as device:
        device.load(program)
        for x, result in zip(frames, device.stream(frames), strict=True):
            say(f"frame {result.index + 1} of {FRAMES}")
            _check(graph, x, result)
            results.append(result)
    ms = period(results)
    return {NETWORK: file_digest(path)}, {
        "frames": FRAMES,
        "baud": board.baud,
        "period_ms": ms,
        "frames_per_second": 1e3 / ms,
        "bytes": figures["input_bytes"],
        "bytes_ms": 1e3 * figures["input_bytes"] * BITS / board.baud,
        "core_ms": figures["cycles"] / board.config.core_mhz / 1e3,
        "next_input_ms": figures["next_input_cycle"] / board.config.core_mhz / 1e3,
    }


def _check(graph: Graph, x: Any, result: StreamResult) -> None:
    if result.error is not None:
        raise result.error
    expected = golden.run(graph, x)
    wrong = [i for i in graph.outputs if not np.array_equal(result.tensors[i], expected[i])]
    if wrong or result.retries:
        raise SeparableError(f"frame {result.index}: {result.retries} packets sent again; outputs "
                             f"{wrong} are not the golden model's")
