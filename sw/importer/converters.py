"""From an operator of the file to operators of the intermediate representation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from sw import ir
from sw.importer.data_rules import activation_name
from sw.importer.detection import PARTS
from sw.importer.moving_rules import part, split_axis
from sw.importer.operands import data_operands, integers
from sw.importer.read import RawOperator

__all__ = ["ALSO", "operators", "same_padding"]

_Converter: TypeAlias = Callable[[RawOperator], ir.Operator]

_SAME = 0
_SYMMETRIC = 1


def _activation(options: Any) -> ir.Activation:
    return cast(ir.Activation, activation_name(options.FusedActivationFunction()))


def _name(op: RawOperator) -> str:
    """Name an operator after its kind and its number in the file."""
    return f"{op.kind.lower()}_{op.index}"


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return what SAME means along one dimension, as (before, after).

    As ``ComputePaddingWithOffset`` in TensorFlow Lite's padding.h: the output has
    ceil(size / stride) elements, and an odd amount of padding has its surplus at the end.
    """
    output = -(-size // stride)
    total = max(0, (output - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return (total // 2, total - total // 2)


def _stride(op: RawOperator) -> tuple[int, int]:
    return (op.options.StrideH(), op.options.StrideW())


def _window(op: RawOperator, kernel: tuple[int, ...], dilation: tuple[int, int]) -> dict[str, Any]:
    stride = _stride(op)
    padding = ir.NO_PADDING
    if op.options.Padding() == _SAME:
        size = op.operand(0).shape[1:3]
        top_bottom, left_right = (
            same_padding(size[d], kernel[d], stride[d], dilation[d]) for d in (0, 1)
        )
        padding = (top_bottom, left_right)
    return {"stride": stride, "padding": padding}


def _unary(op: RawOperator) -> dict[str, Any]:
    return {"name": _name(op), "input": op.operand(0).index, "output": op.outputs[0].index}


def _weighted(op: RawOperator) -> dict[str, Any]:
    bias = op.optional(2)
    return {
        **_unary(op),
        "weights": op.operand(1).index,
        "bias": None if bias is None else bias.index,
        "activation": _activation(op.options),
    }


def _convolution(op: RawOperator) -> dict[str, Any]:
    dilation = (op.options.DilationHFactor(), op.options.DilationWFactor())
    window = _window(op, op.operand(1).shape[1:3], dilation)
    return {**_weighted(op), **window, "dilation": dilation}


def _conv_2d(op: RawOperator) -> ir.Operator:
    return ir.Conv2D(**_convolution(op))


def _depthwise_conv_2d(op: RawOperator) -> ir.Operator:
    multiplier = op.outputs[0].shape[3] // op.operand(0).shape[3]
    return ir.DepthwiseConv2D(**_convolution(op), depth_multiplier=multiplier)


def _fully_connected(op: RawOperator) -> ir.Operator:
    return ir.FullyConnected(**_weighted(op))


def _transpose_conv(op: RawOperator) -> ir.Operator:
    stride = _stride(op)
    padding = (0, 0)
    if op.options.Padding() == _SAME:
        # The padding is that of the convolution which this one undoes.
        size, kernel = op.outputs[0].shape[1:3], op.operand(1).shape[1:3]
        top, left = (same_padding(size[d], kernel[d], stride[d], 1)[0] for d in (0, 1))
        padding = (top, left)
    return ir.TransposeConv(**_weighted(op), stride=stride, padding=padding)


def _operands(op: RawOperator) -> dict[str, Any]:
    return {
        "name": _name(op),
        "input1": op.operand(0).index,
        "input2": op.operand(1).index,
        "output": op.outputs[0].index,
    }


def _binary(cls: type[ir.Add | ir.Sub | ir.Mul]) -> _Converter:
    return lambda op: cls(**_operands(op), activation=_activation(op.options))


def _pool(cls: type[ir.AveragePool2D | ir.MaxPool2D]) -> _Converter:
    def convert(op: RawOperator) -> ir.Operator:
        window = (op.options.FilterHeight(), op.options.FilterWidth())
        return cls(
            **_unary(op),
            **_window(op, window, (1, 1)),
            window=window,
            activation=_activation(op.options),
        )

    return convert


def _axes(op: RawOperator) -> tuple[int, ...]:
    rank = len(op.operand(0).shape)
    return tuple(sorted({axis % rank for axis in integers(op, 1) or []}))


def _reduction(cls: type[ir.Mean | ir.Sum]) -> _Converter:
    return lambda op: cls(**_unary(op), axes=_axes(op), keep_dims=bool(op.options.KeepDims()))


def _paddings(op: RawOperator) -> tuple[tuple[int, int], ...]:
    values = integers(op, 1) or []
    return tuple(zip(values[::2], values[1::2], strict=True))


def _pad_v2(op: RawOperator) -> ir.Operator:
    data = op.operand(2).data
    assert data is not None
    return ir.PadV2(**_unary(op), paddings=_paddings(op), value=int(data.reshape(-1)[0]))


def _slice(op: RawOperator) -> ir.Operator:
    begin, size = integers(op, 1) or [], op.outputs[0].shape
    return ir.Slice(**_unary(op), begin=tuple(begin), size=size, strides=(1,) * len(size))


def _strided_slice(op: RawOperator) -> ir.Operator:
    begin, size, strides, dropped = (tuple(numbers) for numbers in part(op))
    return ir.Slice(**_unary(op), begin=begin, size=size, strides=strides, dropped=dropped)


def _parts(op: RawOperator) -> list[ir.Operator]:
    """Return an operator for each output of SPLIT, SPLIT_V, UNPACK."""
    shape, axis = op.operand(0).shape, split_axis(op)
    parts: list[ir.Operator] = []
    at = 0
    for number, output in enumerate(op.outputs):
        length = 1 if op.kind == "UNPACK" else output.shape[axis]
        begin, size = [0] * len(shape), [*shape]
        begin[axis], size[axis] = at, length
        at += length
        parts.append(
            ir.Slice(
                name=f"{_name(op)}_{number}",
                input=op.operand(0).index,
                output=output.index,
                begin=tuple(begin),
                size=tuple(size),
                strides=(1,) * len(shape),
                dropped=(axis,) if op.kind == "UNPACK" else (),
            )
        )
    return parts


def _detection(op: RawOperator) -> list[ir.Operator]:
    boxes, scores, anchors = (op.operand(number).index for number in range(3))
    return [
        ir.Detection(
            name=f"{_name(op)}_{part}", output=output.index, boxes=boxes, scores=scores,
            anchors=anchors, part=part, suppression=op.options,
        )
        for part, output in zip(PARTS, op.outputs, strict=True)
    ]


def _joined(cls: type[ir.Concatenation | ir.Pack]) -> _Converter:
    def convert(op: RawOperator) -> ir.Operator:
        operands = data_operands(op)[:-1]
        axis = op.options.Axis()
        axis += len(op.outputs[0].shape) if axis < 0 else 0
        numbers = tuple(tensor.index for tensor in operands)
        return cls(name=_name(op), output=op.outputs[0].index, operands=numbers, axis=axis)

    return convert


def _resize(cls: type[ir.ResizeBilinear | ir.ResizeNearestNeighbor]) -> _Converter:
    return lambda op: cls(
        **_unary(op),
        align_corners=bool(op.options.AlignCorners()),
        half_pixel_centers=bool(op.options.HalfPixelCenters()),
    )


def _plain(cls: type[ir.UnaryOp]) -> _Converter:
    return lambda op: cast(ir.Operator, cls(**_unary(op)))


ALSO = {
    "SQUEEZE": ir.Reshape,
    "EXPAND_DIMS": ir.Reshape,
    "SLICE": ir.Slice,
    "SPLIT": ir.Slice,
    "SPLIT_V": ir.Slice,
    "UNPACK": ir.Slice,
}
"""What operators of the file become that have no kind of their own in the graph."""

_CONVERTERS: dict[str, _Converter] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_conv,
    "ADD": _binary(ir.Add),
    "SUB": _binary(ir.Sub),
    "MUL": _binary(ir.Mul),
    "MAXIMUM": lambda op: ir.Maximum(**_operands(op)),
    "MINIMUM": lambda op: ir.Minimum(**_operands(op)),
    "AVERAGE_POOL_2D": _pool(ir.AveragePool2D),
    "MAX_POOL_2D": _pool(ir.MaxPool2D),
    "MEAN": _reduction(ir.Mean),
    "SUM": _reduction(ir.Sum),
    "ARG_MAX": lambda op: ir.ArgMax(**_unary(op), axis=_axes(op)[0]),
    "RESIZE_BILINEAR": _resize(ir.ResizeBilinear),
    "RESIZE_NEAREST_NEIGHBOR": _resize(ir.ResizeNearestNeighbor),
    "PAD": lambda op: ir.Pad(**_unary(op), paddings=_paddings(op)),
    "PADV2": _pad_v2,
    "MIRROR_PAD": lambda op: ir.MirrorPad(
        **_unary(op), paddings=_paddings(op), edge=op.options.Mode() == _SYMMETRIC
    ),
    "RESHAPE": _plain(ir.Reshape),
    "SQUEEZE": _plain(ir.Reshape),
    "EXPAND_DIMS": _plain(ir.Reshape),
    "TRANSPOSE": lambda op: ir.Transpose(
        **_unary(op), permutation=tuple(integers(op, 1) or [])
    ),
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "CONCATENATION": _joined(ir.Concatenation),
    "PACK": _joined(ir.Pack),
    "QUANTIZE": _plain(ir.Quantize),
    "DEQUANTIZE": _plain(ir.Dequantize),
    "RELU": _plain(ir.Relu),
    "RELU6": _plain(ir.Relu6),
    "RELU_N1_TO_1": _plain(ir.ReluN1To1),
    "RELU_0_TO_1": _plain(ir.Relu0To1),
    "LEAKY_RELU": lambda op: ir.LeakyRelu(**_unary(op), alpha=float(op.options.Alpha())),
    "PRELU": lambda op: ir.Prelu(**_unary(op), alpha=op.operand(1).index),
    "HARD_SWISH": _plain(ir.HardSwish),
    "EXP": _plain(ir.Exp),
    "LOGISTIC": _plain(ir.Logistic),
    "TANH": _plain(ir.Tanh),
    "SOFTMAX": lambda op: ir.Softmax(**_unary(op), beta=float(op.options.Beta())),
}


def operators(op: RawOperator) -> list[ir.Operator]:
    """Return what an operator of the file is, one operator for each of its outputs.

    Parameters
    ----------
    op : RawOperator
        Checked, with operands in order.
    """
    if op.kind in ("SPLIT", "SPLIT_V", "UNPACK"):
        return _parts(op)
    if op.kind == ir.Detection.kind:
        return _detection(op)
    return [_CONVERTERS[op.kind](op)]
