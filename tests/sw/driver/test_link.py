"""The link over very bad lines, with a model of the board that is fast enough for many seeds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from support.link_model import INPUT, RESULT, SIZE, ModelBoard, ModelPort, computed

import boards
from hw.contract.link import FILLER, Space, digest
from sw.driver import DeviceTimeout
from sw.driver.packets import upload, write
from sw.driver.patience import FIRST_GRAINS, Patience
from sw.driver.serial import SerialTransport
from sw.driver.transport import Job, Outcome

BOARD = boards.get("icebreaker")
FRAMES = 60
KINDS = ("flip", "drop", "duplicate", "insert", "delay")
FRAME_SECONDS = 1.0


def run(
    seed: int, kinds: tuple[str, ...], rate: float, overlap: int | None = None
) -> tuple[list[np.ndarray], list[Outcome], ModelPort]:
    """Compute frames over a line with faults; return inputs, outcomes and the port."""
    port = ModelPort(digest(BOARD.config, BOARD.baud), BOARD.baud)
    transport = SerialTransport(port, BOARD.config, baud=BOARD.baud)
    for faults, number in ((port.to_device, seed), (port.to_host, seed + 1_000_000)):
        faults.__init__(**dict.fromkeys(kinds, rate / len(kinds)), seed=number)
    rng = np.random.default_rng(seed)
    inputs = [rng.integers(0, 1 << 16, SIZE, np.uint16) for _ in range(FRAMES)]
    jobs = [
        Job(
            program="model",
            writes=[(INPUT, x)],
            reads=[(RESULT, SIZE)],
            limit=100_000,
            overlap=overlap,
        )
        for x in inputs
    ]
    return inputs, list(transport.jobs(jobs)), port


@pytest.mark.parametrize("overlap", [None, 4000])
@pytest.mark.parametrize(
    ("kinds", "seed"), [*(((kind,), 0) for kind in KINDS), *((KINDS, seed) for seed in range(4))]
)
def test_no_wrong_result_and_no_lost_frame(
    kinds: tuple[str, ...], seed: int, overlap: int | None
) -> None:
    inputs, outcomes, port = run(seed, kinds, 1e-2, overlap)
    assert len(outcomes) == FRAMES
    for x, outcome in zip(inputs, outcomes, strict=True):
        assert outcome.error is None
        np.testing.assert_array_equal(outcome.halfwords[0], computed(x))
    # Each is computed once: only an answer that was lost is asked for again.  If the next run had
    # begun meanwhile, both are.
    assert port.board.starts >= FRAMES
    assert port.board.starts == FRAMES or overlap
    assert port.to_device.count and port.to_host.count
    assert sum(outcome.retries for outcome in outcomes) or kinds == ("delay",)
    ends = [outcome.finished for outcome in outcomes]
    assert max(later - earlier for earlier, later in pairwise(ends)) < FRAME_SECONDS


@pytest.mark.slow
def test_a_result_that_the_next_run_may_have_overwritten() -> None:
    """The answer to its read is lost, and the start behind that read has happened."""
    begun = 0
    for seed in range(6):
        inputs, outcomes, port = run(seed, KINDS, 2e-3, overlap=4000)
        for x, outcome in zip(inputs, outcomes, strict=True):
            assert outcome.error is None
            np.testing.assert_array_equal(outcome.halfwords[0], computed(x))
        begun += port.board.starts
    assert begun > 6 * FRAMES, "some were carried out again"


def test_a_good_line_needs_no_retries() -> None:
    inputs, outcomes, _ = run(0, KINDS, 0.0)
    for x, outcome in zip(inputs, outcomes, strict=True):
        np.testing.assert_array_equal(outcome.halfwords[0], computed(x))
        assert outcome.error is None and not outcome.retries


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "hertz", "hangs"), [(1.0, 50e3, False), (60.0, 39e6, True), (60.0, 0.0, True)]
)
def test_a_slow_core_is_not_a_hung_one(seconds: float, hertz: float, hangs: bool) -> None:
    port = ModelPort(digest(BOARD.config, BOARD.baud), BOARD.baud)
    port.board.compute_seconds, port.board.hertz = seconds, hertz
    transport = SerialTransport(port, BOARD.config, baud=BOARD.baud)
    x = np.arange(SIZE, dtype=np.uint16)
    job = Job(program="model", writes=[(INPUT, x)], reads=[(RESULT, SIZE)], limit=100_000)
    [outcome] = transport.jobs([job])
    if hangs:
        assert isinstance(outcome.error, DeviceTimeout)
        assert port.now() < 1.0
        with pytest.raises(DeviceTimeout, match="still busy after 0"):
            transport.run(job)
    else:
        np.testing.assert_array_equal(outcome.halfwords[0], computed(x))
        assert port.now() > seconds


def test_patience_is_learned_by_length() -> None:
    patience = Patience(grain=0.01)
    assert patience(0.001) == patience(1.0) == FIRST_GRAINS * 0.01
    # USB: always the same.
    patience.learn(0.001, 0.016)
    assert patience(0.001) == patience(0.0001) == pytest.approx(0.01 + 4 * 0.016)
    assert patience(0.004) == pytest.approx(4 * patience(0.001))
    assert patience(0.1) == FIRST_GRAINS * 0.01
    patience.learn(0.02, 0.016)
    assert patience(0.02) == patience(0.001)
    # A simulation: in proportion.
    patience.learn(0.02, 0.9)
    assert patience(0.02) == pytest.approx(0.01 + 4 * 0.9)
    assert patience(0.001) < 0.1
    for _ in range(100):
        patience.learn(0.02, -1.0)
    assert patience(0.02) == pytest.approx(0.01, rel=0.01)


def open_port() -> tuple[ModelPort, SerialTransport]:
    """Return a good line and what is at its end."""
    port = ModelPort(digest(BOARD.config, BOARD.baud), BOARD.baud)
    return port, SerialTransport(port, BOARD.config, baud=BOARD.baud)


def test_long_runs_are_counted() -> None:
    """The counter has two halves."""
    port, transport = open_port()
    port.board.compute_seconds = 0.005
    x = np.arange(SIZE, dtype=np.uint16)
    job = Job(program="model", writes=[(INPUT, x)], reads=[(RESULT, SIZE)], limit=200_000)
    [outcome] = transport.jobs([job])
    assert outcome.error is None and outcome.cycles == pytest.approx(195_000, abs=1)


def test_constants_are_written_once() -> None:
    """And once more to a device that has lost its memory."""
    port, transport = open_port()
    place, values = 500, np.arange(40, dtype=np.uint16)
    inputs = [np.full(SIZE, n, np.uint16) for n in range(6)]
    jobs = [
        Job(program="model", writes=[(INPUT, x)], constants=[(place, values)],
            reads=[(RESULT, SIZE), (place, 40)], limit=100_000)
        for x in inputs
    ]
    for number, outcome in enumerate(transport.jobs(jobs)):
        assert outcome.error is None
        np.testing.assert_array_equal(outcome.halfwords[0], computed(inputs[number]))
        # Nobody restores what is spoiled here, but in a device that forgets everything.
        expected = np.roll(values, 1) if number in (2, 3) else values
        np.testing.assert_array_equal(outcome.halfwords[1], expected)
        if number == 1:
            port.board.memory[place : place + 40] = np.roll(values, 1)
        if number == 3:
            port.board = ModelBoard(digest(BOARD.config, BOARD.baud), BOARD.baud)


def test_what_follows_a_damaged_command_fails() -> None:
    """The flash would take the rest of a command for another one."""
    port, transport = open_port()
    spoil, lost = port.to_device.spoil, []

    def lose_a_byte(data: bytes) -> list[tuple[bytes, float]]:
        if len(data) > 50 and not lost:
            lost.append(data)
            return spoil(data[:40] + data[41:])
        return spoil(data)

    port.to_device.spoil = lose_a_byte  # type: ignore[method-assign]
    commands = [
        write(0, bytes(range(64)), 64, space=Space.FLASH, fragile=True) for _ in range(3)
    ]
    transport.link.run(*commands)
    assert lost and all(command.failed and not command.done for command in commands)
    # The next ones are none of their business.
    again = write(0, bytes(64), 64, space=Space.FLASH, fragile=True)
    transport.link.run(again)
    assert again.done and not again.failed


def test_a_pause_before_an_operation() -> None:
    """As fillers: the line keeps the time."""
    port, transport = open_port()
    sent: list[bytes] = []
    spoil = port.to_device.spoil
    port.to_device.spoil = lambda data: sent.append(data) or spoil(data)  # type: ignore[method-assign]
    operation = upload(0, np.arange(4, dtype=np.uint16))
    operation.pause = 0.001
    transport.link.run(operation)
    data = sent[0]
    fillers = len(data) - len(data.lstrip(bytes([FILLER])))
    assert 0.001 <= fillers * transport.link.byte_seconds < 0.0011
