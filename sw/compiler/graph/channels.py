"""Channels that are stored, and their order; removal of those that are constant.

Trained networks have dead channels: whatever the input, they have one value.  It is known when a
network is compiled (the range of a channel is proven when it is encoded), so consumers can have it
in their biases, and neither its weights nor its outputs are needed.

Depthwise convolutions, pooling and sums keep channels where they are, so the tensors that they
connect lose a channel only together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from sw import golden, ir
from sw.compiler.graph.operands import activations, is_elementwise
from sw.compiler.graph.partition import Partition, partition, refusal, zero_point
from sw.compiler.graph.refusals import Rule
from sw.compiler.program.tensors import Place

__all__ = ["CONSTANTS_DEFINED", "Channels", "fixed", "removable", "rewrite", "tied"]

CONSTANTS_DEFINED = Rule(
    "Where constant channels are left out (--drop-constant-channels), the sums that have them must "
    "not overflow int32",
    "keep the channels, or use smaller weights",
)


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Channels of a tensor that are in memory.

    Attributes
    ----------
    kept : tuple of int
        In this order; at least one.
    values : tuple of int
        One per channel of the network's tensor, int8 as the device stores it: what those have that
        are not kept; anything for those that are.
    """

    kept: tuple[int, ...]
    values: tuple[int, ...]


def _channelwise(graph: ir.Graph, op: ir.Operator) -> bool:
    if isinstance(op, ir.DepthwiseConv2D):
        return op.depth_multiplier == 1
    pools = ir.AveragePool2D | ir.Mean | ir.MaxPool2D
    return isinstance(op, ir.Add | pools) or is_elementwise(graph, op)


def tied(part: Partition) -> dict[Place, Place]:
    """Return which tensors have their channels in the same places.

    Returns
    -------
    dict
        Stored tensor → a tensor that stands for all that are tied to it.
    """
    leader: dict[Place, Place] = {}

    def find(index: Place) -> Place:
        while leader.setdefault(index, index) != index:
            index = leader[index]
        return index

    for op in part.device:
        find(Place(op.output))
        for index in activations(part.graph, op):
            find(part.place(index))
            if _channelwise(part.graph, op):
                leader[find(part.place(index))] = find(Place(op.output))
    return {index: find(index) for index in leader}


def fixed(part: Partition) -> set[Place]:
    """Return the tensors whose channels stay where they are.

    Besides inputs, which the first layer wants as they are, what a depth multiplier reads and
    makes: one number of channels has to stay a multiple of the other.
    """
    multiplied = {
        place
        for op in part.device
        if isinstance(op, ir.DepthwiseConv2D) and op.depth_multiplier != 1
        for place in (part.place(op.input), Place(op.output))
    }
    return multiplied | set(part.inputs)


def removable(part: Partition, ranges: Mapping[Place, Ints]) -> dict[Place, Channels]:
    """Return the tensors that lose channels, with what remains.

    Parameters
    ----------
    part : Partition
    ranges : mapping
        Least and greatest int8 of the channels of stored tensors, as far as they are known.
    """
    tensors = part.graph.tensors
    leader = tied(part)
    whole = fixed(part) | set(part.outputs)
    # Padding has the zero point in all channels: what others are cannot be in a bias.
    padded = {
        part.place(op.input): zero_point(tensors[op.input])
        for op in part.device
        if isinstance(op, ir.Conv2D) and op.padding != ir.NO_PADDING
    }
    constant: dict[Place, npt.NDArray[np.bool_]] = {}
    for index in leader:
        known = ranges.get(index)
        constant[index] = np.zeros(tensors[index].shape[-1], np.bool_)
        if known is not None and index not in whole:
            constant[index] = np.asarray(known[0] == known[1])
            if index in padded:
                constant[index] &= known[0] == padded[index]
    shared: dict[Place, npt.NDArray[np.bool_]] = {}
    for index, dead in constant.items():
        shared[leader[index]] = shared.get(leader[index], dead) & dead
    result = {}
    for index in constant:
        dead = shared[leader[index]].copy()
        if dead.all():
            dead[0] = False
        if dead.any():
            values = ranges[index][0]
            result[index] = Channels(
                kept=tuple(np.flatnonzero(~dead).tolist()), values=tuple(values.tolist())
            )
    return result


def rewrite(part: Partition, channels: Mapping[Place, Channels]) -> Partition:
    """Return a partition of the network with other channels stored than the network's.

    Every tensor that remains has the values it had, less the channels that are not kept, in the
    order in which they are kept.

    Parameters
    ----------
    part : Partition
    channels : mapping
        By number of a stored tensor; tensors that are :func:`tied` keep the same channels.
    """
    if not channels:
        return part
    graph = part.graph
    tensors = list(graph.tensors)
    for index in graph.inputs + tuple(op.output for op in graph.ops):
        there = channels.get(part.place(index))
        if there is not None:
            whole = graph.tensors[part.place(index)].shape[-1]
            shape = graph.tensors[index].shape
            # A flattened image has all channels of all pixels.
            last = shape[-1] // whole * len(there.kept)
            tensors[index] = replace(tensors[index], shape=(*shape[:-1], last))
    ops = [_rewritten(op, part, channels, tensors) for op in graph.ops]
    smaller = replace(graph, tensors=tuple(tensors), ops=tuple(ops))
    smaller.check()
    return partition(smaller, {op.name for op in graph.ops} - {op.name for op in part.device})


def _rewritten(
    op: ir.Operator, part: Partition, channels: Mapping[Place, Channels], tensors: list[ir.Tensor]
) -> ir.Operator:
    """Return an operator with the weights and biases of stored channels, new in ``tensors``."""
    if is_elementwise(part.graph, op):
        return _with_constants(op, part, channels, tensors)
    if not isinstance(op, ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected):
        return op
    graph = part.graph
    read, written = channels.get(part.place(op.input)), channels.get(Place(op.output))
    if read is None and written is None:
        return op
    old = graph.tensors[op.weights]
    weights = np.asarray(old.data)
    axis = weights.ndim - 1 if isinstance(op, ir.DepthwiseConv2D) else 0
    bias = np.zeros(weights.shape[axis], np.int64)
    if op.bias is not None:
        bias += np.asarray(graph.tensors[op.bias].data, np.int64)
    if read is not None and not isinstance(op, ir.DepthwiseConv2D):
        weights, more = _fold(graph, op, weights, read)
        bias += more
    scales = old.q
    if written is not None:
        kept = list(written.kept)
        weights, bias = np.take(weights, kept, axis), bias[kept]
        if scales.per_channel:
            scales = ir.Quantization(
                tuple(scales.scales[c] for c in kept),
                tuple(scales.zero_points[c] for c in kept),
                scales.axis,
            )
    new_weights = _append(tensors, old, weights, scales)
    bias = _within_int32(graph, op, bias, written)
    plain = ir.Quantization((1.0,), (0,))
    new_bias = _append(tensors, replace(old, name=f"{old.name} (bias)", dtype="int32"), bias, plain)
    return replace(op, weights=new_weights, bias=new_bias)


def _within_int32(
    graph: ir.Graph,
    op: ir.Conv2D | ir.DepthwiseConv2D | ir.FullyConnected,
    bias: Ints,
    written: Channels | None,
) -> Ints:
    """Return biases of int32, if the reference defines the sums that they are for."""
    least, most = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    beyond = (bias < least) | (bias > most)
    if beyond.any():
        # Nothing is left of a dead channel's sums: they may wrap.
        dead = golden.requantisation(graph, op).ignores(*golden.requantize_params(graph, op))
        beyond &= ~(dead if written is None else dead[list(written.kept)])
    if beyond.any():
        raise refusal(graph, op, CONSTANTS_DEFINED, f"they do with those of tensor {op.input}")
    return np.clip(bias, least, most)


def _with_constants(
    op: ir.Operator,
    part: Partition,
    channels: Mapping[Place, Channels],
    tensors: list[ir.Tensor],
) -> ir.Operator:
    """Return an operator with the constants of stored channels, new in ``tensors``."""
    written = channels.get(Place(op.output))
    if written is None:
        return op
    changed: dict[str, Any] = {}
    for name in ("input1", "input2", "alpha"):
        index = getattr(op, name, None)
        old = part.graph.tensors[index] if isinstance(index, int) else None
        if old is not None and old.data is not None and old.size > 1:
            kept = np.take(old.data, list(written.kept), -1)
            changed[name] = _append(tensors, old, kept, old.q)
    return replace(op, **changed)


def _fold(
    graph: ir.Graph, op: ir.Conv2D | ir.FullyConnected, weights: npt.NDArray[Any], read: Channels
) -> tuple[npt.NDArray[Any], Ints]:
    """Return weights for stored inputs, and what the others add to the biases."""
    whole = len(read.values)
    pixels = weights.shape[-1] // whole
    split = weights.reshape(*weights.shape[:-1], pixels, whole)
    difference = np.array(read.values) - zero_point(graph.tensors[op.input])
    difference[list(read.kept)] = 0
    real = split.astype(np.int64) - graph.tensors[op.weights].q.zero_point
    more = (real * difference).reshape(len(weights), -1).sum(axis=1)
    left = split[..., list(read.kept)]
    return left.reshape(*weights.shape[:-1], pixels * len(read.kept)), more


def _append(
    tensors: list[ir.Tensor], like: ir.Tensor, data: npt.NDArray[Any], q: ir.Quantization
) -> int:
    """Append a constant and return its number."""
    index = len(tensors)
    contents = data.astype(like.dtype)
    tensors.append(replace(like, index=index, shape=contents.shape, quantization=q, data=contents))
    return index
