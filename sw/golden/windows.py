"""Windows that slide over height and width."""

from __future__ import annotations

import numpy as np

from sw.golden.primitives import Ints
from sw.ir import Padding, conv_output_size

__all__ = ["spatial_pad", "taps"]


def spatial_pad(x: Ints, padding: Padding) -> Ints:
    """Pad height and width with 0: operands are offset by the zero point already."""
    return np.pad(x, ((0, 0), *padding, (0, 0)))


def taps(
    x: Ints, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> list[tuple[int, int, Ints]]:
    """List (row, column, view of the inputs that this tap of the kernel meets)."""
    rows, columns = (
        conv_output_size(x.shape[1 + d], kernel[d], stride[d], dilation[d], (0, 0)) for d in (0, 1)
    )
    views = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            bottom = top + (rows - 1) * stride[0] + 1
            right = left + (columns - 1) * stride[1] + 1
            views.append((i, j, x[:, top : bottom : stride[0], left : right : stride[1], :]))
    return views
