"""The driver with devices that are busy, strange, or gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.networks import frame
from support.transports import Dummy

import boards
from hw.contract.registers import HOLD_NEVER, IDENTITY, Register
from sw import importer
from sw.compiler import Program, compile_graph
from sw.compiler.timing import predict
from sw.driver import (
    CorruptProgramError,
    Device,
    DeviceError,
    DeviceTimeout,
    open_device,
)
from sw.driver.transport import Halfwords
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

CONFIG = boards.get("icebreaker").config


def test_strange_devices(program: Program) -> None:
    with pytest.raises(DeviceError, match="version 12 of the command set, this driver"):
        Device(Dummy(0x1200), CONFIG)
    device = Device(Dummy(IDENTITY << 8), CONFIG)
    with pytest.raises(DeviceTimeout, match="flash does not become ready"):
        device.load(program)
    # Without layers the result has none.
    device = Device(Dummy(IDENTITY << 8 | 2), CONFIG)
    device.load(program)
    assert device.infer(np.zeros((1, 12, 12, 3), np.int8)).layer_cycles is None


def test_no_such_port() -> None:
    with pytest.raises(DeviceError, match=r"/dev/nothing: cannot be opened .*--backend is sim"):
        open_device("/dev/nothing", CONFIG)


class Recorder(Dummy):
    """Writes down what is asked of it.

    Attributes
    ----------
    log : list of tuple
    busy, corrupt : bool
        What STATUS says; a core that is waited for is not busy any more.
    """

    def __init__(self) -> None:
        super().__init__(0)
        self.log: list[tuple[object, ...]] = []
        self.busy = self.corrupt = False

    def read_register(self, register: Register) -> int:
        counter = {Register.CYCLES_LOW: 0x1234, Register.CYCLES_HIGH: 0x5}
        if register == Register.STATUS:
            return IDENTITY << 8 | self.corrupt << 2 | 2 | self.busy
        return counter.get(register, 0)

    def write_register(self, register: Register, value: int) -> None:
        self.log.append((register, value))

    def write_memory(self, address: int, halfwords: Halfwords) -> None:
        self.log.append(("memory", self.busy))

    def wait_idle(self, limit: int, *_: object) -> None:  # type: ignore[override]
        self.busy = False

    def program_flash(self, *_: object, trust: bool = True) -> None:  # type: ignore[override]
        self.log.append(("flash", trust))


def test_the_flash_is_doubted_until_the_program_is_loaded_again(program: Program) -> None:
    device = Device(transport := Recorder(), CONFIG)
    device.load(program)
    transport.corrupt = True
    with pytest.raises(CorruptProgramError):
        device.infer(np.zeros((1, 12, 12, 3), np.int8))
    transport.corrupt = False
    for _ in range(2):
        device.load(program)
    assert [entry for entry in transport.log if entry[0] == "flash"] == [
        ("flash", True), ("flash", False), ("flash", True)
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_inputs_wait_for_a_core_that_is_busy(program: Program, streamed: bool) -> None:
    """Its layers would write over them."""
    device = Device(transport := Recorder(), CONFIG)
    device.load(program)
    transport.busy = True
    x = np.zeros((1, 12, 12, 3), np.int8)
    if streamed:
        list(device.stream([x]))
    else:
        device.infer(x)
    assert ("memory", False) in transport.log and ("memory", True) not in transport.log


def test_long_runs_are_counted(program: Program) -> None:
    """The counter has two halves."""
    device = Device(transport := Recorder(), CONFIG)
    device.load(replace(program, flash_address=0x123456))
    assert transport.log[1:] == [
        (Register.FLASH_LOW, 0x3456), (Register.FLASH_HIGH, 0x12),
        (Register.RING_FIRST, program.ring[0]), (Register.HOLD, HOLD_NEVER),
    ]
    assert device.infer(np.zeros((1, 12, 12, 3), np.int8)).cycles == 0x51234


def test_a_hold_from_before_is_undone(device: Device, graph: Graph, program: Program) -> None:
    device.transport.write_register(Register.HOLD, 0)
    device.load(program)
    assert device.infer(frame(graph, 0)).cycles == sum(predict(program))


def test_the_limit_is_that_of_the_program(program: Program) -> None:
    net = NetworkBuilder(seed=9)
    y = net.conv_2d(net.input((1, 40, 40, 8)), 64, kernel=(1, 1))
    larger = compile_graph(importer.loads(net.build(outputs=[y]), "larger"), CONFIG)
    device = Device(Recorder(), CONFIG)
    for one, shape in ((program, (1, 12, 12, 3)), (larger, (1, 40, 40, 8))):
        device.load(one)
        assert device._begin(np.zeros(shape, np.int8)).job.limit > 3 * sum(predict(one))
    assert sum(predict(larger)) > 40_000
