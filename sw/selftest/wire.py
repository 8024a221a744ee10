"""Stages of the line: registers, and bytes each way at every rate, errors by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from common import progress
from hw.contract.link import (
    CRC_BYTES,
    FILLER,
    HEADER_BYTES,
    RATES,
    REPLY_BYTES,
    Space,
    Status,
    crc32,
)
from hw.contract.selftest import IDENTITY, KIND, TestRegister
from sw.driver import packets
from sw.driver.errors import DeviceError, DeviceLost
from sw.driver.packets import Operation, Packet
from sw.selftest.device import SelfTestDevice
from sw.selftest.report import Stage

__all__ = ["echo", "registers"]

PACKET = 1024
"""Halfwords of a packet: what is on its way fits the adapter's 4 KB."""

SCRATCHES = (0x0000, 0xFFFF, 0x5555, 0xAAAA, *(1 << bit for bit in range(16)))

LATE_SECONDS = 0.05
"""Until an answer that does not come counts as lost, besides what the port itself is late."""

LISTED = 32
"""Wrong bytes that are listed, of each rate and direction."""

Bytes = npt.NDArray[np.uint8]


def registers(device: SelfTestDevice, stage: Stage) -> None:
    """Read the identity, and write and read a register."""
    kind = int(device.peek(TestRegister.KIND)[0])
    identity = int(device.peek(TestRegister.STATUS)[0]) >> 8
    stage.data |= {"kind": kind, "identity": identity, "scratch_errors": 0}
    if (kind, identity) != (KIND, IDENTITY):
        stage.fail(f"the registers KIND and STATUS read {kind:04x} and version {identity}, not "
                   f"{KIND:04x} and {IDENTITY}: build and program the self-test again")
    for value in SCRATCHES:
        device.poke((TestRegister.SCRATCH, value))
        got = int(device.peek(TestRegister.SCRATCH)[0])
        if got != value:
            stage.data["scratch_errors"] += 1
            stage.fail(f"the register SCRATCH reads {got:04x} after {value:04x} was written")
    stage.note(f"version {identity}, {len(SCRATCHES)} values through a register, "
               f"{device.baud / 1e6:g} Mbaud")


def echo(device: SelfTestDevice, stage: Stage, count: int) -> None:
    """Send so many bytes each way at each rate, packet by packet, past all repetition."""
    before = device.link.rate
    stage.data["rates"] = rates = []
    for rate in reversed(range(RATES)):
        baud = device.highest_baud >> rate
        progress.at(f"{baud / 1e6:g} Mbaud")
        found = _Rate(device, rate, count)
        try:
            found.carry_out()
        except DeviceLost as error:
            # Nothing else will do any better, but for the lower rates that were before.
            rates.append({**found.json(), "lost": True})
            stage.fail(f"{baud / 1e6:g} Mbaud: {error}")
            continue
        rates.append(found.json())
        if found.wrong:
            stage.fail(f"{baud / 1e6:g} Mbaud: {found.sentence()}")
    device.link.change_rate(before)
    stage.note(f"{count:,} bytes each way at "
               f"{', '.join(f'{device.highest_baud / 1e6 / (1 << r):g}' for r in range(RATES))} "
               "Mbaud, no error")


class _Direction:
    """What became of the bytes in one direction.

    ``lost`` are packets without an answer or, on the way to the host, of another length.
    """

    def __init__(self) -> None:
        self.bytes = self.packets = self.damaged = self.lost = self.errors = 0
        self.bits = [0] * 8
        self.listed: list[dict[str, int]] = []

    def compare(self, sent: Bytes, got: Bytes, first: int) -> None:
        """Take down which bytes are wrong; ``first`` is the place of the first one."""
        for place in np.flatnonzero(sent != got):
            self.errors += 1
            wrong = int(sent[place] ^ got[place])
            for bit in range(8):
                self.bits[bit] += wrong >> bit & 1
            if len(self.listed) < LISTED:
                self.listed.append({"offset": first + int(place), "sent": int(sent[place]),
                                    "received": int(got[place])})

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "bytes": self.bytes, "packets": self.packets, "packets_damaged": self.damaged,
            "packets_lost": self.lost, "bytes_wrong": self.errors, "errors_by_bit": self.bits,
            "errors": self.listed,
        }

    def sentence(self, name: str) -> str:
        """Return what is wrong, if something is."""
        if not self.damaged + self.lost:
            return ""
        first = f", the first at {self.listed[0]['offset']}" if self.listed else ""
        return (f"{name}: {self.damaged} of {self.packets} packets damaged, {self.lost} lost, "
                f"{self.errors} bytes wrong{first}")


class _Rate:
    """One rate, both ways.  What is sent up is read back with repetition if it came damaged."""

    def __init__(self, device: SelfTestDevice, rate: int, count: int) -> None:
        self.device, self.rate, self.count = device, rate, count
        self.up, self.down = _Direction(), _Direction()
        self._random = np.random.default_rng(rate)
        self.reached = True

    @property
    def wrong(self) -> bool:
        """Whether anything was."""
        return not self.reached or bool(self.sentence())

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"baud": self.device.highest_baud >> self.rate, "reached": self.reached,
                "to_board": self.up.json(), "to_host": self.down.json()}

    def sentence(self) -> str:
        """Return what is wrong, if something is."""
        if not self.reached:
            return "the line cannot be brought to this rate: the board does not answer there"
        both = self.up.sentence("to the board"), self.down.sentence("to the host")
        return ", ".join(filter(None, both))

    def carry_out(self) -> None:
        """Send everything."""
        size = 2 * PACKET
        for first in range(0, self.count, size):
            if not self._settled():
                self.reached = False
                return
            length = min(size, self.count - first + self.count % 2)
            self._packet(first, self._random.integers(0, 256, length, np.uint8))
            progress.at(f"{(self.device.highest_baud >> self.rate) / 1e6:g} Mbaud, "
                        f"{first + length:,} of {self.count:,} bytes")

    def _settled(self) -> bool:
        """Bring the line to the rate, if it is not there."""
        link = self.device.link
        if link.rate == self.rate:
            return True
        try:
            link.change_rate(self.rate)
        except DeviceLost:
            raise
        except DeviceError:
            return False
        return True

    def _packet(self, first: int, data: Bytes) -> None:
        words = data.view("<u2")
        write = packets.upload(0, words)
        status, _ = self._exchange(write)
        self.up.bytes += len(data)
        self.up.packets += 1
        if status == Status.OK:
            # The board has found its checksum right.
            back = data
        else:
            self.up.damaged += status is not None
            self.up.lost += status is None
            self.device.link.line.barrier()
            back = self.device.read_memory(0, len(words)).astype("<u2").view(np.uint8)
            if status is not None:
                self.up.compare(data, back, first)
        if not self._settled():
            return
        read = packets.read(Space.MEMORY, 0, len(words))
        status, answer = self._exchange(read)
        self.down.bytes += len(data)
        self.down.packets += 1
        if status == Status.OK:
            return
        body = answer[2:-CRC_BYTES]
        if len(body) == len(back):
            self.down.damaged += 1
            self.down.compare(back, np.frombuffer(body, np.uint8), first)
        else:
            self.down.lost += 1
        self.device.link.line.barrier()

    def _exchange(self, operation: Operation) -> tuple[Status | None, bytes]:
        """Send one packet once; return the status of an answer that is right, and what came."""
        line, port = self.device.link.line, self.device.port
        packet = Packet(operation=operation, first=0, count=operation.count,
                        sequence=line.sequence)
        data = bytes([FILLER]) * max(line.gap, 2 * HEADER_BYTES) + packet.encode()
        line.gap = packet.gap
        port.discard()
        port.write(data)
        end = (port.now() + (len(data) + packet.gap) * line.byte_seconds + LATE_SECONDS
               + port.grain)
        answer = b""
        while len(answer) < packet.reply_bytes and (left := end - port.now()) > 0:
            answer += port.receive(left)
            if len(answer) == REPLY_BYTES and answer[0] & 3 != Status.OK:
                break
        if crc32(answer, self.device.seed) or len(answer) < REPLY_BYTES:
            return None, answer
        line.sequence = answer[1]
        # All of the answer is there: the board listens.
        line.gap = 2 * HEADER_BYTES
        return Status(answer[0] & 3), answer
