"""Stages of the flash: what it says of itself, and the eye of the capture clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from common import progress
from common.tool import remark
from hw.contract.flash import STATUS2_MASK, STATUS2_READY
from hw.contract.sections import SECTION_BYTES, seal
from hw.contract.selftest import PIECE_BYTES, Test, TestRegister, TestStatus, pattern
from sw.driver.errors import DeviceError
from sw.driver.serial import SerialTransport
from sw.driver.spi_flash import IDENTITY, SECTOR, STATUS2, VOLATILE_ENABLE, WRITE_STATUS2
from sw.driver.transport import Progress
from sw.selftest.device import SelfTestDevice
from sw.selftest.report import Stage

__all__ = ["READS", "Tap", "eye", "identity", "kept", "sealed"]

EXPECTED = b"\xef\x70\x18"
"""Identity of a W25Q128JV-DTR."""

STATUS1 = (b"\x05", b"", 1)
STATUS3 = (b"\x15", b"", 1)
DRIVE = 0x60
"""Bits of status register 3: the outputs' strength, of 100, 75, 50 and 25 %."""

DRIVES = (100, 75, 50, 25)
"""Per cent, by the value of these bits (data sheet, section 7.1.9)."""

READS = 16
"""Times that everything is read at each tap."""


def identity(device: SelfTestDevice, stage: Stage) -> None:
    """Read the flash's registers; write quad-enable bit and drive strength, and read them back."""
    shown, first, second, third = device.commands([IDENTITY, STATUS1, STATUS2, STATUS3])
    stage.data |= {"jedec": shown.hex(" "), "status": [first[0], second[0], third[0]],
                   "drive_percent": DRIVES[(third[0] & DRIVE) >> 5]}
    if shown != EXPECTED:
        stage.fail(f"the flash's identity reads {shown.hex(' ')}, not {EXPECTED.hex(' ')}: "
                   f"{_reason(shown)}")
        return
    quad = device.commands([VOLATILE_ENABLE, WRITE_STATUS2, STATUS2])[-1][0]
    stage.data["quad_enabled"] = quad & STATUS2_MASK == STATUS2_READY
    if not stage.data["quad_enabled"]:
        stage.fail(f"the quad-enable bit cannot be set: status register 2 reads {quad:02x}")
    stage.data["drive_set"] = drives = []
    try:
        for value, percent in enumerate(DRIVES):
            _write_status3(device, third[0] & ~DRIVE | value << 5)
            got = (device.commands([STATUS3])[0][0] & DRIVE) >> 5
            drives.append({"percent": percent, "read_percent": DRIVES[got]})
            if got != value:
                stage.fail(f"the drive strength reads {DRIVES[got]} % after {percent} % were set")
    finally:
        _write_status3(device, third[0])
    stage.note(f"{shown.hex(' ')}, quad-enable bit set, drive strength "
               f"{stage.data['drive_percent']} % (others can be set)")


def _write_status3(device: SelfTestDevice, value: int) -> None:
    device.commands([VOLATILE_ENABLE, (b"\x11", bytes([value]), 0)])


def _reason(shown: bytes) -> str:
    if len(set(shown)) == 1 and shown[0] in (0x00, 0xFF):
        return "nothing answers, or IO1 is stuck"
    if shown[:2] == b"\xef\x40":
        return ("a W25Q128JV without double transfer rate (ordering code IQ or JQ), which the core "
                "cannot read")
    return "another flash, or disturbed lines"


def sealed(count: int) -> bytes:
    """Return sections of pattern, each sealed by itself, as many as fit so many bytes."""
    sections = max(count // PIECE_BYTES, 1)
    words = np.fromiter(pattern(sections * SECTION_BYTES // 2), "<u2").tobytes()
    return b"".join(seal(words[start : start + SECTION_BYTES])
                    for start in range(0, len(words), SECTION_BYTES))


def _counted(shown: progress.Stage) -> Progress:
    """Return what tells a stage how many bytes are done."""
    return lambda done, _: shown.reached(done)


@contextmanager
def kept(device: SerialTransport, address: int, size: int) -> Iterator[None]:
    """Let whole sectors of the flash be overwritten; afterwards they hold again what they held,
    whatever happens, unless the board does not answer any more."""
    remark(f"the flash from {address:#x} to {address + size - 1:#x} is overwritten for a while; "
           "what is there is read out before, and written back")
    with progress.stage("reading out the flash", total=size, unit="bytes") as shown:
        before = device.read_flash(address, size, _counted(shown))
    try:
        yield
    finally:
        with progress.stage("restoring the flash", total=size, unit="bytes") as shown:
            device.write_flash(address, before, _counted(shown))


@dataclass(frozen=True, kw_only=True)
class Tap:
    """What was read at a tap.

    Attributes
    ----------
    number : int
    delay_ns : float or None
        As routed, slow corner; None if the bitstream's report is not there.
    sections, bad, wrong : int
        Sections read; those with a wrong checksum; wrong halfwords.
    mask : int
        Bits of halfwords that ever were wrong.
    """

    number: int
    delay_ns: float | None
    sections: int
    bad: int
    wrong: int
    mask: int

    @property
    def clean(self) -> bool:
        """Whether nothing was wrong."""
        return not self.bad and not self.wrong

    @property
    def lines(self) -> list[str]:
        """Lines that were wrong, with the half of the byte: high nibbles are the first ones."""
        return [f"IO{line} {half}" for half, shift in (("high", 4), ("low", 0))
                for line in range(4) if (self.mask | self.mask >> 8) >> shift >> line & 1]

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"tap": self.number, "delay_ns": self.delay_ns, "sections": self.sections,
                "sections_wrong": self.bad, "halfwords_wrong": self.wrong, "lines": self.lines}


def eye(
    device: SelfTestDevice, stage: Stage, *, address: int, count: int,
    delays: list[float | None], chosen: int,
) -> None:
    """Read sealed data at every tap, and say which are clean.

    Parameters
    ----------
    device, stage
    address : int
        Of the first sector of the flash that is used.
    count : int
        Bytes.
    delays : list of float or None
        Of each tap.
    chosen : int
        The tap that the core's bitstream has.
    """
    if TestStatus.READY not in device.status():
        raise DeviceError("the flash reader does not become ready: see the stage flash")
    data = sealed(count)
    size = len(data) + -len(data) % SECTOR
    stage.data |= {"address": address, "bytes": len(data), "reads": READS, "chosen": chosen}
    with kept(device, address, size):
        with progress.stage("writing the flash", total=size, unit="bytes") as shown:
            device.write_flash(address, data + b"\xff" * (size - len(data)),
                               _counted(shown))
        taps = [_read(device, number, delay, address, len(data) // PIECE_BYTES)
                for number, delay in enumerate(delays)]
        device.poke((TestRegister.TAP, chosen))
    stage.data["taps"] = [tap.json() for tap in taps]
    _judge(stage, taps, chosen)


def _read(
    device: SelfTestDevice, number: int, delay: float | None, address: int, sections: int
) -> Tap:
    bad = wrong = mask = 0
    device.poke((TestRegister.TAP, number))
    for turn in range(READS):
        progress.at(f"tap {number}, reading {turn + 1} of {READS}")
        result = device.test(
            Test.FLASH, (TestRegister.FLASH_LOW, address & 0xFFFF),
            (TestRegister.FLASH_HIGH, address >> 16), (TestRegister.COUNT, sections - 1),
        )
        bad, wrong, mask = bad + result.bad, wrong + result.value, mask | result.mask
    return Tap(number=number, delay_ns=delay, sections=READS * sections, bad=bad, wrong=wrong,
               mask=mask)


def _judge(stage: Stage, taps: list[Tap], chosen: int) -> None:
    """Demand that the chosen tap is clean, and one on each side of it."""
    stage.data["clean"] = clean = [tap.number for tap in taps if tap.clean]
    for number in (chosen - 1, chosen, chosen + 1):
        tap = taps[number]
        if not tap.clean:
            what = "the core's own" if number == chosen else "beside the core's"
            stage.fail(f"tap {number}{_late(tap)}, {what}, has {tap.bad} of {tap.sections} "
                       f"sections wrong, {tap.wrong} halfwords, on "
                       f"{', '.join(tap.lines) or 'no line'}")
    stage.note(f"{taps[0].sections:,} sections at each of {len(taps)} taps: clean are "
               f"{', '.join(f'{n}{_late(taps[n])}' for n in clean)}; the core's is {chosen}")


def _late(tap: Tap) -> str:
    return "" if tap.delay_ns is None else f" ({tap.delay_ns:.2f} ns)"

