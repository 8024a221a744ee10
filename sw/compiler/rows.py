"""The input as it is: rows of bytes, nothing repeated, for links that are slower than the core.

A window begins wherever its column does, which is at a word only for some of them: columns at the
same distance from a word, a *phase*, have weights of their own, with zeros where others' bytes are.
There is no padding at the sides either.  Columns of windows that reach into it are run like the
others of their phase, whatever they meet there, and once more by themselves, with the padding's
products in the bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd

import numpy as np

from sw.compiler.inputs import NOTHING, FirstLayer, InputLayout, Pass, SerialRead, row_steps

__all__ = ["rows"]

MOST_EDGES = 8
"""Columns of windows that are run twice, at most."""


@dataclass(frozen=True, kw_only=True)
class _Image:
    """Rows of bytes in words.

    Attributes
    ----------
    pitch : int
        Words of a row.
    before : int
        Words of nothing before the first row, for windows that begin left of it.
    """

    first: FirstLayer
    columns: int
    pitch: int
    before: int

    def start(self, x: int) -> int:
        """Return the pixel, within its row, at which a column of windows begins."""
        return x * self.first.stride[1] - self.first.padding[1]

    def inside(self, x: int) -> list[int]:
        """Return the kernel columns that meet pixels of the image."""
        width, dilation = self.first.shape[1], self.first.dilation[1]
        kernel = range(self.first.kernel[1])
        return [j for j in kernel if 0 <= self.start(x) + j * dilation < width]

    def read(self, x: int, kernel: list[int], width: int, step: int) -> SerialRead:
        """Return how the windows of columns x, x + period … are read, ``width`` of them.

        Parameters
        ----------
        kernel : list of int
            Kernel columns that are wanted.
        step : int
            Words from one window to the next.
        """
        first, columns = self.first, self.columns
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
        return SerialRead(
            inner=inner,
            middle=first.kernel[0],
            last_steps=steps - lanes * (inner - 1),
            step_inner=1,
            step_middle=down - (inner - 1),
            step_column=step - last_word,
            step_row=first.stride[0] * self.pitch - (width - 1) * step - last_word,
            slots=taps.reshape(-1, 2),
            first=self.before + word,
        )


def rows(
    first: FirstLayer, tensor: int, zero_point: int, columns: int
) -> tuple[InputLayout, tuple[Pass, ...]] | None:
    """Lay the input out in rows of bytes.

    Returns
    -------
    (layout, passes) or None
        ``None`` if outputs of a phase would not lie at equal distances, or a weight has to be met
        twice: every byte is there once.
    """
    height, width, channels = first.shape
    stride = first.stride[1] * channels
    period = columns // gcd(columns, stride)
    if first.again or first.output[1] % period:
        return None
    pitch = -(-width * channels // columns)
    image = _Image(
        first=first,
        columns=columns,
        pitch=pitch,
        before=-(-first.padding[1] * channels // columns),
    )
    if not all(image.inside(x) for x in range(first.output[1])):
        return None
    passes = tuple(_passes(image, period, stride * period // columns))
    if len(passes) > period + MOST_EDGES:
        return None
    image_rows = (first.output[0] - 1) * first.stride[0] + (
        first.kernel[0] - 1
    ) * first.dilation[0] + 1
    ends = [
        p.read.first
        + (image_rows - 1) * pitch
        + (p.width - 1) * stride * period // columns
        + p.read.inner
        for p in passes
    ]
    after = max(0, *(end - image.before - image_rows * pitch for end in ends))
    if image.before + after >= pitch:
        # Rows could not be counted any more.
        return None
    index = np.full((image_rows, pitch * columns), NOTHING, np.int32)
    top = first.padding[0]
    shown = range(max(0, top), min(image_rows, top + height))
    for y in shown:
        index[y, : width * channels] = np.arange(width * channels) + (y - top) * width * channels
    lead = np.full((image.before, columns), NOTHING, np.int32)
    trail = np.full((after, columns), NOTHING, np.int32)
    layout = InputLayout(
        kind="rows",
        tensor=tensor,
        index=np.concatenate([lead, index.reshape(-1, columns), trail]),
        zero_point=zero_point,
        row_pitch=pitch,
        row_kernel=(first.kernel[0] - 1) * first.dilation[0] + 1,
        row_stride=first.stride[0],
    )
    return layout, passes


def _passes(image: _Image, period: int, step: int) -> Iterator[Pass]:
    """Yield what is run over all rows: phases, then columns at the sides."""
    first = image.first
    every = list(range(first.kernel[1]))
    width = first.output[1] // period
    for x in range(period):
        yield Pass(read=image.read(x, every, width, step), first=x, step=period, width=width)
    for x in range(first.output[1]):
        inside = image.inside(x)
        if inside != every:
            outside = set(every) - set(inside)
            missing = tuple(
                first.tap_index((i, j, c))
                for i in range(first.kernel[0])
                for j in sorted(outside)
                for c in range(first.shape[2])
            )
            yield Pass(
                read=image.read(x, inside, 1, 0),
                first=x,
                step=first.output[1],
                width=1,
                missing=missing,
            )
