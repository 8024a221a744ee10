"""The integers that hardware is configured with, derived from a graph's scales.

Which products are taken in float32 and which in float64 matters: the last bit of a multiplier
depends on it.  Each function names the code it follows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from common.errors import UnsupportedError
from sw import ir
from sw.golden.convolution import DEAD
from sw.golden.primitives import activation_range as primitive_activation_range
from sw.golden.primitives import clamp_range, quantize_multiplier
from sw.golden.requantisation import Requantisation
from sw.golden.rounding import equivalent_multiplier

__all__ = [
    "Clamp",
    "Weighted",
    "accumulator_range",
    "activation_range",
    "real_multipliers",
    "requantisation",
    "requantize_params",
]


Int32s = npt.NDArray[np.int32]
HasActivation = ir.WeightedOp | ir.BinaryOp | ir.AveragePool2D | ir.MaxPool2D
Clamp = ir.Relu | ir.Relu6 | ir.ReluN1To1 | ir.Relu0To1
Weighted = ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected | ir.TransposeConv

CLAMPS: dict[type[ir.Op], tuple[float, float | None]] = {
    ir.Relu: (0.0, None),
    ir.Relu6: (0.0, 6.0),
    ir.ReluN1To1: (-1.0, 1.0),
    ir.Relu0To1: (0.0, 1.0),
}
"""Least and greatest number that operators which are a clamp let through."""


def activation_range(graph: ir.Graph, op: ir.Operator) -> tuple[int, int]:
    """Return the integers that an operator clamps its output to.

    For operators that neither have a fused activation nor are a clamp, that is the range of the
    output type.
    """
    output = graph.tensors[op.output]
    if type(op) in CLAMPS:
        low, high = CLAMPS[type(op)]
        return clamp_range(low, high, output.dtype, output.q.scale, output.q.zero_point)
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


def real_multipliers(graph: ir.Graph, op: ir.Operator) -> list[float]:
    """Return the real factors from accumulator to output, one or one per channel."""
    x = np.float32(graph.tensors[op.inputs[0]].q.scale)
    y = np.float32(graph.tensors[op.output].q.scale)
    match op:
        case ir.Conv2D() | ir.DepthwiseConv2D() | ir.FullyConnected() | ir.TransposeConv():
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
        case ir.Quantize() | ir.Mean() | ir.Sum():
            return [float(x) / float(y)]
        case ir.Relu() | ir.Relu6() | ir.ReluN1To1() | ir.Relu0To1():
            # ReluPrepare in activations.cc: the quotient is a float32.
            return [float(x / y)]
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
    op : Conv2D, DepthwiseConv2D, FullyConnected, TransposeConv, Mul, Mean, Sum, Quantize or a clamp

    Returns
    -------
    multiplier, shift : (C,) int32
        C is the output's last dimension.  They are for
        :meth:`sw.golden.requantisation.Requantisation.outputs`.

    Raises
    ------
    TypeError
        For operators that have none (pooling) or several (ADD, SUB, PRELU: see
        :func:`sw.golden.arguments.arguments`).
    UnsupportedError
        If no integers give a fully connected layer's outputs.
    """
    reals = real_multipliers(graph, op)
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
