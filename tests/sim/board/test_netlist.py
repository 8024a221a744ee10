"""The design as it is placed and routed, pads and all, with the driver at its serial line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import boards
from hw.contract.registers import Register
from hw.technology.ice40.capture import NOMINAL
from sim.board import netlist
from sim.board.serial_port import SimulatedSerialPort
from sw import golden, importer
from sw.compiler import compile_graph
from sw.compiler.timing import predict
from sw.driver import Device
from sw.driver.serial import SerialTransport
from sw.driver.transport import Feed, Halfwords, LayerObserver
from sw.fuzz.builder import NetworkBuilder

BOARD = boards.get("icebreaker")

pytestmark = [
    pytest.mark.slow,
    # The PLL makes the clock domain of everything beside it.
    pytest.mark.filterwarnings("ignore:Domain .sync. is used in:DeprecationWarning"),
]


@pytest.fixture(params=[1])
def port(request: pytest.FixtureRequest) -> Iterator[SimulatedSerialPort]:
    port = netlist.port(BOARD, seed=request.param)
    yield port
    port.close()


def test_clocks_are_the_boards(port: SimulatedSerialPort) -> None:
    assert isinstance(port.board, netlist.NetlistBoard)
    assert port.board.mhz == pytest.approx(BOARD.config.core_mhz, rel=1e-6)
    assert port.board.capture.delay_ns == pytest.approx(NOMINAL.delay_ns, abs=0.01)
    assert port.board.capture.edges_ns == pytest.approx(NOMINAL.edges_ns, abs=0.4)


def test_a_network(port: SimulatedSerialPort) -> None:
    net = NetworkBuilder(seed=7)
    y = net.conv_2d(net.input((1, 16, 16, 3)), 8, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.depthwise_conv_2d(y, kernel=(3, 3), activation="RELU6")
    a = net.conv_2d(y, 16, kernel=(1, 1))
    y = net.add(net.conv_2d(a, 16, kernel=(1, 1), activation="RELU6"), a)
    y = net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.average_pool_2d(y, window=(4, 4), padding="VALID")
    y = net.fully_connected(net.reshape(y, (1, 16)), 4)
    graph = importer.loads(net.build(outputs=[y]), "small")
    program = compile_graph(graph, BOARD.config)
    # Something to erase.
    before = np.random.default_rng(1).bytes(4096)
    port.board.write_flash(program.flash_address, before)
    with Device(SerialTransport(port, BOARD.config, baud=BOARD.baud), BOARD.config) as device:
        device.load(program)
        stored = port.board.read_flash(program.flash_address, len(program.flash))
        assert stored == program.flash
        for seed in range(3):
            rng = np.random.default_rng(seed)
            x = rng.integers(-128, 128, (1, 16, 16, 3)).astype(np.int8)
            result = device.infer(x)
            expected = golden.run(graph, x)
            for index in graph.outputs:
                np.testing.assert_array_equal(result.tensors[index], expected[index])
            assert result.cycles == sum(predict(program))


SETTLED = 12
"""Cycles after the end of a layer at which its last result has arrived, and none of the next."""


class Impatient(SerialTransport):
    """Puts the program into the flash and the input into memory without the serial line.

    And shows the memory whenever a layer should be done.
    """

    observes_layers = True
    ends: Sequence[int] = ()

    def write_register(self, register: Register, value: int) -> None:
        port = self._port
        receive = port.receive

        def watch(timeout: float) -> bytes:
            while not port.board.busy:
                port.board.run(1)
            self.started = port.board.cycle
            port.receive = receive
            return receive(timeout)

        if register == Register.START:
            port.receive = watch
        super().write_register(register, value)

    def wait_idle(
        self, limit: int, on_layer: LayerObserver | None = None, feeds: Sequence[Feed] = ()
    ) -> None:
        if on_layer is not None:
            board = self._port.board
            for number, end in enumerate(self.ends):
                wait = self.started + end + SETTLED - board.cycle
                assert wait > 0, "the answer on START has taken longer than the layer"
                board.run(wait)
                on_layer(number, board.memory())
        super().wait_idle(limit, feeds=feeds)

    def program_flash(
        self, address: int, data: bytes, progress: Any = None, *, trust: bool = True
    ) -> None:
        self._port.board.write_flash(address, data)

    def write_memory(self, address: int, halfwords: Halfwords) -> None:
        memory = self._port.board.memory()
        memory.view(np.uint16).reshape(-1)[address : address + len(halfwords)] = halfwords
        self._port.board.replace_memory(memory)


def test_a_frame(port: SimulatedSerialPort, shared: Path) -> None:
    graph = importer.load(str(shared / "models" / "vww_96_int8.tflite"))
    program = compile_graph(graph, BOARD.config)
    x = np.random.default_rng(5).integers(-128, 128, (1, 96, 96, 3)).astype(np.int8)
    expected = golden.run(graph, x)
    seen = []

    def observe(layer: int, value: npt.NDArray[np.integer]) -> None:
        seen.append(layer)
        output = program.layers[layer].output
        np.testing.assert_array_equal(value, expected[output], graph.tensors[output].name)

    transport = Impatient(port, BOARD.config, baud=BOARD.baud)
    transport.ends = np.cumsum(predict(program)).tolist()
    with Device(transport, BOARD.config) as device:
        device.load(program)
        result = device.infer(x, observe)
    assert seen == list(range(len(program.layers)))
    for index in graph.outputs:
        np.testing.assert_array_equal(result.tensors[index], expected[index])
    assert result.cycles == sum(predict(program))
