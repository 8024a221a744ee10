"""Reads: how the SYSTOLIC mode walks over words of its input, window by window.

It reads whole words in order, and has no padding of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sw.compiler.program.layout import NOTHING

__all__ = ["ColumnGroup", "SystolicRead", "dense_read", "row_steps", "slots_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SystolicRead:
    """Walk of a SYSTOLIC layer over its input, and the taps that it meets.

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

    @property
    def fields(self) -> dict[str, int]:
        """What a descriptor is told of the walk, but for its windows and where it begins."""
        names = ("inner", "middle", "last_steps", "steps")
        steps = ("step_inner", "step_middle", "step_column", "step_row")
        return {name: int(getattr(self, name)) for name in (*names, *steps)}


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnGroup:
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


def row_steps(size: int, rows: int, lanes: int) -> int:
    """Return the steps of a kernel row of so many bytes, of so many kernel rows."""
    # The hardware takes at least so many steps for a window, and two for one of several rows.
    return max(-(-size // 2), -(-lanes // rows), 2 if rows > 1 else 1)


def slots_of(taps: list[int], steps: int, rows: int) -> npt.NDArray[np.intp]:
    """Return taps two by two, as a read has them, with nothing behind the last: (steps, rows)."""
    padded = (taps + [NOTHING] * (steps * rows))[: steps * rows]
    return np.array(padded, np.intp).reshape(steps, rows)


def dense_read(
    width: int,
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    output_width: int,
    columns: int,
    *,
    dilation: tuple[int, int] = (1, 1),
    distance: int | None = None,
) -> SystolicRead:
    """Return how a convolution without padding reads a dense tensor.

    Parameters
    ----------
    width, channels : int
        Of the tensor; the width with what lies between two rows.
    kernel, stride, dilation : (rows, columns)
        Columns between those of a dilated kernel are read, and meet no weights, if a pixel has
        several words.
    output_width : int
        Windows in a row.
    columns : int
        Channels in a word.
    distance : int, optional
        Words from one pixel to the next, if channels are one word of several.
    """
    words, lanes = -(-channels // columns), columns // 2
    distance = words if distance is None else distance
    # Words of the inner level lie at equal distances.
    spread = 1 if words == 1 else dilation[1]
    step_inner = dilation[1] * distance if words == 1 else 1
    pitch, inner = width * distance, ((kernel[1] - 1) * spread + 1) * words
    last_steps = -(-(channels - (words - 1) * columns) // 2)
    if kernel[0] * (lanes * (inner - 1) + last_steps) < lanes or inner == last_steps == 1:
        last_steps = lanes
    row_steps = lanes * (inner - 1) + last_steps
    taps: list[int] = []
    for i in range(kernel[0]):
        line = [
            (i * kernel[1] + j // spread) * channels + c
            if c < channels and not j % spread
            else NOTHING
            for j in range(inner // words)
            for c in range(words * columns)
        ]
        taps += line[: 2 * row_steps]
    across, down = (inner - 1) * step_inner, dilation[0] * pitch
    last_word = (kernel[0] - 1) * down + across
    step = stride[1] * distance
    return SystolicRead(
        inner=inner,
        middle=kernel[0],
        last_steps=last_steps,
        step_inner=step_inner,
        step_middle=down - across,
        step_column=step - last_word,
        step_row=stride[0] * pitch - (output_width - 1) * step - last_word,
        slots=slots_of(taps, row_steps * kernel[0], 2),
    )
