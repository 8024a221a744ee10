"""RELU and its kind, LEAKY_RELU, PRELU, HARD_SWISH: functions of one element, in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Array, Ints
from sw.golden.primitives import multiply_by_quantized_multiplier, rounding_divide_by_pot
from sw.golden.requantisation import Requantisation

__all__ = ["HardSwish", "hard_swish", "leaky_relu", "prelu"]

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1


def leaky_relu(
    x: Array,
    *,
    input_zero_point: int,
    positive: tuple[int, int],
    negative: tuple[int, int],
    requantisation: Requantisation,
) -> Array:
    """Scale elements above the zero point by one factor, those below it by another.

    Parameters
    ----------
    x : int8 or uint8
    positive, negative : (multiplier, shift)
        For elements at or above the zero point, and below it; the multiplier of ``negative`` may
        be negative.

    Notes
    -----
    ``QuantizeLeakyRelu`` in reference/leaky_relu.h.
    """
    centred = x.astype(np.int64) - input_zero_point
    multiplier, shift = negative
    below = multiply_by_quantized_multiplier(centred, abs(multiplier), shift)
    scaled = np.where(
        centred >= 0,
        multiply_by_quantized_multiplier(centred, *positive),
        -below if multiplier < 0 else below,
    )
    return requantisation.finish(scaled).astype(x.dtype)


def prelu(
    x: Array,
    alpha: Array,
    *,
    input_zero_point: int,
    alpha_zero_point: int,
    positive: tuple[int, int],
    negative: tuple[int, int],
    requantisation: Requantisation,
) -> Array:
    """Scale elements above the zero point by one factor, multiply those below it by alpha.

    Parameters
    ----------
    x : int8 or uint8
    alpha : of the same type, broadcast against ``x``
    positive, negative : (multiplier, shift)
        Of elements, and of their products with alpha.

    Notes
    -----
    ``Prelu`` and ``BroadcastPrelu4DSlow`` in reference/prelu.h.
    """
    centred = x.astype(np.int64) - input_zero_point
    product = centred * (alpha.astype(np.int64) - alpha_zero_point)
    scaled = np.where(
        centred >= 0,
        multiply_by_quantized_multiplier(centred, *positive),
        multiply_by_quantized_multiplier(product, *negative),
    )
    return requantisation.finish(scaled).astype(x.dtype)


@dataclass(frozen=True, kw_only=True)
class HardSwish:
    """Integers of HARD_SWISH, all of 16 bits.

    Attributes
    ----------
    input_zero_point : int
    output_multiplier, output_exponent : int
        From 128 times the input to the output; the exponent is from −15 to 0.
    relu_multiplier, relu_exponent : int
        From 128 times the input to 2^15 for the number 3; the exponent is at least −15.
    requantisation : Requantisation
        Zero point and type of the output.
    """

    input_zero_point: int
    output_multiplier: int
    output_exponent: int
    relu_multiplier: int
    relu_exponent: int
    requantisation: Requantisation


def _high_mul_16(a: Ints, b: int) -> Ints:
    """High 16 bits of 2ab, rounded to nearest, halves up: ``SaturatingRoundingDoublingHighMul``.

    −2^15 × −2^15, which would saturate, does not occur: ``b`` is positive.
    """
    return (a * b + (1 << 14)) >> 15


def _saturate_16(x: Ints) -> Ints:
    return np.clip(x, INT16_MIN, INT16_MAX)


def hard_swish(x: Array, *, swish: HardSwish) -> Array:
    """Multiply elements by themselves plus 3, clamped to 0 … 6, and divide by 6.

    Parameters
    ----------
    x : int8 or uint8
    swish : HardSwish

    Notes
    -----
    ``HardSwish`` in reference/hard_swish.h.
    """
    fine = (x.astype(np.int64) - swish.input_zero_point) << 7
    scaled = _high_mul_16(fine, swish.output_multiplier)
    relu, exponent = fine, swish.relu_exponent
    if exponent > 0:
        relu = _saturate_16(relu << min(exponent - 1, 31))
    relu = _high_mul_16(relu, swish.relu_multiplier)
    if exponent > 0:
        relu = _saturate_16(relu << 1)
    relu = rounding_divide_by_pot(relu, max(-exponent, 0))
    relu = (relu + (1 << 15)) >> 1
    product = relu * scaled
    # A division that truncates, unlike all others here.
    half = np.where(product < 0, -(-product >> 15), product >> 15)
    output = rounding_divide_by_pot(half, -swish.output_exponent)
    return swish.requantisation.finish(output).astype(x.dtype)
