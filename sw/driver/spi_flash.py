"""Storing data in a W25Q-style flash through raw commands."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Sequence

from hw.contract.flash import STATUS2_MASK, STATUS2_READY
from sw.compiler.program.plan import FLASH_BYTES, SECTOR
from sw.driver.errors import DeviceError, DeviceTimeout

__all__ = ["RECORD_BYTES", "SECTOR", "Command", "Damaged", "SpiFlash", "record"]

PAGE = 256

READ, PROGRAM, ERASE = 0x03, 0x02, 0x20
WRITE_ENABLE, READ_STATUS = 0x06, 0x05
BUSY = 1
WINBOND, DTR, PLAIN = 0xEF, 0x70, 0x40
"""First byte of the identity of a W25Q, and second of one with and without double transfer rate."""
POLLS = 20_000
"""Status reads until an erase (400 ms at most) counts as failed; each takes some microseconds."""

WAKE_TRIES = 4
"""How often a flash that is not ready is woken before it counts as dead."""

TRIES = 8
"""How often a sector is written and a command is repeated when it was damaged on its way."""

RECORD_BYTES = 16
MAGIC = b"SEP1"

Command = tuple[bytes, bytes, int]
"""Opcode and address; data; bytes to take afterwards.

Nothing happens before opcode and address have arrived unharmed.
"""

NOTHING: Command = (b"\xff", b"", 0)
"""Ends continuous-read mode, and half a page: of that the rest stays as it was; no other command
does anything with a byte too many."""
STATUS: Command = (bytes([READ_STATUS]), b"", 1)
IDENTITY: Command = (b"\x9f", b"", 3)
STATUS2: Command = (b"\x35", b"", 1)
RELEASE: Command = (b"\xab", b"", 0)
"""From power-down; takes 3 us, less than the next command is under way."""
VOLATILE_ENABLE: Command = (b"\x50", b"", 0)
WRITE_STATUS2: Command = (b"\x31", bytes([STATUS2_READY]), 0)
"""Behind VOLATILE_ENABLE: until power-off."""

SILENCE = b"\xff"
"""What is read where there is no flash."""


Kinds = tuple[int, ...]
"""Second bytes of identities."""


class Damaged(Exception):
    """Some commands were damaged on their way; none after the damaged one was carried out."""


def record(data: bytes) -> bytes:
    """Return what is stored behind data, when all of it is there and was verified."""
    body = MAGIC + len(data).to_bytes(4, "little") + zlib.crc32(data).to_bytes(4, "little")
    return body + zlib.crc32(body).to_bytes(4, "little")


def _record_offset(size: int) -> int:
    """Return where the record of ``size`` bytes of data is, from their beginning."""
    return size + -size % PAGE


def _known(identity: bytes, kinds: Kinds) -> bool:
    """Return whether a flash is one of those that the core can read."""
    return identity[0] == WINBOND and identity[1] in kinds


def _unready(identity: bytes, status2: int, kinds: Kinds, builds: Sequence[str]) -> str:
    """Return what to say about a flash that does not become ready."""
    shown = identity.hex(" ")
    wanted = "W25Q...-DTR (ordering code IM or JM, ef 70 ..)" if PLAIN not in kinds else (
        "W25Q... (ef 40 .. or ef 70 ..)")
    if identity in (b"\x00\x00\x00", b"\xff\xff\xff"):
        return (
            f"the board's flash does not answer (its identity reads {shown}): unplug the board and "
            "plug it in again, with nothing else at the flash's pins (docs/first-board.md)"
        )
    if not _known(identity, kinds) and identity[:2] == bytes([WINBOND, PLAIN]):
        name = " or ".join(builds)
        remedy = f"build and program that of {name} (--board, here and with all commands)"
        return (
            f"the board's flash ({shown}) has no double transfer rate, which this bitstream reads "
            f"with: {remedy if builds else f'use a board with a {wanted}'}"
        )
    if not _known(identity, kinds):
        return (
            f"the board's flash ({shown}) is not one that the core can read: use a board with a "
            f"{wanted}; if it has one, its lines are disturbed (docs/first-board.md)"
        )
    return (
        f"the quad-enable bit of the board's flash cannot be set (its status register 2 reads "
        f"{status2:02x}): unplug the board and plug it in again; if that does not help, the "
        "register is write-protected"
    )


class SpiFlash:
    """A flash behind a function that carries out commands.

    Parameters
    ----------
    exchange : callable
        Carries out commands, one after the other, and returns what each of them gave.  Raises
        :class:`Damaged`.
    dtr : bool
        The core reads at double transfer rate.
    builds : sequence of str
        Boards whose bitstreams do without, on the same one.
    """

    def __init__(
        self, exchange: Callable[[list[Command]], list[bytes]], *, dtr: bool = True,
        builds: Sequence[str] = (),
    ) -> None:
        self._raw = exchange
        self._kinds: Kinds = (DTR,) if dtr else (DTR, PLAIN)
        self._builds = builds
        self._size = 0

    def read(self, address: int, count: int) -> bytes:
        """Return bytes."""
        return self._exchange([(bytes([READ]) + address.to_bytes(3, "big"), b"", count)])[0]

    def carry_out(self, commands: Sequence[Command]) -> list[bytes]:
        """Carry commands out that change nothing for long; return what each of them gave."""
        self._settle()
        return self._exchange(commands)

    def rewrite(
        self, address: int, data: bytes, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Make whole sectors hold ``data``, without a record; equal ones stay.

        Raises
        ------
        DeviceError
            If they cannot.
        """
        self._settle()
        for offset in range(0, len(data), SECTOR):
            self._store_sector(address + offset, data[offset : offset + SECTOR])
            if progress is not None:
                progress(offset + SECTOR, len(data))

    def prepare(self) -> bool:
        """Make sure that this is a flash that the core can read, and that it is ready for it:
        idle, awake, its quad-enable bit set.

        Returns
        -------
        bool
            Whether it was not ready, and is now: something has disturbed it since the board was
            configured.

        Raises
        ------
        DeviceError
            If there is no flash, another one, or one that cannot be made ready.
        """
        self._settle()
        for tried in range(WAKE_TRIES + 1):
            identity, status = self._exchange([IDENTITY, STATUS2])
            known = _known(identity, self._kinds)
            if known and status[0] & STATUS2_MASK == STATUS2_READY:
                self._size = 1 << min(identity[2], 32)
                return tried > 0
            self._exchange([NOTHING, RELEASE])
            if known:
                self._exchange([VOLATILE_ENABLE, WRITE_STATUS2])
        raise DeviceError(_unready(identity, status[0], self._kinds, self._builds))

    def store(
        self,
        address: int,
        data: bytes,
        progress: Callable[[int, int], None] | None = None,
        *,
        trust: bool = True,
    ) -> bool:
        """Make the flash hold ``data`` and its record behind it; other sectors stay, and so do
        equal ones.

        Parameters
        ----------
        address : int
            Of a sector.
        data : bytes
        progress : callable, optional
            Called with the bytes that are there, and all.
        trust : bool
            If the record behind the data says that they are there, they are not looked at.

        Returns
        -------
        bool
            Whether anything had to be written.

        Raises
        ------
        DeviceError
            If it cannot.
        """
        end = address + _record_offset(len(data))
        size = end - address + RECORD_BYTES
        if address % SECTOR or not 0 <= address <= address + size <= FLASH_BYTES:
            raise DeviceError(
                f"{len(data)} bytes cannot be stored at {address:#x}: it must be the beginning of "
                f"a sector of {SECTOR} bytes, and all of it below {FLASH_BYTES:#x}"
            )
        self.prepare()
        if address + size > self._size:
            raise DeviceError(
                f"the program ends at byte {address + size:,} of the flash, and the board's has "
                f"{self._size:,}: use a smaller network"
            )
        say = progress or (lambda done, total: None)
        mark = record(data)
        found = self.read(end, RECORD_BYTES)
        if trust and found == mark:
            say(len(data), len(data))
            return False
        # What it says will not be true for a while.
        self._spoil(end, found)
        written = False
        image = data + b"\xff" * (size - len(data))
        for offset in range(0, size, SECTOR):
            written |= self._store_sector(address + offset, image[offset : offset + SECTOR])
            say(min(offset + SECTOR, len(data)), len(data))
        self._program(end, mark)
        if self.read(end, RECORD_BYTES) != mark:
            raise DeviceError(f"the flash's page at {end:#x} cannot be written")
        return written

    def doubt(self, address: int, size: int) -> None:
        """Spoil the record behind ``size`` bytes of data at ``address``, if there is one."""
        end = address + _record_offset(size)
        self._spoil(end, self.read(end, RECORD_BYTES))

    def _spoil(self, end: int, found: bytes) -> None:
        if found not in (b"\xff" * RECORD_BYTES, bytes(RECORD_BYTES)):
            self._program(end, bytes(RECORD_BYTES))

    def _store_sector(self, sector: int, part: bytes) -> bool:
        """Make a sector begin with ``part``; the rest of it stays."""
        old = self.read(sector, SECTOR)
        new = part + old[len(part) :]
        if new == old:
            return False
        for _ in range(TRIES):
            with contextlib.suppress(Damaged):
                self._rewrite(sector, old, new)
            old = self.read(sector, SECTOR)
            if new == old:
                return True
        raise DeviceError(f"the flash's sector at {sector:#x} cannot be written")

    def _rewrite(self, sector: int, old: bytes, new: bytes) -> None:
        # Programming only clears bits.
        if any(n & ~o for o, n in zip(old, new, strict=True)):
            self._write(bytes([ERASE]) + sector.to_bytes(3, "big"), b"")
            old = b"\xff" * SECTOR
        for page in range(0, SECTOR, PAGE):
            part = new[page : page + PAGE]
            if part != old[page : page + PAGE]:
                self._write(bytes([PROGRAM]) + (sector + page).to_bytes(3, "big"), part)

    def _program(self, address: int, data: bytes) -> None:
        for _ in range(TRIES):
            try:
                self._write(bytes([PROGRAM]) + address.to_bytes(3, "big"), data)
                return
            except Damaged:
                continue
        raise DeviceError("the line to the flash is too bad")

    def _settle(self) -> None:
        """End what another driver may have left: half a command, or one that takes its time."""
        self._wait(self._exchange([NOTHING, STATUS])[-1])

    def _write(self, head: bytes, data: bytes) -> None:
        """Carry a command out that changes something, and wait until it is over."""
        self._wait(self._raw([(bytes([WRITE_ENABLE]), b"", 0), (head, data, 0), STATUS])[-1])

    def _wait(self, status: bytes) -> None:
        """Wait until the flash is not busy; one that does not answer is not."""
        for _ in range(POLLS):
            if not status[0] & BUSY or status == SILENCE:
                return
            status = self._exchange([STATUS])[0]
        raise DeviceTimeout("the flash does not finish writing")

    def _exchange(self, commands: Sequence[Command]) -> list[bytes]:
        """Carry commands out that change nothing."""
        for _ in range(TRIES):
            try:
                return self._raw(list(commands))
            except Damaged:
                continue
        raise DeviceError("the line to the flash is too bad")
