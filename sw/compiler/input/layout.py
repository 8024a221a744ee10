"""Layouts: which element of the tensor each byte of memory holds.

The SYSTOLIC mode has no padding of its own, so the host writes the input the way the first layer
reads it: with physical padding, with pixels grouped so that windows start at words, and with bytes
repeated where that saves steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sw import ir
from sw.compiler.input.geometry import FirstLayer
from sw.compiler.program.layout import NOTHING, InputLayout
from sw.compiler.program.tensors import Place

__all__ = ["dense", "layout_of"]


def dense(
    tensor: ir.Tensor, zero_point: int, columns: int, kept: Sequence[int] | None = None
) -> InputLayout:
    """Lay a tensor out like every other one: pixel by pixel, channels padded to whole words.

    ``kept`` are the channels that are stored, if not all are.
    """
    channels = tensor.shape[-1] if tensor.shape else 1
    stored = np.arange(channels) if kept is None else np.array(kept)
    pixels = tensor.size // channels
    words = -(-len(stored) // columns)
    index = np.full((pixels, words * columns), NOTHING, np.int32)
    elements = np.arange(tensor.size, dtype=np.int32).reshape(pixels, channels)
    index[:, : len(stored)] = elements[:, stored]
    return InputLayout(
        kind="dense",
        tensor=Place(tensor.index),
        index=index.reshape(-1, columns),
        zero_point=zero_point,
        row_pitch=pixels // (tensor.shape[1] if len(tensor.shape) == 4 else 1) * words,
    )


def layout_of(
    kind: str,
    first: FirstLayer,
    units: list[list[int]],
    *,
    rows: int,
    kernel: int,
    stride: int,
) -> InputLayout:
    """Make a layout of lists of element positions, each padded to whole words."""
    flat = [e for unit in units for e in unit + [NOTHING] * (-len(unit) % first.columns)]
    index = np.array(flat, np.int32).reshape(-1, first.columns)
    return InputLayout(
        kind=kind,
        tensor=first.tensor,
        index=index,
        zero_point=first.zero_point,
        row_pitch=len(index) // rows,
        row_kernel=kernel,
        row_stride=stride,
    )
