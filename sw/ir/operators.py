"""Operators, each with the indices of its operands and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

__all__ = [
    "NO_PADDING",
    "Activation",
    "Add",
    "AveragePool2D",
    "BinaryOp",
    "Conv2D",
    "DepthwiseConv2D",
    "FullyConnected",
    "Mean",
    "Mul",
    "Op",
    "Operator",
    "Pad",
    "Padding",
    "Quantize",
    "Reshape",
    "Softmax",
    "Sub",
    "Transpose",
    "UnaryOp",
    "WeightedOp",
]

Activation: TypeAlias = Literal["NONE", "RELU", "RELU6"]
Padding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right)), all non-negative."""

NO_PADDING: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """Operator: a name unique in the graph, and one output tensor."""

    kind: ClassVar[str] = ""
    """TensorFlow Lite's name of the operator, such as ``"CONV_2D"``."""

    name: str
    output: int

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of all operands: activations first, then constants."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class UnaryOp(Op):
    """An operator on one tensor."""

    input: int

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.input,)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedOp(UnaryOp):
    """An operator with weights, an optional int32 bias and a fused activation."""

    weights: int
    bias: int | None = None
    activation: Activation = "NONE"

    @property
    def inputs(self) -> tuple[int, ...]:
        tail = () if self.bias is None else (self.bias,)
        return (self.input, self.weights, *tail)


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
class BinaryOp(Op):
    """Elementwise operator; a constant operand may broadcast to the output's shape."""

    input1: int
    input2: int
    activation: Activation = "NONE"

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.input1, self.input2)


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
class AveragePool2D(UnaryOp):
    """Average over a window; padding does not count towards the average."""

    kind: ClassVar[str] = "AVERAGE_POOL_2D"
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
class Pad(UnaryOp):
    """Padding with the zero point; ``paddings`` has one (before, after) per dimension."""

    kind: ClassVar[str] = "PAD"
    paddings: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(UnaryOp):
    """The same elements in the output tensor's shape."""

    kind: ClassVar[str] = "RESHAPE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize(UnaryOp):
    """Requantisation to the output tensor's type, scale and zero point."""

    kind: ClassVar[str] = "QUANTIZE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(UnaryOp):
    """Softmax over the last dimension."""

    kind: ClassVar[str] = "SOFTMAX"
    beta: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transpose(UnaryOp):
    """Output dimension ``i`` is input dimension ``permutation[i]``."""

    kind: ClassVar[str] = "TRANSPOSE"
    permutation: tuple[int, ...]


Operator: TypeAlias = (
    Conv2D
    | DepthwiseConv2D
    | FullyConnected
    | Add
    | Sub
    | Mul
    | AveragePool2D
    | Mean
    | Pad
    | Reshape
    | Quantize
    | Softmax
    | Transpose
)
