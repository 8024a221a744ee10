"""Geometry of the layer that reads the network's input."""

from __future__ import annotations

from dataclasses import dataclass

from sw.compiler.program.layout import NOTHING
from sw.compiler.program.tensors import Place

__all__ = ["FirstLayer", "Tap"]

Tap = tuple[int, int, int]
"""(kernel row, kernel column, input channel)."""


@dataclass(frozen=True, kw_only=True)
class FirstLayer:
    """Geometry of a convolution that reads the network's input.

    Attributes
    ----------
    tensor : Place
        The input.
    zero_point : int
        Of the input, int8.
    columns : int
        Channels in a word of memory.
    shape : (height, width, channels)
        Of the input.
    output : (height, width)
    kernel, stride, dilation : (rows, columns)
    padding : (top, left)
    again : frozenset of Tap
        Taps that some weights need twice, being beyond int8.
    """

    tensor: Place
    zero_point: int
    columns: int
    shape: tuple[int, int, int]
    output: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int]
    again: frozenset[Tap] = frozenset()

    def element(self, row: int, column: int, channel: int) -> int:
        """Return the position in the tensor of an element of the padded image."""
        row, column = row - self.padding[0], column - self.padding[1]
        height, width, channels = self.shape
        if not (0 <= row < height and 0 <= column < width):
            return NOTHING
        return (row * width + column) * channels + channel

    def tap_index(self, tap: Tap) -> int:
        """Return a tap's position among the weights of a channel."""
        row, column, channel = tap
        return (row * self.kernel[1] + column) * self.shape[2] + channel
