"""Shapes that a network computes (SHAPE, STRIDED_SLICE, PACK …) as the constants that they are.

Converters leave them in where a batch size was unknown.  All shapes of a file are fixed, so that
what is computed of them, in int32 and int64, is known at import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sw.importer.read import RawModel, RawOperator
from sw.ir import Tensor

__all__ = ["SHAPE_OPERATORS", "fold_shapes", "slice_index"]

Numbers = npt.NDArray[Any]

_TYPES = ("int32", "int64")


def slice_index(op: RawOperator, numbers: Sequence[Sequence[int]]) -> tuple[Any, ...]:
    """Return what STRIDED_SLICE takes, as NumPy indexes.

    Parameters
    ----------
    op : RawOperator
    numbers : begin, end, strides
    """
    options = op.options
    index: list[Any] = []
    for d, (begin, end, stride) in enumerate(zip(*numbers, strict=True)):
        if options.EllipsisMask() >> d & 1:
            index.append(Ellipsis)
        elif options.NewAxisMask() >> d & 1:
            index.append(None)
        elif options.ShrinkAxisMask() >> d & 1:
            index.append(0 if options.BeginMask() >> d & 1 else begin)
        else:
            first = None if options.BeginMask() >> d & 1 else begin
            last = None if options.EndMask() >> d & 1 else end
            index.append(slice(first, last, stride))
    return tuple(index)


def _strided_slice(op: RawOperator, values: list[Numbers]) -> Numbers:
    x, *numbers = values
    return np.asarray(x[slice_index(op, [n.reshape(-1).tolist() for n in numbers])])


def _slice(op: RawOperator, values: list[Numbers]) -> Numbers:
    x, begin, size = values
    ends = [None if n < 0 else b + n for b, n in zip(begin.flat, size.flat, strict=True)]
    return x[tuple(slice(b, e) for b, e in zip(begin.flat, ends, strict=True))]


def _product(op: RawOperator, values: list[Numbers]) -> Numbers:
    axes = tuple(int(a) for a in values[1].flat)
    return np.asarray(values[0].prod(axis=axes, keepdims=bool(op.options.KeepDims())))


def _plain(function: Callable[[Numbers, Numbers], Numbers]) -> _Fold:
    return lambda op, values: function(values[0], values[1])


_Fold = Callable[[RawOperator, list[Numbers]], Numbers]

_FOLDS: dict[str, _Fold] = {
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "PACK": lambda op, values: np.stack(values, op.options.Axis()),
    "CONCATENATION": lambda op, values: np.concatenate(values, op.options.Axis()),
    "GATHER": lambda op, values: np.take(values[0], values[1], op.options.Axis()),
    "ADD": _plain(np.add),
    "SUB": _plain(np.subtract),
    "MUL": _plain(np.multiply),
    "FLOOR_DIV": _plain(np.floor_divide),
    "REDUCE_PROD": _product,
    # Of the output's type and shape is what every result is made in the end.
    "CAST": lambda op, values: values[0],
    "RESHAPE": lambda op, values: values[0],
    "SQUEEZE": lambda op, values: values[0],
    "EXPAND_DIMS": lambda op, values: values[0],
}
"""Operators on integers that shapes are computed with."""

SHAPE_OPERATORS = ("SHAPE", *sorted(_FOLDS))
"""Operators that may compute shapes, whatever else they are not supported for."""

_PLAIN_OPTIONS = ("FusedActivationFunction", "BatchDims", "Offset")
"""Options that are zero where the functions above are right."""


def _folded(op: RawOperator) -> Numbers | None:
    """Return what an operator writes, if that is an integer and known."""
    if len(op.outputs) != 1 or op.outputs[0].dtype not in _TYPES:
        return None
    if op.kind == "SHAPE":
        return np.array(op.operand(0).shape)
    operands = [tensor for tensor in op.inputs if tensor is not None]
    if op.kind not in _FOLDS or not operands:
        return None
    if any(getattr(op.options, name, int)() for name in _PLAIN_OPTIONS):
        return None
    values = [t.data for t in operands if t.data is not None and t.dtype in _TYPES]
    if len(values) < len(operands):
        return None
    try:
        with np.errstate(all="ignore"):
            return _FOLDS[op.kind](op, values)
    except (ValueError, IndexError, TypeError):
        # Operands that do not fit each other: the operator stays, and its rules say so.
        return None


def fold_shapes(model: RawModel) -> RawModel:
    """Return the model without operators on integers that are known, which become constants."""
    tensors = list(model.tensors)
    operators = []
    for raw in model.operators:
        op = replace(
            raw,
            inputs=tuple(None if t is None else tensors[t.index] for t in raw.inputs),
            outputs=tuple(tensors[t.index] for t in raw.outputs),
        )
        value = _folded(op)
        output: Tensor | None = op.outputs[0] if op.outputs else None
        if value is None or output is None or value.size != output.size:
            operators.append(op)
            continue
        # A scalar of NumPy's becomes an array of no dimensions.
        data = np.array(value, output.dtype).reshape(output.shape)
        data.flags.writeable = False
        tensors[output.index] = replace(output, data=data)
    return replace(model, tensors=tuple(tensors), operators=tuple(operators))
