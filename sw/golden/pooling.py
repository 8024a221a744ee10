"""AVERAGE_POOL_2D, MAX_POOL_2D, MEAN, SUM and ARG_MAX."""

from __future__ import annotations

import numpy as np

from common.arrays import Array, Ints
from sw.golden.primitives import divide_round_half_away, wrap_int32
from sw.golden.requantisation import Requantisation
from sw.golden.windows import Windows, spatial_pad, taps

__all__ = ["arg_max", "average_pool_2d", "max_pool_2d", "mean"]


def average_pool_2d(
    x: Array,
    *,
    window: tuple[int, int],
    windows: Windows,
    act_min: int,
    act_max: int,
) -> Array:
    """Average over windows, over the elements inside the image only.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
        Integers as stored: input and output have the same quantisation.
    window : (rows, columns)
    windows : Windows
        Without dilation.
    act_min, act_max : int

    Notes
    -----
    ``AveragePool`` in integer_ops/pooling.h (int8) and reference/pooling.h (uint8).
    """
    inside = np.ones((1, *x.shape[1:3], 1), np.int64)
    total, count = (
        np.sum([view for _, _, view in taps(spatial_pad(a, windows.padding), window, windows)], 0)
        for a in (x.astype(np.int64), inside)
    )
    average = divide_round_half_away(total, count)
    return np.clip(average, act_min, act_max).astype(x.dtype)


def max_pool_2d(
    x: Array,
    *,
    window: tuple[int, int],
    windows: Windows,
    act_min: int,
    act_max: int,
) -> Array:
    """Largest integer of each window; padding is less than any.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
    window, windows, act_min, act_max
        As for :func:`average_pool_2d`.

    Notes
    -----
    ``MaxPool`` in integer_ops/pooling.h (int8) and reference/pooling.h (uint8).
    """
    lowest = int(np.iinfo(x.dtype).min)
    padded = np.pad(x, ((0, 0), *windows.padding, (0, 0)), constant_values=lowest)
    views = [view for _, _, view in taps(padded.astype(np.int64), window, windows)]
    largest: Ints = np.max(views, axis=0)
    return np.clip(largest, act_min, act_max).astype(x.dtype)


def mean(
    x: Array,
    axes: tuple[int, ...],
    *,
    keep_dims: bool,
    input_zero_point: int,
    multiplier: int,
    shift: int,
    requantisation: Requantisation,
) -> Array:
    """Average over axes with a requantisation; without the division, SUM.

    Parameters
    ----------
    x : int8 or uint8
    axes : tuple of int
    multiplier, shift : int
        The division by the number of elements, for MEAN, is part of them.

    Notes
    -----
    ``QuantizedMeanOrSum`` in reference/reduce.h.
    """
    total = (x.astype(np.int64) - input_zero_point).sum(axis=axes, keepdims=keep_dims)
    return requantisation.outputs(wrap_int32(total), multiplier, shift).astype(x.dtype)


def arg_max(x: Array, *, axis: int, dtype: str) -> Array:
    """Index of the largest element along an axis, the first of several.

    Parameters
    ----------
    x : int8 or uint8
    dtype : {"int32", "int64"}
        Of the result.

    Notes
    -----
    ``ArgMinMax`` in reference/arg_min_max.h.
    """
    first: Ints = np.argmax(x, axis=axis)
    return first.astype(dtype)
