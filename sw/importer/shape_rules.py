"""Constraints on shapes, windows, axes; see :mod:`sw.importer.constraints`."""

from __future__ import annotations

import numpy as np

from sw.importer.operands import describe
from sw.importer.read import RawOperator

MAX_KERNEL = 64


def input_is_4d(op: RawOperator) -> str | None:
    """Input and output must be NHWC images of four dimensions; reshape the input before this
    operator."""
    for tensor in (op.operand(0), *op.outputs):
        if len(tensor.shape) != 4:
            return f"{describe(tensor)} has the shape {list(tensor.shape)}"
    return None


def stride_is_positive(op: RawOperator) -> str | None:
    """Strides must be from 1 to 64; the file is inconsistent, convert it again."""
    stride = (op.options.StrideH(), op.options.StrideW())
    if all(1 <= s <= MAX_KERNEL for s in stride):
        return None
    return f"it is {stride[0]} × {stride[1]}"


def kernel_is_at_most_64(op: RawOperator) -> str | None:
    """The kernel, dilation included, must be at most 64 × 64; use several smaller layers."""
    if op.kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        extent = [op.options.FilterHeight(), op.options.FilterWidth()]
    elif op.kind == "TRANSPOSE_CONV":
        extent = [*op.operand(1).shape[1:3]]
    else:
        dilation = (op.options.DilationHFactor(), op.options.DilationWFactor())
        if min(dilation) < 1:
            return f"its dilation is {dilation[0]} × {dilation[1]}"
        kernel = op.operand(1).shape[1:3]
        extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if all(1 <= n <= MAX_KERNEL for n in extent):
        return None
    return f"it is {extent[0]} × {extent[1]}"


def padding_is_known(op: RawOperator) -> str | None:
    """Padding must be SAME or VALID; put an explicit PAD before the operator."""
    return None if op.options.Padding() in (0, 1) else f"it is number {op.options.Padding()}"


def add_shapes_fit(op: RawOperator) -> str | None:
    """Operands must broadcast to the output's shape; reshape or repeat the operand first."""
    output = op.outputs[0].shape
    operands = (op.operand(0), op.operand(1))
    for tensor in operands:
        try:
            fits = np.broadcast_shapes(tensor.shape, output) == output
        except ValueError:
            fits = False
        if not fits:
            return f"{describe(tensor)} is {list(tensor.shape)}, the output {list(output)}"
    both = np.broadcast_shapes(*(tensor.shape for tensor in operands))
    return None if both == output else f"both together are {list(both)}, it is {list(output)}"


def second_input_is_constant(op: RawOperator) -> str | None:
    """Axes, paddings and permutations must be constants; export the model with fixed shapes."""
    tensor = op.operand(1)
    if tensor.data is None or tensor.dtype not in ("int32", "int64"):
        return f"{describe(tensor)} is computed or not of integers"
    return None


def paddings_are_reasonable(op: RawOperator) -> str | None:
    """Paddings must be one pair of numbers from 0 to 64 for each dimension; crop or pad the
    image outside the network."""
    data = op.operand(1).data
    rank = len(op.operand(0).shape)
    if data is None or data.shape != (rank, 2):
        return f"there are {list(op.operand(1).shape)} for {rank} dimensions"
    values = [int(n) for n in data.reshape(-1)]
    return None if all(0 <= n <= MAX_KERNEL for n in values) else f"they are {values}"


def permutation_is_valid(op: RawOperator) -> str | None:
    """The permutation must name every dimension once; the file is inconsistent, convert it
    again."""
    data = op.operand(1).data
    values = [] if data is None else [int(n) for n in data.reshape(-1)]
    rank = len(op.operand(0).shape)
    return None if sorted(values) == list(range(rank)) else f"it is {values}"


def element_count_is_kept(op: RawOperator) -> str | None:
    """Input and output must have the same number of elements; export the model with batch size
    1 and fixed shapes."""
    x, y = op.operand(0), op.outputs[0]
    return None if x.size == y.size else f"{list(x.shape)} becomes {list(y.shape)}"


def new_shape_is_output(op: RawOperator) -> str | None:
    """The new shape must be a constant that agrees with the output's shape; export the model with
    fixed shapes."""
    tensor = op.operand(3) if op.kind == "TRANSPOSE_CONV" else op.optional(1)
    output = op.outputs[0].shape
    if tensor is None:
        return None
    if tensor.data is None or tensor.dtype != "int32":
        return f"{describe(tensor)} is computed"
    stated = [int(n) for n in tensor.data.reshape(-1)]
    # One dimension may be -1, for whatever remains.
    agrees = len(stated) == len(output) and stated.count(-1) <= 1
    if agrees and all(a in (-1, b) for a, b in zip(stated, output, strict=True)):
        return None
    return f"{stated} is not {list(output)}"
