"""The link over very bad lines, with a model of the board that is fast enough for many seeds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from link_model import INPUT, RESULT, SIZE, ModelPort, computed

import boards
from hw.link.protocol import digest
from sw.driver import DeviceTimeout
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
