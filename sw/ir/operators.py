"""Operators that calculate, and the union of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from sw.ir.activations import (
    Exp,
    HardSwish,
    LeakyRelu,
    Logistic,
    Prelu,
    Relu,
    Relu0To1,
    Relu6,
    ReluN1To1,
    Softmax,
    Tanh,
)
from sw.ir.bases import NO_PADDING, Activation, BinaryOp, Padding, UnaryOp, WeightedOp
from sw.ir.detection import Detection
from sw.ir.moving import (
    Concatenation,
    MirrorPad,
    Pack,
    Pad,
    PadV2,
    Reshape,
    ResizeNearestNeighbor,
    Slice,
    Transpose,
)

__all__ = [
    "Add",
    "ArgMax",
    "AveragePool2D",
    "Conv2D",
    "DepthwiseConv2D",
    "Dequantize",
    "FullyConnected",
    "MaxPool2D",
    "Maximum",
    "Mean",
    "Minimum",
    "Mul",
    "Operator",
    "Quantize",
    "ResizeBilinear",
    "Sub",
    "Sum",
    "TransposeConv",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2D(WeightedOp):
    """2-D convolution; weights are (output channel, height, width, input channel)."""

    kind: ClassVar[str] = "CONV_2D"
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseConv2D(WeightedOp):
    """Depthwise convolution; weights are (1, height, width, output channel).

    Output channel ``c`` reads input channel ``c // depth_multiplier``.
    """

    kind: ClassVar[str] = "DEPTHWISE_CONV_2D"
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING
    depth_multiplier: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FullyConnected(WeightedOp):
    """Matrix product; weights are (output channel, input channel)."""

    kind: ClassVar[str] = "FULLY_CONNECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposeConv(WeightedOp):
    """Transposed convolution; weights are (output channel, height, width, input channel).

    Pixel (i, j) of the input adds to the outputs from (i × stride − padding) on, as many as the
    kernel has; those that lie outside the output are nowhere.
    """

    kind: ClassVar[str] = "TRANSPOSE_CONV"
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(BinaryOp):
    """input1 + input2."""

    kind: ClassVar[str] = "ADD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sub(BinaryOp):
    """input1 − input2."""

    kind: ClassVar[str] = "SUB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mul(BinaryOp):
    """input1 × input2."""

    kind: ClassVar[str] = "MUL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximum(BinaryOp):
    """The larger integer of both, whatever their scales."""

    kind: ClassVar[str] = "MAXIMUM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum(BinaryOp):
    """The smaller integer of both, whatever their scales."""

    kind: ClassVar[str] = "MINIMUM"


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool2D(UnaryOp):
    """Average over a window; padding does not count towards the average."""

    kind: ClassVar[str] = "AVERAGE_POOL_2D"
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = NO_PADDING
    activation: Activation = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool2D(UnaryOp):
    """Largest integer of a window, of those inside the image."""

    kind: ClassVar[str] = "MAX_POOL_2D"
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = NO_PADDING
    activation: Activation = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(UnaryOp):
    """Mean over ``axes`` (non-negative, ascending), with its own requantisation."""

    kind: ClassVar[str] = "MEAN"
    axes: tuple[int, ...]
    keep_dims: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(UnaryOp):
    """Sum over ``axes`` (non-negative, ascending), with its own requantisation."""

    kind: ClassVar[str] = "SUM"
    axes: tuple[int, ...]
    keep_dims: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgMax(UnaryOp):
    """Index of the largest element along an axis, the first of several; int32 or int64."""

    kind: ClassVar[str] = "ARG_MAX"
    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeBilinear(UnaryOp):
    """An image of another height and width, interpolated between four pixels."""

    kind: ClassVar[str] = "RESIZE_BILINEAR"
    align_corners: bool = False
    half_pixel_centers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize(UnaryOp):
    """From float32, or from other integers, to the output tensor's type, scale and zero point."""

    kind: ClassVar[str] = "QUANTIZE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dequantize(UnaryOp):
    """From integers to float32."""

    kind: ClassVar[str] = "DEQUANTIZE"


Operator: TypeAlias = (
    Conv2D
    | DepthwiseConv2D
    | FullyConnected
    | TransposeConv
    | Add
    | Sub
    | Mul
    | Maximum
    | Minimum
    | AveragePool2D
    | MaxPool2D
    | Mean
    | Sum
    | ArgMax
    | ResizeBilinear
    | ResizeNearestNeighbor
    | Pad
    | PadV2
    | MirrorPad
    | Reshape
    | Transpose
    | Slice
    | Concatenation
    | Pack
    | Quantize
    | Dequantize
    | Relu
    | Relu6
    | ReluN1To1
    | Relu0To1
    | LeakyRelu
    | Prelu
    | HardSwish
    | Exp
    | Logistic
    | Tanh
    | Softmax
    | Detection
)
