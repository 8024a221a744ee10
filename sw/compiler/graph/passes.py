"""Passes over the graph before it is divided between host and device.

Each takes a graph and returns one, which :func:`run_passes` checks.  Tensors keep their numbers, so
that every tensor that remains can be compared with the golden model's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sw import ir

__all__ = ["PASSES", "drop_unused", "fold_padding", "run_passes"]


def fold_padding(graph: ir.Graph) -> ir.Graph:
    """Make PAD of height and width part of the convolutions behind it.

    PAD fills with the zero point and so does a convolution's own padding, so this is exact.  A
    PAD that anything else reads stays.
    """
    pads = {op.output: op for op in graph.ops if isinstance(op, ir.Pad)}
    ops: list[ir.Operator] = []
    for op in graph.ops:
        pad = pads.get(op.inputs[0])
        if pad is not None and isinstance(op, ir.Conv2D | ir.DepthwiseConv2D):
            spatial = len(pad.paddings) == 4 and pad.paddings[0] == pad.paddings[3] == (0, 0)
            x, y = graph.tensors[pad.input].q, graph.tensors[pad.output].q
            if spatial and x == y:
                (top, bottom), (left, right) = op.padding
                (above, below), (before, after) = pad.paddings[1:3]
                op = replace(
                    op,
                    input=pad.input,
                    padding=((top + above, bottom + below), (left + before, right + after)),
                )
        ops.append(op)
    return replace(graph, ops=tuple(ops))


def drop_unused(graph: ir.Graph) -> ir.Graph:
    """Remove operators whose results nothing reads."""
    needed = set(graph.outputs)
    kept: list[ir.Operator] = []
    for op in reversed(graph.ops):
        if op.output in needed:
            kept.append(op)
            needed.update(op.inputs)
    return replace(graph, ops=tuple(reversed(kept)))


PASSES: tuple[Callable[[ir.Graph], ir.Graph], ...] = (fold_padding, drop_unused)


def run_passes(graph: ir.Graph) -> ir.Graph:
    """Run all passes, and check the graph before the first and after each of them."""
    graph.check()
    for transform in PASSES:
        graph = transform(graph)
        graph.check()
    return graph
