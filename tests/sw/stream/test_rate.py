"""Frames per second over the simulated line, of a network like visual wake words."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import boards
from sw import golden
from sw.compiler import Program, compile_graph
from sw.compiler.timing import predict
from sw.driver import open_device
from sw.driver.serial import SerialTransport
from sw.explore.graphs import random_graph
from sw.figures import line, store
from sw.ir import Graph
from sw.networks.architecture import mobilenet_v1

BOARD = boards.get("icebreaker")
CONFIG = BOARD.config


@pytest.fixture(scope="module")
def graph() -> Graph:
    return random_graph(mobilenet_v1(alpha=0.25, resolution=96, classes=2))


@pytest.fixture(scope="module")
def program(graph: Graph) -> Program:
    return compile_graph(
        graph, CONFIG, flash_address=BOARD.flash.program_base, compact_input=True
    )


@pytest.mark.slow
def test_forty_frames_a_second(graph: Graph, program: Program) -> None:
    """Every frame has other pixels, every result is exact, and the line is hardly ever idle."""
    shape = graph.tensors[graph.inputs[0]].shape
    rng = np.random.default_rng(7)
    frames = [rng.integers(-128, 128, shape, np.int8) for _ in range(5)]
    with open_device("sim:link", CONFIG, baud=BOARD.baud) as device:
        assert isinstance(device.transport, SerialTransport)
        assert device.transport.baud == 12_000_000
        device.load(program)
        results = list(device.stream(frames))
    for x, result in zip(frames, results, strict=True):
        assert result.error is None and result.retries == 0
        expected = golden.run(graph, x)
        for index in graph.outputs:
            np.testing.assert_array_equal(result.tensors[index], expected[index])
        # The host's writes cost the core nothing that could be seen.
        assert result.cycles == sum(predict(program))
    # No input comes behind the last frame; before it, each period has one.
    ends = [result.finished for result in results[:-1]]
    for before, after in pairwise(ends):
        assert after - before < 1 / 40
        assert after - before > np.prod(shape) * 10 / BOARD.baud, "faster than the line"
    stated = store.lookup(store.read(), "line/period_ms")
    assert line.period(results) == pytest.approx(stated, rel=1e-3)
