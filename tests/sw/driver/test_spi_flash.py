"""What the driver stores in a flash: there in the end, or known not to be."""

from __future__ import annotations

import numpy as np
import pytest

import boards
from sw.driver import DeviceError
from sw.driver.spi_flash import RECORD_BYTES, SECTOR, Command, Damaged, SpiFlash, record

SIZE = 16 * SECTOR
RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.bytes(2 * SECTOR + 700), RNG.bytes(2 * SECTOR + 700)
MARK = 2 * SECTOR + 768
"""Where the record of either is: behind their last page."""


class PowerCut(Exception):
    """Nothing more reaches the flash."""


class ModelFlash:
    """A flash, byte by byte, behind a line that can damage commands or end.

    Attributes
    ----------
    writes : list of (opcode, address)
        Erases and programs, in order.
    cut : int or None
        So many of them are carried out before the power is cut.
    damaged : set of int
        Numbers of those that arrive damaged.
    stuck : range
        Bytes that cannot be programmed.
    identity, status2, asleep, read_only
        What it is, and what it was left as; of its status registers, whether they can be written.
    """

    def __init__(self) -> None:
        self.memory = bytearray(b"\xff" * SIZE)
        self.writes: list[tuple[int, int]] = []
        self.cut: int | None = None
        self.damaged: set[int] = set()
        self.stuck = range(0)
        self.enabled = False
        self.tried = 0
        self.identity, self.status2 = b"\xef\x70\x18", 0x02
        self.asleep = False
        self.volatile = False
        self.read_only = False

    def __call__(self, commands: list[Command]) -> list[bytes]:
        return [self._one(*command) for command in commands]

    def _one(self, head: bytes, data: bytes, count: int) -> bytes:
        address = int.from_bytes(head[1:4], "big")
        volatile, self.volatile = self.volatile, head[0] == 0x50
        self.asleep &= head[0] != 0xAB
        if self.asleep:
            return b"\xff" * count
        match head[0]:
            case 0x06:
                self.enabled = True
            case 0x03:
                return bytes(self.memory[address : address + count])
            case 0x9F:
                return self.identity
            case 0x35:
                return bytes([self.status2])
            case 0x31 if volatile and not self.read_only:
                self.status2 = data[0]
            case 0x05:
                return b"\0"
            case 0x02 | 0x20 as code:
                self.tried += 1
                if self.tried - 1 in self.damaged:
                    raise Damaged
                if self.cut is not None and len(self.writes) >= self.cut:
                    raise PowerCut
                assert self.enabled, "no write enable"
                self.enabled = False
                self.writes.append((code, address))
                if code == 0x20:
                    self.memory[address : address + SECTOR] = b"\xff" * SECTOR
                    return b""
                assert len(data) <= 256 - address % 256, "beyond the page"
                for i, byte in enumerate(data, address):
                    if i not in self.stuck:
                        self.memory[i] &= byte
        return b""


def test_what_is_stored_is_there() -> None:
    model = ModelFlash()
    flash = SpiFlash(model)
    model.memory[:] = bytes(range(256)) * (SIZE // 256)
    around = bytes(model.memory)
    done: list[tuple[int, int]] = []
    assert flash.store(SECTOR, FIRST, lambda *state: done.append(state))
    end = SECTOR + MARK
    assert model.memory[SECTOR : SECTOR + len(FIRST)] == FIRST
    assert model.memory[end : end + RECORD_BYTES] == record(FIRST)
    assert model.memory[:SECTOR] == around[:SECTOR]
    assert model.memory[end + RECORD_BYTES :] == around[end + RECORD_BYTES :]
    assert done == [(SECTOR, len(FIRST)), (2 * SECTOR, len(FIRST)), (len(FIRST), len(FIRST))]
    # Again: nothing to do; of a damaged byte, a sector.
    model.writes.clear()
    assert not flash.store(SECTOR, FIRST)
    assert not model.writes
    model.memory[2 * SECTOR + 5] ^= 0xFF
    assert flash.store(SECTOR, FIRST, trust=False)
    assert {address // SECTOR for _, address in model.writes} == {2, end // SECTOR}
    assert model.memory[SECTOR : SECTOR + len(FIRST)] == FIRST


def test_data_of_the_same_length_are_told_apart() -> None:
    flash = SpiFlash(model := ModelFlash())
    assert record(FIRST) != record(SECOND)
    flash.store(0, FIRST)
    assert flash.store(0, SECOND)
    assert model.memory[: len(SECOND)] == SECOND


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_a_record_is_never_true_of_something_else(cut: int) -> None:
    """Wherever the power is cut, the next driver finds what it wants, or writes it."""
    model = ModelFlash()
    SpiFlash(model).store(0, FIRST)
    model.writes.clear()
    model.cut = cut
    with pytest.raises(PowerCut):
        SpiFlash(model).store(0, SECOND)
    model.cut = None
    for data in (FIRST, SECOND):
        SpiFlash(model).store(0, data)
        assert model.memory[: len(data)] == data


def test_damaged_commands_are_repeated() -> None:
    model = ModelFlash()
    model.memory[:] = bytes(SIZE)
    model.damaged = {0, 1, 4, 20, 36, 37}
    assert SpiFlash(model).store(0, FIRST)
    assert model.memory[: len(FIRST)] == FIRST
    assert model.memory[MARK : MARK + RECORD_BYTES] == record(FIRST)


def test_a_record_that_cannot_be_written_is_an_error() -> None:
    model = ModelFlash()
    model.stuck = range(MARK + 3, MARK + 4)
    with pytest.raises(DeviceError, match=f"page at {MARK:#x} cannot be written"):
        SpiFlash(model).store(0, FIRST)


def test_doubt_is_lasting() -> None:
    model = ModelFlash()
    SpiFlash(model).store(0, FIRST)
    SpiFlash(model).doubt(0, len(FIRST))
    assert not any(model.memory[MARK : MARK + RECORD_BYTES])
    model.memory[100] ^= 0xFF
    assert SpiFlash(model).store(0, FIRST)
    assert model.memory[: len(FIRST)] == FIRST


def test_a_flash_that_is_ready_is_left_alone() -> None:
    model = ModelFlash()
    # One-time-programmable and reserved bits are nobody's matter.
    model.status2 = 0x3E
    assert not SpiFlash(model).prepare()
    assert model.status2 == 0x3E


@pytest.mark.parametrize("status2", [0x00, 0x03, 0x42, 0x82, 0xFF])
@pytest.mark.parametrize("asleep", [False, True])
def test_a_disturbed_flash_is_made_ready(status2: int, asleep: bool) -> None:
    model = ModelFlash()
    model.status2, model.asleep = status2, asleep
    assert SpiFlash(model).prepare()
    assert model.status2 == 0x02 and not model.asleep
    assert not SpiFlash(model).prepare()


@pytest.mark.parametrize(
    ("identity", "text"),
    [
        (b"\xff\xff\xff", r"does not answer \(its identity reads ff ff ff\): unplug the board"),
        (b"\x00\x00\x00", r"does not answer \(its identity reads 00 00 00\)"),
        (b"\xef\x40\x18", r"\(ef 40 18\) has no double transfer rate.*that of icebreaker_iq"),
        (b"\xc2\x20\x18", r"\(c2 20 18\) is not one that the core can read: use a board"),
        (b"\xff\x70\x18", r"\(ff 70 18\) is not one.*its lines are disturbed"),
    ],
)
def test_other_flashes_are_named_and_not_written(identity: bytes, text: str) -> None:
    model = ModelFlash()
    model.identity, model.status2 = identity, 0
    with pytest.raises(DeviceError, match=text):
        SpiFlash(model, builds=["icebreaker_iq"]).store(0, FIRST)
    assert model.status2 == 0 and not model.writes


@pytest.mark.parametrize("identity", [b"\xef\x40\x18", b"\xef\x70\x18"])
def test_at_single_rate_either_flash_is_right(identity: bytes) -> None:
    model = ModelFlash()
    model.identity = identity
    assert SpiFlash(model, dtr=False).store(0, FIRST)


def test_at_single_rate_others_are_refused() -> None:
    model = ModelFlash()
    model.identity = b"\xc8\x40\x18"
    with pytest.raises(DeviceError, match=r"\(c8 40 18\) is not one .*W25Q... \(ef 40 .. or ef 70"):
        SpiFlash(model, dtr=False).store(0, FIRST)


def test_a_flash_that_is_too_small() -> None:
    model = ModelFlash()
    model.identity = b"\xef\x40\x16"
    with pytest.raises(DeviceError, match="of the flash, and the board's has 4,194,304: use a sm"):
        SpiFlash(model, dtr=False).store((4 << 20) - SECTOR, FIRST[:SECTOR])
    assert not model.writes


def test_the_build_that_fits_is_known() -> None:
    board = boards.get("icebreaker")
    assert boards.single_rate(board.config, board.baud) == ["icebreaker_iq"]
    assert boards.single_rate(board.config, 115_200) == []


def test_a_flash_whose_quad_enable_bit_stays_off() -> None:
    model = ModelFlash()
    model.read_only, model.status2 = True, 0x01
    with pytest.raises(DeviceError, match=r"quad-enable bit .* cannot be set .*reads 01"):
        SpiFlash(model).prepare()
