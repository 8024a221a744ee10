"""Layout ``rows``: the image's own bytes, nothing repeated, for links slower than the core.

A window begins wherever its column does, which is at a word only for some of them: columns at the
same distance from a word, a *phase*, have weights of their own, with zeros where others' bytes are.
There is no padding at the sides either.  Columns of windows that reach into it are run like the
others of their phase, whatever they meet there, and once more by themselves, with the padding's
products in the bias.

Outputs of a phase have to lie at equal distances, from the end of a row to the next one too.  Where
they do not, each column is run by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from sw.compiler.input.geometry import FirstLayer
from sw.compiler.input.reads import ColumnGroup, SystolicRead, row_steps
from sw.compiler.program.layout import NOTHING, InputLayout

__all__ = ["rows"]

MOST_GROUPS = 40
"""Each is a descriptor, for which the array is idle for a while."""


@dataclass(frozen=True, kw_only=True)
class _Image:
    """Rows of bytes in words.

    Attributes
    ----------
    pitch : int
        Words of a row.
    """

    first: FirstLayer
    pitch: int

    def start(self, x: int) -> int:
        """Return the pixel, within its row, at which a column of windows begins."""
        return x * self.first.stride[1] - self.first.padding[1]

    def inside(self, x: int) -> list[int]:
        """Return the kernel columns that meet pixels of the image."""
        width, dilation = self.first.shape[1], self.first.dilation[1]
        kernel = range(self.first.kernel[1])
        return [j for j in kernel if 0 <= self.start(x) + j * dilation < width]

    def read(self, x: int, kernel: list[int], width: int, step: int) -> SystolicRead:
        """Return how the windows of columns x, x + period … are read, ``width`` of them.

        Parameters
        ----------
        kernel : list of int
            Kernel columns that are wanted.
        step : int
            Words from one window to the next.
        """
        first, columns = self.first, self.first.columns
        channels, lanes = first.shape[2], columns // 2
        places = {
            (self.start(x) + j * first.dilation[1]) * channels + c: (j, c)
            for j in kernel
            for c in range(channels)
        }
        word = min(places) // columns
        used = max(places) + 1 - word * columns
        steps = row_steps(used, first.kernel[0], lanes)
        inner = -(-steps // lanes)
        taps = np.full((first.kernel[0], 2 * steps), NOTHING, np.intp)
        for i in range(first.kernel[0]):
            for place, (j, c) in places.items():
                taps[i, place - word * columns] = first.tap_index((i, j, c))
        down = first.dilation[0] * self.pitch
        last_word = (first.kernel[0] - 1) * down + inner - 1
        return SystolicRead(
            inner=inner,
            middle=first.kernel[0],
            last_steps=steps - lanes * (inner - 1),
            step_inner=1,
            step_middle=down - (inner - 1),
            step_column=step - last_word,
            step_row=first.stride[0] * self.pitch - (width - 1) * step - last_word,
            slots=taps.reshape(-1, 2),
            first=word,
        )


def rows(first: FirstLayer) -> tuple[InputLayout, tuple[ColumnGroup, ...]] | None:
    """Lay the input out in rows of bytes, and return how they are read.

    Returns
    -------
    (layout, groups) or None
        ``None`` if that takes too many groups of columns, or a weight has to be met twice: every
        byte is there once.
    """
    height, width, channels = first.shape
    columns = first.columns
    pitch = -(-width * channels // columns)
    image = _Image(first=first, pitch=pitch)
    if first.again or not all(image.inside(x) for x in range(first.output[1])):
        return None
    groups = list(_groups(image))
    if len(groups) > MOST_GROUPS:
        return None
    image_rows = _span(first.output[0], first.stride[0], first.kernel[0], first.dilation[0])
    # Windows that reach into the padding begin before the first row, and end behind the last.
    before = max(0, *(-group.read.first for group in groups))
    ends = [_end(group.read, group.width, first.output[0]) for group in groups]
    after = max(0, *(end - image_rows * pitch for end in ends))
    if before + after >= pitch:
        # Rows could not be counted any more.
        return None
    index = np.full((image_rows, pitch * columns), NOTHING, np.int32)
    top = first.padding[0]
    for y in range(max(0, top), min(image_rows, top + height)):
        index[y, : width * channels] = np.arange(width * channels) + (y - top) * width * channels
    margins = [np.full((words, columns), NOTHING, np.int32) for words in (before, after)]
    layout = InputLayout(
        kind="rows",
        tensor=first.tensor,
        index=np.concatenate([margins[0], index.reshape(-1, columns), margins[1]]),
        zero_point=first.zero_point,
        row_pitch=pitch,
        row_kernel=_span(1, 1, first.kernel[0], first.dilation[0]),
        row_stride=first.stride[0],
    )
    return layout, tuple(
        replace(group, read=replace(group.read, first=group.read.first + before))
        for group in groups
    )


def _span(windows: int, stride: int, kernel: int, dilation: int) -> int:
    """Return from the first to the last row that so many windows read."""
    return (windows - 1) * stride + (kernel - 1) * dilation + 1


def _end(read: SystolicRead, width: int, height: int) -> int:
    """Return where the last window of all ends, in words."""
    window = (read.middle - 1) * (read.step_middle + read.inner - 1) + read.inner - 1
    row = (width - 1) * (read.step_column + window)
    down = read.step_row + row + window
    return read.first + (height - 1) * down + row + window + 1


def _groups(image: _Image) -> Iterator[ColumnGroup]:
    """Yield what is run over all rows: phases, then columns at the sides; or column by column."""
    first, columns = image.first, image.first.columns
    every = list(range(first.kernel[1]))
    stride = first.stride[1] * first.shape[2]
    period = columns // gcd(columns, stride)
    phases = period if first.output[1] % period == 0 else 0
    for x in range(phases):
        width = first.output[1] // period
        read = image.read(x, every, width, stride * period // columns)
        yield ColumnGroup(read=read, first=x, step=period, width=width)
    for x in range(first.output[1]):
        inside = image.inside(x)
        if phases and inside == every:
            continue
        missing = tuple(
            first.tap_index((i, j, c))
            for i in range(first.kernel[0])
            for j in every
            if j not in inside
            for c in range(first.shape[2])
        )
        yield ColumnGroup(
            read=image.read(x, inside, 1, 0),
            first=x,
            step=first.output[1],
            width=1,
            missing=missing,
        )
