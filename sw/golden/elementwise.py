"""ADD, SUB, MUL, MAXIMUM, MINIMUM and QUANTIZE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Array, Ints
from sw.golden.primitives import multiply_by_quantized_multiplier
from sw.golden.requantisation import Requantisation

__all__ = ["Addition", "Operand", "add", "maximum", "minimum", "mul", "quantize", "sub"]

ADD_LEFT_SHIFT = 20
"""Headroom that ADD and SUB give their operands before scaling them."""


@dataclass(frozen=True, kw_only=True)
class Operand:
    """Operand of a sum, and how it is brought to the scale that both operands share.

    Attributes
    ----------
    zero_point : int
    multiplier, shift : int
        From the operand, shifted left by 20, to twice the larger of both scales; at most 1.
    """

    zero_point: int
    multiplier: int
    shift: int

    def scaled(self, x: Array) -> Ints:
        """Return an operand's values in the shared scale."""
        offset = (x.astype(np.int64) - self.zero_point) << ADD_LEFT_SHIFT
        return multiply_by_quantized_multiplier(offset, self.multiplier, self.shift)


@dataclass(frozen=True, kw_only=True)
class Addition:
    """Integers of ADD and SUB.

    Attributes
    ----------
    first, second : Operand
    multiplier, shift : int
        From the shared scale to the output's; at most 1.
    requantisation : Requantisation
    """

    first: Operand
    second: Operand
    multiplier: int
    shift: int
    requantisation: Requantisation


def add(x1: Array, x2: Array, *, addition: Addition, subtract: bool = False) -> Array:
    """Add (or subtract) tensors of different scales.

    Parameters
    ----------
    x1, x2 : int8 or uint8, broadcast against each other
    addition : Addition
    subtract : bool

    Notes
    -----
    ``AddElementwise`` in integer_ops/add.h and reference/add.h; ``Sub`` in reference/sub.h.
    """
    scaled1, scaled2 = addition.first.scaled(x1), addition.second.scaled(x2)
    return addition.requantisation.outputs(
        scaled1 - scaled2 if subtract else scaled1 + scaled2, addition.multiplier, addition.shift
    ).astype(x1.dtype)


def sub(x1: Array, x2: Array, *, addition: Addition) -> Array:
    """Subtract ``x2`` from ``x1``."""
    return add(x1, x2, addition=addition, subtract=True)


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


def maximum(x1: Array, x2: Array) -> Array:
    """Take the larger integer of both operands, which broadcast against each other.

    Notes
    -----
    ``MaximumMinimumBroadcastSlow`` in reference/maximum_minimum.h, which sees no scale.
    """
    return np.maximum(x1, x2)


def minimum(x1: Array, x2: Array) -> Array:
    """Take the smaller integer of both operands, which broadcast against each other."""
    return np.minimum(x1, x2)


def quantize(
    x: Array,
    *,
    dtype: str,
    input_zero_point: int,
    multiplier: int,
    shift: int,
    requantisation: Requantisation,
) -> Array:
    """Requantise to another type, scale or zero point: QUANTIZE; RELU, RELU6 and their kin.

    Parameters
    ----------
    x : int8 or uint8
    dtype : {"int8", "uint8"}
        Of the output.
    requantisation : Requantisation
        Its clamp is the operator's.

    Notes
    -----
    ``Requantize`` in reference/requantize.h, ``ReluX`` in reference/reference_ops.h.
    """
    centred = x.astype(np.int64) - input_zero_point
    return requantisation.outputs(centred, multiplier, shift).astype(dtype)
