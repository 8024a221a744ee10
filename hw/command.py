"""The command set: what the compiler writes and the hardware reads, defined once.

The program of a network is one stream of words in the board's flash.  It is a sequence of
records, each a header word followed by its contents:

==========  ==================================================================================
END         stop; the last record of a program
DESCRIPTOR  ``DESCRIPTOR_WORDS`` words: one layer (:class:`Descriptor`)
BLOCK       one block of the current layer: ``rows * PARAMETER_FIELDS`` words of requantisation
            parameters, then ``count`` words of weights
==========  ==================================================================================

A layer whose sums have more products than the weight memory has room for is ``partial``: the
windows of its only row are parts of one sum, read one after another like other windows, and each
part has a BLOCK of its own.  The accumulators start anew with the first part and give an output
after the last one, with that part's parameters; the parameters of the others are not used.  While
a part waits for its weights the array multiplies by ``input_zero_point``, which has to be 0.

A word is ``lanes`` halfwords, lane 0 first, little-endian.  Headers use lane 0's halfword only.

In the flash the stream is cut into sections, each followed by a checksum (:mod:`hw.sections`).

This module imports nothing of Amaranth, so that compiler, cycle model and driver can use it.
"""

from dataclasses import dataclass
from enum import IntEnum

HALFWORD_BITS = 16
ADDRESS_BITS = 14
"""Bits of a word address of the activation memory."""

DESCRIPTOR_HALFWORDS = 16
PARAMETER_FIELDS = 4
"""Halfwords of requantisation parameters per output channel."""


class Record(IntEnum):
    """Kinds of records, bits 15:13 of a header halfword; bits 12:0 count words of weights."""

    END = 0
    DESCRIPTOR = 1
    BLOCK = 2


COUNT_BITS = 13


def header(kind: Record, count: int = 0) -> int:
    """Return the header halfword of a record with ``count`` words of weights (0 to 8191)."""
    if not 0 <= count < 1 << COUNT_BITS:
        raise ValueError(f"count must be 0 to {(1 << COUNT_BITS) - 1}, not {count!r}")
    return int(kind) << COUNT_BITS | count


class Mode(IntEnum):
    """How a layer's activations reach the array.

    SERIAL
        Convolution: the words of a kernel row come one after another, ``rows`` channels a step,
        and every column sees the same channels.
    DEPTHWISE
        3×3 window, stride 1: five steps an output.  Column ``c`` sees channel ``c`` only.
    DEPTHWISE2
        3×3 window, stride 2: eight steps an output.
    POOL
        One word a step straight from memory; one output per block.
    ADD
        Two tensors read in turn; one output word per pair.
    """

    SERIAL = 0
    DEPTHWISE = 1
    DEPTHWISE2 = 2
    POOL = 3
    ADD = 4


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """One layer, as the hardware reads it: ``DESCRIPTOR_HALFWORDS`` halfwords.

    Counts are stored less one.  Addresses and increments are in words, modulo
    ``2**ADDRESS_BITS``.  See ``docs/architecture.md`` for the order in which each mode reads.

    Attributes
    ----------
    mode : Mode
    last : bool
        No layer follows.
    shared : bool
        All blocks use the weights and parameters of the first one.
    single_rounding : bool
        Requantise with one rounding (the reference's FULLY_CONNECTED) instead of two.
    pad_left, pad_right, pad_top, pad_bottom : bool
        The first or last column (row) of windows reaches one column (row) into the padding.
    skip_first, skip_last : bool
        The first (last) window of a row gives no output.
    partial : bool
        SERIAL, one row: its windows are parts of one sum (see above).
    odd : bool
        DEPTHWISE2: windows start at odd columns (after one column of padding).
    last_steps : int
        SERIAL: steps taken from the last word of a kernel row, 1 to ``lanes``.
    steps : int
        Steps per output, 1 to 1024.
    inner : int
        Words per level 0 of the address generator, 1 to 256.
    middle : int
        Turns of level 1, 1 to 256.  DEPTHWISE*: columns of the input.
    width, height : int
        Windows per row and rows, 1 to 256.
    blocks : int
        Blocks of ``columns`` output channels, 1 to 256.
    input_zero_point, output_zero_point, act_min, act_max : int
        int8.
    input_base, output_base : int
        Word addresses.
    step_inner, step_middle, step_column, step_row : int
        Address increments of the four levels.
    output_step : int
        Address increment from one output word to the next.
    ring_moves : bool
        From this layer on the ring begins at ``ring_first``; else it stays as it is.
    ring_first : int
        Word address, no greater than the ring's first word before.  It takes effect when the
        stream wraps the next time: from then on it is stored from there to the end of memory.
    """

    mode: Mode
    last: bool = False
    shared: bool = False
    single_rounding: bool = False
    pad_left: bool = False
    pad_right: bool = False
    pad_top: bool = False
    pad_bottom: bool = False
    skip_first: bool = False
    skip_last: bool = False
    odd: bool = False
    partial: bool = False
    last_steps: int = 1
    steps: int
    inner: int
    middle: int
    width: int
    height: int
    blocks: int
    input_zero_point: int
    output_zero_point: int
    act_min: int
    act_max: int
    input_base: int
    output_base: int
    step_inner: int = 0
    step_middle: int = 0
    step_column: int = 0
    step_row: int = 0
    output_step: int
    ring_moves: bool = False
    ring_first: int = 0

    def __post_init__(self) -> None:
        if self.act_min > self.act_max:
            raise ValueError(f"act_min must be at most act_max ({self.act_max}), "
                             f"not {self.act_min!r}")
        if self.mode == Mode.SERIAL and self.middle > 1 and self.inner == self.last_steps == 1:
            raise ValueError("last_steps must be at least 2 if kernel rows are one word, not 1")
        if self.partial and (self.mode != Mode.SERIAL or self.height != 1 or self.shared
                             or self.skip_first or self.skip_last or self.input_zero_point):
            raise ValueError("partial sums are for SERIAL layers of one row with an "
                             "input_zero_point of 0, which neither share their weights nor skip "
                             "windows")
        for name, layout in LAYOUT.items():
            low, high = layout.range
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {value!r}")

    @property
    def records(self) -> int:
        """BLOCK records that follow the descriptor."""
        if self.shared:
            return 1
        return self.blocks * (self.width if self.partial else 1)

    def halfwords(self) -> list[int]:
        """Return the encoded descriptor: ``DESCRIPTOR_HALFWORDS`` integers of 16 bits."""
        words = [0] * DESCRIPTOR_HALFWORDS
        for name, at in LAYOUT.items():
            value = (int(getattr(self, name)) - at.bias) & ((1 << at.width) - 1)
            words[at.halfword] |= value << at.low
        return words


@dataclass(frozen=True)
class Field:
    """Where a field of the descriptor is stored: ``value - bias`` in ``width`` bits."""

    halfword: int
    low: int
    width: int
    bias: int = 0
    signed: bool = False

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest value; addresses wrap, so increments may be negative too."""
        if self.width == ADDRESS_BITS and self.signed:
            return -(1 << ADDRESS_BITS) + 1, (1 << ADDRESS_BITS) - 1
        if self.signed:
            return -(1 << self.width - 1), (1 << self.width - 1) - 1
        return self.bias, (1 << self.width) - 1 + self.bias


LAYOUT: dict[str, Field] = {
    "mode": Field(0, 0, 3),
    "last": Field(0, 3, 1),
    "shared": Field(0, 4, 1),
    "single_rounding": Field(0, 5, 1),
    "pad_left": Field(0, 6, 1),
    "pad_right": Field(0, 7, 1),
    "pad_top": Field(0, 8, 1),
    "pad_bottom": Field(0, 9, 1),
    "skip_first": Field(0, 10, 1),
    "skip_last": Field(0, 11, 1),
    "odd": Field(0, 12, 1),
    "partial": Field(0, 13, 1),
    "steps": Field(1, 0, 10, bias=1),
    "last_steps": Field(1, 10, 4, bias=1),
    "inner": Field(2, 0, 8, bias=1),
    "middle": Field(2, 8, 8, bias=1),
    "width": Field(3, 0, 8, bias=1),
    "height": Field(3, 8, 8, bias=1),
    "blocks": Field(4, 0, 8, bias=1),
    "input_zero_point": Field(4, 8, 8, signed=True),
    "output_zero_point": Field(5, 0, 8, signed=True),
    "act_min": Field(5, 8, 8, signed=True),
    "act_max": Field(6, 0, 8, signed=True),
    "input_base": Field(7, 0, ADDRESS_BITS),
    "output_base": Field(8, 0, ADDRESS_BITS),
    "step_inner": Field(9, 0, ADDRESS_BITS, signed=True),
    "step_middle": Field(10, 0, ADDRESS_BITS, signed=True),
    "step_column": Field(11, 0, ADDRESS_BITS, signed=True),
    "step_row": Field(12, 0, ADDRESS_BITS, signed=True),
    "output_step": Field(13, 0, ADDRESS_BITS, signed=True),
    "ring_first": Field(14, 0, ADDRESS_BITS),
    "ring_moves": Field(14, ADDRESS_BITS, 1),
}
"""Where each field of a :class:`Descriptor` is in its halfwords."""


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
    LAYERS: descriptors whose last step has been made since START (``LAYERS_BITS`` bits): whatever
    they read may be overwritten.
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
    LAYERS = 7
    PROFILE = 8
    HOLD = 9


LAYERS_BITS = 12
HOLD_NEVER = (1 << LAYERS_BITS) - 1
"""A HOLD that no program's descriptor has for its number."""


class Cause(IntEnum):
    """What a cycle of a busy core is spent on; PROFILE selects which cycles are counted.

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


Tap = tuple[int, int]
"""A word of the 3×3 window: (age of its column, kernel row)."""

_DEPTHWISE: tuple[tuple[Tap, Tap], ...] = (
    ((2, 0), (1, 2)),
    ((2, 1), (0, 0)),
    ((2, 2), (0, 1)),
    ((1, 0), (0, 2)),
    ((1, 1), (0, 2)),
)
_DEPTHWISE2: tuple[tuple[Tap, Tap], ...] = (
    ((2, 0), (0, 0)),
    ((2, 1), (0, 1)),
    ((2, 2), (0, 2)),
    ((1, 0), (-1, 0)),
    ((1, 1), (-1, 1)),
    ((1, 2), (-1, 2)),
    ((0, 1), (-1, 2)),
    ((1, 1), (-1, 2)),
)
# By how often their weights are the largest: the middle of a window, its sides, its corners.
_DEPTHWISE_AGAIN: tuple[Tap, ...] = (
    (1, 1), (0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2),
)
_DEPTHWISE2_AGAIN: tuple[Tap, ...] = (
    (0, 0), (0, 2), (1, 0), (1, 2), (-1, 1), (2, 1), (-1, 0), (-1, 2), (2, 0), (2, 2),
    (0, 1), (1, 1),
)


def window_steps(mode: Mode) -> tuple[tuple[Tap, Tap], ...]:
    """Return what the two rows of the array see in each step of a depthwise mode.

    An entry is (tap of array row 0, tap of array row 1).  A tap is (age of the column, kernel
    row).  Column 0 is the one whose reading begins with the window, 1 the one read before it, 2
    the one before that; DEPTHWISE2 reads two columns a window, 0 and then -1.

    The first steps (5 or 8) are the ordinary ones; those of DEPTHWISE2 have room for a second visit
    of the middle of the window, which is (0, 1) or (1, 1).  The steps after them are optional (a
    descriptor's ``steps`` says how many are taken): array row 0 visits every tap once more, so that
    a weight beyond int8 can be split over two visits; array row 1 wants zero weights there.
    """
    base, again = {
        Mode.DEPTHWISE: (_DEPTHWISE, _DEPTHWISE_AGAIN),
        Mode.DEPTHWISE2: (_DEPTHWISE2, _DEPTHWISE2_AGAIN),
    }[mode]
    return base + tuple((tap, base[-1][1]) for tap in again)


def minimum_steps(mode: Mode) -> int:
    """Return the fewest steps per output that a mode can take."""
    return {Mode.SERIAL: 4, Mode.DEPTHWISE: 5, Mode.DEPTHWISE2: 8, Mode.POOL: 4, Mode.ADD: 4}[mode]
