"""Lowering of convolutions with padding that do not read the network's input.

A copy of the input with its padding (:mod:`sw.compiler.lowering.frames`) is read.  Where memory has
no room for all of it, bands of rows are copied, one after the other, and the weights come from the
flash again for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sw import ir
from sw.compiler.graph.partition import zero_point
from sw.compiler.input.reads import dense_read
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.frames import Frame, Rows, framed
from sw.compiler.lowering.layers import Command, LoweredLayer, scratch_place
from sw.compiler.lowering.products import as_layer, product_commands
from sw.compiler.lowering.site import WeightedSite
from sw.compiler.lowering.turns import MAX_COUNT

__all__ = ["frame_of", "lower_padded"]

RESERVE = 128
"""Words that are left for the program's ring."""


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


def lower_padded(ctx: Context, site: WeightedSite) -> LoweredLayer:
    """Lower a convolution of a dense tensor with padding."""
    words = ctx.words(site.view.tensor.shape[3])
    rows = site.output_rows
    room = ctx.room(site.op) - RESERVE
    bands, size = 1, rows
    while size > 1 and max(_sizes(site, words, size)) > room:
        bands += 1
        size = -(-rows // bands)
    commands = [
        command
        for first in range(0, rows, size)
        for command in _band(ctx, site, first, min(rows, first + size))
    ]
    scratch = {scratch_place(site.output): max(_sizes(site, words, size))}
    return replace(as_layer(site, commands, None), scratch=scratch)


def _sizes(site: WeightedSite, words: int, size: int) -> Iterator[int]:
    """Yield the words of the frames of bands of so many rows."""
    rows = site.output_rows
    for first in range(0, rows, size):
        yield frame_of(site, words, first, min(rows, first + size))[0].size


def _band(ctx: Context, site: WeightedSite, first: int, end: int) -> Iterator[Command]:
    """Yield the commands that make some rows of the output."""
    op, (_, _, width, channels) = site.op, site.view.tensor.shape
    assert isinstance(op, ir.Conv2D)
    words = ctx.words(channels)
    frame, row, offset = frame_of(site, words, first, end)
    source = Rows(
        place=site.view.place,
        first=row * width * words,
        pitch=width * words,
        distance=words,
        zero_point=zero_point(site.view.tensor),
    )
    scratch = scratch_place(site.output)
    yield from framed(frame, source, scratch, ctx.config)
    columns = site.output_tensor.shape[2]
    read = dense_read(
        frame.pitch, channels, site.kernel, op.stride, columns, ctx.config.columns,
        dilation=op.dilation,
    )
    size = (end - first, columns)
    output = first * columns * ctx.words(site.output_tensor.shape[3])
    for command in product_commands(
        ctx, site, site.codes, site.coded_weights, size, lambda _: read
    ):
        yield replace(
            command,
            input=scratch,
            input_offset=command.input_offset + offset,
            output_offset=command.output_offset + output,
        )
