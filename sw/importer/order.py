"""Operands in the order that all other operators have: data first, then weights, then numbers."""

from __future__ import annotations

from dataclasses import replace

from sw.importer.read import RawModel, RawOperator

__all__ = ["in_order"]

_ORDERS = {
    # Shape, weights, input, bias.
    "TRANSPOSE_CONV": (2, 1, 3, 0),
    # Axis, input.
    "SPLIT": (1, 0),
}
"""Where each operand is in the file; one that is beyond the last is left out."""


def in_order(model: RawModel) -> RawModel:
    """Return the model with every operator's data in front.

    TRANSPOSE_CONV becomes input, weights, bias, shape; SPLIT becomes input, axis.
    """
    return replace(model, operators=tuple(_ordered(op) for op in model.operators))


def _ordered(op: RawOperator) -> RawOperator:
    order = _ORDERS.get(op.kind)
    if order is None:
        return op
    operands = [op.optional(number) for number in order]
    # What the definition does not know stays, for the rule that counts operands.
    return replace(op, inputs=(*operands, *op.inputs[len(order) :]))
