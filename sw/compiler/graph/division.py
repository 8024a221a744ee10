"""Division of a network into pieces, each with one stretch of the device between the host's.

A piece is a network of its own: what the host computes first, what the device runs without a stop,
and, in the last piece, what the host computes at the end.  Pieces run one after the other, and
hand each other tensors, which keep the numbers they have in the network.
"""

from __future__ import annotations

from collections.abc import Collection

from sw import ir
from sw.compiler.graph.operands import is_elementwise, is_layer
from sw.compiler.graph.partition import moves_nothing, subgraph

__all__ = ["divide"]


def divide(graph: ir.Graph, host: Collection[str]) -> list[ir.Graph]:
    """Divide a network so that in each piece the host's operators are in front or at the end.

    Every operator is in the earliest piece that it can be in.

    Parameters
    ----------
    graph : Graph
    host : collection of str
        Names of the operators that are the host's.

    Returns
    -------
    list of Graph
        In order; the network itself if one piece is enough.
    """
    numbers = _numbers(graph, host)
    layers = [op for op in graph.ops if is_layer(graph, op) and op.name not in host]
    last = max((numbers[op.name] for op in layers), default=0)
    if last == 0:
        return [graph]
    pieces: list[list[ir.Operator]] = [[] for _ in range(last + 1)]
    for op in graph.ops:
        pieces[min(numbers[op.name], last)].append(op)
    return [_piece(graph, pieces, number) for number in range(last + 1)]


def _numbers(graph: ir.Graph, host: Collection[str]) -> dict[str, int]:
    """Return the number of every operator's piece, or one more than all pieces."""
    # By tensor: the first piece in which the device can read it.
    ready: dict[int, int] = {}
    # Those that lie in the device's memory, in the piece in which they were made.
    stored: set[int] = set()
    numbers: dict[str, int] = {}
    for op in graph.ops:
        number = max((ready.get(index, 0) for index in op.inputs), default=0)
        free = op.name not in host
        # The device has these on the way from one layer to another.
        between = moves_nothing(graph, op) or (free and is_elementwise(graph, op))
        if (free and is_layer(graph, op)) or (between and not stored.isdisjoint(op.inputs)):
            stored.add(op.output)
        elif any(index in stored and ready[index] == number for index in op.inputs):
            # The host gets what it reads when the piece has ended.
            number += 1
        numbers[op.name] = ready[op.output] = number
    return numbers


def _piece(graph: ir.Graph, pieces: list[list[ir.Operator]], number: int) -> ir.Graph:
    """Return one piece as a network: it gives what later ones read, and the network's outputs."""
    ops = pieces[number]
    made = {op.output for op in ops}
    wanted = {index for later in pieces[number + 1 :] for op in later for index in op.inputs}
    wanted |= set(graph.outputs)
    read = dict.fromkeys(
        index
        for op in ops
        for index in op.inputs
        if index not in made and not graph.tensors[index].is_constant
    )
    outputs = tuple(op.output for op in ops if op.output in wanted)
    return subgraph(graph, tuple(ops), tuple(read), outputs)
