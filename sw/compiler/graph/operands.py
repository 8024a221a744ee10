"""Operands of operators: which are activations, and which operators the device has a way to run."""

from __future__ import annotations

from sw import ir

__all__ = ["ELEMENTWISE", "FOLDED", "LAYERS", "activations", "is_elementwise", "is_layer"]

LAYERS = (
    ir.Conv2D,
    ir.DepthwiseConv2D,
    ir.FullyConnected,
    ir.Add,
    ir.AveragePool2D,
    ir.Mean,
    ir.MaxPool2D,
)
"""What a network is cut into parts by: where these run, the device does."""

ELEMENTWISE = (
    ir.Quantize,
    ir.Add,
    ir.Sub,
    ir.Mul,
    ir.Maximum,
    ir.Minimum,
    ir.Relu,
    ir.Relu6,
    ir.ReluN1To1,
    ir.Relu0To1,
    ir.LeakyRelu,
    ir.Prelu,
)
"""What the device may run between layers, if only one operand is computed."""

FOLDED = (ir.Pad, ir.Reshape)
"""What is no work of its own, where a neighbour takes it."""


def activations(graph: ir.Graph, op: ir.Operator) -> tuple[int, ...]:
    """Return an operator's operands that are computed: without weights, biases and constants."""
    if isinstance(op, ir.WeightedOp):
        return op.inputs[:1]
    if isinstance(op, ir.BinaryOp | ir.Prelu):
        return tuple(i for i in op.inputs if not graph.tensors[i].is_constant)
    return op.inputs


def is_layer(graph: ir.Graph, op: ir.Operator) -> bool:
    """Whether an operator is the device's wherever it stands."""
    return isinstance(op, LAYERS) and not _with_constant(graph, op)


def is_elementwise(graph: ir.Graph, op: ir.Operator) -> bool:
    """Whether each output of an operator follows from one integer, in the same way in all pixels.

    Constants have one element, or one for each channel.
    """
    if not isinstance(op, ELEMENTWISE):
        return False
    computed = activations(graph, op)
    if len(computed) != 1 or (not _with_constant(graph, op) and isinstance(op, ir.BinaryOp)):
        return False
    if any(graph.tensors[i].dtype not in ("int8", "uint8") for i in (*op.inputs, op.output)):
        return False
    shape = graph.tensors[op.output].shape
    constants = [graph.tensors[i] for i in op.inputs if i not in computed]
    if isinstance(op, ir.Maximum | ir.Minimum) and any(t.size > 1 for t in constants):
        # All channels have one clamp.
        return False
    return graph.tensors[computed[0]].shape == shape and all(
        t.size == 1 or t.shape[-1] == t.size == shape[-1] for t in constants
    )


def _with_constant(graph: ir.Graph, op: ir.Operator) -> bool:
    return isinstance(op, ir.BinaryOp) and len(activations(graph, op)) < 2
