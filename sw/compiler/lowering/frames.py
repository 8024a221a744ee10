"""Frames: images copied into memory of their own, with padding around them.

The SYSTOLIC mode has no padding: it reads whole words at equal distances.  A layer that wants
padding copies its input, 4 steps a word, with zero points where the padding is, and reads the copy.

The padding of the right side of a row is that of the left side of the next one.  Rows are copied
with so many words more, which are anything, and then overwritten: a descriptor's outputs lie at
equal distances.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw.contract.blocks import Block
from hw.contract.config import CoreConfig
from hw.contract.modes import Mode, minimum_steps
from sw.compiler.graph.refusals import Rule
from sw.compiler.lowering.addition import rectangles
from sw.compiler.lowering.layers import Command
from sw.compiler.lowering.turns import MAX_COUNT
from sw.compiler.program.tensors import Place

__all__ = ["HALF", "PADDED_SIZE", "Frame", "Rows", "framed"]

HALF = 1 << 30
"""Multiplier of one half: twice a value, scaled by it, is that value, whichever way is rounded."""

PADDED_SIZE = Rule(
    f"An input with its padding must be at most {MAX_COUNT}x{MAX_COUNT} pixels",
    "use smaller images",
)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of an image in memory.

    Attributes
    ----------
    at : tuple of (Place, int)
        For each row: where it lies, words from the place's beginning.
    pitch, distance : int
        Words of a row, and from one pixel to the next.
    words : tuple of int
        Words of a pixel, in the order in which they are wanted, possibly several times.
    zero_point : int
        int8.
    """

    at: tuple[tuple[Place, int], ...]
    pitch: int
    distance: int
    words: tuple[int, ...]
    zero_point: int

    @property
    def runs(self) -> Iterator[tuple[int, int]]:
        """First row and number of the rows that follow each other in memory."""
        first = 0
        for row in range(1, len(self.at) + 1):
            (place, before), here = self.at[row - 1], self.at[row : row + 1]
            if here != ((place, before + self.pitch),):
                yield first, row - first
                first = row


@dataclass(frozen=True, kw_only=True)
class Frame:
    """An image with padding around it, in memory.

    Attributes
    ----------
    rows, width : int
        Of the image, without padding.
    top, bottom, left, right : int
        Rows and columns of padding.
    words : int
        Of a pixel.
    """

    rows: int
    width: int
    top: int
    bottom: int
    left: int
    right: int
    words: int

    @property
    def gap(self) -> int:
        """Pixels of padding between two rows."""
        return max(self.left, self.right)

    @property
    def pitch(self) -> int:
        """Pixels from one row to the next."""
        return self.width + self.gap

    @property
    def head(self) -> int:
        """Words of padding before the image's first pixel."""
        return (self.top * self.pitch + self.left) * self.words

    @property
    def tail(self) -> int:
        """Words of padding behind the image's last pixel."""
        return (self.bottom * self.pitch + self.right) * self.words

    @property
    def size(self) -> int:
        """Words of all."""
        return self.head + ((self.rows - 1) * self.pitch + self.width) * self.words + self.tail


def framed(
    frame: Frame, source: Rows, target: Place, config: CoreConfig, *, again: bool = False
) -> Iterator[Command]:
    """Yield the commands that make a frame of an image.

    Parameters
    ----------
    frame : Frame
        At most 256 rows, and 256 pixels from one to the next.
    source : Rows
        As many as the frame has, with as many words as its pixels.
    target : Place
    config : CoreConfig
    again : bool
        The frame has another image of the same size already: head and tail are there.
    """
    pitch, words = frame.pitch * frame.words, frame.words
    for first, rows, width in _parts(frame, source):
        yield from _copy(frame, source, target, config, (first, rows, width))
    runs = [] if again else [(0, frame.head), (frame.size - frame.tail, frame.tail)]
    for begin, length in runs:
        for start, height, width in rectangles(length):
            yield _fill(config, source, target, begin + start, (height, width), step=1)
    if frame.gap and frame.rows > 1:
        begin = frame.head + frame.width * words
        for start in range(0, frame.gap * words, MAX_COUNT):
            count = min(MAX_COUNT, frame.gap * words - start)
            size = (frame.rows - 1, 1)
            yield _fill(config, source, target, begin + start, size, step=pitch, count=count)


def _parts(frame: Frame, source: Rows) -> Iterator[tuple[int, int, int]]:
    """Yield (first row, rows, width) that are copied together.

    What is read behind a row is of the next ones: not behind the last.
    """
    for first, rows in source.runs:
        if not frame.gap:
            yield first, rows, frame.width
            continue
        together = max(0, rows - -(-frame.gap // frame.width))
        if together:
            yield first, together, frame.pitch
        for row in range(together, rows):
            yield first + row, 1, frame.width


def _copy(
    frame: Frame, source: Rows, target: Place, config: CoreConfig, part: tuple[int, int, int]
) -> Iterator[Command]:
    first, rows, width = part
    place, begin = source.at[first]
    end = frame.head + first * frame.pitch * frame.words
    every = source.words == tuple(range(source.distance))
    if every and MAX_COUNT // width < frame.words <= MAX_COUNT:
        yield _copy_blocks(frame, source, target, config, part)
        return
    weights = np.zeros((config.columns, config.columns), np.int8)
    np.fill_diagonal(weights, 2)
    block = _block(config, weights.reshape(config.lanes, 2, config.columns))
    # All words of a row, or one of each pixel.
    turns, step = ((0,), 1) if every else (source.words, source.distance)
    windows = width * frame.words // len(turns)
    for number, word in enumerate(turns):
        yield Command(
            fields={
                **_fields(config),
                "width": windows,
                "height": rows,
                "step_column": step,
                "step_row": source.pitch - (windows - 1) * step,
                "output_step": len(turns),
                "output_zero_point": 0,
            },
            input=place,
            input_offset=begin + word,
            output=target,
            output_offset=end + number,
            blocks=(block,),
        )


def _copy_blocks(
    frame: Frame, source: Rows, target: Place, config: CoreConfig, part: tuple[int, int, int]
) -> Command:
    """Return the command that copies pixels word by word, in the ADD mode: blocks go on a word."""
    first, rows, width = part
    place, begin = source.at[first]
    weights = np.zeros((minimum_steps(Mode.ADD), 2, config.columns), np.int8)
    # The same word is both operands.
    weights[0] = 1
    return Command(
        fields={
            **_fields(config),
            "mode": Mode.ADD,
            "last_steps": 1,
            "steps": len(weights),
            "inner": 2,
            "width": width,
            "height": rows,
            "blocks": frame.words,
            "step_column": source.distance,
            "step_row": source.pitch - (width - 1) * source.distance,
            "output_step": frame.words,
            "output_zero_point": 0,
        },
        input=place,
        input_offset=begin,
        output=target,
        output_offset=frame.head + first * frame.pitch * frame.words,
        blocks=(_block(config, weights),) * frame.words,
    )


def _fill(
    config: CoreConfig,
    source: Rows,
    target: Place,
    offset: int,
    size: tuple[int, int],
    *,
    step: int,
    count: int = 1,
) -> Command:
    """Return the command that writes zero points, ``count`` words ``step`` words apart."""
    height, width = size
    nothing = np.zeros((config.lanes, 2, config.columns), np.int8)
    return Command(
        fields={
            **_fields(config),
            "width": width,
            "height": height,
            "blocks": count,
            "output_step": step,
            "output_zero_point": source.zero_point,
        },
        # Nothing is made of what is read.
        input=source.at[0][0],
        input_offset=source.at[0][1],
        output=target,
        output_offset=offset,
        blocks=(_block(config, nothing),) * count,
    )


def _fields(config: CoreConfig) -> dict[str, int]:
    """Return what copies and fills have in common: a word in, a word out."""
    return {
        "mode": Mode.SYSTOLIC,
        "last_steps": config.lanes,
        "steps": config.lanes,
        "inner": 1,
        "middle": 1,
        "blocks": 1,
        "input_zero_point": 0,
        "act_min": -128,
        "act_max": 127,
    }


def _block(config: CoreConfig, weights: npt.NDArray[np.int8]) -> Block:
    columns = config.columns
    return Block(
        multiplier=np.full(columns, HALF, np.int64),
        shift=np.zeros(columns, np.int64),
        bias=np.zeros(columns, np.int64),
        weights=weights,
    )
