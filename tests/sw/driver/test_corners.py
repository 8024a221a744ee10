"""Whole networks on boards that are warm, slow, or have noisy lines: right, or an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.networks import frame, small_network, tiny_model
from support.serial_board import BOARD, CONFIG, check

from hw.technology.ice40.capture import CORNERS, NOMINAL, SCALE, capture
from sim.board.flash_faults import FlashFaults
from sim.board.flash_part import FlashTiming
from sim.board.serial_port import Faults, SimulatedSerialPort
from sim.board.simulated import SimulatedBoard
from sw import golden, importer
from sw.compiler import Program, compile_graph
from sw.compiler.timing import predict
from sw.driver import CorruptProgramError, Device, DeviceError
from sw.driver.serial import SerialTransport
from sw.driver.simulation import SimTransport
from sw.ir import Graph

BASE = BOARD.flash.program_base
STUCK = [{mask: 1 << line} for mask in ("high", "low", "late") for line in range(4)]


@pytest.fixture(scope="module")
def tiny() -> tuple[Graph, Program]:
    graph = importer.loads(tiny_model(), "tiny")
    return graph, compile_graph(graph, CONFIG, flash_address=BASE)


@pytest.fixture(scope="module")
def small() -> tuple[Graph, Program]:
    graph = small_network()
    return graph, compile_graph(graph, CONFIG, flash_address=BASE)


def outcome(
    graph: Graph, program: Program, *, timing: FlashTiming | None = None,
    faults: FlashFaults | None = None, seed: int = 0,
) -> str:
    """Run a frame on a new board; a result has to be right.

    Faults begin when the flash is ready: what they do to its start is another test's.
    """
    x = frame(graph, seed)
    transport = SimTransport(CONFIG, timing=timing)
    with Device(transport, CONFIG) as device:
        device.load(program)
        if faults is not None:
            transport.board.flash_faults(faults)
        try:
            result = device.infer(x)
        except CorruptProgramError:
            return "corrupt"
        except DeviceError:
            return "refused"
        assert result.cycles == sum(predict(program))
    check(graph, x, result.tensors)
    return "right"


@pytest.mark.parametrize("corner", ["fast", *(
    pytest.param(corner, marks=pytest.mark.slow) for corner in ("slow", "typical", None))])
def test_every_corner(tiny: tuple[Graph, Program], corner: str | None) -> None:
    assert outcome(*tiny, timing=FlashTiming(corner=corner)) == "right"


def test_noise_is_reported(tiny: tuple[Graph, Program]) -> None:
    assert outcome(*tiny, faults=FlashFaults(flip=1e-2)) == "corrupt"


@pytest.mark.slow
@pytest.mark.parametrize("stuck", STUCK, ids=str)
def test_a_line_that_is_stuck_or_late_is_reported(
    tiny: tuple[Graph, Program], stuck: dict[str, int]
) -> None:
    assert outcome(*tiny, faults=FlashFaults(**stuck)) == "corrupt"


@pytest.mark.slow
@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("flip", [1e-6, 1e-4, 1e-2])
def test_a_network_is_right_or_reports(
    small: tuple[Graph, Program], corner: str, flip: float
) -> None:
    graph, program = small
    found = [outcome(graph, program, timing=FlashTiming(corner=corner), seed=seed,
                     faults=FlashFaults(flip=flip, seed=seed)) for seed in range(2)]
    # A program of some thousand nibbles: hardly ever one of them, hardly ever none.
    if flip <= 1e-6:
        assert found == ["right"] * 2
    if flip >= 1e-2:
        assert found == ["corrupt"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("corner", CORNERS)
def test_outside_of_the_window_no_network_lies(
    small: tuple[Graph, Program], corner: str, end: int
) -> None:
    delay = capture(NOMINAL, CONFIG.core_mhz).corners[corner].window_ns[end] / SCALE[corner]
    inside, outside = delay + (0.02 if end == 0 else -0.02), delay + (-0.02 if end == 0 else 0.02)
    timing = FlashTiming(corner=corner, capture=NOMINAL.at(inside))
    assert outcome(*small, timing=timing) == "right"
    timing = FlashTiming(corner=corner, capture=NOMINAL.at(outside))
    graph, program = small
    with Device(SimTransport(CONFIG, timing=timing), CONFIG) as device, \
            pytest.raises(DeviceError):
        device.load(program)
        device.infer(frame(graph, 0))


@pytest.mark.slow
@pytest.mark.parametrize("corner", CORNERS)
def test_a_whole_network_at_each_corner(shared: Path, corner: str) -> None:
    graph = importer.load(str(shared / "models" / "vww_96_int8.tflite"))
    program = compile_graph(graph, CONFIG, flash_address=BASE)
    assert outcome(graph, program, timing=FlashTiming(corner=corner)) == "right"
    assert outcome(graph, program, timing=FlashTiming(corner=corner),
                   faults=FlashFaults(flip=1e-4, seed=1)) == "corrupt"


@pytest.mark.slow
@pytest.mark.parametrize("flip", [1e-3])
def test_a_noisy_cable_and_a_noisy_flash(small: tuple[Graph, Program], flip: float) -> None:
    """Everything over the serial line: what is lost there is sent again, or it is an error."""
    graph, program = small
    board = SimulatedBoard(CONFIG, link_baud=BOARD.baud, timing=FlashTiming(corner="slow"))
    port = SimulatedSerialPort(board)
    with Device(SerialTransport(port, CONFIG, baud=BOARD.baud), CONFIG) as device:
        board.write_flash(BASE, program.flash)
        device.load(program)
        port.to_device, port.to_host = Faults(flip=flip, seed=1), Faults(flip=flip, seed=2)
        board.flash_faults(FlashFaults(flip=1e-6, seed=3))
        for seed in range(2):
            x = frame(graph, seed)
            try:
                result = device.infer(x)
            except DeviceError:
                continue
            expected = golden.run(graph, x)
            for index in graph.outputs:
                np.testing.assert_array_equal(result.tensors[index], expected[index])


def test_bad_faults() -> None:
    for bad in ({"flip": 2.0}, {"flip": -1e-9}, {"high": 16}, {"late": -1}):
        with pytest.raises(ValueError, match="must be"):
            FlashFaults(**bad)  # type: ignore[arg-type]
