"""A bad line: no wrong result, no lost frame."""

from __future__ import annotations

import pytest
from test_driver import frame, small_network
from test_driver_serial import BAUD, BOARD, CONFIG, check, new_port

from sw.compiler import compile_graph
from sw.driver import Device
from sw.driver.serial import SerialTransport

FRAMES = 200
KINDS = ("flip", "drop", "duplicate", "insert", "delay")


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_frames_over_a_bad_line(rate: float) -> None:
    graph = small_network()
    program = compile_graph(graph, CONFIG, flash_address=BOARD.flash.program_base)
    port = new_port()
    with Device(SerialTransport(port, CONFIG, baud=BAUD), CONFIG) as device:
        device.load(program)
        for seed, faults in enumerate((port.to_device, port.to_host)):
            faults.__init__(**dict.fromkeys(KINDS, rate / len(KINDS)), seed=seed)
        results = list(device.stream(frame(graph, seed) for seed in range(FRAMES)))
        assert [result.index for result in results] == list(range(FRAMES))
        for seed, result in enumerate(results):
            # What was not delivered was reported; what was delivered is right.
            if result.error is None:
                check(graph, frame(graph, seed), result.tensors)
        assert sum(result.error is None for result in results) > 0.9 * FRAMES
        assert sum(result.retries for result in results)
        assert port.to_device.count > FRAMES * 700 * rate / 2
