"""The compiled simulation, around a core that only copies from flash to memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.standin import LAYERS, NEVER, WORDS, StandIn

from common import cache
from hw.contract.config import CoreConfig
from hw.contract.flash import DOUBLE_RATE
from hw.contract.registers import IDENTITY, Register
from hw.contract.sections import seal
from sim.board import verilate
from sim.board.simulated import FLASH_SIZE, LayerEnd, SimulatedBoard
from sim.errors import BuildError, FlashError, HangError

CONFIG = CoreConfig(memory_depth=1024)


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard(CONFIG, core=StandIn(CONFIG)) as board:
        yield board


def wait_for_flash(board: SimulatedBoard) -> None:
    for _ in range(100):
        if board.read_register(Register.STATUS) >> 1 & 1:
            return
        board.run(100)
    pytest.fail("the flash does not become ready")


def start(board: SimulatedBoard, *, address: int, first: int) -> None:
    board.write_register(Register.FLASH_LOW, address & 0xFFFF)
    board.write_register(Register.FLASH_HIGH, address >> 16)
    board.write_register(Register.RING_FIRST, first)
    board.write_register(Register.START, 1)


def test_memory_through_the_bus(board: SimulatedBoard) -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(0, 1 << 16, 4096, np.uint16)
    board.write_memory(0, data)
    np.testing.assert_array_equal(board.read_memory(0, 4096), data)
    board.write_memory(4094, [1, 2])
    np.testing.assert_array_equal(board.read_memory(4092, 4), [data[4092], data[4093], 1, 2])
    expected = np.concatenate([data[:4094], np.array([1, 2], np.uint16)])
    np.testing.assert_array_equal(board.memory(), expected.view(np.int8).reshape(1024, 8))


def test_registers(board: SimulatedBoard) -> None:
    board.write_register(Register.RING_FIRST, 0xABCD)
    assert board.read_register(Register.RING_FIRST) == 0xABCD
    assert board.read_register(Register.STATUS) >> 8 == IDENTITY


@pytest.mark.slow
@pytest.mark.parametrize(("address", "count"), [(-1, 1), (4096, 1), (4095, 2)])
def test_bad_addresses(board: SimulatedBoard, address: int, count: int) -> None:
    with pytest.raises(ValueError, match="halfwords"):
        board.read_memory(address, count)
    with pytest.raises(ValueError, match="halfwords"):
        board.write_memory(address, [0] * count)


@pytest.mark.slow
def test_flash_contents(board: SimulatedBoard) -> None:
    board.write_flash(FLASH_SIZE - 3, b"abc")
    assert board.read_flash(FLASH_SIZE - 4, 4) == b"\xffabc"
    for offset in (-1, FLASH_SIZE - 2):
        with pytest.raises(ValueError, match="flash bytes"):
            board.write_flash(offset, b"abc")


def test_power_on_contents_depend_on_the_seed() -> None:
    contents = []
    for seed in (1, 1, 2):
        with SimulatedBoard(CONFIG, core=StandIn(CONFIG), seed=seed) as board:
            contents.append(board.memory())
    np.testing.assert_array_equal(contents[0], contents[1])
    assert np.count_nonzero(contents[0] != contents[2]) > 8000


def test_run_with_flash_in_the_loop(board: SimulatedBoard) -> None:
    rng = np.random.default_rng(2)
    data = rng.integers(0, 256, LAYERS * 800, np.uint8).tobytes()
    board.write_flash(0x123457, seal(data))
    wait_for_flash(board)
    start(board, address=0x123457, first=10)
    assert board.busy
    seen: list[LayerEnd] = []
    ends = board.wait(100_000, seen.append)
    assert not board.busy
    assert [end.cycle for end in seen] == ends
    assert len(ends) == LAYERS
    # There are two checksums on the way.
    assert ends[1] - ends[0] == DOUBLE_RATE.halfword * (4 * WORDS + 2)
    for number, end in enumerate(seen):
        assert end.memory is not None
        expected = np.frombuffer(data, np.int8)[800 * number :][:800].reshape(100, 8)
        first = 10 + 100 * number
        np.testing.assert_array_equal(end.memory[first : first + 100], expected)
    cycles = board.read_register(Register.CYCLES_LOW)
    assert abs(cycles - ends[1]) <= 2


def test_without_snapshots_the_cycles_are_the_same(board: SimulatedBoard) -> None:
    board.write_flash(0, seal(bytes(LAYERS * 800)))
    wait_for_flash(board)
    ends = []
    observers: list[Callable[[LayerEnd], None] | None] = [None, lambda end: None, None]
    for observer in observers:
        start(board, address=0, first=0)
        ends.append(board.wait(100_000, observer))
    assert ends[0] == ends[1] == ends[2]


def test_watchdog(board: SimulatedBoard) -> None:
    wait_for_flash(board)
    start(board, address=0, first=NEVER)
    with pytest.raises(HangError, match="still busy after 5000 cycles, 0 layers done"):
        board.wait(5000)


def test_flash_errors_surface() -> None:
    # A start before the flash is ready is ignored by the reader; a core that drives the flash
    # too fast is what the model refuses: the minimum time of /CS high is a matter of the clock.
    config = CoreConfig(memory_depth=1024, core_mhz=130)
    with (
        SimulatedBoard(config, core=StandIn(config)) as board,
        pytest.raises(FlashError, match=r"flash: cycle \d+: "),
    ):
        wait_for_flash(board)
        start(board, address=0, first=0)
        board.wait(10_000)


def test_the_build_is_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    SimulatedBoard(CONFIG, core=StandIn(CONFIG)).close()

    def fail(*_: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(verilate, "verilog", fail)
    SimulatedBoard(CONFIG, core=StandIn(CONFIG)).close()


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(verilate, "find_spec", lambda name: None)
    with pytest.raises(BuildError, match="install g\\+\\+") as caught:
        SimulatedBoard(CONFIG, core=StandIn(CONFIG))
    assert "\n" not in str(caught.value)


def test_a_failing_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEPARABLE_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(BuildError, match=r"the C\+\+ compiler failed: .*failed\.log"):
        SimulatedBoard(CONFIG, core=StandIn(CONFIG))
    assert list((cache.directory() / "library").iterdir()) == []
