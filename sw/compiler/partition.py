"""Which operators run on the device, and which on the host before and after.

The host runs the reference kernels (:mod:`sw.golden`), exactly.  It prepares the input and turns
logits into scores; everything between the first and the last operator of the device has to run on
the device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sw import ir
from sw.errors import UnsupportedError

__all__ = ["Partition", "offset", "partition", "subgraph", "zero_point"]

DEVICE_OPERATORS = (
    ir.Conv2D,
    ir.DepthwiseConv2D,
    ir.FullyConnected,
    ir.Add,
    ir.AveragePool2D,
    ir.Mean,
)


def offset(tensor: ir.Tensor) -> int:
    """Return what is subtracted from a tensor's integers so that they become int8."""
    return 128 if tensor.dtype == "uint8" else 0


def zero_point(tensor: ir.Tensor) -> int:
    """Return the zero point of a tensor as the device stores it."""
    return tensor.q.zero_point - offset(tensor)


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """A network in three parts.

    Attributes
    ----------
    graph : Graph
        The whole network.
    prefix, suffix : tuple of Operator
        What the host runs.
    device : tuple of Operator
        What the device runs, without operators that move nothing.
    inputs, outputs : tuple of int
        Tensors that the device reads from, and leaves for, the host.
    aliases : dict
        Tensors that are others under another name: number → number of the stored tensor.
    """

    graph: ir.Graph
    prefix: tuple[ir.Operator, ...]
    device: tuple[ir.Operator, ...]
    suffix: tuple[ir.Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    aliases: dict[int, int]

    def stored(self, index: int) -> int:
        """Return the number of the tensor that is in memory for tensor ``index``."""
        return self.aliases.get(index, index)


def _is_alias(graph: ir.Graph, op: ir.Operator) -> bool:
    """Whether an operator leaves every byte in the device's memory where it is."""
    x, y = graph.tensors[op.inputs[0]], graph.tensors[op.output]
    if isinstance(op, ir.Quantize):
        return x.q.scale == y.q.scale and zero_point(x) == zero_point(y)
    if not isinstance(op, ir.Reshape):
        return False
    if x.shape[-1:] == y.shape[-1:]:
        return True
    # A flattened tensor has no padding between pixels, the memory does; a fully connected layer
    # knows how to read it.
    consumers = graph.consumers(op.output)
    return bool(consumers) and all(
        isinstance(c, ir.FullyConnected) and graph.tensors[c.weights].shape[1] == math.prod(x.shape)
        for c in consumers
    )


def _refuse(graph: ir.Graph, op: ir.Operator, rule: str, remedy: str) -> UnsupportedError:
    tensor = graph.tensors[op.output]
    return UnsupportedError(
        f"operator {op.name!r} ({op.kind}), output tensor {tensor.index} ({tensor.name!r}): "
        f"{rule}; {remedy}"
    )


def partition(graph: ir.Graph) -> Partition:
    """Divide a network between host and device.

    Raises
    ------
    UnsupportedError
        If nothing is left for the device, or an operator between the device's cannot run there.
    """
    on_device = [i for i, op in enumerate(graph.ops) if isinstance(op, DEVICE_OPERATORS)]
    if not on_device:
        raise UnsupportedError(
            f"network {graph.name!r} has no operator for the device (convolutions, fully "
            "connected, ADD, average pooling); there is nothing to compile"
        )
    first, last = on_device[0], on_device[-1]
    prefix, suffix = graph.ops[:first], graph.ops[last + 1 :]
    aliases: dict[int, int] = {}
    device = []
    for op in graph.ops[first : last + 1]:
        if isinstance(op, DEVICE_OPERATORS):
            device.append(op)
        elif _is_alias(graph, op):
            aliases[op.output] = aliases.get(op.inputs[0], op.inputs[0])
        else:
            raise _refuse(
                graph,
                op,
                "the device does not run this operator, and the host runs operators only before "
                "the first and after the last one of the device",
                "remove it from the network, or move it to an end",
            )
    written = {op.output for op in device}
    inputs: list[int] = []
    for op in device:
        operands = op.inputs[:1] if isinstance(op, ir.WeightedOp) else op.inputs
        for index in (aliases.get(i, i) for i in operands):
            if graph.tensors[index].is_constant:
                raise _refuse(
                    graph, op, "an operand is constant", "fold it into the next bias or scale"
                )
            if index not in written and index not in inputs:
                inputs.append(index)
    wanted = {i for op in suffix for i in op.inputs} | set(graph.outputs)
    stored = {aliases.get(i, i) for i in wanted}
    outputs = tuple(op.output for op in device if op.output in stored)
    _check_batch(graph, (*inputs, *written))
    return Partition(
        graph=graph,
        prefix=prefix,
        device=tuple(device),
        suffix=suffix,
        inputs=tuple(inputs),
        outputs=outputs,
        aliases=aliases,
    )


def _check_batch(graph: ir.Graph, indices: Iterable[int]) -> None:
    for index in indices:
        tensor = graph.tensors[index]
        if len(tensor.shape) == 4 and tensor.shape[0] != 1:
            raise UnsupportedError(
                f"tensor {index} ({tensor.name!r}) has a batch of {tensor.shape[0]}; the device "
                "runs one image at a time, so export the network with batch size 1"
            )
        if tensor.dtype not in ("int8", "uint8"):
            raise UnsupportedError(
                f"tensor {index} ({tensor.name!r}) is {tensor.dtype}; the device stores int8 and "
                "uint8"
            )


def subgraph(
    graph: ir.Graph,
    ops: tuple[ir.Operator, ...],
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
) -> ir.Graph:
    """Return some operators of a graph as a graph of their own, with the same tensor numbers.

    Constants that the operators do not use lose their contents' weight: they become empty
    placeholders no operator refers to.
    """
    used = {i for op in ops for i in (*op.inputs, op.output)} | set(inputs) | set(outputs)
    tensors = tuple(
        t if t.index in used else replace(t, data=None, shape=(), quantization=None)
        for t in graph.tensors
    )
    part = ir.Graph(name=graph.name, tensors=tensors, ops=ops, inputs=inputs, outputs=outputs)
    part.check()
    return part
