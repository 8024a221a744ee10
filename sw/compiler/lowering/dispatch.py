"""Dispatch of operators to their lowering."""

from __future__ import annotations

from dataclasses import replace

from sw import ir
from sw.compiler.lowering.addition import lower_add
from sw.compiler.lowering.average_site import AverageSite
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.convolution import lower_convolution, lower_fully_connected
from sw.compiler.lowering.depthwise import lower_depthwise, supports
from sw.compiler.lowering.elementwise import lower_elementwise
from sw.compiler.lowering.first_layer import lower_first_layer
from sw.compiler.lowering.guard_passes import lower_with_guards
from sw.compiler.lowering.layers import LoweredLayer
from sw.compiler.lowering.maximum import lower_maximum
from sw.compiler.lowering.maximum_site import MaximumSite
from sw.compiler.lowering.pieces import lower_in_pieces
from sw.compiler.lowering.pooling import lower_average
from sw.compiler.lowering.site import Guarded, InPieces, Site, SumSite, WeightedSite
from sw.compiler.lowering.table_site import TableSite
from sw.compiler.program.layout import InputLayout

__all__ = ["first_layer_options", "lower"]


def first_layer_options(ctx: Context, op: ir.Operator) -> list[tuple[InputLayout, LoweredLayer]]:
    """Return the ways to run an operator that reads the network's input, or nothing."""
    if not isinstance(op, ir.Conv2D | ir.DepthwiseConv2D):
        return []
    readers = [o for o in ctx.part.device if op.input in o.inputs]
    if op.input not in ctx.part.inputs or len(readers) != 1:
        return []
    site = ctx.site(op)
    assert isinstance(site, WeightedSite)
    if isinstance(op, ir.DepthwiseConv2D):
        # As a convolution with zeros it would take all channels for each; by words it takes a
        # word's.
        plain = supports(op, site.kernel) or site.view.channels > ctx.config.columns
    else:
        plain = site.kernel == (1, 1) and op.padding == ir.NO_PADDING
    if plain:
        return []
    try:
        return lower_first_layer(ctx, site)
    except Guarded:
        # With the input like every other tensor.
        return []
    except InPieces:
        # Each layout has its own commands; those of one range are as many as those of another.
        top = site.requantisation.act_max
        count = len(lower_first_layer(ctx, replace(site, top=top, whole=site)))
        return [_first_in_pieces(ctx, site, number) for number in range(count)]


def _first_in_pieces(
    ctx: Context, site: WeightedSite, number: int
) -> tuple[InputLayout, LoweredLayer]:
    """Return one of the ways to run an operator that reads the network's input in pieces."""
    layouts: list[InputLayout] = []

    def lower_range(one: WeightedSite) -> LoweredLayer:
        layout, layer = lower_first_layer(ctx, one)[number]
        layouts.append(layout)
        return layer

    layer = lower_in_pieces(ctx, site, lower_range)
    return layouts[0], layer


def lower(ctx: Context, op: ir.Operator) -> LoweredLayer:
    """Lower an operator.

    Raises
    ------
    UnsupportedError
        If the device cannot run it.
    """
    site = ctx.site(op)
    try:
        layer = _lower(ctx, site)
    except (InPieces, Guarded) as error:
        assert isinstance(site, WeightedSite)
        again = lower_in_pieces if isinstance(error, InPieces) else lower_with_guards
        layer = again(ctx, site, lambda one: _lower(ctx, one))
    if any(view.moved for view in site.operands):
        # Its rows are not those that the layer before writes.
        return replace(layer, geometry=None)
    return layer


def _lower(ctx: Context, site: Site) -> LoweredLayer:
    match site:
        case WeightedSite(op=ir.Conv2D()):
            return lower_convolution(ctx, site)
        case WeightedSite(op=ir.DepthwiseConv2D()):
            return lower_depthwise(ctx, site)
        case WeightedSite():
            return lower_fully_connected(ctx, site)
        case AverageSite():
            return lower_average(ctx, site)
        case TableSite():
            return lower_elementwise(ctx, site)
        case MaximumSite():
            return lower_maximum(ctx, site)
        case SumSite():
            return lower_add(ctx, site)
        case _:
            raise AssertionError(f"{site.where} is no layer of the device")
