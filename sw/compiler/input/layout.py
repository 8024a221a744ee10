"""How the host lays the network's input out in the device's memory.

The SYSTOLIC mode reads whole words in order and has no padding of its own, so the host writes the
input the way the first layer reads it: with physical padding, with pixels grouped so that windows
start at words, and with bytes repeated where that saves steps.  A layout is nothing but a table
that says which element of the tensor each byte of memory holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sw import ir
from sw.compiler.program.layout import NOTHING, InputLayout
from sw.compiler.program.tensors import Place

__all__ = [
    "FirstLayer",
    "Pass",
    "SystolicRead",
    "dense",
    "dense_read",
    "layout_of",
    "pixels",
    "row_steps",
    "slots_of",
    "windows",
]

Tap = tuple[int, int, int]
"""(kernel row, kernel column, input channel)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SystolicRead:
    """How a SYSTOLIC layer walks over its input, and what it meets.

    Attributes
    ----------
    inner, middle, last_steps : int
        See :class:`hw.contract.descriptors.Descriptor`.
    step_inner, step_middle, step_column, step_row : int
    slots : (steps, rows) int
        The tap that each byte meets, counted row, column, channel; −1 for none.
    first : int
        Words from the tensor's beginning to the first one read, possibly negative.
    parts : int
        Windows that a sum is made of (``partial``); ``slots`` are those of all of them.
    """

    inner: int
    middle: int
    last_steps: int
    step_inner: int
    step_middle: int
    step_column: int
    step_row: int
    slots: npt.NDArray[np.intp]
    first: int = 0
    parts: int = 1

    @property
    def steps(self) -> int:
        """Steps of a window."""
        return len(self.slots) // self.parts


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass:
    """Columns of windows that are read alike, over all rows.

    Attributes
    ----------
    read : SystolicRead
    first, step, width : int
        Columns first, first + step …, so many of them.
    missing : tuple of int
        Taps that are padding and not in memory.
    """

    read: SystolicRead
    first: int = 0
    step: int = 1
    width: int
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FirstLayer:
    """Geometry of a convolution that reads the network's input.

    Attributes
    ----------
    shape : (height, width, channels)
        Of the input.
    output : (height, width)
    kernel, stride, dilation : (rows, columns)
    padding : (top, left)
    again : frozenset of Tap
        Taps that some weights need twice, being beyond int8.
    """

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


def row_steps(size: int, rows: int, lanes: int) -> int:
    """Return the steps of a kernel row of so many bytes, of so many kernel rows."""
    # The hardware takes at least so many steps for a window, and two for one of several rows.
    return max(-(-size // 2), -(-lanes // rows), 2 if rows > 1 else 1)


def _taps(first: FirstLayer, rows: range) -> list[Tap]:
    return [(i, j, c) for i in rows for j in range(first.kernel[1]) for c in range(first.shape[2])]


def slots_of(taps: list[int], steps: int, rows: int) -> npt.NDArray[np.intp]:
    padded = (taps + [NOTHING] * (steps * rows))[: steps * rows]
    return np.array(padded, np.intp).reshape(steps, rows)


def layout_of(
    kind: str,
    tensor: Place,
    zero_point: int,
    units: list[list[int]],
    columns: int,
    *,
    rows: int,
    kernel: int,
    stride: int,
) -> InputLayout:
    """Make a layout of lists of element positions, each padded to whole words."""
    flat = [e for unit in units for e in unit + [NOTHING] * (-len(unit) % columns)]
    index = np.array(flat, np.int32).reshape(-1, columns)
    return InputLayout(
        kind=kind,
        tensor=tensor,
        index=index,
        zero_point=zero_point,
        row_pitch=len(index) // rows,
        row_kernel=kernel,
        row_stride=stride,
    )


def windows(
    first: FirstLayer, tensor: Place, zero_point: int, columns: int
) -> tuple[InputLayout, SystolicRead]:
    taps = _taps(first, range(first.kernel[0])) + sorted(first.again)
    words = -(-len(taps) // columns)
    rows = []
    for y in range(first.output[0]):
        for x in range(first.output[1]):
            top, left = y * first.stride[0], x * first.stride[1]
            rows.append(
                [
                    first.element(top + i * first.dilation[0], left + j * first.dilation[1], c)
                    for i, j, c in taps
                ]
            )
    lanes = columns // 2
    steps = max(-(-len(taps) // 2), lanes)
    read = SystolicRead(
        inner=words,
        middle=1,
        last_steps=steps - lanes * (words - 1),
        step_inner=1,
        step_middle=0,
        step_column=1,
        step_row=1,
        slots=slots_of([first.tap_index(tap) for tap in taps], steps, 2),
    )
    layout = layout_of(
        "windows", tensor, zero_point, rows, columns, rows=first.output[0], kernel=1, stride=1
    )
    return layout, read


def pixels(
    first: FirstLayer, tensor: Place, zero_point: int, columns: int
) -> tuple[InputLayout, SystolicRead]:
    height = (first.output[0] - 1) * first.stride[0] + first.kernel[0]
    width = (first.output[1] - 1) * first.stride[1] + first.kernel[1]
    channels = first.shape[2]
    rows = [
        [first.element(y, x, c) for c in range(channels)]
        for y in range(height)
        for x in range(width)
    ]
    read = dense_read(width, channels, first.kernel, first.stride, first.output[1], columns)
    layout = layout_of(
        "pixels", tensor, zero_point, rows, columns,
        rows=height, kernel=first.kernel[0], stride=first.stride[0],
    )
    return layout, read


def dense_read(
    width: int,
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    output_width: int,
    columns: int,
) -> SystolicRead:
    """Return how a convolution without padding reads a dense tensor.

    Parameters
    ----------
    width, channels : int
        Of the tensor.
    kernel, stride : (rows, columns)
    output_width : int
        Windows in a row.
    columns : int
        Channels in a word.
    """
    words, lanes = -(-channels // columns), columns // 2
    pitch, inner = width * words, kernel[1] * words
    last_steps = -(-(channels - (words - 1) * columns) // 2)
    if kernel[0] * (lanes * (inner - 1) + last_steps) < lanes or inner == last_steps == 1:
        last_steps = lanes
    row_steps = lanes * (inner - 1) + last_steps
    taps: list[int] = []
    for i in range(kernel[0]):
        line = [
            (i * kernel[1] + j) * channels + c if c < channels else NOTHING
            for j in range(kernel[1])
            for c in range(words * columns)
        ]
        taps += line[: 2 * row_steps]
    last_word = (kernel[0] - 1) * pitch + inner - 1
    step = stride[1] * words
    return SystolicRead(
        inner=inner,
        middle=kernel[0],
        last_steps=last_steps,
        step_inner=1,
        step_middle=pitch - (inner - 1),
        step_column=step - last_word,
        step_row=stride[0] * pitch - (output_width - 1) * step - last_word,
        slots=slots_of(taps, row_steps * kernel[0], 2),
    )
