"""Pixels as integers of a network's input."""

from __future__ import annotations

import numpy as np

from common.arrays import Array
from sw import ir
from sw.golden.floats import quantize_float

__all__ = ["pixel_table"]

VALUES = 256
"""Of a channel of a pixel."""


def pixel_table(tensor: ir.Tensor) -> Array:
    """Return what every value of a pixel becomes, by channel.

    Parameters
    ----------
    tensor : Tensor
        The network's input, int8 or uint8.

    Returns
    -------
    (C, 256) of the tensor's type
        C is 1 where all channels are alike.

    Raises
    ------
    OverflowError
        If a normalised pixel is far beyond what can be quantised.

    Notes
    -----
    Without a normalisation, integers are the pixels, the lowest of them black.  With one, they are
    what QUANTIZE makes of (pixel − mean) / deviation, in float32: a file that takes float32 has the
    same integers behind its QUANTIZE.
    """
    pixels = np.arange(VALUES)
    if tensor.normalisation is None:
        return (pixels + int(np.iinfo(tensor.dtype).min)).astype(tensor.dtype)[None]
    means = np.array(tensor.normalisation.means, np.float32)[:, None]
    deviations = np.array(tensor.normalisation.deviations, np.float32)[:, None]
    with np.errstate(over="ignore"):
        real = (pixels.astype(np.float32) - means) / deviations
    q = tensor.q
    return quantize_float(real, dtype=tensor.dtype, scale=q.scale, zero_point=q.zero_point)
