"""Layers of descriptors and blocks, still without addresses: the result of lowering."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from hw.contract.blocks import Block
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode
from hw.contract.requantiser import BIAS_BITS
from hw.contract.words import ADDRESS_BITS
from sw.compiler.exact.requantiser import Codes
from sw.compiler.graph.refusals import Refused, Rule
from sw.compiler.lowering.turns import MAX_COUNT
from sw.compiler.program.tensors import Place

__all__ = [
    "DESCRIPTOR_ROOM",
    "OUTPUT_SIZE",
    "WEIGHTS_SPLIT",
    "Command",
    "Geometry",
    "LoweredLayer",
    "Trail",
    "Where",
    "blocks_of",
    "distribute",
    "furthest",
    "scratch_place",
]

Where = Callable[[int], tuple[Place, int]]
"""Place of a row of a tensor, and words from the place's beginning."""

SCRATCH = -1
"""Numbers of scratch places start here and go down with the output's number."""

MOST_TENSORS = 1 << 24
"""More than a network has."""

MOST_STEP = (1 << ADDRESS_BITS) - 1
"""Words: the greatest distance that a descriptor can have."""

OUTPUT_SIZE = Rule(
    f"An output must be at most {MAX_COUNT}x{MAX_COUNT} pixels", "use smaller images"
)
WEIGHTS_SPLIT = Rule(
    "A weight less its zero point must not be further beyond int8 than the device can split it",
    "quantise the network with symmetric (int8) weights",
)
DESCRIPTOR_ROOM = Rule(
    "Counts and distances in memory must have room in a descriptor",
    "use smaller images or fewer channels",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Command:
    """One descriptor and its blocks; addresses are relative to tensors.

    Attributes
    ----------
    fields : dict
        Of :class:`hw.contract.descriptors.Descriptor`, without bases.
    input, output : Place
    input_offset, output_offset : int
        Words from the places' beginnings.
    second : Place or None
        ADD: the second operand; the increments of the address generator lead there and back.
    blocks : tuple of Block
    """

    fields: dict[str, Any]
    input: Place
    output: Place
    input_offset: int = 0
    output_offset: int = 0
    second: Place | None = None
    second_offset: int = 0
    blocks: tuple[Block, ...]

    @property
    def mode(self) -> Mode:
        """Way in which activations reach the array."""
        return Mode(self.fields["mode"])

    @property
    def steps(self) -> int:
        """Steps per output."""
        return int(self.fields["steps"])

    @property
    def windows(self) -> int:
        """Windows per block, with those that give no output."""
        return int(self.fields["width"] * self.fields["height"])

    @property
    def passes(self) -> int:
        """Blocks that are run, each over all windows."""
        return int(self.fields["blocks"])

    def _fields(self) -> dict[str, Any]:
        """Return the fields, with anything for the way to a next row that there is not."""
        alone = self.fields["height"] == 1 and abs(self.fields.get("step_row", 0)) > MOST_STEP
        return {**self.fields, "step_row": 0} if alone else dict(self.fields)

    def check(self) -> None:
        """Raise ValueError if a descriptor has no room, wherever tensors are."""
        Descriptor(last=False, input_base=0, output_base=0, **self._fields())

    def descriptor(self, addresses: Mapping[int, int], *, last: bool = False) -> Descriptor:
        """Return the descriptor for given addresses of tensors."""
        fields = self._fields()
        base = addresses[self.input] + self.input_offset
        if self.second is not None:
            there = addresses[self.second] + self.second_offset - base
            on = fields["output_step"] - there
            fields |= {"step_inner": there, "step_column": on, "step_row": on}
        return Descriptor(
            last=last,
            input_base=base % (1 << ADDRESS_BITS),
            output_base=addresses[self.output] + self.output_offset,
            **fields,
        )


@dataclass(frozen=True)
class Trail:
    """An output that is written over an input, where that has been read for the last time.

    Attributes
    ----------
    gap : int
        Words before the input at which the output has to begin at least.
    unit : int
        The distance has to be a multiple of so many words.
    """

    gap: int
    unit: int = 1

    def allows(self, distance: int) -> bool:
        """Whether the output may begin so many words before the input."""
        return distance >= self.gap and distance % self.unit == 0


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Geometry of a layer: how rows of its output follow from rows of its inputs.

    Attributes
    ----------
    kernel : int
        Rows of a window.
    stride : int
    top : int
        Rows of padding above the first row, that are not in memory.
    input_rows, output_rows : int
    input_pitch, output_pitch : int
        Words from one row to the next.
    """

    kernel: int = 1
    stride: int = 1
    top: int = 0
    input_rows: int
    output_rows: int
    input_pitch: int
    output_pitch: int

    def needs(self, row: int) -> tuple[int, int]:
        """Return the rows of the input, first and end, that an output row is made of."""
        first = row * self.stride - self.top
        return max(0, first), min(self.input_rows, first + self.kernel)


@dataclass(frozen=True, kw_only=True, eq=False)
class LoweredLayer:
    """One operator on the device.

    Attributes
    ----------
    name, kind : str
        Of the operator.
    macs : int
        Multiplications of the operator as the network defines it; 0 for pooling and ADD.
    inputs : tuple of Place
    output : Place
    output_rows : int
        Rows of the output, if it is an image; one otherwise.
    commands : tuple of Command
        One, or several where ranges of blocks differ.
    scratch : dict
        Words of memory that the layer needs besides: by a place of its own (negative).
    geometry : Geometry or None
        ``None`` if the layer can only be run as a whole.
    by_row : callable or None
        Returns the commands of a row, given where each row of the input lies, for layers whose rows
        are not their commands with a height of 1.
    row_scratch : int or None
        Words of ``scratch`` for one row; ``None``: as many as the output's row has.
    rotated : callable or None
        Depthwise layers: returns the commands with kernel row ``(q - k) mod 3`` where row ``q``
        was, given ``k``.
    in_place : Trail or None
        How the output may lie over an input; ``None`` if it must not.
    """

    name: str
    kind: str
    macs: int
    inputs: tuple[Place, ...]
    output: Place
    output_rows: int
    commands: tuple[Command, ...]
    scratch: dict[Place, int] = field(default_factory=dict)
    geometry: Geometry | None = None
    by_row: Callable[[int, Where], tuple[Command, ...]] | None = None
    row_scratch: int | None = None
    rotated: Callable[[int], tuple[Command, ...]] | None = None
    in_place: Trail | None = None

    def check(self) -> None:
        """Refuse a layer for which descriptors have no room.

        Raises
        ------
        Refused
        """
        for command in self.commands:
            try:
                command.check()
            except ValueError as error:
                raise Refused(
                    {self.name: DESCRIPTOR_ROOM.broken(str(error))},
                    f"operator {self.name!r} ({self.kind})",
                ) from None

    @property
    def steps(self) -> int:
        """Cycles that the array needs for the whole layer."""
        return sum(c.steps * c.windows * c.passes for c in self.commands)


def furthest(weights: Ints) -> int:
    """Return the weight that is the furthest beyond int8."""
    values = weights.ravel()
    return int(values[np.argmax(np.abs(values))])


def scratch_place(output: Place, number: int = 0) -> Place:
    """Return a place of what a layer keeps on its way to its output: no tensor's."""
    return Place(SCRATCH - output - number * MOST_TENSORS)


def _wrapped(biases: Ints) -> Ints:
    """Return biases as the accumulators have them, in two's complement."""
    half = 1 << BIAS_BITS - 1
    return (biases + half) % (2 * half) - half


def blocks_of(codes: Codes, columns: int) -> list[Codes]:
    """Split per-channel codes into blocks; channels of padding are constant 0 plus zero point."""
    count = -(-len(codes.bias) // columns)

    def split(values: Ints, fill: int) -> list[Ints]:
        padded = np.full(count * columns, fill, np.int64)
        padded[: len(values)] = values
        return list(padded.reshape(count, columns))

    ranges = codes.output_range[:, :1].repeat(columns, axis=1)
    return [
        Codes(multiplier=m, shift=s, bias=b, factor=f, output_range=ranges)
        for m, s, b, f in zip(
            split(codes.multiplier, 1 << 30),
            split(codes.shift, 0),
            split(_wrapped(codes.bias), 0),
            split(codes.factor, 0),
            strict=True,
        )
    ]


def distribute(weights: Ints, slots: npt.NDArray[np.intp]) -> npt.NDArray[np.int8] | None:
    """Put weights where the array wants them.

    Parameters
    ----------
    weights : (columns, K) int64
        Possibly beyond int8.
    slots : (steps, rows) int
        Which of the K weights belongs there; −1 for none.  A weight that has several places is
        split over as many of them as it needs.

    Returns
    -------
    (steps, rows, columns) int8, or None
        ``None`` if a weight needs more places than it has.
    """
    rest = weights.T.copy()
    result = np.zeros((slots.size, len(weights)), np.int8)
    places = np.flatnonzero(slots.ravel() >= 0)
    taps = slots.ravel()[places]
    # How many places of the same weight come before each.
    order = np.argsort(taps, kind="stable")
    starts = np.searchsorted(taps[order], taps[order])
    visit = np.empty_like(order)
    visit[order] = np.arange(len(order)) - starts
    for number in range(int(visit.max(initial=-1)) + 1):
        now = visit == number
        part = np.clip(rest[taps[now]], -128, 127)
        result[places[now]] = part
        rest[taps[now]] -= part
    result = result.reshape(*slots.shape, -1)
    return None if rest.any() else result
