"""EXP, LOGISTIC and TANH: a table of all 256 outputs, which the reference computes in float32.

The last bit of ``exp`` and ``tanh`` is the C library's business, but an entry is a number rounded
to an integer.  Entries are computed in float64 with the largest error that a C library has on
either side; where that would be another integer the table is not defined by the reference, and is
refused.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.arrays import Array, Ints
from sw.golden.primitives import round_half_away

__all__ = ["exp_table", "logistic_table", "look_up", "tanh_table"]

Floats = npt.NDArray[np.float32]

EXP_ERROR = 0.03
"""Units in the last place by which ``expf`` may be off before it rounds; the C libraries' (glibc,
musl, bionic, newlib) is 0.002."""

TANH_ERROR = 2.0
"""The same of ``tanhf``: glibc's are up to 2.2 in all; newer ones round correctly."""


def _inputs(dtype: str, scale: float, zero_point: int) -> Floats:
    limits = np.iinfo(dtype)
    integers = np.arange(limits.min, limits.max + 1) - zero_point
    with np.errstate(over="ignore"):
        return np.float32(scale) * integers.astype(np.float32)


def _near(exact: npt.NDArray[np.float64], error: float) -> list[Floats]:
    """Return the least and the greatest that a float32 function may give for exact values."""
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = exact.astype(np.float32)
        off = np.where(np.isinf(nearest), 0, error * np.spacing(np.abs(nearest)).astype(np.float64))
        return [(exact - off).astype(np.float32), (exact + off).astype(np.float32)]


def _entries(
    candidates: list[Floats], dtype: str, scale: float, zero_point: int
) -> npt.NDArray[np.integer]:
    """Round to integers of a type.

    Raises
    ------
    OverflowError
        If candidates differ.
    """
    limits = np.iinfo(dtype)
    inverse = np.float32(1) / np.float32(scale)
    rounded = [round_half_away((c * inverse).astype(np.float64)) for c in candidates]
    tables = [np.clip(r + zero_point, limits.min, limits.max) for r in rounded]
    if any(np.any(table != tables[0]) for table in tables):
        raise OverflowError("an entry of the table of outputs depends on the C library's last bit")
    return tables[0].astype(dtype)


def logistic_table(
    dtype: str, *, scale: float, zero_point: int, output_scale: float, output_zero_point: int
) -> npt.NDArray[np.integer]:
    """Return the outputs of LOGISTIC for all inputs, the least first.

    Parameters
    ----------
    dtype : {"int8", "uint8"}
    scale, zero_point, output_scale, output_zero_point
        Quantisation of input and output.

    Returns
    -------
    (256,) of ``dtype``

    Raises
    ------
    OverflowError
        If the reference's table depends on its C library.

    Notes
    -----
    ``LUTPopulate`` in kernels/internal/common.h and ``SigmoidPrepare`` in activations.cc.
    """
    x = _inputs(dtype, scale, zero_point)
    one = np.float32(1)
    with np.errstate(over="ignore"):
        candidates = [one / (one + e) for e in _near(np.exp(-x.astype(np.float64)), EXP_ERROR)]
    return _entries(candidates, dtype, output_scale, output_zero_point)


def exp_table(
    dtype: str, *, scale: float, zero_point: int, output_scale: float, output_zero_point: int
) -> npt.NDArray[np.integer]:
    """Return the outputs of EXP for all inputs, the least first: as :func:`logistic_table`.

    Notes
    -----
    ``Prepare`` in exp.cc.
    """
    x = _inputs(dtype, scale, zero_point)
    with np.errstate(over="ignore"):
        candidates = _near(np.exp(x.astype(np.float64)), EXP_ERROR)
    return _entries(candidates, dtype, output_scale, output_zero_point)


def tanh_table(
    dtype: str, *, scale: float, zero_point: int, output_scale: float, output_zero_point: int
) -> npt.NDArray[np.integer]:
    """Return the outputs of TANH for all inputs, the least first: as :func:`logistic_table`.

    Notes
    -----
    ``TanhPrepare`` in activations.cc.
    """
    x = _inputs(dtype, scale, zero_point)
    candidates = _near(np.tanh(x.astype(np.float64)), TANH_ERROR)
    return _entries(candidates, dtype, output_scale, output_zero_point)


def look_up(x: Array, *, table: npt.NDArray[np.integer]) -> Array:
    """Replace every element by its entry of a table.

    Parameters
    ----------
    x : int8 or uint8
    table : (256,)
        The entry of the least integer first.
    """
    index: Ints = x.astype(np.int64) - int(np.iinfo(x.dtype).min)
    return table[index]
