"""The integers that hardware is configured with, derived from a graph's scales.

Which products are taken in float32 and which in float64 matters: the last bit of a multiplier
depends on it.  Each function names the code it follows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from common.errors import UnsupportedError
from sw import ir
from sw.golden.convolution import DEAD
from sw.golden.elementwise import Addition, Operand
from sw.golden.primitives import activation_range as primitive_activation_range
from sw.golden.primitives import quantize_multiplier
from sw.golden.requantisation import Requantisation
from sw.golden.rounding import equivalent_multiplier
from sw.golden.softmax import softmax_params
from sw.golden.windows import Windows

__all__ = [
    "accumulator_range",
    "activation_range",
    "arguments",
    "requantisation",
    "requantize_params",
]


Int32s = npt.NDArray[np.int32]
HasActivation = (
    ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected | ir.Add | ir.Sub | ir.Mul | ir.AveragePool2D
)


def activation_range(graph: ir.Graph, op: ir.Operator) -> tuple[int, int]:
    """Return the integers that an operator clamps its output to.

    For operators without a fused activation that is the range of the output type.
    """
    output = graph.tensors[op.output]
    activation = op.activation if isinstance(op, HasActivation) else "NONE"
    return primitive_activation_range(activation, output.dtype, output.q.scale, output.q.zero_point)


def requantisation(graph: ir.Graph, op: ir.Operator) -> Requantisation:
    """Return what the outputs of all channels of an operator have in common.

    Its clamp is :func:`activation_range`.  Only fully connected layers round once; see
    :func:`sw.golden.kernels.fully_connected`.
    """
    low, high = activation_range(graph, op)
    return Requantisation(
        zero_point=graph.tensors[op.output].q.zero_point,
        act_min=low,
        act_max=high,
        single_rounding=isinstance(op, ir.FullyConnected),
    )


def _real_multipliers(graph: ir.Graph, op: ir.Operator) -> list[float]:
    """Return the real factors from accumulator to output, one or one per channel."""
    x = np.float32(graph.tensors[op.inputs[0]].q.scale)
    y = np.float32(graph.tensors[op.output].q.scale)
    match op:
        case ir.Conv2D() | ir.DepthwiseConv2D() | ir.FullyConnected():
            weights = graph.tensors[op.weights]
            scales = [np.float32(s) for s in weights.q.scales]
            if weights.dtype == "uint8" and not isinstance(op, ir.FullyConnected):
                # GetQuantizedConvolutionMultipler: the product is a float32.
                return [float(x * s) / float(y) for s in scales]
            # PopulateConvolutionQuantizationParams, FullyConnected: everything is a double.
            return [float(x) * float(s) / float(y) for s in scales]
        case ir.Mul():
            # Prepare in mul.cc: everything is a float32.
            return [float(x * np.float32(graph.tensors[op.input2].q.scale) / y)]
        case ir.Quantize() | ir.Mean():
            return [float(x) / float(y)]
        case _:
            raise TypeError(f"{op.kind} has no single requantisation")


def _mean_multiplier(multiplier: int, shift: int, count: int) -> tuple[int, int]:
    """Put the division by ``count`` into the multiplier.

    ``QuantizedMeanOrSum`` in reference/reduce.h.
    """
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


def requantize_params(graph: ir.Graph, op: ir.Operator) -> tuple[Int32s, Int32s]:
    """Return the requantisation of an operator, for every output channel.

    Parameters
    ----------
    graph : Graph
    op : Conv2D, DepthwiseConv2D, FullyConnected, Mul, Mean or Quantize

    Returns
    -------
    multiplier, shift : (C,) int32
        C is the output's last dimension.  They are for
        :meth:`sw.golden.requantisation.Requantisation.outputs`.

    Raises
    ------
    TypeError
        For operators that have none (pooling) or several (ADD, SUB: see :func:`arguments`).
    UnsupportedError
        If no integers give a fully connected layer's outputs.
    """
    reals = _real_multipliers(graph, op)
    if isinstance(op, ir.FullyConnected):
        pairs = _fully_connected_pairs(graph, op, reals)
    else:
        pairs = [quantize_multiplier(real) for real in reals]
    if isinstance(op, ir.Mean):
        shape = graph.tensors[op.input].shape
        count = int(np.prod([shape[axis] for axis in op.axes]))
        pairs = [_mean_multiplier(*pairs[0], count)]
    output_shape = graph.tensors[op.output].shape
    channels = output_shape[-1] if output_shape else 1
    if len(pairs) == 1:
        pairs *= channels
    multiplier, shift = np.array(pairs, np.int64).T
    return multiplier.astype(np.int32), shift.astype(np.int32)


def accumulator_range(
    graph: ir.Graph, op: ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected
) -> tuple[Ints, Ints]:
    """Return the least and the greatest accumulator that any input can produce.

    Returns
    -------
    low, high : (C,) int64
        For every output channel, bias included.  They bound what is left at the end; partial sums
        stay within them in whatever order if the bias is added last and taken as 0 before.
    """
    x, weights = graph.tensors[op.input], graph.tensors[op.weights]
    limits = np.iinfo(x.dtype)
    w = np.asarray(weights.data, np.int64) - weights.q.zero_point
    ends = [w * (end - x.q.zero_point) for end in (int(limits.min), int(limits.max))]
    axes = (0, 1, 2) if isinstance(op, ir.DepthwiseConv2D) else tuple(range(1, w.ndim))
    bias = 0 if op.bias is None else np.asarray(graph.tensors[op.bias].data, np.int64)
    # An input at its zero point adds nothing, as padding does: the zero point is in the input's
    # range, so the ends enclose 0.
    low, high = np.minimum(*ends).sum(axis=axes) + bias, np.maximum(*ends).sum(axis=axes) + bias
    return low, high


def _fully_connected_pairs(
    graph: ir.Graph, op: ir.FullyConnected, reals: list[float]
) -> list[tuple[int, int]]:
    low, high = accumulator_range(graph, op)
    if len(reals) == 1:
        low, high = low.min(keepdims=True), high.max(keepdims=True)
    output = requantisation(graph, op)
    pairs = []
    for channel, real in enumerate(reals):
        if real < DEAD:
            # A dead channel: nothing is left of any sum.
            pairs.append((0, 0))
            continue
        pair = equivalent_multiplier(
            real,
            accumulator_min=int(low[channel]),
            accumulator_max=int(high[channel]),
            scaled_min=output.act_min - output.zero_point,
            scaled_max=output.act_max - output.zero_point,
        )
        if pair is None:
            raise UnsupportedError(
                f"operator {op.name!r}: no 31-bit multiplier gives the reference's outputs in "
                f"channel {channel}; change the output's scale slightly"
            )
        pairs.append(pair)
    return pairs


def _addition(graph: ir.Graph, op: ir.Add | ir.Sub) -> Addition:
    """Return the scaling of both operands and of the result.

    ``Prepare`` in add.cc and ``PrepareGeneralSubOp`` in sub.cc.
    """
    x1, x2 = graph.tensors[op.input1].q, graph.tensors[op.input2].q
    y = graph.tensors[op.output].q
    twice_max = 2 * max(x1.scale, x2.scale)

    def operand(x: ir.Quantization) -> Operand:
        multiplier, shift = quantize_multiplier(x.scale / twice_max)
        return Operand(zero_point=x.zero_point, multiplier=multiplier, shift=shift)

    multiplier, shift = quantize_multiplier(twice_max / ((1 << 20) * y.scale))
    return Addition(
        first=operand(x1),
        second=operand(x2),
        multiplier=multiplier,
        shift=shift,
        requantisation=requantisation(graph, op),
    )


def _weighted_arguments(
    graph: ir.Graph, op: ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected
) -> dict[str, Any]:
    common = {
        "input_zero_point": graph.tensors[op.input].q.zero_point,
        "weights_zero_point": graph.tensors[op.weights].q.zero_point,
        "requantisation": requantisation(graph, op),
    }
    if isinstance(op, ir.FullyConnected):
        return {**common, "real_multiplier": np.array(_real_multipliers(graph, op))}
    multipliers, shifts = requantize_params(graph, op)
    return {
        **common,
        "multiplier": multipliers,
        "shift": shifts,
        "windows": Windows(stride=op.stride, dilation=op.dilation, padding=op.padding),
    }


def arguments(graph: ir.Graph, op: ir.Operator) -> dict[str, Any]:
    """Return the keyword arguments of an operator's kernel in :mod:`sw.golden.kernels`.

    They are the complete configuration of the operator besides its arrays: zero points,
    multipliers, shifts, clamps, strides and padding.
    """
    x, y = graph.tensors[op.inputs[0]], graph.tensors[op.output]
    output = requantisation(graph, op)
    match op:
        case ir.Conv2D() | ir.DepthwiseConv2D() | ir.FullyConnected():
            return _weighted_arguments(graph, op)
        case ir.Add() | ir.Sub():
            return {"addition": _addition(graph, op)}
        case ir.Mul():
            multiplier, shift = quantize_multiplier(_real_multipliers(graph, op)[0])
            return {
                "input1_zero_point": x.q.zero_point,
                "input2_zero_point": graph.tensors[op.input2].q.zero_point,
                "multiplier": multiplier,
                "shift": shift,
                "requantisation": output,
            }
        case ir.AveragePool2D():
            return {
                "window": op.window,
                "windows": Windows(stride=op.stride, padding=op.padding),
                "act_min": output.act_min,
                "act_max": output.act_max,
            }
        case ir.Mean() | ir.Quantize():
            multipliers, shifts = requantize_params(graph, op)
            common = {
                "input_zero_point": x.q.zero_point,
                "multiplier": int(multipliers[0]),
                "shift": int(shifts[0]),
                "requantisation": output,
            }
            if isinstance(op, ir.Mean):
                return {"axes": op.axes, "keep_dims": op.keep_dims, **common}
            return {"dtype": y.dtype, **common}
        case ir.Pad():
            return {"paddings": op.paddings, "value": y.q.zero_point}
        case ir.Softmax():
            multiplier, shift, diff_min = softmax_params(op.beta, x.q.scale)
            return {"multiplier": multiplier, "shift": shift, "diff_min": diff_min}
        case ir.Reshape():
            return {"shape": y.shape}
        case ir.Transpose():
            return {"permutation": op.permutation}
