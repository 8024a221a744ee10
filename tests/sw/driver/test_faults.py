"""A bad line, or another board: no wrong result, no lost frame."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from support.link_model import ModelBoard, ModelPort
from support.networks import frame, small_network
from support.serial_board import BAUD, BOARD, CONFIG, check, new_port

from hw.contract.link import FRESH, digest
from hw.contract.registers import Register
from sw import importer
from sw.compiler import compile_graph
from sw.driver import Device, DeviceError
from sw.driver.serial import SerialTransport
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

FRAMES = 200
KINDS = ("flip", "drop", "duplicate", "insert", "delay")

FRAME_SECONDS = 2.0
"""In which a frame is there, or reported as lost: the time-out for the core and the line's."""


def tiny_network() -> Graph:
    """A convolution and a fully connected layer; the input is 100 bytes."""
    net = NetworkBuilder(seed=5)
    x = net.input((1, 5, 5, 3))
    y = net.conv_2d(x, 4, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.fully_connected(net.reshape(y, (1, 36)), 3)
    return importer.loads(net.build(outputs=[y]), "tiny")


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "network"), [(1e-3, small_network), (1e-2, tiny_network)])
def test_frames_over_a_bad_line(rate: float, network: Callable[[], Graph]) -> None:
    graph = network()
    program = compile_graph(
        graph, CONFIG, flash_address=BOARD.flash.program_base, compact_input=True
    )
    assert program.overlap is not None, "inputs, starts and results are under way together"
    port = new_port()
    # What has to be waited for has to be simulated.
    port.grain = 0.0001
    with Device(SerialTransport(port, CONFIG, baud=BAUD), CONFIG) as device:
        device.load(program)
        sent = port.sent
        for seed, faults in enumerate((port.to_device, port.to_host)):
            faults.__init__(
                **dict.fromkeys(KINDS, rate / len(KINDS)), seed=seed, delay_seconds=port.grain
            )
        results, ends = [], [port.now()]
        for result in device.stream(frame(graph, seed) for seed in range(FRAMES)):
            results.append(result)
            ends.append(port.now())
        assert [result.index for result in results] == list(range(FRAMES))
        for seed, result in enumerate(results):
            # What was not delivered was reported; what was delivered is right.
            if result.error is None:
                check(graph, frame(graph, seed), result.tensors)
        assert sum(result.error is None for result in results) > 0.9 * FRAMES
        assert sum(result.retries for result in results)
        assert max(end - begin for begin, end in pairwise(ends)) < FRAME_SECONDS
        assert port.to_device.count > (port.sent - sent) * rate / 2
        assert port.to_host.count


@pytest.mark.parametrize(("fresh", "expected"), [(FRESH, 0), (0, 100)])
def test_another_board_in_the_place_of_the_first(fresh: int, expected: int) -> None:
    """It says that it is new, or expects a number that cannot be: either is enough."""
    seed = digest(BOARD.config, BOARD.baud)
    port = ModelPort(seed, BOARD.baud)
    transport = SerialTransport(port, CONFIG, baud=BAUD)
    data = np.arange(50, dtype=np.uint16)
    transport.write_memory(0, data)
    while transport.link.line.sequence:
        transport.write_register(Register.RING_FIRST, 1)
    port.board = ModelBoard(seed, BOARD.baud)
    port.board.fresh, port.board.expected = fresh, expected
    with pytest.raises(DeviceError, match="configured anew meanwhile; load the program again"):
        transport.read_memory(0, 50)
    transport.write_memory(0, data)
    np.testing.assert_array_equal(transport.read_memory(0, 50), data)
