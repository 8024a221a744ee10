"""Bands of rows of a layer, as layers of their own: for layers that do not fit into memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from common.errors import UnsupportedError
from sw import ir
from sw.compiler.graph.operands import is_elementwise
from sw.compiler.graph.partition import Partition

__all__ = ["Band", "band_of", "crop"]


@dataclass(frozen=True, kw_only=True)
class Band:
    """Rows of a layer's output and what they are made of.

    Attributes
    ----------
    first, end : int
        Rows of the output.
    input_first, input_end : int
        Rows of every input.
    padding : (above, below)
        Rows of padding that the band's windows reach into.
    """

    first: int
    end: int
    input_first: int
    input_end: int
    padding: tuple[int, int] = (0, 0)

    @property
    def shape(self) -> tuple[int, int, tuple[int, int]]:
        """Rows of the output, of the input, of padding: bands that agree in them are one layer."""
        return self.end - self.first, self.input_end - self.input_first, self.padding


def band_of(graph: ir.Graph, op: ir.Operator, first: int, end: int) -> Band:
    """Return what some rows of an operator's output are made of.

    Parameters
    ----------
    graph : Graph
    op : Operator
        Of the graph.
    first, end : int
        Rows, at least one.

    Raises
    ------
    UnsupportedError
        If the operator has no rows that could be made by themselves.
    """
    image = len(graph.tensors[op.output].shape) == 4
    if image and (isinstance(op, ir.Add) or is_elementwise(graph, op)):
        return Band(first=first, end=end, input_first=first, input_end=end)
    if not isinstance(op, ir.Conv2D | ir.DepthwiseConv2D):
        raise UnsupportedError(
            f"operator {op.name!r} ({op.kind}) has no rows that could be made by themselves; use "
            "smaller images or a smaller width multiplier"
        )
    kernel = (graph.tensors[op.weights].shape[1] - 1) * op.dilation[0] + 1
    height = graph.tensors[op.input].shape[1]
    top = first * op.stride[0] - op.padding[0][0]
    bottom = (end - 1) * op.stride[0] - op.padding[0][0] + kernel
    if bottom <= 0 or top >= height:
        raise UnsupportedError(
            f"operator {op.name!r} ({op.kind}): rows {first} to {end - 1} of its output are made "
            "of nothing but padding; use less padding"
        )
    return Band(
        first=first,
        end=end,
        input_first=max(0, top),
        input_end=min(height, bottom),
        padding=(max(0, -top), max(0, bottom - height)),
    )


def crop(part: Partition, source: ir.Graph, band: Band) -> tuple[Partition, ir.Graph]:
    """Reduce a single operator to a band of its rows.

    Parameters
    ----------
    part : Partition
        Its device has one operator, and its inputs are the operator's.
    source : Graph
        The network with all its channels, of which ``part`` is one operator.
    band : Band

    Returns
    -------
    part : Partition
    source : Graph
        The operator alone.

    Raises
    ------
    UnsupportedError
        If something between the inputs and the operator changes the rows.
    """
    (op,) = part.device
    rows = dict.fromkeys((*part.inputs, *part.aliases), band.input_end - band.input_first)
    rows[op.output] = band.end - band.first
    for index in part.aliases:
        view = part.view(index)
        if view.tensor.shape[:2] != part.graph.tensors[view.place].shape[:2]:
            raise UnsupportedError(
                f"operator {op.name!r} ({op.kind}): its input is reshaped, so its rows cannot be "
                "made by themselves; use smaller images or a smaller width multiplier"
            )
    names = {o.name for o in part.graph.ops}
    alone = replace(
        source,
        ops=tuple(_padded(o, op.name, band) for o in source.ops if o.name in names),
        inputs=part.inputs,
        outputs=part.outputs,
        tensors=_cropped(source, rows),
    )
    graph = replace(
        part.graph,
        ops=tuple(_padded(o, op.name, band) for o in part.graph.ops),
        tensors=_cropped(part.graph, rows),
    )
    for checked in (alone, graph):
        checked.check()
    device = tuple(o for o in graph.ops if o.name == op.name)
    return replace(part, graph=graph, device=device), alone


def _padded(op: ir.Operator, name: str, band: Band) -> ir.Operator:
    """Return an operator, with the band's padding if it is the one of that name."""
    if op.name != name or not isinstance(op, ir.Conv2D | ir.DepthwiseConv2D):
        return op
    return replace(op, padding=(band.padding, op.padding[1]))


def _cropped(graph: ir.Graph, rows: dict[int, int]) -> tuple[ir.Tensor, ...]:
    return tuple(
        replace(t, shape=(t.shape[0], rows[t.index], *t.shape[2:])) if t.index in rows else t
        for t in graph.tensors
    )
