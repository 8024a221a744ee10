"""Kernels that move data and change no value: PAD, RESHAPE, TRANSPOSE."""

from __future__ import annotations

import numpy as np

from common.arrays import Array

__all__ = ["pad", "reshape", "transpose"]


def pad(x: Array, paddings: tuple[tuple[int, int], ...], *, value: int) -> Array:
    """Pad with a constant, the zero point.

    Parameters
    ----------
    x : ndarray
    paddings : one (before, after) per dimension
    value : int
        In the range of the type of ``x``.

    Notes
    -----
    ``Pad`` in reference/pad.h.
    """
    return np.pad(x, paddings, constant_values=value)


def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    """Give the same elements another shape."""
    return x.reshape(shape)


def transpose(x: Array, *, permutation: tuple[int, ...]) -> Array:
    """Permute dimensions: dimension ``i`` of the result is ``permutation[i]`` of ``x``."""
    return np.ascontiguousarray(x.transpose(permutation))
