"""Boards whose flash was disturbed, or is another one: mended without configuration, or named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from support.networks import frame, small_network
from support.serial_board import BAUD, BOARD, CONFIG, check

from sim.board.flash_faults import FlashFaults
from sim.board.serial_port import SimulatedSerialPort
from sim.board.simulated import SimulatedBoard
from sim.errors import FlashError
from sw.compiler import Program, compile_graph
from sw.driver import CorruptProgramError, Device, DeviceError
from sw.driver.serial import SerialTransport
from sw.driver.spi_flash import Command, record
from sw.ir import Graph

pytestmark = pytest.mark.slow

DISTURBED = {
    "quad-enable bit": [b"\x66", b"\x99"],      # a reset: what is volatile is gone
    "power-down": [b"\xb9"],
    "both": [b"\x66", b"\x99", b"\xb9"],
}
"""Commands that leave a flash as a disturbance may."""


class DisturbedBoard(SimulatedBoard):
    """A board whose flash is spoken to as it should not be: that is what the driver is to mend."""

    def _raise_if(self, status: int) -> None:
        with suppress(FlashError):
            super()._raise_if(status)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small_network()


@pytest.fixture(scope="module")
def program(graph: Graph) -> Program:
    return compile_graph(graph, CONFIG, flash_address=BOARD.flash.program_base)


@pytest.fixture
def board(program: Program) -> Iterator[DisturbedBoard]:
    """Yield a board whose flash holds the program, and says so."""
    with DisturbedBoard(CONFIG, link_baud=BAUD) as board:
        image = program.flash + b"\xff" * (-len(program.flash) % 256) + record(program.flash)
        board.write_flash(program.flash_address, image)
        yield board


def new_device(board: SimulatedBoard) -> tuple[SerialTransport, Device]:
    transport = SerialTransport(SimulatedSerialPort(board), CONFIG, baud=BAUD)
    return transport, Device(transport, CONFIG)


def disturb(transport: SerialTransport, commands: list[bytes]) -> None:
    """Send the flash commands past the driver; it is not ready then."""
    status: Command = (b"\x35", b"", 1)
    with transport._flash():
        for command in commands:
            transport._exchange([(command, b"", 0)])
            transport.pause(2000)       # tRST
        assert transport._exchange([status]) != [b"\x02"]


@pytest.mark.parametrize("what", ["quad-enable bit", "power-down"])
def test_an_inference_on_a_disturbed_flash(
    board: DisturbedBoard, graph: Graph, program: Program, what: str
) -> None:
    transport, device = new_device(board)
    device.load(program)
    x = frame(graph, 0)
    check(graph, x, device.infer(x).tensors)
    disturb(transport, DISTURBED[what])
    x = frame(graph, 1)
    check(graph, x, device.infer(x).tensors)
    # In a stream, too, between two frames.
    def frames() -> Iterator[np.ndarray]:
        for seed in range(5):
            if seed == 2:
                disturb(transport, DISTURBED[what])
            yield frame(graph, seed)

    for seed, result in enumerate(device.stream(frames())):
        assert result.error is None
        check(graph, frame(graph, seed), result.tensors)
    # The program was not written again, and is believed to be there.
    now = transport.now()
    device.load(program)
    assert transport.now() - now < 0.03


def test_a_flash_that_was_disturbed_before_the_driver_came(
    board: DisturbedBoard, graph: Graph, program: Program
) -> None:
    transport, device = new_device(board)
    device.load(program)
    disturb(transport, DISTURBED["both"])
    _, device = new_device(board)
    device.load(program)
    x = frame(graph, 0)
    check(graph, x, device.infer(x).tensors)


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        (FlashFaults(high=2), "does not answer .*ff ff ff"),
        (FlashFaults(low=2), "does not answer .*00 00 00"),
        (FlashFaults(flip=1.0, seed=1), r"flash \(.*\) is not one .*its lines are disturbed"),
    ],
)
def test_a_flash_that_is_not_ready_is_named_and_recovers(
    board: DisturbedBoard, graph: Graph, program: Program, faults: FlashFaults, text: str
) -> None:
    """The reader waits for it as long as it takes, and the driver takes over."""
    board.flash_faults(faults)
    _, device = new_device(board)
    for _ in range(2):
        with pytest.raises(DeviceError, match=text):
            device.load(program)
    board.flash_faults(FlashFaults())
    device.load(program)
    x = frame(graph, 0)
    check(graph, x, device.infer(x).tensors)


def test_lines_that_the_start_up_does_without(
    board: DisturbedBoard, graph: Graph, program: Program
) -> None:
    """IO3 is dead: everything is right but what is read with four lines."""
    board.flash_faults(FlashFaults(low=8))
    _, device = new_device(board)
    device.load(program)
    with pytest.raises(CorruptProgramError):
        device.infer(frame(graph, 0))
    for result in device.stream([frame(graph, 0)] * 3):
        assert isinstance(result.error, CorruptProgramError)
    board.flash_faults(FlashFaults())
    device.load(program)
    x = frame(graph, 0)
    check(graph, x, device.infer(x).tensors)
