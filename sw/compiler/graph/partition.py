"""Partition of a network: what the device runs, and what the host before and after it.

The host runs the reference kernels (:mod:`sw.golden`), exactly.  It prepares the input and turns
logits into scores; everything between the first and the last operator of the device has to run on
the device.  Networks that have more for the host are divided first
(:mod:`sw.compiler.graph.division`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from common.errors import UnsupportedError
from sw import ir
from sw.compiler.graph.operands import ELEMENTWISE, FOLDED, activations, is_elementwise, is_layer
from sw.compiler.graph.refusals import Refused, Rule
from sw.compiler.program.tensors import Place
from sw.golden.requantisation import Requantisation

__all__ = [
    "HOST_ONLY",
    "IN_BETWEEN",
    "NOT_FOLDED",
    "ONE_CLAMP",
    "ONE_IMAGE",
    "ONE_OPERAND",
    "PIXELS_STAY",
    "STORED_TYPE",
    "Partition",
    "View",
    "as_stored",
    "host_rule",
    "moves_nothing",
    "offset",
    "partition",
    "refusal",
    "subgraph",
    "zero_point",
]


HOST_ONLY = Rule(
    "The device does not run this operator",
    "the host does, exactly; or leave it out of the exported model",
)
NOT_FOLDED = Rule(
    "What is no work of its own is folded into its neighbours where it can be",
    "the host does the rest, which only moves data",
)
IN_BETWEEN = Rule(
    "Without the host between layers (--no-fallback), what the device does not run must be in "
    "front of its first layer or behind its last one",
    "remove it from the network, move it to an end, or let the host run it in between",
)
ONE_IMAGE = Rule(
    "Images must have a batch of 1, since the device runs one image at a time",
    "export the network with batch size 1",
)
STORED_TYPE = Rule(
    "Tensors must be int8 or uint8 on the device", "quantise the network's input outside of it"
)
ONE_OPERAND = Rule(
    "Between layers, one operand must be computed, of the output's shape, and the other a constant "
    "of one element or one for each channel",
    "fold the constant into the layer before, or leave it to the host",
)
ONE_CLAMP = Rule(
    "Between layers, one operand must be computed, of the output's shape, and the other a constant "
    "of one element",
    "use one constant for all channels, or leave it to the host",
)
PIXELS_STAY = Rule(
    "A reshaped input must keep its channels, since the device leaves every pixel where it is",
    "reshape height and width only, or in front of a fully connected layer",
)


def offset(tensor: ir.Tensor) -> int:
    """Return what is subtracted from a tensor's integers so that they become int8."""
    return 128 if tensor.dtype == "uint8" else 0


def zero_point(tensor: ir.Tensor) -> int:
    """Return the zero point of a tensor as the device stores it."""
    return tensor.q.zero_point - offset(tensor)


def as_stored(requantisation: Requantisation, output: ir.Tensor) -> Requantisation:
    """Return what gives a tensor's integers as the device stores them."""
    less = offset(output)
    return replace(
        requantisation,
        zero_point=requantisation.zero_point - less,
        act_min=requantisation.act_min - less,
        act_max=requantisation.act_max - less,
    )


@dataclass(frozen=True, slots=True)
class View:
    """Tensor as an operator of the device sees it, and where it lies.

    RESHAPE and QUANTIZE give what lies in one place several names, shapes and types.  What an
    operator computes follows from the tensor it names; the place says no more than where the
    bytes are, and how they are packed.

    Attributes
    ----------
    tensor : Tensor
        Shape, type and quantisation are the operator's operand's own.
    place : Place
    channels : int
        Of a pixel in memory, which is padded to whole words: the tensor's last dimension, or a
        divisor of it if a fully connected layer reads several pixels as one.
    moved : bool
        Whether the tensor has another shape than the one that was written there, so that its rows
        are not the rows that were written.
    """

    tensor: ir.Tensor
    place: Place
    channels: int
    moved: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """Network in three parts.

    Attributes
    ----------
    graph : Graph
        The whole network.
    prefix, suffix : tuple of Operator
        What the host runs before and after the device.
    device : tuple of Operator
        What the device runs, without operators that move nothing.
    inputs, outputs : tuple of Place
        Tensors that the device reads from, and leaves for, the host.
    aliases : dict
        Tensors that lie in the place of another.
    """

    graph: ir.Graph
    prefix: tuple[ir.Operator, ...]
    device: tuple[ir.Operator, ...]
    suffix: tuple[ir.Operator, ...]
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    aliases: dict[int, Place]

    def place(self, index: int) -> Place:
        """Return the place of a tensor."""
        return self.aliases.get(index, Place(index))

    def view(self, index: int) -> View:
        """Return a tensor as an operator sees it that reads it under this number."""
        place = self.place(index)
        tensor, written = self.graph.tensors[index], self.graph.tensors[place]
        channels = written.shape[-1] if written.shape else 1
        return View(tensor, place, channels, tensor.shape != written.shape)


def moves_nothing(graph: ir.Graph, op: ir.Operator) -> bool:
    """Whether an operator leaves every byte in the device's memory where it is."""
    if isinstance(op, ir.Quantize):
        x, y = graph.tensors[op.input], graph.tensors[op.output]
        if x.quantization is None:
            # Of float32.
            return False
        return x.q.scale == y.q.scale and zero_point(x) == zero_point(y)
    return isinstance(op, ir.Reshape)


def host_rule(graph: ir.Graph, op: ir.Operator) -> str | None:
    """Return the rule by which an operator is the host's wherever it stands, if there is one."""
    if isinstance(op, FOLDED):
        return NOT_FOLDED.broken(f"it writes {graph.tensors[op.output].shape}")
    if not is_layer(graph, op) and not isinstance(op, ELEMENTWISE):
        return HOST_ONLY.broken(f"it is a {op.kind}")
    broken = _tensor_rule(graph, (*activations(graph, op), op.output))
    if broken is not None or is_layer(graph, op) or is_elementwise(graph, op):
        return broken
    shapes = " and ".join(
        f"{'a constant' if tensor.is_constant else 'computed'} {tensor.shape}"
        for tensor in (graph.tensors[index] for index in op.inputs)
    )
    one = isinstance(op, ir.Maximum | ir.Minimum)
    return (ONE_CLAMP if one else ONE_OPERAND).broken(f"its operands are {shapes}")


def _tensor_rule(graph: ir.Graph, indices: Iterable[int]) -> str | None:
    """Return the rule that one of an operator's tensors breaks, if there is one."""
    for index in indices:
        tensor = graph.tensors[index]
        where = f"tensor {index} ({tensor.name!r})"
        if len(tensor.shape) == 4 and tensor.shape[0] != 1:
            return ONE_IMAGE.broken(f"{where} has a batch of {tensor.shape[0]}")
        if tensor.dtype not in ("int8", "uint8"):
            return STORED_TYPE.broken(f"{where} is {tensor.dtype}")
    return None


def _read_by_device(graph: ir.Graph, device: Collection[str]) -> set[int]:
    """Return the tensors that operators of the device read, themselves or through others."""
    needed: set[int] = set()
    for op in reversed(graph.ops):
        if op.name in device or op.output in needed:
            needed.update(activations(graph, op))
    return needed


def refusal(graph: ir.Graph, op: ir.Op, rule: Rule, found: str) -> Refused:
    """Return the error for an operator that the device cannot run."""
    return _refused(graph, op, rule.broken(found))


def _refused(graph: ir.Graph, op: ir.Op, why: str) -> Refused:
    tensor = graph.tensors[op.output]
    return Refused(
        {op.name: why},
        f"operator {op.name!r} ({op.kind}), output tensor {tensor.index} ({tensor.name!r})",
    )


def partition(graph: ir.Graph, host: Collection[str] = ()) -> Partition:
    """Divide a network between host and device.

    What needs no result of the device is the host's before it, and what no operator of the device
    needs is the host's after it, wherever it stands in the file.

    Parameters
    ----------
    graph : Graph
    host : collection of str
        Operators that the device does not run although it knows their kind.

    Raises
    ------
    UnsupportedError
        If nothing is left for the device, or an operator between the device's cannot run there.
    """
    on_device = [op for op in graph.ops if is_layer(graph, op) and op.name not in host]
    if not on_device:
        raise UnsupportedError(
            f"network {graph.name!r} has no operator for the device (convolutions, fully "
            "connected, ADD, average pooling); there is nothing to compile"
        )
    names = {op.name for op in on_device}
    needed = _read_by_device(graph, names)
    of_host = set(graph.inputs) | {t.index for t in graph.tensors if t.is_constant}
    aliases: dict[int, Place] = {}
    prefix, device, suffix = [], [], []
    for op in graph.ops:
        if op.name in names:
            device.append(op)
        elif of_host.issuperset(op.inputs):
            prefix.append(op)
            of_host.add(op.output)
        elif op.output not in needed:
            suffix.append(op)
        elif moves_nothing(graph, op):
            aliases[op.output] = aliases.get(op.inputs[0], Place(op.inputs[0]))
        elif is_elementwise(graph, op) and op.name not in host:
            device.append(op)
        else:
            broken = host_rule(graph, op) if isinstance(op, ELEMENTWISE) else None
            raise _refused(graph, op, broken or IN_BETWEEN.broken(f"it is a {op.kind}"))
    wanted = {i for op in suffix for i in op.inputs} | set(graph.outputs)
    places = {aliases.get(i, i) for i in wanted}
    _check_tensors(graph, {i for op in device for i in (op.output, *activations(graph, op))})
    part = Partition(
        graph=graph,
        prefix=tuple(prefix),
        device=tuple(device),
        suffix=tuple(suffix),
        inputs=tuple(_inputs(graph, device, of_host)),
        outputs=tuple(Place(op.output) for op in device if op.output in places),
        aliases=aliases,
    )
    for op in device:
        _check_pixels(part, op)
    return part



def _inputs(
    graph: ir.Graph, device: Iterable[ir.Operator], of_host: Collection[int]
) -> list[Place]:
    """Return the tensors of the host that operators of the device read."""
    inputs: list[Place] = []
    for op in device:
        for index in activations(graph, op):
            if index in of_host and index not in inputs:
                inputs.append(Place(index))
    return inputs


def _check_pixels(part: Partition, op: ir.Operator) -> None:
    """Refuse an operator whose operands' pixels are not the pixels in memory.

    Memory pads each pixel to whole words.  Only a fully connected layer reads several as one.
    """
    for view in map(part.view, activations(part.graph, op)):
        whole = view.tensor.shape[-1:] == (view.channels,)
        if isinstance(op, ir.FullyConnected):
            whole |= part.graph.tensors[op.weights].shape[1] % view.channels == 0
        if view.moved and not whole:
            raise refusal(
                part.graph,
                op,
                PIXELS_STAY,
                f"its input {view.tensor.name!r} is {view.tensor.shape}, of a tensor with "
                f"{view.channels} channels",
            )


def _check_tensors(graph: ir.Graph, indices: Iterable[int]) -> None:
    broken = _tensor_rule(graph, sorted(indices))
    if broken is not None:
        raise UnsupportedError(broken)


def _placeholder(tensor: ir.Tensor) -> ir.Tensor:
    return replace(tensor, data=None, shape=(), quantization=None, normalisation=None)


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
        t if t.index in used else _placeholder(t)
        for t in graph.tensors
    )
    part = ir.Graph(name=graph.name, tensors=tensors, ops=ops, inputs=inputs, outputs=outputs)
    part.check()
    return part
