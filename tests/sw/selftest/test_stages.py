"""Stages on a board that answers from a table: verdicts, and what is restored."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from hw.contract import selftest as contract
from hw.contract.sections import unseal
from hw.contract.selftest import PIECE_BYTES, PRODUCTS, operands, pattern, signature
from sw.driver.errors import DeviceLost
from sw.driver.spi_flash import SECTOR
from sw.selftest import flash, parts
from sw.selftest.device import Result
from sw.selftest.picture import picture
from sw.selftest.report import NAMES, NotRun, Report, Stage, carry_out

TAPS = 6


class Table:
    """A board as the stages see it.

    Parameters
    ----------
    identity : bytes
    fixed2, fixed3 : int
        Bits of status registers 2 and 3 that stay 0.
    bad : dict
        Wrong sections of each reading, by tap.
    """

    def __init__(self, *, identity: bytes = flash.EXPECTED, fixed2: int = 0, fixed3: int = 0,
                 bad: dict[int, int] | None = None) -> None:
        self.identity, self.bad = identity, bad or {}
        self.fixed = {0x31: fixed2, 0x11: fixed3}
        self.registers = {0x05: 0x00, 0x35: 0x00, 0x15: 0x60}
        self.array = bytearray(range(256)) * (1 << 8)
        self.written: list[int] = []
        self.ready = True
        self.tap = 1
        self.fails_at: BaseException | None = None

    def commands(self, commands: list[tuple[bytes, bytes, int]]) -> list[bytes]:
        answers = []
        for head, body, count in commands:
            opcode = head[0]
            if opcode == 0x9F:
                answers.append(self.identity)
                continue
            if opcode in self.fixed:
                place = {0x31: 0x35, 0x11: 0x15}[opcode]
                self.registers[place] = body[0] & ~self.fixed[opcode]
            answers.append(bytes([self.registers.get(opcode, 0)] * count))
        return answers

    def status(self) -> contract.TestStatus:
        return contract.TestStatus.READY if self.ready else contract.TestStatus(0)

    def read_flash(self, address: int, count: int, progress: Any = None) -> bytes:
        return bytes(self.array[address : address + count])

    def write_flash(self, address: int, data: bytes, progress: Any = None) -> None:
        self.written.append(len(data))
        self.array[address : address + len(data)] = data

    def poke(self, *values: tuple[contract.TestRegister, int]) -> None:
        for register, value in values:
            if register == contract.TestRegister.TAP:
                self.tap = value

    def test(self, test: contract.Test, *values: tuple[contract.TestRegister, int]) -> Result:
        if self.fails_at is not None:
            raise self.fails_at
        given = dict(values)
        # What is in the flash is what the reader would find right.
        address = (given[contract.TestRegister.FLASH_LOW]
                   | given[contract.TestRegister.FLASH_HIGH] << 16)
        words = list(pattern(256))
        assert unseal(bytes(self.array[address : address + PIECE_BYTES])) == np.array(
            words, "<u2").tobytes()
        bad = self.bad.get(self.tap, 0)
        return Result([3 * bad, 0, bad, 0x0808 if bad else 0, 0])


def eye(table: Table) -> Stage:
    return carry_out("eye", lambda stage: flash.eye(
        table, stage, address=SECTOR, count=2000, delays=[None] * TAPS, chosen=1))


def test_a_good_flash() -> None:
    table = Table()
    stage = carry_out("flash", lambda stage: flash.identity(table, stage))
    assert stage.state == "passed" and stage.data["quad_enabled"]
    assert [each["read_percent"] for each in stage.data["drive_set"]] == [100, 75, 50, 25]
    assert table.registers[0x15] == 0x60    # as it was


@pytest.mark.parametrize("options, said", [
    ({"identity": b"\0\0\0"}, "nothing answers, or IO1 is stuck"),
    ({"identity": b"\xff\xff\xff"}, "nothing answers, or IO1 is stuck"),
    ({"identity": b"\xef\x40\x18"}, "ordering code IQ or JQ"),
    ({"identity": b"\xc2\x20\x18"}, "another flash, or disturbed lines"),
    ({"fixed2": 0x02}, "quad-enable bit cannot be set: status register 2 reads 00"),
    ({"fixed3": 0x20}, "the drive strength reads 100 % after 75 % were set"),
])
def test_what_is_wrong_with_a_flash(options: dict[str, Any], said: str) -> None:
    stage = carry_out("flash", lambda stage: flash.identity(Table(**options), stage))
    assert stage.state == "failed" and any(said in finding for finding in stage.findings)


@pytest.mark.parametrize("bad, failing", [
    ({5: 9}, []), ({0: 1}, [0]), ({2: 1, 3: 3}, [2]), ({1: 1}, [1]),
    ({0: 1, 1: 1, 2: 1}, [0, 1, 2]),
])
def test_a_clean_tap_on_each_side(bad: dict[int, int], failing: list[int]) -> None:
    stage = eye(table := Table(bad=bad))
    assert stage.state == ("failed" if failing else "passed")
    assert [int(finding.split()[1].strip(",")) for finding in stage.findings if failing] == failing
    assert stage.data["clean"] == [tap for tap in range(TAPS) if tap not in bad]
    for tap in bad:
        assert stage.data["taps"][tap]["sections_wrong"] == flash.READS * bad[tap]
        assert stage.data["taps"][tap]["lines"] == ["IO3 low"]
    assert table.tap == 1


def test_the_flash_is_restored_and_nothing_else_touched() -> None:
    table = Table()
    before = bytes(table.array)
    assert eye(table).state == "passed"
    assert bytes(table.array) == before and table.written == [SECTOR, SECTOR]


@pytest.mark.parametrize("error", [DeviceLost("gone"), KeyboardInterrupt()])
def test_the_flash_is_restored_after_what_may_come(error: BaseException) -> None:
    table = Table()
    before = bytes(table.array)
    table.fails_at = error
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            eye(table)
    else:
        assert eye(table).findings == ["gone"]
    assert table.written == [SECTOR, SECTOR]
    assert bytes(table.array) == before


def test_a_reader_that_is_not_ready() -> None:
    table = Table()
    table.ready = False
    assert eye(table).state == "failed" and table.written == []


def test_the_pattern_has_all_halfwords_but_zero() -> None:
    words = list(pattern(1 << 16))
    assert len(set(words)) == 65535 and 0 not in words and words[0] == words[65535]


def test_the_signature_notices_each_product() -> None:
    """Of any products before and behind, a changed one gives another signature."""
    before = 0x1234_5678
    seen = {signature(signature(before, product), 7) for product in range(0, 1 << 32, 1 << 20)}
    assert len(seen) == 1 << 12
    assert len({operands(number) for number in range(PRODUCTS)}) == PRODUCTS


def test_the_march_finds_what_it_is_for() -> None:
    """On a memory of eight words: stuck bits, and an address that is another one's."""

    def wrong(memory: list[int], seen: dict[int, int], stuck: int | None) -> int:
        count = 0
        for element in parts.MARCH:
            order = range(8) if not element & 1 else reversed(range(8))
            for address in order:
                place = seen.get(address, address)
                if element & 2:
                    value = memory[place] if stuck is None or place != 3 else stuck
                    count += value != (1 if element & 4 else 0)
                if element & 8:
                    memory[place] = 1 if element & 16 else 0
        return count

    assert wrong([1] * 8, {}, None) == 0
    assert wrong([1] * 8, {}, 0) and wrong([1] * 8, {}, 1)
    assert wrong([1] * 8, {5: 2}, None)


def test_backgrounds_tell_any_two_bits_apart() -> None:
    for one in range(16):
        for other in range(one):
            assert any(value >> one & 1 != value >> other & 1 for value in parts.BACKGROUNDS)


def test_a_report() -> None:
    def gone(stage: Stage) -> None:
        raise NotRun("no board")

    stages = [carry_out("link", lambda stage: stage.note("all is well, " * 20)),
              carry_out("layer", gone)]
    report = Report(board="icebreaker", backend="sim", stages=stages)
    assert report.passed and report.json()["not_run"] == ["layer"]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.table())
    assert max(map(len, console.export_text().splitlines())) <= 80
    stages.append(carry_out("eye", lambda stage: stage.fail("wrong")))
    assert not report.passed and report.json()["stages"][2]["state"] == "failed"
    assert {stage.name for stage in stages} <= set(NAMES)


def test_what_is_wrong_replaces_what_was_measured() -> None:
    stage = Stage(name="link")
    stage.note("fine")
    stage.fail("broken")
    stage.note("fine")
    assert (stage.state, stage.findings) == ("failed", ["broken"])


def test_a_picture() -> None:
    stage = eye(Table(bad={4: 2, 5: 3}))
    text = picture(stage.data, title="The eye")
    words = [element.text for element in ElementTree.fromstring(text).iter() if element.text]
    assert words.count("clean") >= 4 and "tap 1 (the core's)" in words
    assert f"{2 * flash.READS} of {3 * flash.READS} wrong" in words
