"""Operators to layers: which lowering an operator takes."""

from __future__ import annotations

from dataclasses import replace

from sw import ir
from sw.compiler.graph.partition import activations
from sw.compiler.lowering.addition import lower_add
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.convolution import first_layer, lower_convolution, lower_fully_connected
from sw.compiler.lowering.depthwise import lower_depthwise, supports
from sw.compiler.lowering.layers import Layer
from sw.compiler.lowering.pooling import lower_pool
from sw.compiler.program.layout import InputLayout

__all__ = ["first_layer_options", "lower"]


def first_layer_options(ctx: Context, op: ir.Operator) -> list[tuple[InputLayout, Layer]]:
    """Return the ways to run an operator that reads the network's input, or nothing."""
    if not isinstance(op, ir.Conv2D | ir.DepthwiseConv2D):
        return []
    readers = [o for o in ctx.part.device if op.input in o.inputs]
    if op.input not in ctx.part.inputs or len(readers) != 1:
        return []
    kernel = ctx.graph.tensors[op.weights].shape[1:3]
    if isinstance(op, ir.DepthwiseConv2D):
        plain = supports(op, kernel) is None
    else:
        plain = kernel == (1, 1) and op.padding == ir.NO_PADDING
    return [] if plain else first_layer(ctx, op)


def lower(ctx: Context, op: ir.Operator) -> Layer:
    """Lower an operator.

    Raises
    ------
    UnsupportedError
        If the device cannot run it.
    """
    layer = _lower(ctx, op)
    if any(ctx.view(index).moved for index in activations(op)):
        # Its rows are not those that the layer before writes.
        return replace(layer, geometry=None)
    return layer


def _lower(ctx: Context, op: ir.Operator) -> Layer:
    match op:
        case ir.Conv2D():
            return lower_convolution(ctx, op)
        case ir.DepthwiseConv2D():
            return lower_depthwise(ctx, op)
        case ir.FullyConnected():
            return lower_fully_connected(ctx, op)
        case ir.AveragePool2D() | ir.Mean():
            return lower_pool(ctx, op)
        case ir.Add():
            return lower_add(ctx, op)
        case _:
            raise ctx.refuse(op, "the device does not run this operator", "remove it")
