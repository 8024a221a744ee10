"""Whole networks: every tensor of a graph, integer for integer as the reference computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from common import progress
from common.arrays import Array
from common.errors import InputError, UnsupportedError
from sw import ir
from sw.golden import kernels
from sw.golden.arguments import arguments

__all__ = ["KERNELS", "check_input", "compute", "inputs_of", "run"]

KERNELS: dict[type[ir.Op], Callable[..., Any]] = {
    ir.Conv2D: kernels.conv_2d,
    ir.DepthwiseConv2D: kernels.depthwise_conv_2d,
    ir.FullyConnected: kernels.fully_connected,
    ir.TransposeConv: kernels.transpose_conv,
    ir.Add: kernels.add,
    ir.Sub: kernels.sub,
    ir.Mul: kernels.mul,
    ir.Maximum: kernels.maximum,
    ir.Minimum: kernels.minimum,
    ir.AveragePool2D: kernels.average_pool_2d,
    ir.MaxPool2D: kernels.max_pool_2d,
    ir.Mean: kernels.mean,
    ir.Sum: kernels.mean,
    ir.ArgMax: kernels.arg_max,
    ir.ResizeBilinear: kernels.resize_bilinear,
    ir.ResizeNearestNeighbor: kernels.resize_nearest_neighbor,
    ir.Pad: kernels.pad,
    ir.PadV2: kernels.pad,
    ir.MirrorPad: kernels.mirror_pad,
    ir.Reshape: kernels.reshape,
    ir.Transpose: kernels.transpose,
    ir.Slice: kernels.part,
    ir.Concatenation: kernels.concatenation,
    ir.Pack: kernels.pack,
    ir.Quantize: kernels.quantize,
    ir.Dequantize: kernels.dequantize,
    ir.Relu: kernels.quantize,
    ir.Relu6: kernels.quantize,
    ir.ReluN1To1: kernels.quantize,
    ir.Relu0To1: kernels.quantize,
    ir.LeakyRelu: kernels.leaky_relu,
    ir.Prelu: kernels.prelu,
    ir.HardSwish: kernels.hard_swish,
    ir.Exp: kernels.look_up,
    ir.Logistic: kernels.look_up,
    ir.Tanh: kernels.look_up,
    ir.Softmax: kernels.softmax,
    ir.Detection: kernels.detection,
}
"""The kernel of every operator: operand arrays, then the keywords of ``arguments``."""

_NEW_SCALE = "quantise the model again with other calibration data, which moves its scales"
_REMEDIES: dict[type[ir.Op], str] = {
    ir.Quantize: "give numbers of the range that the network was quantised for",
    ir.Exp: _NEW_SCALE,
    ir.Logistic: _NEW_SCALE,
    ir.Tanh: _NEW_SCALE,
    ir.ResizeBilinear: "enlarge in two steps",
    ir.Detection: "cut the file in front of this operator, and decode what it then gives",
}
"""What to do where an operator is undefined in the reference."""


def compute(graph: ir.Graph, op: ir.Operator, operands: Sequence[Array]) -> Array:
    """Compute one operator.

    Parameters
    ----------
    graph : Graph
    op : Operator
    operands : sequence of ndarray
        The values of ``op.inputs``, in that order.

    Returns
    -------
    ndarray
        Of the output tensor's shape and type.

    Raises
    ------
    UnsupportedError
        If the reference is undefined for the operands.
    """
    if isinstance(op, ir.WeightedOp) and op.bias is None:
        operands = [*operands, None]  # type: ignore[list-item]
    kernel = KERNELS[type(op)]
    if isinstance(op, ir.Quantize) and graph.tensors[op.input].dtype == "float32":
        kernel = kernels.quantize_float
    try:
        result = kernel(*operands, **arguments(graph, op))
    except OverflowError as error:
        remedy = _REMEDIES.get(type(op), "use smaller biases or a larger output scale")
        raise UnsupportedError(
            f"{graph.name}: operator {op.name!r} ({op.kind}): {error} with this input, and the "
            f"reference is undefined there; {remedy}"
        ) from None
    # A fully connected layer may keep leading dimensions; the elements are the same.
    return cast(Array, result.reshape(graph.tensors[op.output].shape))


def check_input(tensor: ir.Tensor, value: npt.NDArray[np.generic]) -> None:
    """Check that an array has an input tensor's shape and type.

    Raises
    ------
    InputError
        Saying what is expected and what was found.
    """
    if value.dtype != tensor.dtype or value.shape != tensor.shape:
        raise InputError(
            f"input {tensor.name!r} must be {tensor.dtype}{list(tensor.shape)}, not "
            f"{value.dtype}{list(value.shape)}"
        )


Inputs = Array | Sequence[Array] | Mapping[int, Array] | Mapping[str, Array]
"""The only input; or one array per ``graph.inputs``; or arrays by tensor index or name."""


def inputs_of(graph: ir.Graph, inputs: Inputs) -> dict[int, Array]:
    """Return a network's inputs by tensor index, checked; parameters as for :func:`run`.

    Raises
    ------
    InputError
        If an input is missing, given twice, or does not fit.
    """
    given: dict[int, Array] = {}
    if isinstance(inputs, Mapping):
        for key, value in inputs.items():
            index = graph.input_named(key) if isinstance(key, str) else key
            if index in given:
                raise InputError(f"input {graph.tensors[index].name!r} is given twice")
            given[index] = value
    else:
        values = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
        if len(values) != len(graph.inputs):
            raise InputError(
                f"network {graph.name!r} takes {len(graph.inputs)} inputs, not {len(values)}"
            )
        given = dict(zip(graph.inputs, values, strict=True))
    for index in graph.inputs:
        if index not in given:
            raise InputError(f"input {graph.tensors[index].name!r} is missing")
        check_input(graph.tensors[index], given[index])
    return {index: given[index] for index in graph.inputs}


def run(graph: ir.Graph, inputs: Inputs) -> dict[int, Array]:
    """Run a network.

    Parameters
    ----------
    graph : Graph
    inputs : ndarray, sequence or mapping
        The only input; or one array per ``graph.inputs``; or arrays by tensor index, or by name
        as :meth:`sw.ir.Graph.input_named` takes it.

    Returns
    -------
    dict
        By tensor index: the inputs and every operator's output, in execution order; constants that
        are outputs of the network.

    Raises
    ------
    InputError
        If an input is missing or does not fit.
    """
    tensors = inputs_of(graph, inputs)
    for op in progress.each(
        graph.ops, "golden model", total=len(graph.ops), unit="operators", name=lambda op: op.name
    ):
        operands = [_value(graph, tensors, index) for index in op.inputs]
        tensors[op.output] = compute(graph, op, operands)
    for index in graph.outputs:
        tensors[index] = _value(graph, tensors, index)
    return tensors


def _value(graph: ir.Graph, tensors: Mapping[int, Array], index: int) -> Array:
    data = graph.tensors[index].data
    return tensors[index] if data is None else cast(Array, data)
