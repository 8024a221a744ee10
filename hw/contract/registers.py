"""Registers of the core on the host's bus."""

from enum import IntEnum

__all__ = ["DESCRIPTORS_BITS", "HOLD_NEVER", "IDENTITY", "Cause", "Register"]


class Register(IntEnum):
    """Registers of the core on the host's bus (16 bits each).

    Writing START starts the program whose flash byte address is FLASH_LOW | FLASH_HIGH << 16.
    The program's words pass through a ring in activation memory, from word address RING_FIRST to
    the end of the memory, until a descriptor moves its beginning.  STATUS: bit 0 busy, bit 1 flash
    ready, bit 2 the program in the flash is corrupt (a checksum was wrong; until the next START;
    not busy then), bit 3 held before a layer (see HOLD), bits 15:8 IDENTITY of the command set.  A
    program that has come to its end was read correctly.
    CYCLES_LOW/HIGH count the cycles from START to the end of the last layer, or those of them that
    PROFILE selects (a :class:`Cause`; written before START, 0 after reset).
    DESCRIPTORS counts the descriptors whose last step has been made since START
    (``DESCRIPTORS_BITS`` bits): whatever they read may be overwritten.
    HOLD: the core does not begin the descriptor with this number (0 is a program's first), until
    another number is written; HOLD_NEVER, as after reset, lets it run to the end.  A host that
    brings the input while the core runs holds it before the layer that would read too far.
    """

    START = 0
    FLASH_LOW = 1
    FLASH_HIGH = 2
    RING_FIRST = 3
    STATUS = 4
    CYCLES_LOW = 5
    CYCLES_HIGH = 6
    DESCRIPTORS = 7
    PROFILE = 8
    HOLD = 9


DESCRIPTORS_BITS = 12
HOLD_NEVER = (1 << DESCRIPTORS_BITS) - 1
"""A HOLD that no program's descriptor has for its number."""


class Cause(IntEnum):
    """Cause of a cycle: what a busy core spends it on; PROFILE selects which cycles are counted.

    ALL
        Every cycle.
    STEPS
        The array makes a step.
    WEIGHTS
        The array waits for a block's weights.
    INPUT
        Words are read ahead, before the first step of a layer (one cycle where none are).
    REQUANTISE
        The last results of a layer are on their way to memory.
    FILL
        The next descriptor is waited for and read; a block begins; the last cycle of a program.
    HELD
        The host holds the core before a layer.  The first cycle of that counts as FILL.
    NOT_HELD
        All others.

    The causes from STEPS to FILL exclude each other; NOT_HELD is their sum, and what it counts
    while the core is held before descriptor *n* are the cycles of the *n* descriptors before.
    """

    ALL = 0
    STEPS = 1
    WEIGHTS = 2
    INPUT = 3
    REQUANTISE = 4
    FILL = 5
    HELD = 6
    NOT_HELD = 7


IDENTITY = 0x53
"""Version of the command set, as STATUS reports it."""
