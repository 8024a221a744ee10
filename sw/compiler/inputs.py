"""How the host lays the network's input out in the device's memory.

The SERIAL mode reads whole words in order and has no padding of its own, so the host writes the
input the way the first layer reads it: with physical padding, with pixels grouped so that windows
start at words, and with bytes repeated where that saves steps.  A layout is nothing but a table
that says which element of the tensor each byte of memory holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sw import ir

__all__ = [
    "NOTHING",
    "FirstLayer",
    "InputLayout",
    "Pass",
    "SerialRead",
    "candidates",
    "dense",
    "dense_read",
    "row_steps",
]

Tap = tuple[int, int, int]
"""(kernel row, kernel column, input channel)."""

NOTHING = -1
SHORT_GAP = 4
"""Words of padding that are rather sent than left out: a request of its own is no shorter."""


@dataclass(frozen=True, kw_only=True, eq=False)
class InputLayout:
    """Where the elements of an input tensor lie.

    Attributes
    ----------
    kind : str
        Name of the scheme, for people.
    tensor : int
        Number of the tensor.
    index : (words, columns) int32
        Position in the flattened tensor, or −1 for the zero point.
    zero_point : int
        int8.
    row_pitch : int
        Words of a row; of the whole tensor if it has none.
    row_kernel, row_stride : int
        Rows that a row of windows reads, and rows from one row of windows to the next.
    """

    kind: str
    tensor: int
    index: npt.NDArray[np.int32]
    zero_point: int
    row_pitch: int
    row_kernel: int = 1
    row_stride: int = 1

    @property
    def words(self) -> int:
        """Size in memory."""
        return len(self.index)

    @property
    def runs(self) -> list[tuple[int, int]]:
        """What differs from one input to the next: (first word, words), in ascending order."""
        changing = np.flatnonzero((self.index != NOTHING).any(axis=1))
        breaks = np.flatnonzero(np.diff(changing) > SHORT_GAP + 1) + 1
        return [
            (int(run[0]), int(run[-1] - run[0]) + 1)
            for run in np.split(changing, breaks)
            if len(run)
        ]

    def pack(self, x: npt.NDArray[np.integer]) -> npt.NDArray[np.int8]:
        """Return the words to write.

        Parameters
        ----------
        x : ndarray of int8 or uint8
            The tensor as the network defines it; uint8 becomes int8 by subtracting 128.

        Returns
        -------
        (words, columns) int8
        """
        values = x.astype(np.int16).ravel() - (128 if x.dtype == np.uint8 else 0)
        return np.append(values, self.zero_point).astype(np.int8)[self.index]


@dataclass(frozen=True, kw_only=True, eq=False)
class SerialRead:
    """How a SERIAL layer walks over its input, and what it meets.

    Attributes
    ----------
    inner, middle, last_steps : int
        See :class:`hw.command.Descriptor`.
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
    read : SerialRead
    first, step, width : int
        Columns first, first + step …, so many of them.
    missing : tuple of int
        Taps that are padding and not in memory.
    """

    read: SerialRead
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
        tensor=tensor.index,
        index=index.reshape(-1, columns),
        zero_point=zero_point,
        row_pitch=pixels // (tensor.shape[1] if len(tensor.shape) == 4 else 1) * words,
    )


def candidates(
    first: FirstLayer, tensor: int, zero_point: int, columns: int
) -> Iterator[tuple[InputLayout, SerialRead]]:
    """Yield the ways to lay out the input of a convolution, with how the layer reads each.

    - ``windows``: all bytes of a window, one after another.  Fewest steps, most memory.
    - ``units``: for every column of windows and row of the image one unit of a few words: the
      pixels that the next column of windows does not share, then as much of the kernel row as
      there is room.  What is missing stands at the beginning of the next unit.
    - ``pixels``: one or more whole words per pixel.
    """
    yield _windows(first, tensor, zero_point, columns)
    if first.dilation == (1, 1):
        row_bytes = first.kernel[1] * first.shape[2]
        for words in range(1, -(-row_bytes // columns) + 1):
            found = _units(first, words, tensor, zero_point, columns)
            if found is not None:
                yield found
        if not first.again:
            yield _pixels(first, tensor, zero_point, columns)


def row_steps(size: int, rows: int, lanes: int) -> int:
    """Return the steps of a kernel row of so many bytes, of so many kernel rows."""
    # The hardware takes at least so many steps for a window, and two for one of several rows.
    return max(-(-size // 2), -(-lanes // rows), 2 if rows > 1 else 1)


def _taps(first: FirstLayer, rows: range) -> list[Tap]:
    return [(i, j, c) for i in rows for j in range(first.kernel[1]) for c in range(first.shape[2])]


def _slots(taps: list[int], steps: int, rows: int) -> npt.NDArray[np.intp]:
    padded = (taps + [NOTHING] * (steps * rows))[: steps * rows]
    return np.array(padded, np.intp).reshape(steps, rows)


def _layout(
    kind: str,
    tensor: int,
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


def _windows(
    first: FirstLayer, tensor: int, zero_point: int, columns: int
) -> tuple[InputLayout, SerialRead]:
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
    read = SerialRead(
        inner=words,
        middle=1,
        last_steps=steps - lanes * (words - 1),
        step_inner=1,
        step_middle=0,
        step_column=1,
        step_row=1,
        slots=_slots([first.tap_index(tap) for tap in taps], steps, 2),
    )
    layout = _layout(
        "windows", tensor, zero_point, rows, columns, rows=first.output[0], kernel=1, stride=1
    )
    return layout, read


def _unit_bytes(
    first: FirstLayer, row: int, borrowed: int, size: int
) -> list[tuple[int, int]] | None:
    """Choose the (column, channel) of every byte of a unit, for one class of image rows.

    Parameters
    ----------
    row : int
        Image row modulo the stride.
    borrowed : int
        Bytes that a window reads of the next unit.
    size : int
        Bytes of a unit.

    Returns
    -------
    list of (column, channel), or None
        ``None`` if they do not fit.
    """
    stride, width, channels = first.stride[1], first.kernel[1], first.shape[2]
    pixels = [(j, c) for j in range(width) for c in range(channels)]
    wanted = Counter(pixels)
    extra = [
        {(j, c) for i, j, c in first.again if i == kernel_row}
        for kernel_row in range(row, first.kernel[0], first.stride[0])
    ]
    wanted += Counter(set().union(*extra))
    # What stands first is met twice: as itself, and by the window before, further right.
    shared = [(j, c) for j, c in pixels if j + stride < width]
    twice = sorted(shared, key=lambda p: wanted[(p[0] + stride, p[1])], reverse=True)
    front = twice[:borrowed]
    for j, c in front:
        wanted[(j, c)] -= 1
        wanted[(j + stride, c)] -= 1
    rest = sorted((+wanted).elements())
    unit = front + rest
    if len(unit) > size:
        return None
    # The front must be whole even if there is nothing useful to put there.
    return unit + [(-1, -1)] * (size - len(unit))


def _units(
    first: FirstLayer, words: int, tensor: int, zero_point: int, columns: int
) -> tuple[InputLayout, SerialRead] | None:
    classes = range(min(first.stride[0], first.kernel[0]))
    size = words * columns
    units: list[list[tuple[int, int]]] = []
    borrowed = 0
    for borrowed in range(0, size + 1, 2):
        found = [_unit_bytes(first, row, borrowed, size) for row in classes]
        if all(unit is not None for unit in found):
            units = [unit for unit in found if unit is not None]
            break
    else:
        return None
    stride, lanes = first.stride[1], columns // 2
    used = max(i for unit in units for i, p in enumerate(unit) if p[0] >= 0) + 1
    row_bytes = size + borrowed if borrowed else used
    steps = row_steps(row_bytes, first.kernel[0], lanes)
    inner = -(-steps // lanes)
    tail = inner - words
    pitch = first.output[1] * words + max(tail, 0)
    image_rows = (first.output[0] - 1) * first.stride[0] + first.kernel[0]
    rows = []
    for y in range(image_rows):
        # Image rows that no kernel row meets (stride beyond the kernel) are left empty.
        unit = units[y % first.stride[0]] if y % first.stride[0] < len(units) else []
        line = [
            first.element(y, x * stride + j, c) if j >= 0 else NOTHING
            for x in range(first.output[1] + 1)
            for j, c in unit
        ]
        rows.append((line + [NOTHING] * (pitch * columns))[: pitch * columns])
    taps: list[int] = []
    for i in range(first.kernel[0]):
        unit = units[i % first.stride[0]]
        ahead = [(j + stride, c) if j >= 0 else (j, c) for j, c in unit]
        line_taps = [
            first.tap_index((i, j, c)) if 0 <= j < first.kernel[1] else NOTHING
            for j, c in (unit + ahead)[: steps * 2]
        ]
        taps += line_taps + [NOTHING] * (steps * 2 - len(line_taps))
    last_word = (first.kernel[0] - 1) * pitch + inner - 1
    read = SerialRead(
        inner=inner,
        middle=first.kernel[0],
        last_steps=steps - lanes * (inner - 1),
        step_inner=1,
        step_middle=pitch - (inner - 1),
        step_column=words - last_word,
        step_row=first.stride[0] * pitch - (first.output[1] - 1) * words - last_word,
        slots=_slots(taps, steps * first.kernel[0], 2),
    )
    layout = _layout(
        "units", tensor, zero_point, rows, columns,
        rows=image_rows, kernel=first.kernel[0], stride=first.stride[0],
    )
    return layout, read


def _pixels(
    first: FirstLayer, tensor: int, zero_point: int, columns: int
) -> tuple[InputLayout, SerialRead]:
    height = (first.output[0] - 1) * first.stride[0] + first.kernel[0]
    width = (first.output[1] - 1) * first.stride[1] + first.kernel[1]
    channels = first.shape[2]
    rows = [
        [first.element(y, x, c) for c in range(channels)]
        for y in range(height)
        for x in range(width)
    ]
    read = dense_read(width, channels, first.kernel, first.stride, first.output[1], columns)
    layout = _layout(
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
) -> SerialRead:
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
    return SerialRead(
        inner=inner,
        middle=kernel[0],
        last_steps=last_steps,
        step_inner=1,
        step_middle=pitch - (inner - 1),
        step_column=step - last_word,
        step_row=stride[0] * pitch - (output_width - 1) * step - last_word,
        slots=_slots(taps, row_steps * kernel[0], 2),
    )
