"""Windows that slide over height and width."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Ints
from sw.ir import NO_PADDING, Padding, conv_output_size

__all__ = ["PLAIN", "Windows", "spatial_pad", "taps"]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of an image: padding and taps, as in :class:`sw.ir.Conv2D`."""

    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING


PLAIN = Windows()


def spatial_pad(x: Ints, padding: Padding) -> Ints:
    """Pad height and width with 0: operands are offset by the zero point already."""
    return np.pad(x, ((0, 0), *padding, (0, 0)))


def taps(x: Ints, kernel: tuple[int, int], windows: Windows) -> list[tuple[int, int, Ints]]:
    """List (row, column, view of the inputs that this tap of the kernel meets).

    Parameters
    ----------
    x : (N, H, W, C) int64
        Padded already.
    kernel : (rows, columns)
    windows : Windows
    """
    stride, dilation = windows.stride, windows.dilation
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
