"""Operators that apply a function to each element, and SOFTMAX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sw.ir.bases import UnaryOp

__all__ = [
    "Exp",
    "HardSwish",
    "LeakyRelu",
    "Logistic",
    "Prelu",
    "Relu",
    "Relu0To1",
    "Relu6",
    "ReluN1To1",
    "Softmax",
    "Tanh",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(UnaryOp):
    """Softmax over the last dimension."""

    kind: ClassVar[str] = "SOFTMAX"
    beta: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Relu(UnaryOp):
    """max(x, 0), with a requantisation; as are the other three clamps."""

    kind: ClassVar[str] = "RELU"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relu6(UnaryOp):
    """min(max(x, 0), 6)."""

    kind: ClassVar[str] = "RELU6"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReluN1To1(UnaryOp):
    """min(max(x, −1), 1)."""

    kind: ClassVar[str] = "RELU_N1_TO_1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relu0To1(UnaryOp):
    """min(max(x, 0), 1)."""

    kind: ClassVar[str] = "RELU_0_TO_1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyRelu(UnaryOp):
    """x where it is positive, alpha × x where it is not."""

    kind: ClassVar[str] = "LEAKY_RELU"
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prelu(UnaryOp):
    """x where it is positive, alpha × x where it is not; alpha is a tensor that broadcasts."""

    kind: ClassVar[str] = "PRELU"
    alpha: int

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.input, self.alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardSwish(UnaryOp):
    """x × min(max(x + 3, 0), 6) ÷ 6."""

    kind: ClassVar[str] = "HARD_SWISH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exp(UnaryOp):
    """exp(x)."""

    kind: ClassVar[str] = "EXP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic(UnaryOp):
    """1 ÷ (1 + exp(−x))."""

    kind: ClassVar[str] = "LOGISTIC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tanh(UnaryOp):
    """Hyperbolic tangent."""

    kind: ClassVar[str] = "TANH"
