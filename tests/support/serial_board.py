"""A simulated board at a serial line."""

from __future__ import annotations

import numpy as np

import boards
from sim.board.serial_port import SimulatedSerialPort
from sim.board.simulated import SimulatedBoard
from sw import golden
from sw.ir import Graph

BOARD = boards.get("icebreaker")
CONFIG, BAUD = BOARD.config, BOARD.baud


def new_port(**options: float) -> SimulatedSerialPort:
    """Return the line of a new board."""
    return SimulatedSerialPort(SimulatedBoard(CONFIG, link_baud=BAUD), **options)


def check(graph: Graph, x: np.ndarray, tensors: dict[int, np.ndarray]) -> None:
    """Compare a network's outputs with the golden model's."""
    expected = golden.run(graph, x)
    for index in graph.outputs:
        np.testing.assert_array_equal(tensors[index], expected[index])
