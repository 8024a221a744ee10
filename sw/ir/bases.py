"""Bases of operators, each with the indices of its operands and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

__all__ = [
    "NO_PADDING",
    "Activation",
    "BinaryOp",
    "NaryOp",
    "Op",
    "Padding",
    "UnaryOp",
    "WeightedOp",
]

Activation: TypeAlias = Literal["NONE", "RELU", "RELU6"]
Padding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right)), all non-negative."""

NO_PADDING: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """Operator: a name unique in the graph, and one output tensor."""

    kind: ClassVar[str] = ""
    """TensorFlow Lite's name of the operator, such as ``"CONV_2D"``."""

    name: str
    output: int

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of all operands: activations first, then constants."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class UnaryOp(Op):
    """An operator on one tensor."""

    input: int

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.input,)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedOp(UnaryOp):
    """An operator with weights, an optional int32 bias and a fused activation."""

    weights: int
    bias: int | None = None
    activation: Activation = "NONE"

    @property
    def inputs(self) -> tuple[int, ...]:
        tail = () if self.bias is None else (self.bias,)
        return (self.input, self.weights, *tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryOp(Op):
    """Elementwise operator; a constant operand may broadcast to the output's shape."""

    input1: int
    input2: int
    activation: Activation = "NONE"

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.input1, self.input2)


@dataclass(frozen=True, slots=True, kw_only=True)
class NaryOp(Op):
    """An operator on any number of tensors."""

    operands: tuple[int, ...]

    @property
    def inputs(self) -> tuple[int, ...]:
        return self.operands
