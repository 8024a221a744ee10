"""Weights and bias of one layer as integers, within what cores can do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from hw.contract.requantiser import MAX_SHIFT, u_limit
from sw.quantize.calibrate import ActivationQuantization

__all__ = ["ACC_BITS", "BIAS_LIMIT", "quantize_layer"]

Floats = npt.NDArray[np.floating]
ACC_BITS = 24
"""Of the sums that the compiler allows, however wide a core's accumulators are."""
WEIGHT_LEVELS = 127
BIAS_LIMIT = 1 << 20
"""Largest quantised bias: small enough to leave an accumulator of 24 bits room for products."""
LEAST_FACTOR = 2.0 ** -(MAX_SHIFT + 1) * (1 + 2**-20)
"""From a unit of a channel's sums to one of its output: the least that requantisers know, and what
rounding to float32 may take."""
WIDTH_TRIALS = 8
"""How often scales grow until sums fit: once, and for what rounding adds then."""


def quantize_layer(
    weight: Floats,
    bias: Floats,
    x: ActivationQuantization,
    y: ActivationQuantization,
    *,
    axis: int,
    acc_bits: int = ACC_BITS,
    stretch: Floats | float = 1.0,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Quantise weights and bias of a layer.

    The scale of a channel is max |w| / 127, or more:

    - its bias has to stay within :data:`BIAS_LIMIT`.  Weights that are next to nothing become 0
      then, and the output is the constant that it was;
    - its sums, whatever the inputs, have to fit the accumulators;
    - a unit of its sums has to be 2^-16 of an output's at least, the least that requantisers know.

    And it is less than an output's unit.  A channel so steep that its sums jump over outputs
    (it is 0 or saturated then, nearly always) keeps its integers and becomes less steep.

    Parameters
    ----------
    weight : ndarray
    bias : (channels,) ndarray
    x, y : ActivationQuantization
        Of input and output.
    axis : int
        Dimension of the output channels in ``weight``.
    acc_bits : int
        Of an accumulator.
    stretch : (channels,) ndarray or float
        A factor for each scale, 1 or a little more.

    Returns
    -------
    weight : int8
    bias : (channels,) int32
    scales : (channels,) float32
    """
    matrix = np.moveaxis(weight, axis, 0).reshape(len(bias), -1)
    unit = y.scale / x.scale
    scales = np.abs(matrix).max(axis=1) / WEIGHT_LEVELS
    scales = np.maximum(scales, np.abs(bias) / (x.scale * BIAS_LIMIT))
    scales = np.maximum(scales, unit * LEAST_FACTOR) * stretch
    for _ in range(WIDTH_TRIALS):
        scales = scales.astype(np.float32).astype(np.float64)
        integers, biases = _integers(matrix, bias, scales, x.scale)
        excess = _excess(integers, biases, x.zero_point, acc_bits)
        if (excess <= 1).all():
            break
        scales = np.where(excess > 1, scales * (excess + 1 / 64), scales)
    shape = [len(bias), *np.delete(weight.shape, axis)]
    back = np.moveaxis(integers.reshape(shape), 0, axis).astype(np.int8)
    # Below 1 by more than what rounding to float32 adds.
    scales = np.minimum(scales, unit * (1 - 2**-20) / stretch)
    return np.ascontiguousarray(back), biases.astype(np.int32), scales.astype(np.float32)


def _integers(
    matrix: Floats, bias: Floats, scales: Floats, input_scale: float
) -> tuple[Ints, Ints]:
    """Round weights (channels, K) and biases."""
    limit = WEIGHT_LEVELS
    weights = np.clip(np.rint(matrix / scales[:, None]), -limit, limit).astype(np.int64)
    # The product of two float32 scales, as the file's reader computes it.
    return weights, np.rint(bias / (input_scale * scales)).astype(np.int64)


def _excess(weights: Ints, biases: Ints, zero_point: int, acc_bits: int) -> Floats:
    """Return by what factor sums of channels are beyond an accumulator; at most 1 if they fit."""

    def reach(low: int, high: int, offset: Ints | int) -> Ints:
        ends = np.stack([weights * low, weights * high, np.zeros_like(weights)])
        least, greatest = ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)
        both: Ints = np.maximum(np.abs(least + offset), np.abs(greatest + offset))
        return both

    parts = (
        reach(-128, 127, 0),
        reach(-128 - zero_point, 127 - zero_point, biases),
        np.abs(biases - zero_point * weights.sum(axis=1)),
    )
    excess: Floats = np.maximum.reduce(parts) / u_limit(acc_bits)
    return excess
