"""Shapes that operators produce."""

from __future__ import annotations

import math

import numpy as np

from common.errors import GraphError
from sw.ir.activations import Prelu, Softmax
from sw.ir.bases import BinaryOp, UnaryOp
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
from sw.ir.operators import (
    ArgMax,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Operator,
    ResizeBilinear,
    Sum,
    TransposeConv,
)
from sw.ir.tensors import Shape

__all__ = ["conv_output_size", "infer_shape"]


def conv_output_size(
    size: int, kernel: int, stride: int, dilation: int, padding: tuple[int, int]
) -> int:
    """Return the output size of a convolution or pooling window along one dimension."""
    return (size + sum(padding) - ((kernel - 1) * dilation + 1)) // stride + 1


def _window_shape(
    x: Shape,
    kernel: Shape,
    op: Conv2D | DepthwiseConv2D | AveragePool2D | MaxPool2D,
    channels: int,
) -> Shape:
    dilation = (1, 1) if isinstance(op, AveragePool2D | MaxPool2D) else op.dilation
    rows, columns = (
        conv_output_size(x[1 + d], kernel[d], op.stride[d], dilation[d], op.padding[d])
        for d in (0, 1)
    )
    return (x[0], rows, columns, channels)


def _weighted_shape(
    op: Conv2D | DepthwiseConv2D | FullyConnected, x: Shape, w: Shape, output: Shape
) -> Shape:
    """Return the shape of a product of an input ``x`` with weights ``w``."""
    if isinstance(op, FullyConnected):
        if len(w) != 2 or math.prod(x) % w[1]:
            raise GraphError(f"weights {w} do not fit an input of {x}")
        rows = (math.prod(x) // w[1], w[0])
        # With keep_num_dims the leading dimensions stay apart; the elements are the same.
        kept = (*x[:-1], w[0])
        return kept if output == kept and x[-1] == w[1] else rows
    if isinstance(op, DepthwiseConv2D):
        if len(x) != 4 or len(w) != 4 or w[0] != 1 or w[3] != x[3] * op.depth_multiplier:
            raise GraphError(
                f"weights {w} do not fit an input of {x} with depth multiplier "
                f"{op.depth_multiplier}"
            )
        return _window_shape(x, w[1:3], op, w[3])
    if len(x) != 4 or len(w) != 4 or w[3] != x[3]:
        raise GraphError(f"weights {w} do not fit an input of {x}")
    return _window_shape(x, w[1:3], op, w[0])


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
        case Conv2D() | DepthwiseConv2D() | FullyConnected():
            return _weighted_shape(op, x, shapes[1], output)
        case TransposeConv():
            if len(x) != 4 or len(shapes[1]) != 4 or shapes[1][3] != x[3]:
                raise GraphError(f"weights {shapes[1]} do not fit an input of {x}")
            # Height and width are the file's: several lengths have the same input.
            return (x[0], *output[1:3], shapes[1][0])
        case BinaryOp() | Prelu():
            try:
                return np.broadcast_shapes(*shapes)
            except ValueError:
                raise GraphError(f"shapes {x} and {shapes[1]} do not broadcast") from None
        case AveragePool2D() | MaxPool2D():
            if len(x) != 4:
                raise GraphError(f"the input {x} is not NHWC")
            return _window_shape(x, op.window, op, x[3])
        case Mean() | Sum():
            return _reduced(x, op.axes, op.keep_dims)
        case ArgMax():
            return _reduced(x, (op.axis,), False)
        case ResizeBilinear() | ResizeNearestNeighbor():
            if len(x) != 4 or len(output) != 4:
                raise GraphError(f"{x} or {output} is not NHWC")
            return (x[0], *output[1:3], x[3])
        case Pad() | PadV2() | MirrorPad() | Reshape() | Transpose() | Slice():
            return _moved(op, x, output)
        case Concatenation() | Pack():
            return _joined(op, shapes)
        case Detection():
            return op.suppression.shape(op.part)
        case UnaryOp() | Softmax():
            return x


def _reduced(x: Shape, axes: tuple[int, ...], keep_dims: bool) -> Shape:
    if any(not 0 <= axis < len(x) for axis in axes):
        raise GraphError(f"axes {axes} are not dimensions of {x}")
    if keep_dims:
        return tuple(1 if d in axes else n for d, n in enumerate(x))
    return tuple(n for d, n in enumerate(x) if d not in axes)


def _moved(
    op: Pad | PadV2 | MirrorPad | Reshape | Transpose | Slice, x: Shape, output: Shape
) -> Shape:
    """Return the shape of the elements of one tensor in another order, or of some of them."""
    match op:
        case Pad() | PadV2() | MirrorPad():
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
        case Slice():
            if not len(op.begin) == len(op.size) == len(op.strides) == len(x):
                raise GraphError(f"a part of {len(op.begin)} dimensions does not fit {x}")
            steps = zip(op.begin, op.size, op.strides, strict=True)
            ends = [(begin, begin + (n - 1) * stride) for begin, n, stride in steps]
            inside = all(min(e) >= 0 and max(e) < n for e, n in zip(ends, x, strict=True))
            if not inside or min(op.size, default=1) < 1:
                raise GraphError(f"the part from {op.begin} of {op.size} lies outside {x}")
            return tuple(n for d, n in enumerate(op.size) if d not in op.dropped)


def _joined(op: Concatenation | Pack, shapes: tuple[Shape, ...]) -> Shape:
    """Return the shape of several tensors as one."""
    x = shapes[0]
    rank = len(x) + isinstance(op, Pack)
    if not 0 <= op.axis < rank:
        raise GraphError(f"there is no axis {op.axis} with inputs of {x}")
    if isinstance(op, Pack):
        if any(shape != x for shape in shapes):
            raise GraphError(f"inputs have different shapes: {shapes}")
        return (*x[: op.axis], len(shapes), *x[op.axis :])
    others = {(*shape[: op.axis], *shape[op.axis + 1 :]) for shape in shapes}
    if len(others) > 1 or any(len(shape) != rank for shape in shapes):
        raise GraphError(f"inputs of {shapes} do not fit each other along axis {op.axis}")
    return (*x[: op.axis], sum(shape[op.axis] for shape in shapes), *x[op.axis + 1 :])
