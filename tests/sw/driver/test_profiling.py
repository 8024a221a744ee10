"""Where cycles go, as the device counts them, against the cycle model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import boards
from hw.contract.registers import Register
from sw import importer
from sw.compiler import Program, compile_graph
from sw.compiler.timing import descriptor_timings, predict
from sw.driver import Device, DeviceError, DeviceTimeout, open_device, profile
from sw.driver.simulation import SimTransport
from sw.fuzz.builder import NetworkBuilder

CONFIG = boards.get("icebreaker").config
FRAME = np.zeros((1, 12, 12, 3), np.int8)


@pytest.fixture(scope="module")
def program() -> Program:
    """One layer of it takes two descriptors."""
    net = NetworkBuilder(seed=3)
    y = net.conv_2d(net.input((1, 12, 12, 3)), 8, kernel=(3, 3), stride=(2, 2))
    y = net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2))
    y = net.conv_2d(y, 2100, kernel=(1, 1))
    y = net.average_pool_2d(y, window=(3, 3), padding="VALID")
    program = compile_graph(importer.loads(net.build(outputs=[y]), "small"), CONFIG)
    assert len(program.work) > len(program.layers)
    return program


def check(device: Device, program: Program) -> None:
    layers = profile(device, program, FRAME)
    assert [layer.name for layer in layers] == [layer.name for layer in program.layers]
    assert [layer.cycles for layer in layers] == predict(program)
    timings = descriptor_timings(program)
    for number, layer in enumerate(layers):
        own = [t for t, work in zip(timings, program.work, strict=True) if work.layer == number]
        assert layer.steps == sum(t.steps for t in own)
        assert layer.weights == sum(t.weights for t in own)
        assert layer.input == sum(t.input for t in own)
        assert layer.requantise == sum(t.requantise for t in own)
        assert layer.fill == sum(t.fill for t in own)
    # Everything is as before.
    assert device.infer(FRAME).cycles == sum(predict(program))


@pytest.mark.slow
def test_simulated_board(program: Program) -> None:
    with open_device("sim", CONFIG) as device:
        check(device, program)


@pytest.mark.slow
def test_serial_line(program: Program) -> None:
    with open_device("sim:link", CONFIG) as device:
        check(device, program)


class Broken(SimTransport):
    """Counts too much, or never says that it is held."""

    def __init__(self, fault: str) -> None:
        super().__init__(CONFIG)
        self.fault = fault

    def read_register(self, register: Register) -> int:
        value = super().read_register(register)
        if self.fault == "count" and register == Register.CYCLES_LOW:
            return value + 1
        if self.fault == "held" and register == Register.STATUS:
            return value & ~8
        return value


@pytest.mark.slow
def test_a_device_that_counts_too_much(program: Program) -> None:
    with (
        Device(Broken("count"), CONFIG) as device,
        pytest.raises(DeviceError, match=r"causes of .* cycles were counted, of an inference of"),
    ):
        profile(device, program, FRAME)


@pytest.mark.slow
def test_a_device_that_does_not_get_there(program: Program) -> None:
    with Device(Broken("held"), CONFIG) as device:
        with pytest.raises(DeviceTimeout, match="does not get to descriptor 1"):
            profile(device, program, FRAME)
        # It can be used again.
        assert device.infer(FRAME).cycles == sum(predict(program))


@pytest.mark.slow
def test_another_core(program: Program) -> None:
    with (
        open_device("sim", CONFIG) as device,
        pytest.raises(DeviceError, match="compiled for another core"),
    ):
        profile(device, replace(program, config=replace(CONFIG, acc_bits=23)), FRAME)
