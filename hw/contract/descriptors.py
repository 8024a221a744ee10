"""Descriptors: runs of the array, as the compiler writes and the hardware reads them."""

from dataclasses import dataclass

from hw.contract.modes import Mode
from hw.contract.words import ADDRESS_BITS

__all__ = ["DESCRIPTOR_HALFWORDS", "LAYOUT", "Descriptor", "Field"]

DESCRIPTOR_HALFWORDS = 16


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
        SYSTOLIC, one row: its windows are parts of one sum (see above).
    odd : bool
        DEPTHWISE_STRIDE2: windows start at odd columns (after one column of padding).
    last_steps : int
        SYSTOLIC: steps taken from the last word of a kernel row, 1 to ``lanes``.
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
        if self.mode == Mode.SYSTOLIC and self.middle > 1 and self.inner == self.last_steps == 1:
            raise ValueError("last_steps must be at least 2 if kernel rows are one word, not 1")
        if self.partial and (self.mode != Mode.SYSTOLIC or self.height != 1 or self.shared
                             or self.skip_first or self.skip_last or self.input_zero_point):
            raise ValueError("partial sums are for SYSTOLIC layers of one row with an "
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
    """Place of a field in the descriptor: ``value - bias`` in ``width`` bits."""

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
