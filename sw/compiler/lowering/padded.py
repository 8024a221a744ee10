"""Lowering of convolutions that read a copy of their input (:mod:`sw.compiler.lowering.frames`).

The copy has padding, and words twice whose channels meet weights beyond int8.  Where memory has no
room for all of it, bands of rows are copied, one after the other, and the weights come from the
flash again for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from common.arrays import Ints
from sw import ir
from sw.compiler.graph.partition import zero_point
from sw.compiler.input.reads import SystolicRead, dense_read
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.frames import PADDED_SIZE, Frame, Rows, framed
from sw.compiler.lowering.layers import Command, Geometry, LoweredLayer, Trail, Where, scratch_place
from sw.compiler.lowering.products import as_layer, product_commands
from sw.compiler.lowering.site import WeightedSite, beyond_int8
from sw.compiler.lowering.turns import MAX_COUNT
from sw.compiler.program.tensors import Place

__all__ = ["Part", "frame_of", "lower_padded"]

Products = Callable[[int, int, int], tuple[Command, ...]]
"""Commands of a part, by its number, for a number of rows and of words of a frame's pixels."""

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
            PADDED_SIZE, f"its input with padding is {frame.rows}x{frame.pitch}"
        )
    return frame, row, max(0, start - row) * frame.pitch * words


def lower_padded(ctx: Context, site: WeightedSite, parts: Sequence[Part]) -> LoweredLayer:
    """Lower a convolution of a dense tensor, part by part."""
    columns, pixel = ctx.config.columns, ctx.words(site.view.channels)
    words = max(len(part.copied(columns)) for part in parts)
    rows = size = site.output_rows
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
    pitch = site.view.tensor.shape[2] * pixel

    # Rows and bands of one height have the same ones.
    @cache
    def products(number: int, height: int, frame_words: int) -> tuple[Command, ...]:
        return tuple(_products(ctx, site, parts[number], height, frame_words))

    def where(row: int) -> tuple[Place, int]:
        return site.view.place, row * pitch

    commands = [
        command
        for first in range(0, rows, size)
        for command in _rows(
            ctx, site, parts, (first, min(rows, first + size)), where, products
        )
    ]
    return replace(
        as_layer(site, commands, None),
        scratch={scratch_place(site.output): max(_sizes(site, words, size))},
        row_scratch=max(_sizes(site, pixel if _together(parts, columns) else words, 1)),
        in_place=over,
        geometry=_geometry(ctx, site),
        by_row=lambda row, at: tuple(_row(ctx, site, parts, row, at, products)),
    )


def _geometry(ctx: Context, site: WeightedSite) -> Geometry:
    op, x, y = site.op, site.view.tensor, site.output_tensor
    assert isinstance(op, ir.Conv2D | ir.DepthwiseConv2D)
    return Geometry(
        kernel=(site.kernel[0] - 1) * op.dilation[0] + 1,
        stride=op.stride[0],
        top=op.padding[0][0],
        input_rows=x.shape[1],
        output_rows=y.shape[1],
        input_pitch=x.shape[2] * ctx.words(x.shape[3]),
        output_pitch=y.shape[2] * ctx.words(y.shape[3]),
    )


def _sizes(site: WeightedSite, words: int, size: int) -> Iterator[int]:
    """Yield the words of the frames of bands of so many rows."""
    rows = site.output_rows
    for first in range(0, rows, size):
        yield frame_of(site, words, first, min(rows, first + size))[0].size


def _rows(
    ctx: Context,
    site: WeightedSite,
    parts: Sequence[Part],
    rows: tuple[int, int],
    where: Where,
    products: Products,
) -> Iterator[Command]:
    """Yield the commands that make some rows of the output, first and end, part by part."""
    before, output = None, site.output_tensor
    written = rows[0] * output.shape[2] * ctx.words(output.shape[3])
    for number, part in enumerate(parts):
        copied = part.copied(ctx.config.columns)
        frame, row, offset = frame_of(site, len(copied), *rows)
        yield from _copy(ctx, site, copied, frame, row, where, again=len(copied) == before)
        before = len(copied)
        for command in products(number, rows[1] - rows[0], len(copied)):
            yield replace(
                command,
                input_offset=command.input_offset + offset,
                output_offset=command.output_offset + written,
            )


def _together(parts: Sequence[Part], columns: int) -> bool:
    """Whether all parts of a row can read one frame, each a word of its pixels."""
    return len(parts) > 1 and all(len(part.copied(columns)) == 1 for part in parts)


def _row(
    ctx: Context,
    site: WeightedSite,
    parts: Sequence[Part],
    row: int,
    where: Where,
    products: Products,
) -> Iterator[Command]:
    """Yield the commands that make one row of the output, in few descriptors."""
    if not _together(parts, ctx.config.columns):
        yield from _rows(ctx, site, parts, (row, row + 1), where, products)
        return
    output, words = site.output_tensor, ctx.words(site.view.channels)
    frame, first, offset = frame_of(site, words, row, row + 1)
    yield from _copy(ctx, site, tuple(range(words)), frame, first, where, again=False)
    written = row * output.shape[2] * ctx.words(output.shape[3])
    for number, part in enumerate(parts):
        for command in products(number, 1, words):
            yield replace(
                command,
                input_offset=command.input_offset + offset + part.words[0],
                output_offset=command.output_offset + written,
            )


def _copy(
    ctx: Context,
    site: WeightedSite,
    copied: tuple[int, ...],
    frame: Frame,
    row: int,
    where: Where,
    *,
    again: bool,
) -> Iterator[Command]:
    """Yield the commands that copy the rows of a frame, from ``row`` of the input on."""
    words = ctx.words(site.view.channels)
    source = Rows(
        at=tuple(map(where, range(row, row + frame.rows))),
        pitch=frame.width * words,
        distance=words,
        words=copied,
        zero_point=zero_point(site.view.tensor),
    )
    yield from framed(frame, source, scratch_place(site.output), ctx.config, again=again)


def _products(
    ctx: Context, site: WeightedSite, part: Part, height: int, frame_words: int
) -> Iterator[Command]:
    """Yield the commands that make so many rows of a part of the output.

    They read a frame whose pixels have so many words: those that the part copies, or more.
    """
    columns = ctx.config.columns
    copied = part.copied(columns)
    pitch = frame_of(site, frame_words, 0, 1)[0].pitch
    read = _read(site, part, copied, pitch, columns, frame_words)
    size = height, site.output_tensor.shape[2]
    here = np.arange(part.first, part.first + len(part.weights))
    weights = part.weights.reshape(len(here), -1)
    for command in product_commands(ctx, site, site.codes.at(here), weights, size, lambda _: read):
        yield replace(
            command,
            input=scratch_place(site.output),
            output_offset=command.output_offset + part.first // columns,
        )


def _read(
    site: WeightedSite,
    part: Part,
    copied: tuple[int, ...],
    pitch: int,
    columns: int,
    frame_words: int,
) -> SystolicRead:
    """Return how a frame is read; its taps are those of the part's weights."""
    op = site.op
    assert isinstance(op, ir.Conv2D | ir.DepthwiseConv2D)
    last = min(columns, site.view.tensor.shape[3] - copied[-1] * columns)
    channels = (len(copied) - 1) * columns + last
    read = dense_read(
        pitch, channels, site.kernel, op.stride, site.output_tensor.shape[2], columns,
        dilation=op.dilation, distance=frame_words,
    )
    tap, channel = np.divmod(read.slots, channels)
    word = np.array(copied)[channel // columns] - part.words[0]
    there = tap * part.weights.shape[2] + word * columns + channel % columns
    return replace(read, slots=np.where(read.slots < 0, -1, there))
