"""Constants of the host link, shared by the hardware and the driver; ``docs/protocol.md``.

Imports no Amaranth.
"""

import zlib
from dataclasses import fields
from enum import IntEnum

from hw.contract.config import CoreConfig
from hw.contract.registers import IDENTITY

__all__ = [
    "CRC_BYTES",
    "FILLER",
    "HEADER_BYTES",
    "MARK",
    "MAX_ITEMS",
    "RATES",
    "REPLY_BYTES",
    "REPLY_MARK",
    "REPLY_MARK_MASK",
    "SAFE_RATE",
    "SEQUENCES",
    "VERSION",
    "Space",
    "Status",
    "control_address",
    "crc32",
    "digest",
    "find_seed",
    "header",
    "payload",
]

VERSION = 2
"""Of the link: part of the digest."""

MARK = 0xA5
"""First byte of a request."""

FILLER = 0xFF
"""What the host sends between requests.  A receiver that enters it anywhere cannot misread it."""

HEADER_BYTES = 10
"""Bytes of a request's head: mark, sequence number, four bytes of fields, CRC."""

CRC_BYTES = 4

REPLY_BYTES = 6
"""Bytes of a reply without data: status, sequence number, CRC."""

MAX_ITEMS = 2048
"""Items of one request."""

SEQUENCES = 256
"""Sequence numbers are modulo this."""

RATES = 4
"""Rate r is the board's highest rate divided by ``2**r``."""

SAFE_RATE = RATES - 1
"""The rate after power-on, and after a break."""

POLYNOMIAL = 0xEDB88320
ONES = 0xFFFF_FFFF


class Space(IntEnum):
    """Space of addresses that a request accesses."""

    MEMORY = 0
    """Halfwords of the core's activation memory."""
    REGISTER = 1
    """Registers of the core (``hw.contract.registers.Register``)."""
    FLASH = 2
    """Bytes to and from the flash, while the core is not reading it."""
    CONTROL = 3
    """Written only: acts after the whole packet was found right; see :func:`control_address`."""


class Status(IntEnum):
    """Bits 1:0 of a reply's first byte."""

    OK = 0
    """Done; the sequence number is the next one."""
    SEQUENCE = 1
    """Not the expected number: nothing was done."""
    DAMAGED = 2
    """The items came wrong: they have been written, and must be written again."""
    OVERRUN = 3
    """The core had no time for some items, which must be written again."""


REPLY_MARK = 0x50
REPLY_MARK_MASK = 0xF0
BUSY = 0x04
"""Set in a reply's first byte: the core is at work."""
FRESH = 0x08
"""Set in a reply's first byte: no rate was chosen since power-on."""

_CONTROL_RATE = 1 << 8
_CONTROL_START = 0
_CONTROL_NOTHING = 4


def control_address(rate: int | None = None) -> int:
    """Return the address of a write to ``Space.CONTROL``.

    Parameters
    ----------
    rate : int, optional
        Change to it after the reply, 0 to ``RATES - 1``; without it, start the program.
    """
    if rate is None:
        return _CONTROL_START
    if not 0 <= rate < RATES:
        raise ValueError(f"rate must be 0 to {RATES - 1}, not {rate!r}")
    # The low bits are a register that is not written.
    return _CONTROL_NOTHING | _CONTROL_RATE | rate << 9


def crc32(data: bytes, seed: int = ONES) -> int:
    """Return the CRC-32 (IEEE 802.3), without the inversion at its end."""
    return zlib.crc32(data, seed ^ ONES) ^ ONES


def find_seed(data: bytes, crc: int) -> int:
    """Return the seed with which ``data`` has a CRC."""
    for byte in reversed(data):
        for bit in range(7, -1, -1):
            # Undo a step: its feedback is the top bit, which only the polynomial can have set.
            feedback = crc >> 31
            crc = (crc ^ POLYNOMIAL * feedback) << 1 & ONES
            crc |= feedback ^ byte >> bit & 1
    return crc


def digest(config: CoreConfig, baud: int) -> int:
    """Return what hardware and driver must agree on, in 32 bits: the seed of the replies' CRCs.

    Double transfer rate is what there was before it was a choice, and says nothing.

    Parameters
    ----------
    config : CoreConfig
        All of it counts, except the technology.
    baud : int
        The board's highest rate.
    """
    unsaid = {"technology", "flash_dtr"} if config.flash_dtr else {"technology"}
    values = [f"{field.name}={getattr(config, field.name)!r}" for field in fields(config)
              if field.name not in unsaid]
    text = ",".join([f"link={VERSION}", f"command={IDENTITY}", f"baud={baud}", *values])
    return zlib.crc32(text.encode())


def header(
    *, sequence: int, write: bool, space: Space, address: int, count: int
) -> bytes:
    """Return the head of a request.

    Parameters
    ----------
    sequence : int
        0 to ``SEQUENCES - 1``.
    write : bool
    space : Space
    address : int
        Of the first item, 16 bits.
    count : int
        Items, 1 to ``MAX_ITEMS``.
    """
    if not 1 <= count <= MAX_ITEMS:
        raise ValueError(f"count must be 1 to {MAX_ITEMS}, not {count!r}")
    if not 0 <= address < 1 << 16:
        raise ValueError(f"address must be 0 to 65535, not {address!r}")
    flags = count - 1 | write << 11 | space << 12
    body = bytes([sequence]) + flags.to_bytes(2, "little") + address.to_bytes(2, "little")
    return bytes([MARK]) + body + crc32(body).to_bytes(CRC_BYTES, "little")


def payload(items: bytes) -> bytes:
    """Return the second part of a write: its items and their CRC."""
    return items + crc32(items).to_bytes(CRC_BYTES, "little")
