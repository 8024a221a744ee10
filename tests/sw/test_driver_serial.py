"""The driver at a serial line, with the real link and core at its other end (simulated)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tflite_builder import NetworkBuilder

import boards
from hw.command import IDENTITY, Register
from sim.serial_port import SimulatedSerialPort
from sw import golden, importer
from sw.compiler import compile_graph
from sw.driver import Device, DeviceError, DeviceTimeout
from sw.driver.serial import SerialTransport
from sw.driver.spi_flash import SECTOR, SpiFlash

CONFIG = boards.get("icebreaker").config
DIVISOR = 10


@pytest.fixture
def port() -> Iterator[SimulatedSerialPort]:
    port = SimulatedSerialPort(CONFIG, divisor=DIVISOR)
    yield port
    port.close()


@pytest.fixture
def transport(port: SimulatedSerialPort) -> SerialTransport:
    return SerialTransport(port, CONFIG)


def test_registers_and_memory(transport: SerialTransport) -> None:
    assert transport.read_register(Register.STATUS) == IDENTITY << 8 | 2
    rng = np.random.default_rng(1)
    data = rng.integers(0, 1 << 16, 700, np.uint16)
    transport.write_memory(64_000, data)
    np.testing.assert_array_equal(transport.read_memory(64_000, 700), data)
    np.testing.assert_array_equal(transport.read_memory(64_255, 3), data[255:258])


@pytest.mark.parametrize("position", [0, 3, 5, 20, 517])
def test_damaged_requests_are_repeated(
    port: SimulatedSerialPort, transport: SerialTransport, position: int
) -> None:
    data = np.arange(256, dtype=np.uint16)
    # Of the next message: 6 bytes of header, 512 of data, 2 of checksum.
    port.damage = {port._sent + position}
    transport.write_memory(100, data)
    np.testing.assert_array_equal(transport.read_memory(100, 256), data)
    # And a damaged request to read.
    port.damage = {port._sent + position % 6}
    np.testing.assert_array_equal(transport.read_memory(100, 2), data[:2])


def test_flash(port: SimulatedSerialPort, transport: SerialTransport) -> None:
    before = bytes(range(256)) * 16
    port.board.write_flash(0x30000, before)
    data = np.random.default_rng(2).bytes(300)
    # Across the end of a sector; what is around it stays.
    address = 0x30000 + SECTOR - 100
    transport.program_flash(address, data)
    assert port.board.read_flash(0x30000, SECTOR - 100) == before[: SECTOR - 100]
    assert port.board.read_flash(address, 300) == data
    assert port.board.read_flash(address + 300, 1000) == b"\xff" * 1000
    cycle = port.board.cycle
    transport.program_flash(address, data)
    # Nothing to erase: only the sectors are read.
    assert port.board.cycle - cycle < 2 * 13 * SECTOR * 10


def test_a_network(port: SimulatedSerialPort, transport: SerialTransport) -> None:
    net = NetworkBuilder(seed=3)
    y = net.conv_2d(net.input((1, 9, 9, 3)), 8, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.fully_connected(net.reshape(y, (1, 200)), 4)
    graph = importer.loads(net.build(outputs=[y]), "small")
    device = Device(transport, CONFIG)
    device.load(compile_graph(graph, CONFIG))
    for seed in range(2):
        rng = np.random.default_rng(seed)
        x = rng.integers(-128, 128, (1, 9, 9, 3)).astype(np.int8)
        result = device.infer(x)
        np.testing.assert_array_equal(
            result.tensors[graph.outputs[0]], golden.run(graph, x)[graph.outputs[0]]
        )
        assert result.layer_cycles is None
        assert 1000 < result.cycles < 10_000
    with pytest.raises(DeviceError, match="does not show its layers"):
        device.infer(x, lambda number, value: None)


class DeadPort:
    """A line that nobody answers."""

    timeout: float | None = None

    def read(self, size: int) -> bytes:
        return b""

    def write(self, data: bytes) -> int:
        return len(data)

    def send_break(self, duration: float) -> None: ...

    def reset_input_buffer(self) -> None: ...

    def close(self) -> None: ...


class BrokenPort(DeadPort):
    """A cable that is pulled."""

    def write(self, data: bytes) -> int:
        raise OSError("device disconnected")


def test_dead_lines() -> None:
    with pytest.raises(DeviceError, match=r"read register: no answer; is this a Separable board"):
        Device(SerialTransport(DeadPort(), CONFIG), CONFIG)
    with pytest.raises(DeviceError, match="device disconnected"):
        Device(SerialTransport(BrokenPort(), CONFIG), CONFIG)


def test_bad_flashes() -> None:
    with pytest.raises(DeviceError, match="flash does not answer"):
        SpiFlash(lambda sent, received: b"\xff" * received).store(0, b"x")
    with pytest.raises(DeviceError, match=r"\(ef 40 18\) has no double transfer rate"):
        SpiFlash(lambda sent, received: b"\xef\x40\x18").store(0, b"x")
    with pytest.raises(DeviceError, match="beyond the flash"):
        SpiFlash(lambda sent, received: b"").store((1 << 24) - 1, b"xy")

    def protected(sent: bytes, received: int) -> bytes:
        return {0x9F: b"\xef\x70\x18", 0x05: b"\x00"}.get(sent[0], b"\xff" * received)

    with pytest.raises(DeviceError, match="sector at 0x1000 cannot be written"):
        SpiFlash(protected).store(0x1000, b"x")

    def busy(sent: bytes, received: int) -> bytes:
        return {0x9F: b"\xef\x70\x18", 0x05: b"\x01"}.get(sent[0], b"\xff" * received)

    with pytest.raises(DeviceTimeout, match="does not finish"):
        SpiFlash(busy).store(0x1000, b"x")
