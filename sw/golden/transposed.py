"""TRANSPOSE_CONV."""

from __future__ import annotations

import numpy as np

from common.arrays import Array, Ints
from sw.golden.primitives import IntLike, wrap_int32
from sw.golden.requantisation import Requantisation

__all__ = ["transpose_conv"]


def transpose_conv(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
    size: tuple[int, int],
    multiplier: IntLike,
    shift: IntLike,
    requantisation: Requantisation,
) -> Array:
    """Add a kernel for every pixel, and requantise.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
    weights : (K, R, S, C) of the same type
    bias : (K,) int32 or None
    stride, padding : (rows, columns)
        Pixel (i, j) adds to outputs from i × stride − padding on.
    size : (height, width)
        Of the output.
    multiplier, shift : int or (K,) int

    Returns
    -------
    (N, height, width, K) of the type of ``x``

    Notes
    -----
    ``TransposeConv`` in integer_ops/transpose_conv.h (int8) and reference/transpose_conv.h.
    """
    offset = x.astype(np.int64) - input_zero_point
    w = weights.astype(np.int64) - weights_zero_point
    count, height, width, _ = x.shape
    kernel = w.shape[1:3]
    # All that is written anywhere, and what of it the output is.
    whole = [(n - 1) * s + k for n, s, k in zip((height, width), stride, kernel, strict=True)]
    extent = [max(n, p + m) for n, p, m in zip(whole, padding, size, strict=True)]
    total: Ints = np.zeros((count, *extent, w.shape[0]), np.int64)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i, i + (height - 1) * stride[0] + 1, stride[0])
            columns = slice(j, j + (width - 1) * stride[1] + 1, stride[1])
            # Nine-bit factors: float64, and with it BLAS, is exact.
            product = offset.astype(np.float64) @ w[:, i, j].T.astype(np.float64)
            total[:, rows, columns] += np.rint(product).astype(np.int64)
    (top, left), (rows_out, columns_out) = padding, size
    accumulator = total[:, top : top + rows_out, left : left + columns_out]
    if bias is not None:
        accumulator = accumulator + bias.astype(np.int64)
    return requantisation.outputs(wrap_int32(accumulator), multiplier, shift).astype(x.dtype)
