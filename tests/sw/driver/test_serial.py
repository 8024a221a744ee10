"""The driver at a serial line, with the real link and core at its other end (simulated)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.marks import slow
from support.networks import frame, small_network
from support.serial_board import BAUD, BOARD, CONFIG, check, new_port

from common.errors import InputError
from hw.contract.link import SEQUENCES
from hw.contract.registers import IDENTITY, Register
from sim.board.serial_port import SimulatedSerialPort
from sim.board.simulated import SimulatedBoard
from sw.compiler import Program, compile_graph
from sw.compiler.timing import predict
from sw.driver import (
    ConfigurationMismatch,
    CorruptProgramError,
    Device,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
    window,
)
from sw.driver.serial import SerialTransport
from sw.driver.spi_flash import RECORD_BYTES, SECTOR, Command, SpiFlash
from sw.ir import Graph

pytestmark = pytest.mark.slow


@pytest.fixture
def port() -> Iterator[SimulatedSerialPort]:
    port = new_port()
    yield port
    port.close()


@pytest.fixture
def transport(port: SimulatedSerialPort) -> SerialTransport:
    return SerialTransport(port, CONFIG, baud=BAUD)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small_network()


@pytest.fixture(scope="module")
def program(graph: Graph) -> Program:
    return compile_graph(graph, CONFIG, flash_address=BOARD.flash.program_base)


def test_the_highest_rate_is_chosen(transport: SerialTransport) -> None:
    assert transport.baud == BAUD == 12_000_000


def test_registers_and_memory(transport: SerialTransport) -> None:
    assert transport.read_register(Register.STATUS) == IDENTITY << 8 | 2
    rng = np.random.default_rng(1)
    data = rng.integers(0, 1 << 16, 3000, np.uint16)
    transport.write_memory(60_001, data)
    np.testing.assert_array_equal(transport.read_memory(60_001, 3000), data)
    np.testing.assert_array_equal(transport.read_memory(60_257, 3), data[256:259])
    assert transport.retries == 0


class Strict(SimulatedSerialPort):
    """A port at which it ends the test if the adapter loses anything."""

    def receive(self, timeout: float) -> bytes:
        data = super().receive(timeout)
        assert not self.overrun
        return data


def test_no_more_answers_than_the_adapter_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """However rarely the computer takes them; with more under way, some are lost."""
    data = np.random.default_rng(2).integers(0, 1 << 16, 4000, np.uint16)
    port = Strict(SimulatedBoard(CONFIG, link_baud=BAUD), turn=0.016)
    port.grain = 0.02
    with SerialTransport(port, CONFIG, baud=BAUD) as transport:
        transport.write_memory(0, data)
        np.testing.assert_array_equal(transport.read_memory(0, len(data)), data)
        assert transport.retries == 0
        monkeypatch.setattr(window, "ANSWER_BYTES", window.WINDOW_BYTES)
        with pytest.raises(AssertionError):
            transport.read_memory(0, len(data))


@pytest.mark.slow
def test_sequence_numbers_wrap(transport: SerialTransport) -> None:
    for number in range(SEQUENCES + 5):
        transport.write_register(Register.RING_FIRST, number)
    assert transport.retries == 0


@pytest.mark.parametrize("fault", ["flip", *map(slow, ("drop", "duplicate", "insert", "delay"))])
def test_damaged_requests_and_replies_are_repeated(
    port: SimulatedSerialPort, transport: SerialTransport, fault: str
) -> None:
    data = np.random.default_rng(3).integers(0, 1 << 16, 400, np.uint16)
    for faults, seed in ((port.to_device, 1), (port.to_host, 2)):
        faults.__init__(**{fault: 0.004, "seed": seed})
        transport.write_memory(100, data)
        np.testing.assert_array_equal(transport.read_memory(100, 400), data)
        assert faults.count
        faults.__init__()
    if fault != "delay":
        assert transport.retries


@pytest.mark.slow
def test_flash(port: SimulatedSerialPort, transport: SerialTransport) -> None:
    before = bytes(range(256)) * 16
    port.board.write_flash(0x30000, before * 3)
    data = np.random.default_rng(2).bytes(SECTOR + 300)
    done: list[tuple[int, int]] = []
    transport.program_flash(0x30000, data, lambda *state: done.append(state))
    assert port.board.read_flash(0x30000, len(data)) == data
    assert done[-1] == (len(data), len(data)) and len(done) == 2
    # What is around it stays.
    end = SECTOR + 512 + RECORD_BYTES
    assert port.board.read_flash(0x30000 + end, 1000) == (before * 3)[end : end + 1000]
    now = port.now()
    transport.program_flash(0x30000, data)
    # Nothing is written or read but the record.
    assert port.now() - now < 0.02
    assert transport.baud == BAUD
    with pytest.raises(DeviceError, match="beginning of a sector"):
        transport.program_flash(0x30001, data)


def test_a_network(transport: SerialTransport, graph: Graph, program: Program) -> None:
    device = Device(transport, CONFIG)
    device.load(program)
    for seed in range(2):
        x = frame(graph, seed)
        result = device.infer(x)
        check(graph, x, result.tensors)
        assert result.layer_cycles is None
        assert result.cycles == sum(predict(program))
    with pytest.raises(DeviceError, match="does not show its layers"):
        device.infer(x, lambda number, value: None)
    frames = [frame(graph, seed) for seed in range(5)]
    results = list(device.stream(frames))
    for x, streamed in zip(frames, results, strict=True):
        assert streamed.error is None and streamed.retries == 0
        check(graph, x, streamed.tensors)
        assert streamed.cycles == sum(predict(program))


@pytest.mark.slow
def test_a_stream_that_is_left(transport: SerialTransport, graph: Graph) -> None:
    """What was begun ahead of the results comes to its end first."""
    program = compile_graph(
        graph, CONFIG, flash_address=BOARD.flash.program_base, compact_input=True
    )
    assert program.overlap is not None
    device = Device(transport, CONFIG)
    device.load(program)
    for left in range(1, 3):
        for result, seed in zip(
            device.stream(frame(graph, seed) for seed in range(9)), range(left), strict=False
        ):
            check(graph, frame(graph, seed), result.tensors)
        x = frame(graph, 20 + left)
        result = device.infer(x)
        check(graph, x, result.tensors)
        assert result.cycles == sum(predict(program))


@pytest.mark.slow
def test_a_board_that_is_configured_again(
    transport: SerialTransport, port: SimulatedSerialPort, graph: Graph, program: Program
) -> None:
    device = Device(transport, CONFIG)
    device.load(program)
    frames = [frame(graph, seed) for seed in range(6)]
    results = []
    for number, result in enumerate(device.stream(frames)):
        results.append(result)
        if number == 2:
            # Its flash stays what it is.
            image = port.board.read_flash(program.flash_address, SECTOR * 8)
            port.board.close()
            port.board = SimulatedBoard(CONFIG, link_baud=BAUD, seed=5)
            port.board.serial_rate(port.baud)
            port.board.write_flash(program.flash_address, image)
    for x, result in zip(frames, results, strict=True):
        assert result.error is None
        check(graph, x, result.tensors)


def test_another_configuration_is_refused(port: SimulatedSerialPort) -> None:
    with pytest.raises(ConfigurationMismatch, match="not of the configuration that was asked for"):
        SerialTransport(port, replace(CONFIG, acc_bits=23), baud=BAUD)


class DeadPort:
    """A line that nobody answers."""

    name = "port"
    grain = 0.0001
    baud = 0

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def write(self, data: bytes) -> None: ...

    def receive(self, timeout: float) -> bytes:
        self.time += timeout
        return b""

    def discard(self) -> None: ...

    def close(self) -> None: ...


def test_dead_lines() -> None:
    with pytest.raises(DeviceError, match=r"no answer; is this a Separable board's port"):
        SerialTransport(DeadPort(), CONFIG, baud=BAUD)


class StubFlash:
    """A flash of a few answers: each opcode's, whatever follows it."""

    def __init__(self, **answers: bytes) -> None:
        self.answers = {int(name[1:], 16): answer for name, answer in answers.items()}

    def __call__(self, commands: list[Command]) -> list[bytes]:
        return [
            self.answers.get(head[0], b"\xff" * count)[:count] for head, _, count in commands
        ]


def test_bad_flashes() -> None:
    with pytest.raises(DeviceError, match="flash does not answer"):
        SpiFlash(StubFlash()).store(0, b"x")
    with pytest.raises(DeviceError, match=r"\(ef 40 18\) has no double transfer rate"):
        SpiFlash(StubFlash(x9f=b"\xef\x40\x18")).store(0, b"x")
    with pytest.raises(DeviceError, match="all of it below"):
        SpiFlash(StubFlash()).store((1 << 24) - SECTOR, bytes(SECTOR))
    # It takes commands, and nothing changes.
    with pytest.raises(DeviceError, match="sector at 0x1000 cannot be written"):
        SpiFlash(StubFlash(x9f=b"\xef\x70\x18", x35=b"\2", x05=b"\0")).store(0x1000, b"x")
    with pytest.raises(DeviceTimeout, match="does not finish"):
        SpiFlash(StubFlash(x9f=b"\xef\x70\x18", x05=b"\1")).store(0x1000, b"x")


@pytest.mark.slow
def test_a_pulled_cable_and_the_next_open(
    port: SimulatedSerialPort, graph: Graph, program: Program
) -> None:
    transport = SerialTransport(port, CONFIG, baud=BAUD)
    device = Device(transport, CONFIG)
    device.load(program)
    stream = device.stream(frame(graph, seed) for seed in range(100))
    check(graph, frame(graph, 0), next(stream).tensors)
    # In the middle of what is sent.
    sent, limit = port.sent, 150
    port.tap = lambda data: setattr(port, "cut", port.cut or port.sent - sent > limit)
    now = port.now()
    with pytest.raises(DeviceLost, match="does not answer any more"):
        list(stream)
    assert port.now() - now < 2, "no longer than the time-out"
    port.tap, port.cut = None, False
    again = Device(SerialTransport(port, CONFIG, baud=BAUD), CONFIG)
    now = port.now()
    again.load(program)
    assert port.now() - now < 0.03, "the flash holds the program"
    x = frame(graph, 7)
    check(graph, x, again.infer(x).tensors)


def spoil(board: SimulatedBoard, address: int) -> None:
    """Flip a byte of the flash behind everybody's back."""
    board.write_flash(address, bytes([board.read_flash(address, 1)[0] ^ 0xFF]))


@pytest.mark.slow
def test_a_damaged_program_gives_no_result_and_is_repaired(
    port: SimulatedSerialPort, transport: SerialTransport, graph: Graph, program: Program
) -> None:
    device = Device(transport, CONFIG)
    device.load(program)
    x = frame(graph, 1)
    weight = program.flash_address + len(program.flash) // 2
    spoil(port.board, weight)
    with pytest.raises(CorruptProgramError, match="load it again"):
        device.infer(x)
    # The record behind the program does not hide it, neither here nor from another driver.
    assert not any(port.board.read_flash(record_address(program), RECORD_BYTES))
    device.load(program)
    assert port.board.read_flash(program.flash_address, len(program.flash)) == program.flash
    check(graph, x, device.infer(x).tensors)

    def frames() -> Iterator[np.ndarray]:
        for seed in range(4):
            if seed == 2:
                spoil(port.board, weight)
            yield frame(graph, seed)

    results = list(device.stream(frames()))
    assert [result.index for result in results] == [0, 1, 2, 3]
    for seed, result in enumerate(results):
        if result.error is None:
            check(graph, frame(graph, seed), result.tensors)
        else:
            assert isinstance(result.error, CorruptProgramError) and not result.tensors
    assert results[0].error is None and results[3].error is not None
    device.load(program)
    check(graph, x, device.infer(x).tensors)


@pytest.mark.slow
def test_a_record_is_not_trusted_after_a_damaged_program(
    port: SimulatedSerialPort, transport: SerialTransport, graph: Graph, program: Program
) -> None:
    device = Device(transport, CONFIG)
    device.load(program)
    spoil(port.board, program.flash_address)
    # The record stays.
    transport.doubt_flash = lambda address, size: None
    with pytest.raises(CorruptProgramError):
        device.infer(frame(graph, 0))
    assert any(port.board.read_flash(record_address(program), RECORD_BYTES))
    device.load(program)
    check(graph, frame(graph, 0), device.infer(frame(graph, 0)).tensors)


def record_address(program: Program) -> int:
    return program.flash_address + len(program.flash) + -len(program.flash) % 256


@pytest.mark.slow
def test_frames_of_wrong_length_in_a_stream(
    transport: SerialTransport, graph: Graph, program: Program
) -> None:
    device = Device(transport, CONFIG)
    device.load(program)
    wrong = {1: (1, 12, 11, 3), 2: (1, 12, 12, 4), 4: (0,)}
    frames = [
        np.zeros(wrong[seed], np.int8) if seed in wrong else frame(graph, seed)
        for seed in range(5)
    ]
    results = list(device.stream(frames))
    assert [result.index for result in results] == list(range(5))
    for seed, result in enumerate(results):
        if seed in wrong:
            assert isinstance(result.error, InputError) and not result.tensors
        else:
            assert result.error is None
            check(graph, frames[seed], result.tensors)


@pytest.mark.slow
def test_a_cable_cut_in_the_middle_of_an_answer(
    port: SimulatedSerialPort, graph: Graph, program: Program
) -> None:
    transport = SerialTransport(port, CONFIG, baud=BAUD)
    device = Device(transport, CONFIG)
    device.load(program)
    data = np.arange(1000, dtype=np.uint16)
    transport.write_memory(0, data)

    def cut(data: bytes) -> list[tuple[bytes, float]]:
        # The first bytes of the answer arrive.
        if port.cut or not data:
            return []
        port.cut = True
        return [(data[:20], 0.0)]

    spoil_nothing, port.to_host.spoil = port.to_host.spoil, cut
    now = port.now()
    with pytest.raises(DeviceLost, match="does not answer any more"):
        transport.read_memory(0, 1000)
    assert port.now() - now < 2
    port.to_host.spoil, port.cut = spoil_nothing, False
    transport = SerialTransport(port, CONFIG, baud=BAUD)
    np.testing.assert_array_equal(transport.read_memory(0, 1000), data)
    again = Device(transport, CONFIG)
    again.load(program)
    check(graph, frame(graph, 2), again.infer(frame(graph, 2)).tensors)


@pytest.mark.slow
def test_a_cable_cut_while_the_flash_is_programmed(
    port: SimulatedSerialPort, graph: Graph, program: Program
) -> None:
    transport = SerialTransport(port, CONFIG, baud=BAUD)
    address = program.flash_address
    port.board.write_flash(address, np.random.default_rng(1).bytes(3 * SECTOR))
    # In the middle of the third page of the program.
    pages = 0

    def cut(data: bytes) -> None:
        nonlocal pages
        pages += program.flash[256 * pages :][:32] in data
        port.cut = port.cut or pages == 3

    port.tap = cut
    with pytest.raises(DeviceLost, match="does not answer any more"):
        Device(transport, CONFIG).load(program)
    assert pages == 3
    assert port.board.read_flash(address, len(program.flash)) != program.flash
    port.tap, port.cut = None, False
    again = Device(SerialTransport(port, CONFIG, baud=BAUD), CONFIG)
    again.load(program)
    assert port.board.read_flash(address, len(program.flash)) == program.flash
    check(graph, frame(graph, 2), again.infer(frame(graph, 2)).tensors)
