"""Graphs of operators and tensors, and the rules that they keep."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import GraphError, InputError
from sw.ir.bases import WeightedOp
from sw.ir.operators import Operator
from sw.ir.shapes import infer_shape
from sw.ir.tensors import QUANTISED, Normalisation, Tensor

__all__ = ["Graph"]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network: tensors, operators in execution order, and the indices of inputs and outputs.

    Attributes
    ----------
    name : str
    tensors : tuple of Tensor
    ops : tuple of Operator
        In execution order.
    inputs, outputs : tuple of int
        Tensors.
    labels : tuple of str
        Names of the classes, as far as the file has them; otherwise empty.
    remarks : tuple of str
        What of the file's metadata was left out, and why; sentences for people.
    """

    name: str
    tensors: tuple[Tensor, ...]
    ops: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    labels: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def producer(self, index: int) -> Operator | None:
        """Return the operator that writes a tensor, or None for inputs and constants."""
        return next((op for op in self.ops if op.output == index), None)

    def macs(self, op: Operator) -> int:
        """Return the multiplications of an operator with weights; 0 of others."""
        if not isinstance(op, WeightedOp):
            return 0
        output, weights = self.tensors[op.output], self.tensors[op.weights]
        return output.size * weights.size // output.shape[-1]

    def input_named(self, name: str) -> int:
        """Return the input of a name, or of a part of one that only this input has.

        Parameters
        ----------
        name : str
            The tensor's name in the file, or how only that of one input begins or ends;
            ``:0`` at the end may be left out.

        Returns
        -------
        int
            The tensor's number.

        Raises
        ------
        InputError
            Naming the inputs there are.
        """
        names = {index: self.tensors[index].name for index in self.inputs}
        found = [index for index, other in names.items() if other == name]
        if not found:
            part = name.removesuffix(":0")
            whole = {index: other.removesuffix(":0") for index, other in names.items()}
            found = [i for i, other in whole.items() if other.startswith(part) and part]
            found += [i for i, other in whole.items() if other.endswith(part) and part]
        if len(set(found)) == 1:
            return found[0]
        listed = ", ".join(repr(other) for other in names.values())
        why = "fits several inputs" if found else "is no input"
        raise InputError(
            f"{name!r} {why} of network {self.name!r}: name one of {listed}, or how it begins or "
            "ends"
        )

    def check(self) -> None:
        """Verify that the graph is well formed.

        Raises
        ------
        GraphError
            Naming the operator and tensor: indices in range, operators in topological order with
            one producer for each tensor, shapes and constants that agree, quantisation present.
        """
        for position, tensor in enumerate(self.tensors):
            _check_tensor(tensor, position)
        for index in (*self.inputs, *self.outputs):
            if not 0 <= index < len(self.tensors):
                raise GraphError(f"graph {self.name!r} has no tensor {index}")
        known = set(self.inputs) | {t.index for t in self.tensors if t.is_constant}
        names: set[str] = set()
        for op in self.ops:
            if op.name in names:
                raise GraphError(f"two operators are called {op.name!r}")
            names.add(op.name)
            self._check_op(op, known)
            known.add(op.output)
        missing = set(self.outputs) - known
        if missing:
            raise GraphError(f"no operator writes output tensor {min(missing)}")

    def _check_op(self, op: Operator, known: set[int]) -> None:
        where = f"operator {op.name!r} ({op.kind})"
        for index in (*op.inputs, op.output):
            if not 0 <= index < len(self.tensors):
                raise GraphError(f"{where} refers to tensor {index}, which does not exist")
        for index in op.inputs:
            if index not in known:
                raise GraphError(f"{where} reads tensor {index} before anything writes it")
        if op.output in known:
            raise GraphError(f"{where} writes tensor {op.output}, which already has a value")
        output = self.tensors[op.output]
        try:
            for tensor in (*(self.tensors[i] for i in op.inputs), output):
                if tensor.dtype in QUANTISED:
                    _ = tensor.q
            shapes = tuple(self.tensors[i].shape for i in op.inputs)
            shape = infer_shape(op, shapes, output.shape)
        except GraphError as error:
            raise GraphError(f"{where}: {error}") from None
        if shape != output.shape:
            raise GraphError(
                f"{where} produces shape {shape}, but its output tensor {op.output} is "
                f"{output.shape}"
            )
        if isinstance(op, WeightedOp):
            _check_weighted(op, self, where)


def _check_tensor(tensor: Tensor, position: int) -> None:
    where = f"tensor {tensor.index} ({tensor.name!r})"
    if tensor.index != position:
        raise GraphError(f"{where} stands at position {position}")
    if any(n < 1 for n in tensor.shape):
        raise GraphError(f"{where} has the empty shape {tensor.shape}")
    if tensor.data is not None and (
        tensor.data.shape != tensor.shape or tensor.data.dtype != tensor.dtype
    ):
        raise GraphError(
            f"{where} is {tensor.dtype}{tensor.shape} but holds "
            f"{tensor.data.dtype}{tensor.data.shape}"
        )
    if tensor.normalisation is not None:
        _check_normalisation(tensor, tensor.normalisation, where)
    q = tensor.quantization
    if q is None:
        return
    if len(q.scales) != len(q.zero_points) or not q.scales:
        raise GraphError(f"{where} has {len(q.scales)} scales, {len(q.zero_points)} zero points")
    if q.axis is None and len(q.scales) != 1:
        raise GraphError(f"{where} has {len(q.scales)} scales but no axis")
    if q.axis is not None and (
        not 0 <= q.axis < len(tensor.shape) or tensor.shape[q.axis] != len(q.scales)
    ):
        raise GraphError(f"{where}: {len(q.scales)} scales do not fit axis {q.axis}")


def _check_normalisation(tensor: Tensor, normalisation: Normalisation, where: str) -> None:
    channels = tensor.picture[2] if tensor.picture else 0
    if tensor.q.per_channel or not normalisation.proper or not normalisation.fits(channels):
        raise GraphError(f"{where} has a normalisation that is none of an image like it")


def _check_weighted(op: WeightedOp, graph: Graph, where: str) -> None:
    weights = graph.tensors[op.weights]
    channels = graph.tensors[op.output].shape[-1]
    if weights.data is None:
        raise GraphError(f"{where}: weights tensor {op.weights} is not constant")
    if len(weights.q.scales) not in (1, channels):
        raise GraphError(f"{where}: {len(weights.q.scales)} scales for {channels} channels")
    if op.bias is not None:
        bias = graph.tensors[op.bias]
        if bias.data is None or bias.dtype != "int32" or bias.shape != (channels,):
            raise GraphError(
                f"{where}: bias tensor {op.bias} must be a constant int32({channels},)"
            )
