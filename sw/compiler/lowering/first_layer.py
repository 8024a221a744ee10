"""Lowering of a convolution of the network's input, in every layout that the input can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from common.arrays import Ints
from sw import ir
from sw.compiler.exact.requantiser import Codes
from sw.compiler.graph.partition import zero_point
from sw.compiler.input.candidates import candidates
from sw.compiler.input.geometry import FirstLayer
from sw.compiler.input.reads import ColumnGroup
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Command, Geometry, LoweredLayer
from sw.compiler.lowering.products import SUMS_FIT, as_layer, product_commands
from sw.compiler.lowering.reading_order import step_limit
from sw.compiler.lowering.site import WeightedSite, beyond_int8
from sw.compiler.program.layout import InputLayout

__all__ = ["lower_first_layer"]


def _dense_weights(site: WeightedSite) -> Ints:
    """Return weights as (output channel, taps × input channels).

    A depthwise convolution becomes a convolution with zeros.
    """
    if not isinstance(site.op, ir.DepthwiseConv2D):
        return site.coded_weights
    channels, taps = site.coded_weights.shape
    full = np.zeros((channels, taps, channels // site.op.depth_multiplier), np.int64)
    every = np.arange(channels)
    full[every, :, every // site.op.depth_multiplier] = site.coded_weights
    return full.reshape(channels, -1)


def _geometry(ctx: Context, site: WeightedSite, weights: Ints) -> FirstLayer:
    """Return the geometry, with the taps that are wanted twice."""
    op, x, y = site.op, site.view.tensor, site.output_tensor
    assert isinstance(op, ir.Conv2D | ir.DepthwiseConv2D)
    kernel, channels = site.kernel, x.shape[3]
    again = frozenset(
        (int(k) // channels // kernel[1], int(k) // channels % kernel[1], int(k) % channels)
        for k in np.flatnonzero(beyond_int8(weights).any(axis=0))
    )
    return FirstLayer(
        tensor=site.view.place,
        zero_point=zero_point(x),
        columns=ctx.config.columns,
        shape=(x.shape[1], x.shape[2], channels),
        output=(y.shape[1], y.shape[2]),
        kernel=kernel,
        stride=op.stride,
        dilation=op.dilation,
        padding=(op.padding[0][0], op.padding[1][0]),
        again=again,
    )


def lower_first_layer(ctx: Context, site: WeightedSite) -> list[tuple[InputLayout, LoweredLayer]]:
    """Lower a convolution of the network's input, in every layout of the input."""
    taps = site.kernel[0] * site.kernel[1] * site.view.tensor.shape[3]
    if taps > ctx.config.rows * step_limit(ctx.config):
        raise site.refuse(
            SUMS_FIT,
            f"a sum of {taps} products per output channel is more than the weight memory has steps "
            f"for, {step_limit(ctx.config)}",
        )
    weights = _dense_weights(site)
    first = _geometry(ctx, site, weights)
    result = []
    for layout, groups in candidates(first):
        geometry = Geometry(
            kernel=layout.row_kernel,
            stride=layout.row_stride,
            input_rows=layout.words // layout.row_pitch,
            output_rows=first.output[0],
            input_pitch=layout.row_pitch,
            output_pitch=first.output[1] * ctx.words(len(weights)),
        )
        commands = [
            command for group in groups for command in _commands(ctx, site, weights, group)
        ]
        result.append((layout, as_layer(site, commands, geometry)))
    return result


def _commands(ctx: Context, site: WeightedSite, weights: Ints, group: ColumnGroup) -> list[Command]:
    """Return what computes some columns of the output."""
    zero = zero_point(site.view.tensor)
    codes, weights = _without(site.codes, weights, group.missing, zero)
    size = site.output_rows, group.width
    commands = product_commands(ctx, site, codes, weights, size, lambda _: group.read)
    words = ctx.words(len(weights))
    return [
        replace(
            command,
            fields={**command.fields, "output_step": group.step * words},
            output_offset=command.output_offset + group.first * words,
        )
        for command in commands
    ]


def _without(
    codes: Codes, weights: Ints, missing: Sequence[int], zero: int
) -> tuple[Codes, Ints]:
    """Return codes and weights with some taps, all of them padding, as constants in the bias."""
    taps = list(missing)
    padding = zero * weights[:, taps].sum(axis=1)
    weights = weights.copy()
    weights[:, taps] = 0
    return replace(codes, bias=codes.bias + padding), weights
