"""Narrow accumulators: equivalent integers for channels that can produce only one value.

Real networks have dead channels: all weights 0 (or nearly), a scale that vanishes, and a bias near
2^30 that stands for the constant output.  Taken as they are they need 32-bit accumulators and
shifts down to −31, where every other channel stays below 2^25.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sw import ir
from sw.golden.params import accumulator_range, activation_range, requantize_params
from sw.golden.primitives import Ints, requantize

__all__ = ["ChannelParams", "narrow"]


@dataclass(frozen=True, slots=True, eq=False)
class ChannelParams:
    """What a weighted layer adds to its sums, and scales them by; one element per channel.

    Attributes
    ----------
    bias : (C,) int64
    multiplier, shift : (C,) int32
    low, high : (C,) int64
        The range of accumulators, bias included.
    """

    bias: Ints
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int32]
    low: Ints
    high: Ints

    @property
    def accumulator_bits(self) -> int:
        """Width of the signed accumulator that holds the bias and every sum."""
        largest = max(int(self.high.max()), -int(self.low.min()) - 1, 0)
        return largest.bit_length() + 1


def narrow(graph: ir.Graph, op: ir.Conv2D | ir.DepthwiseConv2D) -> ChannelParams:
    """Return a layer's bias and requantisation with constant channels made small.

    A channel is constant if the least and the greatest accumulator requantise to the same output
    ``v``.  Its bias becomes v × 2^k and its scale 2^−k, with k so large that no sum of products
    reaches half of 2^k.

    Parameters
    ----------
    graph : Graph
    op : Conv2D or DepthwiseConv2D

    Returns
    -------
    ChannelParams
        The layer's outputs are the same for every input.
    """
    low, high = accumulator_range(graph, op)
    multiplier, shift = (a.copy() for a in requantize_params(graph, op))
    bias = np.zeros_like(low)
    if op.bias is not None:
        bias += np.asarray(graph.tensors[op.bias].data, np.int64)
    zero_point = graph.tensors[op.output].q.zero_point
    clamps = activation_range(graph, op)

    def outputs(accumulator: Ints) -> Ints:
        return (
            requantize(
                accumulator,
                multiplier,
                shift,
                output_zero_point=zero_point,
                activation_min=clamps[0],
                activation_max=clamps[1],
            )
            - zero_point
        )

    value, other = outputs(low), outputs(high)
    for channel in np.flatnonzero(value == other):
        below, above = int(low[channel] - bias[channel]), int(high[channel] - bias[channel])
        # Both roundings are to nearest; two units more than the largest sum is a safe distance.
        k = (max(-below, above) + 2).bit_length() + 1
        bias[channel] = int(value[channel]) << k
        # 2^30 is one half, so the shift brings the rest.
        multiplier[channel], shift[channel] = 1 << 30, 1 - k
        low[channel], high[channel] = bias[channel] + below, bias[channel] + above
    return ChannelParams(bias, multiplier, shift, low, high)
