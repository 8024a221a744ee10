"""Operators that move data and, but for a change of scale, no value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sw.ir.bases import NaryOp, UnaryOp

__all__ = [
    "Concatenation",
    "MirrorPad",
    "Pack",
    "Pad",
    "PadV2",
    "Reshape",
    "ResizeNearestNeighbor",
    "Slice",
    "Transpose",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(UnaryOp):
    """Padding with the zero point; ``paddings`` has one (before, after) per dimension."""

    kind: ClassVar[str] = "PAD"
    paddings: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(UnaryOp):
    """The same elements in the output tensor's shape."""

    kind: ClassVar[str] = "RESHAPE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transpose(UnaryOp):
    """Output dimension ``i`` is input dimension ``permutation[i]``."""

    kind: ClassVar[str] = "TRANSPOSE"
    permutation: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PadV2(UnaryOp):
    """Padding with an integer of one's own; ``paddings`` as in :class:`Pad`."""

    kind: ClassVar[str] = "PADV2"
    paddings: tuple[tuple[int, int], ...]
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPad(UnaryOp):
    """Padding with the tensor's reflection; with ``edge``, the elements at the border are twice
    in it (SYMMETRIC), without it once (REFLECT).
    """

    kind: ClassVar[str] = "MIRROR_PAD"
    paddings: tuple[tuple[int, int], ...]
    edge: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(UnaryOp):
    """A part of a tensor: what SLICE, STRIDED_SLICE and one output of SPLIT or UNPACK are.

    Along dimension ``d`` these are the elements ``begin[d]``, ``begin[d] + strides[d]``, …, as many
    as ``size[d]``, all of them inside; strides may be negative.  Dimensions in ``dropped`` have
    one element, and the result does not have them.
    """

    kind: ClassVar[str] = "STRIDED_SLICE"
    begin: tuple[int, ...]
    size: tuple[int, ...]
    strides: tuple[int, ...]
    dropped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Concatenation(NaryOp):
    """Tensors one behind the other along a dimension; uint8 is brought to the output's scale."""

    kind: ClassVar[str] = "CONCATENATION"
    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack(NaryOp):
    """Tensors of one shape as slices of one that has another dimension, ``axis``."""

    kind: ClassVar[str] = "PACK"
    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeNearestNeighbor(UnaryOp):
    """An image of another height and width, without any new value."""

    kind: ClassVar[str] = "RESIZE_NEAREST_NEIGHBOR"
    align_corners: bool = False
    half_pixel_centers: bool = False
