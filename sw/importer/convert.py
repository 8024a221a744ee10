"""From the file's operators to the intermediate representation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from common.errors import GraphError, ModelFormatError, UnsupportedError
from sw import ir
from sw.importer.constraints import check
from sw.importer.data_rules import activation_name
from sw.importer.read import RawModel, RawOperator

_SAME = 0


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


def _window(op: RawOperator, kernel: tuple[int, ...], dilation: tuple[int, int]) -> dict[str, Any]:
    stride = (op.options.StrideH(), op.options.StrideW())
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


def _binary(cls: type[ir.Add | ir.Sub | ir.Mul]) -> Callable[[RawOperator], ir.Operator]:
    def convert(op: RawOperator) -> ir.Operator:
        return cls(
            name=_name(op),
            input1=op.operand(0).index,
            input2=op.operand(1).index,
            output=op.outputs[0].index,
            activation=_activation(op.options),
        )

    return convert


def _average_pool_2d(op: RawOperator) -> ir.Operator:
    window = (op.options.FilterHeight(), op.options.FilterWidth())
    return ir.AveragePool2D(
        **_unary(op),
        **_window(op, window, (1, 1)),
        window=window,
        activation=_activation(op.options),
    )


def _integers(op: RawOperator) -> list[int]:
    data = op.operand(1).data
    return [] if data is None else [int(n) for n in data.reshape(-1)]


def _mean(op: RawOperator) -> ir.Operator:
    rank = len(op.operand(0).shape)
    axes = tuple(sorted(a % rank for a in _integers(op)))
    return ir.Mean(**_unary(op), axes=axes, keep_dims=bool(op.options.KeepDims()))


def _pad(op: RawOperator) -> ir.Operator:
    values = _integers(op)
    return ir.Pad(**_unary(op), paddings=tuple(zip(values[::2], values[1::2], strict=True)))


def _softmax(op: RawOperator) -> ir.Operator:
    return ir.Softmax(**_unary(op), beta=float(op.options.Beta()))


_CONVERTERS: dict[str, Callable[[RawOperator], ir.Operator]] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "ADD": _binary(ir.Add),
    "SUB": _binary(ir.Sub),
    "MUL": _binary(ir.Mul),
    "AVERAGE_POOL_2D": _average_pool_2d,
    "MEAN": _mean,
    "PAD": _pad,
    "RESHAPE": lambda op: ir.Reshape(**_unary(op)),
    "QUANTIZE": lambda op: ir.Quantize(**_unary(op)),
    "SOFTMAX": _softmax,
    "TRANSPOSE": lambda op: ir.Transpose(**_unary(op), permutation=tuple(_integers(op))),
}


def _without_float_edges(model: RawModel) -> RawModel:
    """Leave out conversions from and to float32 at the edges of a network.

    TensorFlow Lite's converter adds a QUANTIZE behind every input and a DEQUANTIZE before every
    output unless it is told otherwise.  Without them the network takes and gives the integers.
    """
    inputs, outputs = list(model.inputs), list(model.outputs)
    operators = []
    for op in model.operators:
        if op.kind in ("QUANTIZE", "DEQUANTIZE") and len(op.outputs) == 1:
            x, y = op.operand(0), op.outputs[0]
            readers = sum(x in other.inputs for other in model.operators)
            if x.dtype == "float32" and x.index in inputs and readers == 1:
                inputs[inputs.index(x.index)] = y.index
                continue
            if y.dtype == "float32" and y.index in outputs:
                outputs[outputs.index(y.index)] = x.index
                continue
        operators.append(op)
    return RawModel(model.tensors, tuple(operators), tuple(inputs), tuple(outputs))


def convert(model: RawModel, name: str) -> ir.Graph:
    """Convert a model that has been read, checking every operator's constraints.

    Raises
    ------
    UnsupportedError
        At the first operator that breaks a constraint.
    ModelFormatError
        If the parts do not fit each other.
    """
    model = _without_float_edges(model)
    if not model.operators or not model.inputs or not model.outputs:
        raise ModelFormatError("the model has no operators, no inputs or no outputs")
    for tensor in (model.tensors[i] for i in model.inputs):
        if tensor.dtype.startswith("float"):
            raise UnsupportedError(
                f"the network is {tensor.dtype} (input {tensor.name!r}): quantise it to int8 "
                "(full integer post-training quantisation with a representative data set)"
            )
        if tensor.data is not None:
            raise UnsupportedError(
                f"input tensor {tensor.index} ({tensor.name!r}) is a constant, so that what is "
                "given for it would have no effect; leave it out of the network's inputs"
            )
    if len(set(model.inputs)) < len(model.inputs):
        raise UnsupportedError("one tensor is several inputs of the network; name it once")
    ops = []
    for raw in model.operators:
        check(raw)
        ops.append(_CONVERTERS[raw.kind](raw))
    graph = ir.Graph(name, model.tensors, tuple(ops), model.inputs, model.outputs)
    try:
        graph.check()
    except GraphError as error:
        raise ModelFormatError(f"the file is inconsistent: {error}") from None
    return graph
