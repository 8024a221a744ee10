"""The self-test's bitstream: registers, patterns and signatures that hardware and software share.

Imports no Amaranth.
"""

import zlib
from collections.abc import Iterator
from enum import IntEnum, IntFlag

from hw.contract.config import CoreConfig
from hw.contract.link import VERSION
from hw.contract.sections import SECTION_BYTES, TRAILER_BYTES

__all__ = [
    "BLOCK_DEPTH",
    "BLOCK_MEMORIES",
    "IDENTITY",
    "KIND",
    "PATTERN_START",
    "PIECE_BYTES",
    "PRODUCTS",
    "Element",
    "Test",
    "TestRegister",
    "TestStatus",
    "digest",
    "operands",
    "pattern",
    "signature",
]

KIND = 0x7E57
"""What the register of that name holds."""

IDENTITY = 0x01
"""Version of these registers, as STATUS reports it."""

BLOCK_MEMORIES = 29
"""Block RAMs under test: an iCE40UP5K has 30, and the flash reader keeps one."""

BLOCK_DEPTH = 256
"""Their words, of 16 bits."""

PRODUCTS = 1 << 16
"""Pairs of operands of 8 bits."""

PIECE_BYTES = SECTION_BYTES + TRAILER_BYTES
"""Bytes of a section that is sealed by itself: a stream of its own for the flash reader."""

PATTERN_START = 0xACE1
"""First halfword of :func:`pattern`."""


class TestRegister(IntEnum):
    """Registers of the self-test on the host's bus (16 bits each).

    KIND reads :data:`KIND`.  TAP chooses the flash's capture clock; to be written while the flash
    is idle.  SCRATCH keeps what is written.  Writing a :class:`Test` to START begins it.  STATUS: a
    :class:`TestStatus`, with IDENTITY in bits 15:8.

    UNIT is the memory (single-port memories first, then block RAMs) or block of multipliers under
    test; ELEMENT an :class:`Element`; BACKGROUND what a memory's words are written with;
    FLASH_LOW | FLASH_HIGH << 16 the byte address of the first sealed section; COUNT the sections,
    or pairs of operands, less one.

    Results of the test that was begun last: RESULT_LOW | RESULT_HIGH << 16 is how many halfwords
    were wrong, or the products' signature; BAD how many sections' checksums were wrong; MASK which
    bits of halfwords ever were; FIRST the address of the first wrong word, or the number of the
    first wrong section.
    """

    KIND = 0
    TAP = 1
    SCRATCH = 2
    START = 3
    STATUS = 4
    UNIT = 5
    ELEMENT = 6
    BACKGROUND = 7
    FLASH_LOW = 8
    FLASH_HIGH = 9
    COUNT = 10
    RESULT_LOW = 11
    RESULT_HIGH = 12
    BAD = 13
    MASK = 14
    FIRST = 15


class TestStatus(IntFlag):
    """Bits of STATUS."""

    BUSY = 1
    """A test is under way."""
    READY = 2
    """The flash reader takes commands."""


class Test(IntEnum):
    """Test that START begins."""

    FLASH = 0
    """Read sealed sections."""
    MARCH = 1
    """One element of a march through a memory."""
    PRODUCTS = 2
    """Multiply."""


class Element(IntFlag):
    """Element of a march: what is done at each address, before the next one.

    Words are BACKGROUND, or with the bits EXPECT_INVERSE and WRITE_INVERSE its complement.
    """

    DOWN = 1
    READ = 2
    EXPECT_INVERSE = 4
    WRITE = 8
    WRITE_INVERSE = 16


def digest(config: CoreConfig, baud: int) -> int:
    """Return the seed of the replies' CRCs: no other bitstream has it; see :mod:`hw.contract.link`.

    Parameters
    ----------
    config : CoreConfig
        Its clock and its memories count.
    baud : int
        The board's highest rate.
    """
    text = (f"selftest={IDENTITY},link={VERSION},baud={baud},core_mhz={config.core_mhz!r},"
            f"lanes={config.lanes},depth={config.memory_depth}")
    return zlib.crc32(text.encode())


def pattern(count: int) -> Iterator[int]:
    """Yield so many halfwords of the data in the flash: all but 0, in an order without order.

    The generator is a xorshift (7, 9, 8) of 16 bits.
    """
    value = PATTERN_START
    for _ in range(count):
        yield value
        value ^= value << 7 & 0xFFFF
        value ^= value >> 9
        value ^= value << 8 & 0xFFFF


def operands(number: int) -> tuple[int, int]:
    """Return operand words (two int8 each) of a pair: all 65,536 of both multipliers of a block."""
    x, y = number & 0xFF, number >> 8
    return x | (x ^ 0xFF) << 8, y | y << 8


def signature(before: int, products: int) -> int:
    """Return the signature after another two products of 16 bits, 32 bits."""
    return (before << 1 & 0xFFFF_FFFF | before >> 31) ^ products
