"""Lowering of convolutions that read a copy of their input (:mod:`sw.compiler.lowering.frames`).

The copy has padding, and words twice whose channels meet weights beyond int8.  Where memory has no
room for all of it, bands of rows are copied, one after the other, and the weights come from the
flash again for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.arrays import Ints
from sw import ir
from sw.compiler.graph.partition import zero_point
from sw.compiler.input.reads import SystolicRead, dense_read
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.frames import Frame, Rows, framed
from sw.compiler.lowering.layers import Command, LoweredLayer, Trail, scratch_place
from sw.compiler.lowering.products import as_layer, product_commands
from sw.compiler.lowering.site import WeightedSite, beyond_int8
from sw.compiler.lowering.turns import MAX_COUNT

__all__ = ["Part", "frame_of", "lower_padded"]

RESERVE = 128
"""Words that are left for the program's ring."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Blocks of output channels, and the words of the input that they are made of.

    Attributes
    ----------
    words : range
        Of a pixel of the input.
    first : int
        Of the output channels, a multiple of a word's.
    weights : (C, taps, channels of the words) int64
        Possibly beyond int8.
    """

    words: range
    first: int
    weights: Ints

    def copied(self, columns: int) -> tuple[int, ...]:
        """Return the words of a pixel of the copy: all, and those again that are met twice."""
        wanted = np.flatnonzero(beyond_int8(self.weights).any(axis=(0, 1))) // columns
        return (*self.words, *(self.words[int(word)] for word in np.unique(wanted)))


def frame_of(site: WeightedSite, words: int, first: int, end: int) -> tuple[Frame, int, int]:
    """Return the frame that some rows of an output are made of.

    Parameters
    ----------
    site : WeightedSite
        Of a convolution.
    words : int
        Of a pixel of the frame.
    first, end : int
        Rows of the output.

    Returns
    -------
    frame : Frame
    row : int
        First row of the input that it holds.
    offset : int
        Words from the frame's beginning to the first window.
    """
    op = site.op
    assert isinstance(op, ir.Conv2D | ir.DepthwiseConv2D)
    height, width = site.view.tensor.shape[1:3]
    start = first * op.stride[0] - op.padding[0][0]
    stop = (end - 1) * op.stride[0] - op.padding[0][0] + (site.kernel[0] - 1) * op.dilation[0] + 1
    # Windows may lie in the padding with all of their rows.
    row = min(max(0, start), height - 1)
    last = max(min(height, stop), row + 1)
    frame = Frame(
        rows=last - row,
        width=width,
        top=max(0, row - start),
        bottom=max(0, stop - last),
        left=op.padding[1][0],
        right=op.padding[1][1],
        words=words,
    )
    if frame.pitch > MAX_COUNT or frame.rows > MAX_COUNT:
        raise site.refuse(
            f"its input with padding is {height}x{frame.pitch}, larger than {MAX_COUNT}x"
            f"{MAX_COUNT}",
            "use smaller images",
        )
    return frame, row, max(0, start - row) * frame.pitch * words


def lower_padded(ctx: Context, site: WeightedSite, parts: Sequence[Part]) -> LoweredLayer:
    """Lower a convolution of a dense tensor, part by part."""
    columns = ctx.config.columns
    words = max(len(part.copied(columns)) for part in parts)
    rows = size = site.output_rows
    pixel = ctx.words(site.view.channels)
    # What a part writes has been copied by it or before, if it is written word over word.
    over = Trail(0, pixel) if pixel == ctx.words(site.output_tensor.shape[3]) else None
    if len(parts) == 1:
        over = Trail(0)
    if max(_sizes(site, words, rows)) > ctx.room(site.op, over=over is not None) - RESERVE:
        over = None
        room, bands = ctx.room(site.op) - RESERVE, 1
        while size > 1 and max(_sizes(site, words, size)) > room:
            bands += 1
            size = -(-rows // bands)
    commands: list[Command] = []
    for first in range(0, rows, size):
        before = None
        for part in parts:
            copied = part.copied(columns)
            band = first, min(rows, first + size)
            commands += _band(ctx, site, part, band, again=len(copied) == before)
            before = len(copied)
    scratch = {scratch_place(site.output): max(_sizes(site, words, size))}
    return replace(as_layer(site, commands, None), scratch=scratch, in_place=over)


def _sizes(site: WeightedSite, words: int, size: int) -> Iterator[int]:
    """Yield the words of the frames of bands of so many rows."""
    rows = site.output_rows
    for first in range(0, rows, size):
        yield frame_of(site, words, first, min(rows, first + size))[0].size


def _band(
    ctx: Context, site: WeightedSite, part: Part, rows: tuple[int, int], *, again: bool
) -> Iterator[Command]:
    """Yield the commands that make some rows of a part of the output."""
    (_, _, width, channels), columns = site.view.tensor.shape, ctx.config.columns
    words, copied = ctx.words(channels), part.copied(columns)
    frame, row, offset = frame_of(site, len(copied), *rows)
    source = Rows(
        place=site.view.place,
        first=row * width * words,
        pitch=width * words,
        distance=words,
        words=copied,
        zero_point=zero_point(site.view.tensor),
    )
    scratch = scratch_place(site.output)
    yield from framed(frame, source, scratch, ctx.config, again=again)
    read = _read(site, part, copied, frame.pitch, columns)
    size = rows[1] - rows[0], site.output_tensor.shape[2]
    output = part.first // columns
    output += rows[0] * size[1] * ctx.words(site.output_tensor.shape[3])
    here = np.arange(part.first, part.first + len(part.weights))
    weights = part.weights.reshape(len(here), -1)
    for command in product_commands(ctx, site, site.codes.at(here), weights, size, lambda _: read):
        yield replace(
            command,
            input=scratch,
            input_offset=command.input_offset + offset,
            output_offset=command.output_offset + output,
        )


def _read(
    site: WeightedSite, part: Part, copied: tuple[int, ...], pitch: int, columns: int
) -> SystolicRead:
    """Return how a frame is read; its taps are those of the part's weights."""
    op = site.op
    assert isinstance(op, ir.Conv2D | ir.DepthwiseConv2D)
    last = min(columns, site.view.tensor.shape[3] - copied[-1] * columns)
    channels = (len(copied) - 1) * columns + last
    read = dense_read(
        pitch, channels, site.kernel, op.stride, site.output_tensor.shape[2], columns,
        dilation=op.dilation,
    )
    tap, channel = np.divmod(read.slots, channels)
    word = np.array(copied)[channel // columns] - part.words[0]
    there = tap * part.weights.shape[2] + word * columns + channel % columns
    return replace(read, slots=np.where(read.slots < 0, -1, there))
