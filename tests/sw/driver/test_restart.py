"""A start while the core runs: after a time-out, an interrupt, or a released hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import boards
from hw.contract.registers import Register
from sim.board.simulated import START_CYCLES
from sw import golden, importer
from sw.compiler import compile_graph
from sw.compiler.timing import predict
from sw.driver import Device
from sw.driver.simulation import SimTransport
from sw.fuzz.builder import NetworkBuilder

CONFIG = boards.get("icebreaker").config


def one_layer(net: NetworkBuilder) -> int:
    return net.conv_2d(net.input((1, 3, 5, 16)), 24, kernel=(1, 1))


def every_mode(net: NetworkBuilder) -> int:
    x = net.conv_2d(net.input((1, 4, 4, 16)), 16, kernel=(1, 1))
    y = net.depthwise_conv_2d(x, kernel=(3, 3))
    y = net.add(y, x, output_scale=0.9 * (net[x].scales[0] + net[y].scales[0]))
    y = net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2))
    return net.average_pool_2d(y, window=(2, 2), padding="VALID")


@pytest.mark.slow
@pytest.mark.parametrize(("make", "step"), [(one_layer, 1), (every_mode, 3)])
def test_a_start_in_any_cycle_of_a_run(make: Callable[[NetworkBuilder], int], step: int) -> None:
    """What is on its way through the array when a run is cut short is no output of the next."""
    net = NetworkBuilder(seed=7)
    graph = importer.loads(net.build(outputs=[make(net)]), "small")
    program = compile_graph(graph, CONFIG, dense_input=True)
    shape = graph.tensors[graph.inputs[0]].shape
    frame = np.random.default_rng(7).integers(-128, 128, shape).astype(np.int8)
    expected = golden.run(graph, frame)[graph.outputs[0]]
    place = program.tensors[program.outputs[0]]
    with Device(transport := SimTransport(CONFIG), CONFIG) as device:
        device.load(program)
        cycles = device.infer(frame).cycles
        assert cycles == sum(predict(program))
        board = transport.board
        for address, words in program.prepare(frame):
            given = board.memory()
            given[address : address + len(words)] = words
        for after in range(0, cycles, step):
            board.write_register(Register.START, 1)
            board.run(after)
            board.write_register(Register.START, 1)
            # The last write of the run that is cut short has arrived in all lanes now, the first
            # word of the new one not yet: what the former made of the input is undone.
            board.run(START_CYCLES + 2 * CONFIG.lanes)
            board.replace_memory(given)
            board.wait(2 * cycles)
            assert device.transport.read_cycles() == cycles, after
            words = board.memory()[place.address : place.address + place.words]
            np.testing.assert_array_equal(place.unpack(words), expected, err_msg=f"{after}")
