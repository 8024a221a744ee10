"""Kernels that move data: PAD and its kind, RESHAPE, TRANSPOSE, slices, CONCATENATION, PACK."""

from __future__ import annotations

import numpy as np

from common.arrays import Array
from sw.golden.primitives import round_half_away

__all__ = ["concatenation", "mirror_pad", "pack", "pad", "part", "reshape", "transpose"]


def pad(x: Array, paddings: tuple[tuple[int, int], ...], *, value: int) -> Array:
    """Pad with a constant: PAD with the zero point, PADV2 with its own.

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


def mirror_pad(x: Array, paddings: tuple[tuple[int, int], ...], *, edge: bool) -> Array:
    """Pad with the reflection at each border.

    Parameters
    ----------
    x : ndarray
    paddings : one (before, after) per dimension
        At most the dimension, and less than it without ``edge``.
    edge : bool
        The elements at the border are reflected too.
    """
    return np.pad(x, paddings, mode="symmetric" if edge else "reflect")


def part(
    x: Array,
    *,
    begin: tuple[int, ...],
    size: tuple[int, ...],
    strides: tuple[int, ...],
    dropped: tuple[int, ...],
) -> Array:
    """Take some elements along every dimension, as :class:`sw.ir.Slice` says."""
    numbers = (
        b + np.arange(n) * s for b, n, s in zip(begin, size, strides, strict=True)
    )
    return x[np.ix_(*numbers)].squeeze(dropped)


def concatenation(
    *xs: Array, axis: int, scalings: tuple[tuple[float, float] | None, ...], zero_point: int
) -> Array:
    """Put tensors one behind the other.

    Parameters
    ----------
    xs : tensors of one type
    axis : int
    scalings : one for each tensor
        Scale and bias, as float32, that bring integers to the output's scale; ``None`` where they
        are of it already.
    zero_point : int
        Of the output.

    Notes
    -----
    ``Concatenation`` in reference/concatenation.h; for uint8 ``ConcatenationWithScaling``, in
    float32.
    """
    parts = []
    for x, scaling in zip(xs, scalings, strict=True):
        if scaling is None:
            parts.append(x)
            continue
        scale, bias = (np.float32(number) for number in scaling)
        value = round_half_away((x.astype(np.float32) * scale + bias).astype(np.float64))
        limits = np.iinfo(x.dtype)
        parts.append(np.clip(value + zero_point, limits.min, limits.max).astype(x.dtype))
    return np.concatenate(parts, axis=axis)


def pack(*xs: Array, axis: int) -> Array:
    """Stack tensors of one shape along a new dimension."""
    return np.stack(xs, axis=axis)
