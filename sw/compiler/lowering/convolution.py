"""Lowering of convolutions and fully connected layers to the SYSTOLIC mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from common.arrays import Ints
from sw import ir
from sw.compiler.input.reads import SystolicRead, dense_read
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.guarded import guarded_commands
from sw.compiler.lowering.layers import Geometry, LoweredLayer
from sw.compiler.lowering.padded import Part, lower_padded
from sw.compiler.lowering.products import (
    PIXELS_IN_PARTS,
    SUMS_FIT,
    as_layer,
    product_commands,
)
from sw.compiler.lowering.reading_order import (
    contiguous_read,
    fits,
    plain_read,
    read_in_parts,
)
from sw.compiler.lowering.site import WHOLE_PIXELS, WeightedSite, beyond_int8

__all__ = ["lower_convolution", "lower_fully_connected"]


def lower_convolution(ctx: Context, site: WeightedSite) -> LoweredLayer:
    """Lower a convolution of a dense tensor."""
    op, x, y, kernel = site.op, site.view.tensor, site.output_tensor, site.kernel
    assert isinstance(op, ir.Conv2D)
    columns, channels = ctx.config.columns, x.shape[3]
    size = (y.shape[1], y.shape[2])
    plain = dense_read(
        x.shape[2], channels, kernel, op.stride, size[1], columns, dilation=op.dilation
    )
    geometry = Geometry(
        kernel=(kernel[0] - 1) * op.dilation[0] + 1,
        stride=op.stride[0],
        input_rows=x.shape[1],
        output_rows=size[0],
        input_pitch=x.shape[2] * ctx.words(channels),
        output_pitch=size[1] * ctx.words(y.shape[3]),
    )
    if op.padding == ir.NO_PADDING:
        if kernel == x.shape[1:3]:
            # Its only window is the whole tensor.
            pixels = kernel[0] * kernel[1]
            plain = dense_read(pixels, channels, (1, pixels), (1, pixels), 1, columns)
        if kernel == x.shape[1:3] or (kernel == (1, 1) and op.stride == (1, 1)):
            return _consecutive(ctx, site, size, plain, geometry)
    if op.padding != ir.NO_PADDING or beyond_int8(site.coded_weights).any():
        weights = _by_word(site.coded_weights, channels, ctx.words(channels) * columns)
        return lower_padded(
            ctx, site, [Part(words=range(ctx.words(channels)), first=0, weights=weights)]
        )
    commands = product_commands(
        ctx, site, site.codes, site.coded_weights, size, lambda _: plain
    )
    return as_layer(site, commands, geometry)


def lower_fully_connected(ctx: Context, site: WeightedSite) -> LoweredLayer:
    """Lower a fully connected layer, of pixels or of a whole tensor."""
    view, size = site.view, site.matrix.shape[1]
    if size % view.channels or view.tensor.size % size:
        raise site.refuse(
            WHOLE_PIXELS, f"it reads {size} elements of a tensor with {view.channels} channels"
        )
    pixels = size // view.channels
    rows = view.tensor.size // size
    width = max(n for n in range(1, min(rows, 256) + 1) if rows % n == 0)
    # A tensor is one row of pixels, and a window so many of them.
    plain = dense_read(
        rows * pixels, view.channels, (1, pixels), (1, pixels), width, ctx.config.columns
    )
    plain = replace(plain, step_row=plain.step_column)
    return _consecutive(ctx, site, (rows // width, width), plain)


def _consecutive(
    ctx: Context,
    site: WeightedSite,
    size: tuple[int, int],
    plain: SystolicRead,
    geometry: Geometry | None = None,
) -> LoweredLayer:
    """Lower a product with consecutive words, reading some twice where weights need it."""
    columns, channels = ctx.config.columns, site.view.channels
    pixels = site.matrix.shape[1] // channels
    words = ctx.words(channels)

    def spread(weights: Ints) -> Ints:
        """Put weights where bytes lie: every byte is a tap, those of padding with zero weights."""
        return _by_word(weights, channels, words * columns).reshape(len(weights), -1)

    taps = np.arange(len(plain.slots) * 2, dtype=np.intp).reshape(-1, 2)
    plain = replace(plain, slots=taps)
    commands, scratch = guarded_commands(
        ctx,
        site,
        site.coded_weights,
        spread,
        size,
        _reads(ctx, site, pixels * words, size, plain),
        lambda count: _reads(ctx, site, count, size, plain_read(count, columns)),
    )
    return as_layer(site, commands, geometry, scratch)


def _reads(
    ctx: Context, site: WeightedSite, words: int, size: tuple[int, int], plain: SystolicRead
) -> Callable[[Ints], SystolicRead]:
    """Return how blocks of weights read windows of so many consecutive words.

    Parameters
    ----------
    ctx : Context
    site : WeightedSite
    words : int
    size : (height, width)
        Windows.
    plain : SystolicRead
        For blocks that read every word once.
    """
    columns = ctx.config.columns
    reads: dict[tuple[tuple[int, int], ...], SystolicRead | None] = {}

    def find(again: dict[int, int]) -> SystolicRead | None:
        read = contiguous_read(words, again, columns) if again else plain
        if read is not None and fits(read, ctx.config):
            return read
        if size[0] * size[1] <= PIXELS_IN_PARTS:
            return read_in_parts(words, again, ctx.config)
        return read

    def read_for(group: Ints) -> SystolicRead:
        # Pairs of channels up to the last one that has a weight beyond int8, by word.
        again = {
            int(k) // columns: int(k) % columns // 2 + 1
            for k in np.flatnonzero(beyond_int8(group).any(axis=0))
        }
        key = tuple(again.items())
        if key not in reads:
            reads[key] = find(again)
        read = reads[key]
        if read is None:
            raise site.refuse(SUMS_FIT, "no order of reading visits its words twice")
        return read

    return read_for


def _by_word(weights: Ints, channels: int, size: int) -> Ints:
    """Return weights with those of the bytes of a pixel that are no channels: (C, taps, size)."""
    taps = weights.shape[1] // channels
    spread = np.zeros((len(weights), taps, size), np.int64)
    spread[:, :, :channels] = weights.reshape(len(weights), taps, channels)
    return spread
