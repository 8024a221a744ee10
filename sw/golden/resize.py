"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.arrays import Array, Ints
from sw.golden.primitives import round_half_away

__all__ = ["Grid", "resize_bilinear", "resize_nearest_neighbor"]

Floats = npt.NDArray[np.float32]

FRACTION = 10
"""Fraction bits of positions in an int8 image; uint8 images have float32 positions."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Pixels of the result, in the image.

    Attributes
    ----------
    size : (height, width)
        Of the result.
    align_corners : bool
        The centres of the corners lie on each other.
    half_pixel_centers : bool
        Pixels are squares around their centres, not points.
    """

    size: tuple[int, int]
    align_corners: bool
    half_pixel_centers: bool


def _float_positions(length: int, count: int, grid: Grid) -> Floats:
    """Return where pixels of the result lie: ``ComputeInterpolationValues``."""
    step = np.float32(length) / np.float32(count)
    if grid.align_corners and count > 1:
        step = np.float32(length - 1) / np.float32(count - 1)
    numbers = np.arange(count, dtype=np.float32)
    if grid.half_pixel_centers:
        half = np.float32(0.5)
        return (numbers + half) * step - half
    return numbers * step


def _integer_positions(length: int, count: int, grid: Grid) -> Ints:
    """Return where pixels lie, with 10 fraction bits: ``ComputeInterpolationValuesInteger``."""
    step = ((length << FRACTION) + count // 2) // count
    if grid.align_corners and count > 1:
        step = (((length - 1) << FRACTION) + (count - 1) // 2) // (count - 1)
    numbers = np.arange(count, dtype=np.int64)
    if grid.half_pixel_centers:
        return numbers * step + step // 2 - (1 << (FRACTION - 1))
    return numbers * step


def _neighbours(lower: Ints, upper: Ints, length: int) -> tuple[Ints, Ints]:
    """Return the pixels on either side, inside the image.

    Raises
    ------
    OverflowError
        If one lies behind the image: the reference reads whatever is there.
    """
    lower, upper = np.maximum(lower, 0), np.minimum(upper, length - 1)
    if lower.max() >= length:
        raise OverflowError(f"enlarging {length} pixels so much reads behind the image")
    return lower, upper


def _bilinear_int8(x: Array, grid: Grid) -> Array:
    wide = x.astype(np.int64)
    axes = []
    for d in (0, 1):
        position = _integer_positions(x.shape[1 + d], grid.size[d], grid)
        behind = position + (1 << FRACTION) - 1
        # C truncates; a position in front of the image is its first pixel either way.
        lower, upper = _neighbours(position >> FRACTION, behind >> FRACTION, x.shape[1 + d])
        axes.append((lower, upper, position - (lower << FRACTION)))
    (top, bottom, down), (left, right, across) = axes
    down, across = down[:, None, None], across[None, :, None]
    one = 1 << FRACTION
    total: Ints = (
        wide[:, top][:, :, left] * (one - down) * (one - across)
        + wide[:, bottom][:, :, left] * down * (one - across)
        + wide[:, top][:, :, right] * (one - down) * across
        + wide[:, bottom][:, :, right] * down * across
    )
    half = 1 << (2 * FRACTION - 1)
    magnitude: Ints = (np.abs(total) + half) >> (2 * FRACTION)
    return np.where(total < 0, -magnitude, magnitude).astype(x.dtype)


def _bilinear_uint8(x: Array, grid: Grid) -> Array:
    wide = x.astype(np.float32)
    axes = []
    for d in (0, 1):
        position = _float_positions(x.shape[1 + d], grid.size[d], grid)
        floor, ceiling = (f(position).astype(np.int64) for f in (np.floor, np.ceil))
        lower, upper = _neighbours(floor, ceiling, x.shape[1 + d])
        axes.append((lower, upper, position - lower.astype(np.float32)))
    (top, bottom, down), (left, right, across) = axes
    down, across = down[:, None, None], across[None, :, None]
    one = np.float32(1)
    # The order of the operations is the reference's: each of them rounds to float32.
    total: Floats = (
        wide[:, top][:, :, left] * (one - down) * (one - across)
        + wide[:, bottom][:, :, left] * down * (one - across)
        + wide[:, top][:, :, right] * (one - down) * across
        + wide[:, bottom][:, :, right] * down * across
        + np.float32(0.5)
    )
    return total.astype(np.int64).astype(x.dtype)


def resize_bilinear(x: Array, *, grid: Grid) -> Array:
    """Interpolate between the four pixels around each position.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
    grid : Grid

    Returns
    -------
    (N, H', W', C) of the type of ``x``

    Raises
    ------
    OverflowError
        If the reference reads behind the image.

    Notes
    -----
    ``ResizeBilinearInteger`` (int8) and ``ResizeBilinear`` (uint8, in float32) in
    reference/resize_bilinear.h.
    """
    return _bilinear_int8(x, grid) if x.dtype == np.int8 else _bilinear_uint8(x, grid)


def _nearest(length: int, count: int, grid: Grid) -> Ints:
    """Return the nearest pixels: ``GetNearestNeighbor``."""
    step = np.float32(length) / np.float32(count)
    if grid.align_corners and count > 1:
        step = np.float32(length - 1) / np.float32(count - 1)
    offset = np.float32(0.5 if grid.half_pixel_centers else 0)
    position = (np.arange(count, dtype=np.float32) + offset) * step
    exact = position.astype(np.float64)
    whole = round_half_away(exact) if grid.align_corners else np.floor(exact).astype(np.int64)
    return np.minimum(whole, length - 1)


def resize_nearest_neighbor(x: Array, *, grid: Grid) -> Array:
    """Take the nearest pixel.

    Parameters
    ----------
    x : (N, H, W, C)
    grid : Grid

    Notes
    -----
    ``ResizeNearestNeighbor`` in reference/resize_nearest_neighbor.h.
    """
    rows, columns = (_nearest(x.shape[1 + d], grid.size[d], grid) for d in (0, 1))
    return np.ascontiguousarray(x[:, rows][:, :, columns])
