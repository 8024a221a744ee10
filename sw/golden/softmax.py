"""Softmax in fixed point.

``Softmax`` in reference/softmax.h, with the functions of gemmlowp's fixedpoint.h that it uses.
Numbers are raw integers; Qn.m names say n integer bits and m fraction bits, beside the sign.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from sw.golden.primitives import (
    INT32_MAX,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturate_int32,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)

__all__ = ["exp_on_negative_values", "reciprocal", "softmax", "softmax_params"]

DIFF_INTEGER_BITS = 5
"""Integer bits of the scaled difference to the maximum (Q5.26)."""
SUM_INTEGER_BITS = 12
"""Integer bits of the sum of exponentials (Q12.19)."""

_high_mul = saturating_rounding_doubling_high_mul

# exp(−2^k) for k = −2 … 4 in Q0.31.
_BARREL = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_MINUS_1_8TH = 1895147668
_ONE_THIRD = 715827883
_48_OVER_17 = 1515870810  # Q2.29
_MINUS_32_OVER_17 = -1010580540  # Q2.29


def softmax_params(beta: float, scale: float) -> tuple[int, int, int]:
    """Return the scaling of differences.

    Parameters
    ----------
    beta, scale : float
        Of the operator, and of its input.

    Returns
    -------
    multiplier, shift : int
        Bring a difference of input integers to Q5.26.
    diff_min : int
        Differences below it count as exp(−∞) = 0.

    Notes
    -----
    ``PreprocessSoftmaxScaling`` and ``CalculateInputRadius`` in quantization_util.cc.
    """
    real = min(beta * scale * (1 << (31 - DIFF_INTEGER_BITS)), float(INT32_MAX))
    multiplier, shift = quantize_multiplier(real)
    radius = ((1 << DIFF_INTEGER_BITS) - 1) * 2.0 ** (31 - DIFF_INTEGER_BITS - shift)
    return multiplier, shift, -math.floor(radius)


def _exp_near_minus_one_eighth(a: Ints) -> Ints:
    """Exponential of Q0.31 numbers in [−1/4, 0): a Taylor expansion around −1/8.

    Notes
    -----
    ``exp_on_interval_between_negative_one_quarter_and_0_excl``.
    """
    x = a + (1 << 28)
    x2 = _high_mul(x, x)
    x3 = _high_mul(x2, x)
    x4 = _high_mul(x2, x2)
    x4_over_4 = rounding_divide_by_pot(x4, 2)
    tail = rounding_divide_by_pot(_high_mul(x4_over_4 + x3, _ONE_THIRD) + x2, 1)
    return _EXP_MINUS_1_8TH + _high_mul(_EXP_MINUS_1_8TH, x + tail)


def exp_on_negative_values(a: Ints) -> Ints:
    """Exponential of numbers ≤ 0.

    Parameters
    ----------
    a : ndarray of int64
        Q5.26, at most 0.

    Returns
    -------
    ndarray of int64
        Q0.31.

    Notes
    -----
    ``exp_on_negative_values``: the remainder modulo 1/4 by a polynomial, each remaining bit of
    the argument by one multiplication.
    """
    fraction_bits = 31 - DIFF_INTEGER_BITS
    quarter = 1 << (fraction_bits - 2)
    in_quarter = (a & (quarter - 1)) - quarter
    result = _exp_near_minus_one_eighth(in_quarter << DIFF_INTEGER_BITS)
    remainder = in_quarter - a
    for k, factor in enumerate(_BARREL):
        if k - 2 < DIFF_INTEGER_BITS:
            bit = (remainder >> (fraction_bits + k - 2)) & 1
            result = np.where(bit == 1, _high_mul(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def reciprocal(x: int, integer_bits: int) -> tuple[int, int]:
    """Return 1 / x by Newton's method.

    Parameters
    ----------
    x : int
        Positive int32, with ``integer_bits`` integer bits.

    Returns
    -------
    mantissa : int
        Q0.31: 1 / x ≈ mantissa × 2^−bits.
    bits : int

    Notes
    -----
    ``GetReciprocal`` in common.h and ``one_over_one_plus_x_for_x_in_0_1`` in fixedpoint.h.
    """
    headroom = 32 - x.bit_length()
    fraction = np.int64((x << headroom) - (1 << 31))
    # RoundingHalfSum with "one", which is INT32_MAX in Q0.31; both are positive.
    half_denominator = (fraction + INT32_MAX + 1) >> 1
    one = 1 << 29  # in Q2.29
    estimate = _48_OVER_17 + _high_mul(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        error = one - _high_mul(half_denominator, estimate)
        # The product of two Q2.29 is Q4.27; two bits bring it back.
        estimate = estimate + saturate_int32(_high_mul(estimate, error) << 2)
    # Half of the estimate is 1 / (2 × half_denominator); from Q2.29 to Q0.31 with that half.
    mantissa = saturate_int32(np.asarray(estimate) << 1)
    return int(mantissa), integer_bits - headroom


def softmax(
    x: npt.NDArray[np.integer], *, multiplier: int, shift: int, diff_min: int
) -> npt.NDArray[np.integer]:
    """Softmax over the last dimension.

    Parameters
    ----------
    x : (…, C) int8 or uint8
    multiplier, shift, diff_min : int
        See :func:`softmax_params`.

    Returns
    -------
    (…, C) of the type of ``x``
        Scale 1/256, lowest zero point.
    """
    limits = np.iinfo(x.dtype)
    rows = x.reshape(-1, x.shape[-1]).astype(np.int64)
    out = np.full(rows.shape, limits.min, np.int64)
    for source, target in zip(rows, out, strict=True):
        diff = source - source.max()
        counted = diff >= diff_min
        scaled = multiply_by_quantized_multiplier(diff[counted], multiplier, shift)
        exponential = exp_on_negative_values(scaled)
        total = wrap_int32(rounding_divide_by_pot(exponential, SUM_INTEGER_BITS).sum())
        mantissa, bits = reciprocal(int(total), SUM_INTEGER_BITS)
        product = _high_mul(mantissa, exponential)
        # The reference aborts where this shift exceeds 31, for sums of 512 and more (hundreds of
        # classes, all as likely); rounding in 64 bits gives the zeros that it stands for.
        unsaturated = rounding_divide_by_pot(product, bits + 31 - 8)
        target[counted] = np.clip(unsaturated + limits.min, limits.min, limits.max)
    return out.astype(x.dtype).reshape(x.shape)
