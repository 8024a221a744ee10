"""Operands by their part in an operator: what constraints are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sw.importer.read import RawOperator
from sw.ir import Tensor

__all__ = ["OPERANDS", "QUANTISED", "WEIGHTED", "Constraint", "data_operands", "describe"]

Constraint: TypeAlias = Callable[[RawOperator], str | None]
"""Returns ``None``, or what was found; its docstring is the rule (:mod:`sw.importer.constraints`).
"""

QUANTISED = ("int8", "uint8")

OPERANDS = {
    "CONV_2D": (2, 3),
    "DEPTHWISE_CONV_2D": (2, 3),
    "FULLY_CONNECTED": (2, 3),
    "ADD": (2, 2),
    "SUB": (2, 2),
    "MUL": (2, 2),
    "AVERAGE_POOL_2D": (1, 1),
    "MEAN": (2, 2),
    "PAD": (2, 2),
    "RESHAPE": (1, 2),
    "QUANTIZE": (1, 1),
    "SOFTMAX": (1, 1),
    "TRANSPOSE": (2, 2),
}
"""Fewest and most operands of each operator."""

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def describe(tensor: Tensor) -> str:
    """Return how messages name a tensor."""
    return f"tensor {tensor.index} ({tensor.name!r})"


def data_operands(op: RawOperator) -> list[Tensor]:
    """Return operands and results that hold network data, not biases, shapes or axes."""
    count = 2 if op.kind in ("ADD", "SUB", "MUL", *WEIGHTED) else 1
    return [*(op.operand(i) for i in range(count)), *op.outputs]
