"""Storing data in a W25Q-style flash through raw commands."""

from __future__ import annotations

from collections.abc import Callable

from sw.driver.errors import DeviceError, DeviceTimeout

__all__ = ["SECTOR", "SpiFlash"]

SECTOR = 4096
PAGE = 256
SIZE = 1 << 24

READ, PROGRAM, ERASE = 0x03, 0x02, 0x20
WRITE_ENABLE, READ_STATUS, IDENTITY = 0x06, 0x05, 0x9F
BUSY = 1
WINBOND, PLAIN = 0xEF, 0x40
"""First bytes of the identity of a W25Q without double transfer rate (W25Q-DTR: 70h)."""
POLLS = 20_000
"""Status reads until an erase (400 ms at most) counts as failed; each takes some microseconds."""


class SpiFlash:
    """A flash behind a function that carries out one command.

    Parameters
    ----------
    exchange : callable
        ``exchange(sent, received)``: send bytes, then return so many bytes, with /CS low.
    """

    def __init__(self, exchange: Callable[[bytes, int], bytes]) -> None:
        self._exchange = exchange

    def read(self, address: int, count: int) -> bytes:
        """Return bytes."""
        return self._exchange(bytes([READ]) + address.to_bytes(3, "big"), count)

    def store(self, address: int, data: bytes) -> None:
        """Make the flash hold ``data``; what is around it stays, and so do equal sectors.

        Raises
        ------
        DeviceError
            If it cannot.
        """
        if not 0 <= address <= address + len(data) <= SIZE:
            raise DeviceError(f"{len(data)} bytes at {address:#x} are beyond the flash's {SIZE}")
        identity = self._exchange(bytes([IDENTITY]), 3)
        if identity in (b"\x00\x00\x00", b"\xff\xff\xff"):
            raise DeviceError("the board's flash does not answer")
        if identity[:2] == bytes([WINBOND, PLAIN]):
            raise DeviceError(
                f"the board's flash ({identity.hex(' ')}) has no double transfer rate, which the "
                "core reads with: it takes a W25Q...-DTR (ordering code IM or JM, ef 70 ..)"
            )
        first = address - address % SECTOR
        for sector in range(first, address + len(data), SECTOR):
            old = self.read(sector, SECTOR)
            low, high = max(address, sector), min(address + len(data), sector + SECTOR)
            new = bytearray(old)
            new[low - sector : high - sector] = data[low - address : high - address]
            if new == old:
                continue
            self._rewrite(sector, old, bytes(new))
            if self.read(sector, SECTOR) != new:
                raise DeviceError(f"the flash's sector at {sector:#x} cannot be written")

    def _rewrite(self, sector: int, old: bytes, new: bytes) -> None:
        # Programming only clears bits.
        if any(n & ~o for o, n in zip(old, new, strict=True)):
            self._command(bytes([ERASE]) + sector.to_bytes(3, "big"))
            old = b"\xff" * SECTOR
        for page in range(0, SECTOR, PAGE):
            part = new[page : page + PAGE]
            if part != old[page : page + PAGE]:
                self._command(bytes([PROGRAM]) + (sector + page).to_bytes(3, "big") + part)

    def _command(self, command: bytes) -> None:
        self._exchange(bytes([WRITE_ENABLE]), 0)
        self._exchange(command, 0)
        for _ in range(POLLS):
            if not self._exchange(bytes([READ_STATUS]), 1)[0] & BUSY:
                return
        raise DeviceTimeout("the flash does not finish writing")
