"""Every board, simulated with its own flash and link, through the driver as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.networks import small_network

import boards
from sim.board.serial_port import SimulatedSerialPort
from sim.board.simulated import SimulatedBoard
from sw import golden, importer
from sw.compiler import compile_graph
from sw.compiler.timing import predict
from sw.driver import DeviceError
from sw.driver.device import Device
from sw.driver.serial import SerialTransport
from sw.driver.simulation import SimTransport

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", boards.board_names())
def test_a_small_network_is_exact(name: str) -> None:
    board = boards.get(name)
    graph = small_network()
    program = compile_graph(
        graph, board.config, board=name, flash_address=board.flash.program_base)
    simulated = SimulatedBoard(board.config, link_baud=board.baud, flash=board.flash)
    transport = SerialTransport(SimulatedSerialPort(simulated), board.config, baud=board.baud)
    shape = graph.tensors[graph.inputs[0]].shape
    image = np.random.default_rng(5).integers(-128, 128, shape).astype(np.int8)
    expected = golden.run(graph, image)
    with Device(transport, board.config) as device:
        device.load(program)
        result = device.infer(image)
    assert result.cycles == sum(predict(program))
    for output in graph.outputs:
        np.testing.assert_array_equal(result.tensors[output], expected[output])


def test_a_flash_that_another_build_reads_names_it() -> None:
    """The iCEBreaker's bitstream on a board whose flash has no double transfer rate."""
    board, other = boards.get("icebreaker"), boards.get("icebreaker_iq")
    simulated = SimulatedBoard(board.config, link_baud=board.baud, flash=other.flash)
    transport = SerialTransport(SimulatedSerialPort(simulated), board.config, baud=board.baud)
    with transport, pytest.raises(DeviceError, match=r"\(ef 40 18\) has no double transfer rate.*"
                                                     r"program that of icebreaker_iq \(--board"):
        transport.prepare_flash()


def test_visual_wake_words_is_exact_at_single_rate(shared: Path) -> None:
    board = boards.get("icebreaker_iq")
    graph = importer.load(shared / "models" / "vww_96_int8.tflite")
    program = compile_graph(
        graph, board.config, board=board.name, flash_address=board.flash.program_base)
    shape = graph.tensors[graph.inputs[0]].shape
    image = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    expected = golden.run(graph, image)
    with Device(SimTransport(board.config), board.config) as device:
        device.load(program)
        result = device.infer(image)
    assert result.cycles == sum(predict(program)) == 483_656
    for output in graph.outputs:
        np.testing.assert_array_equal(result.tensors[output], expected[output])
