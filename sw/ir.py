"""Intermediate representation: a quantised network as frozen dataclasses.

Operators refer to tensors by index into :attr:`Graph.tensors`.  Everything the file format leaves
implicit is resolved by the importer: SAME and VALID have become explicit padding, axes and
permutations are non-negative tuples, constants carry read-only arrays.  Passes make new graphs
with :func:`dataclasses.replace` and run :meth:`Graph.check` on the result.

Activations are NHWC; layouts of weights are those of TensorFlow Lite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from common.errors import GraphError

__all__ = [
    "Activation",
    "Add",
    "AveragePool2D",
    "Conv2D",
    "DepthwiseConv2D",
    "FullyConnected",
    "Graph",
    "Mean",
    "Mul",
    "Op",
    "Operator",
    "Pad",
    "Padding",
    "Quantization",
    "Quantize",
    "Reshape",
    "Softmax",
    "Sub",
    "Tensor",
    "Transpose",
    "conv_output_size",
]

Activation: TypeAlias = Literal["NONE", "RELU", "RELU6"]
Shape: TypeAlias = tuple[int, ...]
Padding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right)), all non-negative."""

NO_PADDING: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine quantisation: real = scale × (integer − zero point).

    Attributes
    ----------
    scales : tuple of float
        Positive and exactly representable as float32: one value, or one per channel.
    zero_points : tuple of int
        As many as ``scales``.
    axis : int or None
        The dimension that the values run along; ``None`` when there is one value per tensor.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantisation (the first one otherwise)."""
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantisation (the first one otherwise)."""
        return self.zero_points[0]

    @property
    def per_channel(self) -> bool:
        """Whether there is one scale per channel."""
        return self.axis is not None


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of the network.

    Attributes
    ----------
    index : int
        Its position in :attr:`Graph.tensors`.  The importer keeps the numbering of the file.
    name : str
        Its name in the file; not necessarily unique, for messages only.
    shape : tuple of int
        Empty for a scalar.
    dtype : str
        A NumPy type name; the operators' data are ``"int8"`` or ``"uint8"``, biases ``"int32"``.
    quantization : Quantization or None
    data : ndarray or None
        Contents of a constant, read-only, of ``shape`` and ``dtype``; ``None`` for activations.
    """

    index: int
    name: str
    shape: Shape
    dtype: str
    quantization: Quantization | None = None
    data: npt.NDArray[np.generic] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the contents are known before the network runs."""
        return self.data is not None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def q(self) -> Quantization:
        """The quantisation; :class:`GraphError` if there is none."""
        if self.quantization is None:
            raise GraphError(f"tensor {self.index} ({self.name!r}) has no quantisation parameters")
        return self.quantization


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """What every operator has: a name unique in the graph and one output tensor."""

    kind: ClassVar[str] = ""
    """TensorFlow Lite's name of the operator, such as ``"CONV_2D"``."""

    name: str
    output: int

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of all operands: activations first, then constants."""
        raise NotImplementedError

    @property
    def outputs(self) -> tuple[int, ...]:
        """Indices of all results."""
        return (self.output,)


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


def conv_output_size(
    size: int, kernel: int, stride: int, dilation: int, padding: tuple[int, int]
) -> int:
    """Return the output size of a convolution or pooling window along one dimension."""
    return (size + sum(padding) - ((kernel - 1) * dilation + 1)) // stride + 1


def _window_shape(
    x: Shape,
    kernel: Shape,
    op: Conv2D | DepthwiseConv2D | AveragePool2D,
    channels: int,
) -> Shape:
    dilation = (1, 1) if isinstance(op, AveragePool2D) else op.dilation
    rows, columns = (
        conv_output_size(x[1 + d], kernel[d], op.stride[d], dilation[d], op.padding[d])
        for d in (0, 1)
    )
    return (x[0], rows, columns, channels)


def infer_shape(op: Operator, shapes: tuple[Shape, ...], output: Shape) -> Shape:
    """Return the shape that ``op`` produces.

    Parameters
    ----------
    op : Operator
    shapes : tuple of shapes
        Of ``op.inputs``, in that order.
    output : tuple of int
        The shape that the graph states: the answer for a reshape that keeps the element count.

    Raises
    ------
    GraphError
        If the operands do not fit each other.
    """
    x = shapes[0]
    match op:
        case Conv2D():
            w = shapes[1]
            if len(x) != 4 or len(w) != 4 or w[3] != x[3]:
                raise GraphError(f"weights {w} do not fit an input of {x}")
            return _window_shape(x, w[1:3], op, w[0])
        case DepthwiseConv2D():
            w = shapes[1]
            if len(x) != 4 or len(w) != 4 or w[0] != 1 or w[3] != x[3] * op.depth_multiplier:
                raise GraphError(
                    f"weights {w} do not fit an input of {x} with depth multiplier "
                    f"{op.depth_multiplier}"
                )
            return _window_shape(x, w[1:3], op, w[3])
        case FullyConnected():
            w = shapes[1]
            if len(w) != 2 or math.prod(x) % w[1]:
                raise GraphError(f"weights {w} do not fit an input of {x}")
            rows = (math.prod(x) // w[1], w[0])
            # With keep_num_dims the leading dimensions stay apart; the elements are the same.
            kept = (*x[:-1], w[0])
            return kept if output == kept and x[-1] == w[1] else rows
        case Add() | Sub() | Mul():
            try:
                return np.broadcast_shapes(*shapes)
            except ValueError:
                raise GraphError(f"shapes {x} and {shapes[1]} do not broadcast") from None
        case AveragePool2D():
            if len(x) != 4:
                raise GraphError(f"the input {x} is not NHWC")
            return _window_shape(x, op.window, op, x[3])
        case Mean():
            if any(not 0 <= axis < len(x) for axis in op.axes):
                raise GraphError(f"axes {op.axes} are not dimensions of {x}")
            if op.keep_dims:
                return tuple(1 if d in op.axes else n for d, n in enumerate(x))
            return tuple(n for d, n in enumerate(x) if d not in op.axes)
        case Pad():
            if len(op.paddings) != len(x):
                raise GraphError(f"paddings {op.paddings} do not fit an input of {x}")
            return tuple(n + sum(pad) for n, pad in zip(x, op.paddings, strict=True))
        case Reshape():
            if math.prod(x) != math.prod(output):
                raise GraphError(f"cannot reshape {x} to {output}")
            return output
        case Transpose():
            if sorted(op.permutation) != list(range(len(x))):
                raise GraphError(f"{op.permutation} is not a permutation of the dimensions of {x}")
            return tuple(x[d] for d in op.permutation)
        case Quantize() | Softmax():
            return x


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network: tensors, operators in execution order, and the indices of inputs and outputs."""

    name: str
    tensors: tuple[Tensor, ...]
    ops: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def tensor(self, index: int) -> Tensor:
        """Return a tensor by index."""
        return self.tensors[index]

    def producer(self, index: int) -> Operator | None:
        """Return the operator that writes a tensor, or None for inputs and constants."""
        return next((op for op in self.ops if op.output == index), None)

    def consumers(self, index: int) -> tuple[Operator, ...]:
        """Return the operators that read a tensor, in execution order."""
        return tuple(op for op in self.ops if index in op.inputs)

    def activations(self) -> Iterator[Tensor]:
        """Yield the network's inputs, then every operator's output in execution order."""
        yield from (self.tensors[i] for i in self.inputs)
        yield from (self.tensors[op.output] for op in self.ops)

    def check(self) -> None:
        """Verify that the graph is well formed.

        Raises
        ------
        GraphError
            Naming the operator and tensor: indices in range, operators in topological order with
            one producer for each tensor, shapes and constants that agree, quantisation present.
        """
        for position, tensor in enumerate(self.tensors):
            _check_tensor(tensor, position)
        for index in (*self.inputs, *self.outputs):
            if not 0 <= index < len(self.tensors):
                raise GraphError(f"graph {self.name!r} has no tensor {index}")
        known = set(self.inputs) | {t.index for t in self.tensors if t.is_constant}
        names: set[str] = set()
        for op in self.ops:
            if op.name in names:
                raise GraphError(f"two operators are called {op.name!r}")
            names.add(op.name)
            self._check_op(op, known)
            known.add(op.output)
        missing = set(self.outputs) - known
        if missing:
            raise GraphError(f"no operator writes output tensor {min(missing)}")

    def _check_op(self, op: Operator, known: set[int]) -> None:
        where = f"operator {op.name!r} ({op.kind})"
        for index in (*op.inputs, op.output):
            if not 0 <= index < len(self.tensors):
                raise GraphError(f"{where} refers to tensor {index}, which does not exist")
        for index in op.inputs:
            if index not in known:
                raise GraphError(f"{where} reads tensor {index} before anything writes it")
        if op.output in known:
            raise GraphError(f"{where} writes tensor {op.output}, which already has a value")
        output = self.tensors[op.output]
        try:
            for tensor in (*(self.tensors[i] for i in op.inputs), output):
                _ = tensor.q
            shapes = tuple(self.tensors[i].shape for i in op.inputs)
            shape = infer_shape(op, shapes, output.shape)
        except GraphError as error:
            raise GraphError(f"{where}: {error}") from None
        if shape != output.shape:
            raise GraphError(
                f"{where} produces shape {shape}, but its output tensor {op.output} is "
                f"{output.shape}"
            )
        if isinstance(op, WeightedOp):
            _check_weighted(op, self, where)


def _check_tensor(tensor: Tensor, position: int) -> None:
    where = f"tensor {tensor.index} ({tensor.name!r})"
    if tensor.index != position:
        raise GraphError(f"{where} stands at position {position}")
    if any(n < 1 for n in tensor.shape):
        raise GraphError(f"{where} has the empty shape {tensor.shape}")
    if tensor.data is not None and (
        tensor.data.shape != tensor.shape or tensor.data.dtype != tensor.dtype
    ):
        raise GraphError(
            f"{where} is {tensor.dtype}{tensor.shape} but holds "
            f"{tensor.data.dtype}{tensor.data.shape}"
        )
    q = tensor.quantization
    if q is None:
        return
    if len(q.scales) != len(q.zero_points) or not q.scales:
        raise GraphError(f"{where} has {len(q.scales)} scales, {len(q.zero_points)} zero points")
    if q.axis is None and len(q.scales) != 1:
        raise GraphError(f"{where} has {len(q.scales)} scales but no axis")
    if q.axis is not None and (
        not 0 <= q.axis < len(tensor.shape) or tensor.shape[q.axis] != len(q.scales)
    ):
        raise GraphError(f"{where}: {len(q.scales)} scales do not fit axis {q.axis}")


def _check_weighted(op: WeightedOp, graph: Graph, where: str) -> None:
    weights = graph.tensors[op.weights]
    channels = graph.tensors[op.output].shape[-1]
    if weights.data is None:
        raise GraphError(f"{where}: weights tensor {op.weights} is not constant")
    if len(weights.q.scales) not in (1, channels):
        raise GraphError(f"{where}: {len(weights.q.scales)} scales for {channels} channels")
    if op.bias is not None:
        bias = graph.tensors[op.bias]
        if bias.data is None or bias.dtype != "int32" or bias.shape != (channels,):
            raise GraphError(
                f"{where}: bias tensor {op.bias} must be a constant int32({channels},)"
            )
