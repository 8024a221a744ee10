"""QUANTIZE of float32, and DEQUANTIZE to it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.arrays import Array
from sw.golden.primitives import INT32_MAX, INT32_MIN, round_half_away

__all__ = ["dequantize", "quantize_float"]


def quantize_float(
    x: npt.NDArray[np.float32], *, dtype: str, scale: float, zero_point: int
) -> Array:
    """Divide by the scale, round and add the zero point.

    Parameters
    ----------
    x : float32
    dtype : {"int8", "uint8"}
        Of the output.

    Raises
    ------
    OverflowError
        If a quotient is no number, or beyond int32: what that becomes depends on the processor.

    Notes
    -----
    ``AffineQuantize`` in reference/quantize.h.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        quotient = (x / np.float32(scale)).astype(np.float64)
    if not np.all((quotient > INT32_MIN - zero_point) & (quotient < INT32_MAX - zero_point)):
        raise OverflowError("numbers beyond int32, or none at all,")
    limits = np.iinfo(dtype)
    return np.clip(round_half_away(quotient) + zero_point, limits.min, limits.max).astype(dtype)


def dequantize(x: Array, *, scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """Subtract the zero point and multiply by the scale.

    Parameters
    ----------
    x : int8 or uint8

    Returns
    -------
    float32
        The product in float64, rounded.

    Notes
    -----
    ``Dequantize`` in reference/dequantize.h and integer_ops/dequantize.h.
    """
    return (scale * (x.astype(np.float64) - zero_point)).astype(np.float32)
