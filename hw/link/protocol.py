"""Constants of the host link, shared by the hardware and the driver.  Imports nothing.

The line is 8N1, least significant byte first everywhere.  The host sends a request, the device a
reply; there is never more than one request under way.

Request
    header: opcode, address (2 bytes), count, CRC (2 bytes); then, for writes, ``count`` items and
    a CRC (2 bytes) over them.  An item is a halfword (2 bytes), in space ``FLASH`` a byte.  A
    ``count`` of 0 means 256.  Addresses count up, an item at a time.
Reply
    status; then, for reads that are ``OK``, ``count`` items; then a CRC (2 bytes) over all of it.

Nothing happens before the CRC of the header was right.  Items of a write take effect as they
arrive; a wrong CRC after them is reported, and the host writes them again.

In space ``FLASH`` a write sends bytes to the flash and a read takes bytes from it (what goes to
the flash meanwhile is arbitrary).  Bit 0 of the address keeps /CS low after the request, so that
a command can be a write followed by a read.

After ``BAD_HEADER`` the device ignores everything until a break (the line low for longer than a
character).  A break at any time ends whatever was under way, without a reply: the host sends one
after any timeout or error.
"""

from enum import IntEnum

__all__ = ["HEADER_BYTES", "MAX_ITEMS", "Opcode", "Space", "Status", "crc16", "opcode"]

HEADER_BYTES = 6
"""Bytes of a header, with its CRC."""

MAX_ITEMS = 256
"""Items of one request."""


class Space(IntEnum):
    """What a request accesses: bits 1 and 2 of the opcode."""

    MEMORY = 0
    """Halfwords of the core's activation memory."""
    REGISTER = 1
    """Registers of the core (``hw.command.Register``)."""
    FLASH = 2
    """Bytes to and from the flash, while the core is not reading it."""


class Opcode(IntEnum):
    """Bit 0 of the opcode; the upper five bits are ``MARK``."""

    READ = 0
    WRITE = 1
    MARK = 0xA8


class Status(IntEnum):
    """First byte of a reply: two bits under a mark."""

    OK = 0x50
    BAD_HEADER = 0x51
    """The header was damaged; nothing was done.  Send a break."""
    BAD_DATA = 0x52
    """Items were damaged and are written; write them again."""
    OVERRUN = 0x53
    """The core had no time for some items; write them again, when it is idle or slower."""


def opcode(*, write: bool, space: Space) -> int:
    """Return the first byte of a header."""
    return Opcode.MARK | space << 1 | (Opcode.WRITE if write else Opcode.READ)


def crc16(data: bytes, crc: int = 0xFFFF) -> int:
    """Return the CRC-16/MCRF4XX: polynomial 1021h, reflected, initially all ones."""
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc
