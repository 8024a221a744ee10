"""Fixed-point arithmetic of TensorFlow Lite's reference kernels.

Plain NumPy on int64 with every saturation written out.  Each function is what one hardware block
computes and cites the C++ function it equals.  The variant is the *double rounding* one: the
product with the multiplier is rounded to 32 bits, then the shift rounds again.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from sw.ir import Activation

__all__ = [
    "INT32_MAX",
    "INT32_MIN",
    "activation_range",
    "clamp_range",
    "divide_round_half_away",
    "multiply_by_quantized_multiplier",
    "multiply_rounding_once",
    "quantize_multiplier",
    "round_half_away",
    "rounding_divide_by_pot",
    "saturate_int32",
    "saturating_rounding_doubling_high_mul",
    "wrap_int32",
]

IntLike = int | np.integer | npt.NDArray[np.integer]

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Express a real multiplier as a Q31 mantissa and a power of two.

    Parameters
    ----------
    real : float
        At least 0.

    Returns
    -------
    multiplier : int
        0, or in [2^30, 2^31 − 1]: ``real`` ≈ multiplier × 2^(shift − 31).
    shift : int
        In [−31, …]; positive shifts left.

    Notes
    -----
    ``QuantizeMultiplier`` in quantization_util.cc.
    """
    if real < 0 or not math.isfinite(real):
        raise ValueError(f"the multiplier must be finite and not negative, not {real!r}")
    if real == 0:
        return 0, 0
    mantissa, shift = math.frexp(real)
    # std::round halves go away from zero; the mantissa is positive, and 2^31 times a double below
    # 1 plus 0.5 is exact.
    multiplier = math.floor(mantissa * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def saturate_int32(x: Ints) -> Ints:
    """Clamp to the range of int32."""
    return np.clip(x, INT32_MIN, INT32_MAX)


def wrap_int32(x: Ints) -> Ints:
    """Keep the low 32 bits as two's complement.

    Accumulators of the reference are int32.  Where they overflow C++ leaves the result undefined;
    two's complement is what its builds compute.  No sane network comes near.
    """
    return x.astype(np.int32).astype(np.int64)


def saturating_rounding_doubling_high_mul(a: IntLike, b: IntLike) -> Ints:
    """Return the high 32 bits of 2ab, rounded to nearest, halves towards plus infinity.

    Parameters
    ----------
    a, b : integers in the range of int32, broadcast against each other

    Returns
    -------
    ndarray of int64
        In the range of int32; only −2^31 × −2^31 saturates.

    Notes
    -----
    ``SaturatingRoundingDoublingHighMul`` in gemmlowp's fixedpoint.h.  There a negative product
    gets the nudge 1 − 2^30 and a division that truncates; that equals floor((ab + 2^30) / 2^31)
    for either sign, which is one rounding constant and one arithmetic shift in hardware.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    high: Ints = np.minimum((product + (1 << 30)) >> 31, INT32_MAX)
    return high


def rounding_divide_by_pot(x: IntLike, exponent: IntLike) -> Ints:
    """Divide by 2^exponent, rounding to nearest, halves away from zero.

    Parameters
    ----------
    x : integers in the range of int32
    exponent : integers from 0 to 31, broadcast against ``x``

    Notes
    -----
    ``RoundingDivideByPOT`` in gemmlowp's fixedpoint.h.
    """
    x = np.asarray(x, np.int64)
    exponent = np.asarray(exponent, np.int64)
    # Adding half, less one unit for negative numbers, makes the floor of the arithmetic shift
    # round halves away from zero.  For exponent 0 the half is 0 and there is no half to round.
    half = (np.int64(1) << exponent) >> 1
    return (x + half - ((x < 0) & (exponent > 0))) >> exponent


def multiply_by_quantized_multiplier(x: IntLike, multiplier: IntLike, shift: IntLike) -> Ints:
    """Scale by multiplier × 2^(shift − 31), rounding twice.

    Parameters
    ----------
    x : integers in the range of int32
    multiplier, shift : integers
        From :func:`quantize_multiplier`, broadcast against ``x``.

    Returns
    -------
    ndarray of int64
        In the range of int32.

    Notes
    -----
    ``MultiplyByQuantizedMultiplier`` in common.h without ``TFLITE_SINGLE_ROUNDING``.  The shift to
    the left is done in int32 and wraps like there.
    """
    x = np.asarray(x, np.int64)
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    if np.any(left):
        x = wrap_int32(x << left)
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(x, multiplier), right)


def multiply_rounding_once(x: IntLike, multiplier: IntLike, shift: IntLike) -> Ints:
    """Scale by multiplier × 2^(shift − 31), rounding once, halves towards plus infinity.

    Parameters
    ----------
    x, multiplier : integers in the range of int32
    shift : integers, at most 30

    Notes
    -----
    In hardware this is :func:`multiply_by_quantized_multiplier` for ``shift`` < 0 without the
    rounding constant of the first step and without the correction for negative numbers in the
    second.  What it is for: :mod:`sw.golden.rounding`.
    """
    product = np.asarray(x, np.int64) * np.asarray(multiplier, np.int64)
    exponent = 31 - np.asarray(shift, np.int64)
    # Exponents above 62 leave nothing but the sign, which the rounding then removes.
    exponent = np.minimum(exponent, 62)
    return (product + (np.int64(1) << (exponent - 1))) >> exponent


def round_half_away(x: npt.NDArray[np.float64]) -> Ints:
    """Round to nearest, halves away from zero: C's ``round``, unlike NumPy's."""
    magnitude = np.abs(x)
    whole = np.floor(magnitude)
    # Not floor(magnitude + 0.5): the sum may round up to the next integer.
    whole += magnitude - whole >= 0.5
    return np.copysign(whole, x).astype(np.int64)


def divide_round_half_away(numerator: Ints, denominator: IntLike) -> Ints:
    """Divide by positive integers, rounding to nearest, halves away from zero.

    Notes
    -----
    What ``AveragePool`` in integer_ops/pooling.h does: add or subtract denominator // 2, then
    divide truncating.  For an odd denominator there are no halves.
    """
    denominator = np.asarray(denominator, np.int64)
    magnitude = (np.abs(numerator) + denominator // 2) // denominator
    return np.where(numerator < 0, -magnitude, magnitude)


def activation_range(
    activation: Activation, dtype: str, scale: float, zero_point: int
) -> tuple[int, int]:
    """Return the integers that a fused activation clamps to.

    Parameters
    ----------
    activation : {"NONE", "RELU", "RELU6"}
    dtype : {"int8", "uint8"}
    scale, zero_point
        Quantisation of the output.

    Returns
    -------
    activation_min, activation_max : int

    Notes
    -----
    ``CalculateActivationRangeQuantized`` in kernel_util.cc: the bound is divided by the scale in
    float32 and rounded with halves away from zero.
    """
    limits = np.iinfo(dtype)

    def quantized(value: float) -> int:
        ratio = float(np.float32(value) / np.float32(scale))
        return zero_point + math.floor(ratio + 0.5)

    low, high = int(limits.min), int(limits.max)
    if activation in ("RELU", "RELU6"):
        low = max(low, quantized(0.0))
    if activation == "RELU6":
        high = min(high, quantized(6.0))
    return low, high


def clamp_range(
    low: float, high: float | None, dtype: str, scale: float, zero_point: int
) -> tuple[int, int]:
    """Return the integers that an operator which is a clamp, such as RELU6, clamps to.

    Parameters
    ----------
    low, high : float
        Numbers; ``None`` for as much as the type holds.
    dtype : {"int8", "uint8"}
    scale, zero_point
        Quantisation of the output.

    Notes
    -----
    ``QuantizedReluX`` in activations.cc: quotients are float32, halves go away from zero.
    """
    limits = np.iinfo(dtype)
    bounds = (low, np.inf if high is None else high)
    ratios = np.array([np.float32(bound) / np.float32(scale) for bound in bounds], np.float64)
    first, last = round_half_away(np.clip(ratios, -(2.0**32), 2.0**32)) + zero_point
    return max(int(limits.min), int(first)), min(int(limits.max), int(last))
