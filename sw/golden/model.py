"""Whole networks: every tensor of a graph, integer for integer as the reference computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from common.arrays import Array
from common.errors import InputError, UnsupportedError
from sw import ir
from sw.golden import kernels
from sw.golden.params import arguments

__all__ = ["KERNELS", "check_input", "compute", "inputs_of", "run"]

KERNELS: dict[type[ir.Op], Callable[..., Array]] = {
    ir.Conv2D: kernels.conv_2d,
    ir.DepthwiseConv2D: kernels.depthwise_conv_2d,
    ir.FullyConnected: kernels.fully_connected,
    ir.Add: kernels.add,
    ir.Sub: kernels.sub,
    ir.Mul: kernels.mul,
    ir.AveragePool2D: kernels.average_pool_2d,
    ir.Mean: kernels.mean,
    ir.Pad: kernels.pad,
    ir.Reshape: kernels.reshape,
    ir.Quantize: kernels.quantize,
    ir.Softmax: kernels.softmax,
    ir.Transpose: kernels.transpose,
}
"""The kernel of every operator: operand arrays, then the keywords of ``params.arguments``."""


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
    try:
        result = KERNELS[type(op)](*operands, **arguments(graph, op))
    except OverflowError as error:
        raise UnsupportedError(
            f"{graph.name}: operator {op.name!r} ({op.kind}): {error} with this input, and the "
            "reference is undefined there; use smaller biases or a larger output scale"
        ) from None
    # A fully connected layer may keep leading dimensions; the elements are the same.
    return result.reshape(graph.tensors[op.output].shape)


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


def inputs_of(
    graph: ir.Graph, inputs: Array | Sequence[Array] | Mapping[int, Array]
) -> dict[int, Array]:
    """Return a network's inputs by tensor index, checked; parameters as for :func:`run`.

    Raises
    ------
    InputError
        If an input is missing or does not fit.
    """
    if isinstance(inputs, Mapping):
        given = dict(inputs)
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


def run(graph: ir.Graph, inputs: Array | Sequence[Array] | Mapping[int, Array]) -> dict[int, Array]:
    """Run a network.

    Parameters
    ----------
    graph : Graph
    inputs : ndarray, sequence or mapping
        The only input; or one array per ``graph.inputs``; or arrays by tensor index.

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
    for op in graph.ops:
        operands = [_value(graph, tensors, index) for index in op.inputs]
        tensors[op.output] = compute(graph, op, operands)
    for index in graph.outputs:
        tensors[index] = _value(graph, tensors, index)
    return tensors


def _value(graph: ir.Graph, tensors: Mapping[int, Array], index: int) -> Array:
    data = graph.tensors[index].data
    return tensors[index] if data is None else cast(Array, data)
