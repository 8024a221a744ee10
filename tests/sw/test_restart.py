"""A start while the core runs: after a time-out, an interrupt, or a released hold."""

from __future__ import annotations

import numpy as np
from tflite_builder import NetworkBuilder

import boards
from hw.command import Register
from sim.board import START_CYCLES
from sw import golden, importer
from sw.compiler import compile_graph
from sw.driver import Device
from sw.driver.simulation import SimTransport

CONFIG = boards.get("icebreaker").config


def test_a_start_in_any_cycle_of_a_run() -> None:
    """What is on its way through the array when a run is cut short is no output of the next."""
    net = NetworkBuilder(seed=7)
    y = net.conv_2d(net.input((1, 3, 5, 16)), 24, kernel=(1, 1))
    graph = importer.loads(net.build(outputs=[y]), "one layer")
    program = compile_graph(graph, CONFIG, dense_input=True)
    frame = np.random.default_rng(7).integers(-128, 128, (1, 3, 5, 16)).astype(np.int8)
    expected = golden.run(graph, frame)[graph.outputs[0]]
    (place,) = (program.tensors[index] for index in program.outputs)
    (address, layout), *_ = program.inputs
    # The run that is cut short does not write where the input is.
    assert not set(range(address, address + layout.words)) & set(
        range(place.address, place.address + place.words)
    )
    with Device(transport := SimTransport(CONFIG), CONFIG) as device:
        device.load(program)
        cycles = device.infer(frame).cycles
        board = transport.board
        for after in range(cycles):
            board.write_register(Register.START, 1)
            board.run(after)
            board.write_register(Register.START, 1)
            # Within these the core is busy with the new run.
            board.run(START_CYCLES)
            board.wait(2 * cycles)
            assert device.cycles() == cycles, after
            words = board.memory()[place.address : place.address + place.words]
            np.testing.assert_array_equal(place.unpack(words), expected, err_msg=f"{after}")
