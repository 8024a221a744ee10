"""Operands by their part in an operator: what constraints are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sw.importer.read import RawOperator
from sw.ir import QUANTISED, Detection, Tensor

__all__ = [
    "OPERANDS",
    "QUANTISED",
    "WEIGHTED",
    "Constraint",
    "data_operands",
    "describe",
    "integers",
]

Constraint: TypeAlias = Callable[[RawOperator], str | None]
"""Returns ``None``, or what was found; its docstring is the rule (:mod:`sw.importer.constraints`).
"""

MANY = 1024
"""Most operands of an operator that takes any number."""

OPERANDS = {
    "CONV_2D": (2, 3),
    "DEPTHWISE_CONV_2D": (2, 3),
    "FULLY_CONNECTED": (2, 3),
    "TRANSPOSE_CONV": (4, 4),
    "ADD": (2, 2),
    "SUB": (2, 2),
    "MUL": (2, 2),
    "MAXIMUM": (2, 2),
    "MINIMUM": (2, 2),
    "AVERAGE_POOL_2D": (1, 1),
    "MAX_POOL_2D": (1, 1),
    "MEAN": (2, 2),
    "SUM": (2, 2),
    "ARG_MAX": (2, 2),
    "RESIZE_BILINEAR": (2, 2),
    "RESIZE_NEAREST_NEIGHBOR": (2, 2),
    "PAD": (2, 2),
    "PADV2": (3, 3),
    "MIRROR_PAD": (2, 2),
    "RESHAPE": (1, 2),
    "SQUEEZE": (1, 1),
    "EXPAND_DIMS": (2, 2),
    "TRANSPOSE": (2, 2),
    "SLICE": (3, 3),
    "STRIDED_SLICE": (4, 4),
    "SPLIT": (2, 2),
    "SPLIT_V": (3, 3),
    "UNPACK": (1, 1),
    "CONCATENATION": (1, MANY),
    "PACK": (1, MANY),
    "QUANTIZE": (1, 1),
    "DEQUANTIZE": (1, 1),
    "RELU": (1, 1),
    "RELU6": (1, 1),
    "RELU_N1_TO_1": (1, 1),
    "RELU_0_TO_1": (1, 1),
    "LEAKY_RELU": (1, 1),
    "PRELU": (2, 2),
    "HARD_SWISH": (1, 1),
    "EXP": (1, 1),
    "LOGISTIC": (1, 1),
    "TANH": (1, 1),
    "SOFTMAX": (1, 1),
    Detection.kind: (3, 3),
}
"""Fewest and most operands of each operator, in the order of :mod:`sw.importer.order`."""

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")

_DATA = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU", *WEIGHTED), 2),
    **dict.fromkeys(("CONCATENATION", "PACK"), MANY),
    Detection.kind: 3,
}
"""How many operands hold data, where that is not one."""


def describe(tensor: Tensor) -> str:
    """Return how messages name a tensor."""
    return f"tensor {tensor.index} ({tensor.name!r})"


def data_operands(op: RawOperator) -> list[Tensor]:
    """Return operands and results that hold network data, not biases, shapes, axes or indices."""
    count = min(_DATA.get(op.kind, 1), max(len(op.inputs), 1))
    operands = [op.operand(i) for i in range(count)]
    match op.kind:
        case "QUANTIZE" if operands[0].dtype == "float32":
            return list(op.outputs)
        case "DEQUANTIZE" | "ARG_MAX":
            return operands
    return [*operands, *op.outputs]


def integers(op: RawOperator, number: int) -> list[int] | None:
    """Return the integers of a constant operand; ``None`` if it is none."""
    tensor = op.operand(number)
    if tensor.data is None or tensor.dtype not in ("int32", "int64"):
        return None
    return [int(n) for n in tensor.data.reshape(-1)]
