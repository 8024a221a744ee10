"""Lowering of depthwise convolutions that the depthwise modes do not have to the SYSTOLIC mode.

Each word of the input is a convolution by itself, of 8 channels, with zeros where channels do not
meet: 4 steps a tap for 8 outputs, in which an eighth of the multiplications count.  But kernels,
strides and dilation are any, and depth multipliers: the 8 outputs of a block are made of one word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sw import ir
from sw.compiler.input.reads import dense_read
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Command, Geometry, LoweredLayer
from sw.compiler.lowering.padded import Part, lower_padded
from sw.compiler.lowering.products import as_layer, product_commands
from sw.compiler.lowering.site import WeightedSite, beyond_int8

__all__ = ["lower_by_words"]


def lower_by_words(ctx: Context, site: WeightedSite) -> LoweredLayer:
    """Lower a depthwise convolution of any kernel, stride, dilation and depth multiplier."""
    op, x, y = site.op, site.view.tensor, site.output_tensor
    assert isinstance(op, ir.DepthwiseConv2D)
    parts = list(_parts(ctx, site, op.depth_multiplier))
    if op.padding != ir.NO_PADDING or beyond_int8(site.coded_weights).any():
        return lower_padded(ctx, site, parts)
    words, columns = ctx.words(x.shape[3]), ctx.config.columns
    read = dense_read(
        x.shape[2], columns, site.kernel, op.stride, y.shape[2], columns,
        dilation=op.dilation, distance=words,
    )
    commands: list[Command] = []
    for part in parts:
        here = np.arange(part.first, part.first + len(part.weights))
        weights = part.weights.reshape(len(here), -1)
        size = y.shape[1], y.shape[2]
        commands += [
            replace(
                command,
                input_offset=command.input_offset + part.words[0],
                output_offset=command.output_offset + part.first // columns,
            )
            for command in product_commands(
                ctx, site, site.codes.at(here), weights, size, lambda _: read
            )
        ]
    geometry = Geometry(
        kernel=(site.kernel[0] - 1) * op.dilation[0] + 1,
        stride=op.stride[0],
        input_rows=x.shape[1],
        output_rows=y.shape[1],
        input_pitch=x.shape[2] * words,
        output_pitch=y.shape[2] * ctx.words(y.shape[3]),
    )
    return as_layer(site, commands, geometry)


def _parts(ctx: Context, site: WeightedSite, multiplier: int) -> Iterator[Part]:
    """Yield the outputs of each word of the input."""
    columns, weights = ctx.config.columns, site.coded_weights
    size = columns * multiplier
    for word, first in enumerate(range(0, len(weights), size)):
        some = weights[first : first + size]
        every = np.arange(len(some))
        spread = np.zeros((*some.shape, columns), np.int64)
        spread[every, :, every // multiplier] = some
        yield Part(words=range(word, word + 1), first=first, weights=spread)
