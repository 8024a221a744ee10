"""A whole self-test of simulated boards: a good one passes, and each fault fails where it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.faulty_parts import (
    STUCK_ADDRESS,
    STUCK_BIT,
    STUCK_BLOCK,
    STUCK_BLOCK_ADDRESS,
    STUCK_BLOCK_BIT,
    STUCK_MEMORY,
    WRONG_BLOCK,
    WRONG_OPERANDS,
    FaultySelfTest,
)

import boards
from hw import technology
from hw.contract.sections import seal, unseal
from sim.board.flash_faults import FlashFaults
from sim.board.serial_port import Faults, SimulatedSerialPort
from sw.driver.simulation import SimTransport
from sw.selftest import flash, parts, wire
from sw.selftest.layer import layers
from sw.selftest.report import Stage, carry_out
from sw.selftest.run import measure, region
from sw.selftest.simulated import SimulatedSelfTest, timings

pytestmark = pytest.mark.slow

BOARD = boards.get("icebreaker")
FOUND = technology.get(BOARD.config.technology).capture_taps(BOARD.config.core_mhz)
CHOSEN, DELAYS_NS = FOUND.chosen, [tap.delay_ns for tap in FOUND.taps]
COUNT = 1024


class BadAtTheHighest(SimulatedSerialPort):
    """A line that loses nothing, but changes bits at the highest rate."""

    @SimulatedSerialPort.baud.setter
    def baud(self, baud: int) -> None:
        SimulatedSerialPort.baud.fset(self, baud)
        flip = 4e-4 if baud == BOARD.baud else 0.0
        self.to_device, self.to_host = Faults(flip=flip, seed=1), Faults(flip=flip, seed=2)


def board(part: dict[str, Any] | None = None, **options: Any) -> SimulatedSelfTest:
    """Return a simulated board, with another flash or chip than :data:`PART`."""
    return SimulatedSelfTest(BOARD, timings(FOUND.taps, **(part or {})),
                             **options)


def eye(device: SimulatedSelfTest) -> Stage:
    return carry_out("eye", lambda stage: flash.eye(
        device, stage, address=region(BOARD, COUNT), count=COUNT, delays=list(DELAYS_NS),
        chosen=CHOSEN))


def test_a_good_board_passes() -> None:
    with board() as device:
        before = bytes(range(256)) * (4096 // 256)
        device.board.write_flash(region(BOARD, COUNT), before)
        stages = measure(device, BOARD, COUNT, DELAYS_NS, CHOSEN)
        assert device.board.read_flash(region(BOARD, COUNT), 4096) == before
    assert [(stage.name, stage.state) for stage in stages] == [
        (name, "passed")
        for name in ("link", "echo", "flash", "eye", "spram", "blockram", "multipliers")
    ], [stage.findings for stage in stages]
    found = {stage.name: stage.data for stage in stages}
    assert found["eye"]["clean"] == [0, 1, 2] and found["eye"]["chosen"] == 1
    assert [tap["sections"] for tap in found["eye"]["taps"]] == [flash.READS] * len(DELAYS_NS)
    assert [rate["baud"] for rate in found["echo"]["rates"]] == [
        1_500_000, 3_000_000, 6_000_000, 12_000_000]


def test_bytes_are_wrong_at_the_highest_rate_alone() -> None:
    with board(port=BadAtTheHighest) as device:
        stage = carry_out("echo", lambda stage: wire.echo(device, stage, 16384))
    assert stage.state == "failed"
    *others, highest = stage.data["rates"]
    for rate in others:
        for way in ("to_board", "to_host"):
            assert rate[way]["packets_damaged"] == rate[way]["packets_lost"] == 0
    assert all("12 Mbaud" in finding for finding in stage.findings)
    ways = highest["to_board"], highest["to_host"]
    assert all(way["packets_damaged"] + way["packets_lost"] for way in ways)
    wrong = [error for way in ways for error in way["errors"]]
    assert wrong
    for error in wrong:
        # One bit each, as it was injected, at a place that was sent.
        assert (error["sent"] ^ error["received"]).bit_count() == 1
        assert 0 <= error["offset"] < 16384


@pytest.mark.parametrize("line, stage", [(1, "flash"), (0, "eye"), (2, "eye"), (3, "eye")])
def test_a_stuck_line_of_the_flash(line: int, stage: str) -> None:
    with board() as device:
        device.board.flash_faults(FlashFaults(low=1 << line))
        found = carry_out("flash", lambda stage: flash.identity(device, stage))
        if stage == "flash":
            assert found.state == "failed" and "IO1 is stuck" in found.findings[0]
            return
        assert found.state == "passed", found.findings
        found = eye(device)
    assert found.state == "failed" and not found.data["clean"]
    assert found.data["taps"][CHOSEN]["lines"] == [f"IO{line} high", f"IO{line} low"]


def test_bits_that_are_wrong_now_and_then() -> None:
    with board() as device:
        assert carry_out("flash", lambda stage: flash.identity(device, stage)).state == "passed"
        device.board.flash_faults(FlashFaults(flip=2e-4, seed=3))
        found = eye(device)
    assert found.state == "failed"
    tap = found.data["taps"][CHOSEN]
    assert 0 < tap["sections_wrong"] < tap["sections"]
    assert tap["halfwords_wrong"] < 4 * tap["sections_wrong"]


@pytest.mark.parametrize("part, tap", [({"clqx": 1.5}, 2), ({"clqv": 6.5}, 0)])
def test_an_edge_too_near(part: dict[str, float], tap: int) -> None:
    """The core's own tap is clean, and one beside it is not."""
    with board(part) as device:
        found = eye(device)
    assert found.state == "failed"
    (finding,) = found.findings
    assert finding.startswith(f"tap {tap} (") and "beside the core's" in finding
    assert CHOSEN in found.data["clean"]


@pytest.fixture(scope="module")
def faulty() -> Iterator[SimulatedSelfTest]:
    with board(core=FaultySelfTest(BOARD.config)) as device:
        yield device


def test_a_stuck_bit_of_a_memory(faulty: SimulatedSelfTest) -> None:
    found = carry_out("spram", lambda stage: parts.single_port_memories(faulty, stage))
    assert found.state == "failed"
    (wrong,) = found.data["wrong"]
    assert wrong["memory"] == STUCK_MEMORY and wrong["first_address"] == STUCK_ADDRESS
    assert wrong["mask"] == 1 << STUCK_BIT


def test_a_stuck_bit_of_a_block_ram(faulty: SimulatedSelfTest) -> None:
    found = carry_out("blockram", lambda stage: parts.block_rams(faulty, stage))
    assert found.state == "failed"
    (wrong,) = found.data["wrong"]
    assert wrong["memory"] == STUCK_BLOCK and wrong["first_address"] == STUCK_BLOCK_ADDRESS
    assert wrong["mask"] == 1 << STUCK_BLOCK_BIT


def test_a_wrong_product(faulty: SimulatedSelfTest) -> None:
    found = carry_out("multipliers", lambda stage: parts.multipliers(faulty, stage))
    assert found.state == "failed"
    (wrong,) = found.data["wrong"]
    assert wrong["block"] == WRONG_BLOCK and wrong["operands"][0] == list(WRONG_OPERANDS)


def test_the_rest_of_a_faulty_chip_passes(faulty: SimulatedSelfTest) -> None:
    for name, work in (("link", wire.registers), ("flash", flash.identity)):
        found = carry_out(name, lambda stage, work=work: work(faulty, stage))
        assert found.state == "passed", found.findings


class Spoiled(SimTransport):
    """A core whose program is another one; sealed again or not."""

    def __init__(self, *, sealed: bool) -> None:
        super().__init__(BOARD.config)
        self._sealed = sealed

    def program_flash(
        self, address: int, data: bytes, progress: Any = None, **options: Any
    ) -> None:
        # The last weights of the program.
        changed = bytearray(unseal(data) if self._sealed else data)
        place = max(k for k, byte in enumerate(changed[:-2]) if byte)
        changed[place] ^= 0x40
        super().program_flash(address, seal(bytes(changed)) if self._sealed else bytes(changed),
                              progress)


@pytest.mark.parametrize("sealed, said", [
    (False, "the program in the device's flash is damaged"), (True, "the golden model's"),
])
def test_a_corrupted_layer(sealed: bool, said: str) -> None:
    found = carry_out("layer", lambda stage: layers(Spoiled(sealed=sealed), BOARD, stage))
    assert found.state == "failed" and said in found.findings[0]


def test_layers_that_are_right() -> None:
    found = carry_out("layer", lambda stage: layers(SimTransport(BOARD.config), BOARD, stage))
    assert found.state == "passed" and found.data["layers"] == ["DEPTHWISE_CONV_2D", "CONV_2D"]
