"""ADD, SUB, MUL and QUANTIZE."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sw.golden.primitives import Ints, multiply_by_quantized_multiplier, requantize
from sw.golden.requantisation import Requantisation

__all__ = ["add", "mul", "quantize", "sub"]

Array = npt.NDArray[np.integer]

ADD_LEFT_SHIFT = 20
"""Headroom that ADD and SUB give their operands before scaling them."""


def _scaled_operand(x: Array, zero_point: int, multiplier: int, shift: int) -> Ints:
    offset = (x.astype(np.int64) - zero_point) << ADD_LEFT_SHIFT
    return multiply_by_quantized_multiplier(offset, multiplier, shift)


def add(
    x1: Array,
    x2: Array,
    *,
    input1_zero_point: int,
    input1_multiplier: int,
    input1_shift: int,
    input2_zero_point: int,
    input2_multiplier: int,
    input2_shift: int,
    output_zero_point: int,
    output_multiplier: int,
    output_shift: int,
    activation_min: int,
    activation_max: int,
    subtract: bool = False,
) -> Array:
    """Add (or subtract) tensors of different scales.

    Parameters
    ----------
    x1, x2 : int8 or uint8, broadcast against each other
    input1_multiplier, input1_shift, input2_multiplier, input2_shift
        Bring both operands, shifted left by 20, to twice the larger of their scales; ≤ 1.
    output_multiplier, output_shift
        From there to the output's scale; ≤ 1.

    Notes
    -----
    ``AddElementwise`` in integer_ops/add.h and reference/add.h; ``Sub`` in reference/sub.h.
    """
    scaled1 = _scaled_operand(x1, input1_zero_point, input1_multiplier, input1_shift)
    scaled2 = _scaled_operand(x2, input2_zero_point, input2_multiplier, input2_shift)
    return requantize(
        scaled1 - scaled2 if subtract else scaled1 + scaled2,
        output_multiplier,
        output_shift,
        output_zero_point=output_zero_point,
        activation_min=activation_min,
        activation_max=activation_max,
    ).astype(x1.dtype)


def sub(x1: Array, x2: Array, **arguments: int) -> Array:
    """Subtract ``x2`` from ``x1``; takes what :func:`add` takes."""
    return add(x1, x2, **arguments, subtract=True)


def mul(
    x1: Array,
    x2: Array,
    *,
    input1_zero_point: int,
    input2_zero_point: int,
    multiplier: int,
    shift: int,
    requantisation: Requantisation,
) -> Array:
    """Multiply elementwise.

    Parameters
    ----------
    x1, x2 : int8 or uint8, broadcast against each other

    Notes
    -----
    ``MulElementwise`` in integer_ops/mul.h and reference/mul.h.
    """
    product = (x1.astype(np.int64) - input1_zero_point) * (x2.astype(np.int64) - input2_zero_point)
    return requantisation.outputs(product, multiplier, shift).astype(x1.dtype)


def quantize(
    x: Array,
    *,
    dtype: str,
    input_zero_point: int,
    multiplier: int,
    shift: int,
    requantisation: Requantisation,
) -> Array:
    """Requantise to another type, scale or zero point.

    Parameters
    ----------
    x : int8 or uint8
    dtype : {"int8", "uint8"}
        Of the output.

    Notes
    -----
    ``Requantize`` in reference/requantize.h.
    """
    centred = x.astype(np.int64) - input_zero_point
    return requantisation.outputs(centred, multiplier, shift).astype(dtype)
