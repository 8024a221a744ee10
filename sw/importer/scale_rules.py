"""Constraints on the scales of functions; see :mod:`sw.importer.constraints`."""

from __future__ import annotations

import math

import numpy as np

from sw.importer.operands import QUANTISED, describe
from sw.importer.read import RawOperator


def output_scale_is_usual(op: RawOperator) -> str | None:
    """The scale of an output must be above 2^-24; the scales are wrong, quantise the model again
    with a representative data set."""
    scale = op.outputs[0].q.scale
    # The reference converts numbers beyond int32 otherwise, which is undefined.
    return None if scale > 2.0**-24 else f"it is {scale:g}"


def logistic_output_is_standard(op: RawOperator) -> str | None:
    """A LOGISTIC must have scale 1/256 at its output; export with TensorFlow Lite's own
    converter."""
    scale = op.outputs[0].q.scale
    return None if scale == 1 / 256 else f"it has {scale:g}"


def exponential_is_int8(op: RawOperator) -> str | None:
    """An EXP must be int8, which is all that the reference has; put a QUANTIZE in front of it."""
    dtype = op.operand(0).dtype
    return None if dtype == "int8" else f"it is {dtype}"


def exponential_fits(op: RawOperator) -> str | None:
    """The greatest number that an EXP can write must be below 2^30 times its output's scale; the
    scales are wrong, quantise the model again with a representative data set."""
    x, scale = op.operand(0).q, op.outputs[0].q.scale
    # The reference converts numbers beyond int32 otherwise, which is undefined.
    steps = x.scale * (127 - x.zero_point) - math.log(scale)
    return None if steps < 30 * math.log(2) else f"it is exp({steps:.0f}) times"


def negative_scale_is_usual(op: RawOperator) -> str | None:
    """The factor of negative numbers, alpha × input scale ÷ output scale, must be below 256; the
    scales are wrong, quantise the model again with a representative data set."""
    alpha = op.operand(1).q.scale if op.kind == "PRELU" else float(op.options.Alpha())
    factor = abs(alpha) * op.operand(0).q.scale / op.outputs[0].q.scale
    return None if math.isfinite(factor) and factor < 256 else f"it is {factor:g}"


def alpha_is_not_negative(op: RawOperator) -> str | None:
    """The alpha of a LEAKY_RELU must not be negative; train the model with a positive one."""
    alpha = float(op.options.Alpha())
    return None if alpha >= 0 else f"it is {alpha:g}"


def alpha_fits(op: RawOperator) -> str | None:
    """The alpha of a PRELU must broadcast to the input, which has the output's shape; the file is
    inconsistent, convert it again."""
    x, alpha, y = op.operand(0).shape, op.operand(1).shape, op.outputs[0].shape
    try:
        fits = np.broadcast_shapes(x, alpha) == x == y
    except ValueError:
        fits = False
    return None if fits else f"{list(alpha)} for {list(x)} and {list(y)}"


def hard_swish_scales_are_usual(op: RawOperator) -> str | None:
    """A HARD_SWISH must have an input scale from 2^-21 to 2^20 that is from 1/256 to below 64 times
    the output's; the scales are wrong, quantise the model again with a representative data set."""
    scale = op.operand(0).q.scale
    ratio = scale / op.outputs[0].q.scale
    # Beyond, the reference's numbers of 16 bits overflow, or shift by 16 and more.
    if 2.0**-21 <= scale <= 2.0**20 and 1 / 256 <= ratio < 64:
        return None
    return f"the scale is {scale:g}, the ratio {ratio:g}"


def float_side_is_float32(op: RawOperator) -> str | None:
    """A QUANTIZE must read float32, int8 or uint8, and a DEQUANTIZE write float32; export the model
    with 8-bit activations and weights."""
    tensor = op.operand(0) if op.kind == "QUANTIZE" else op.outputs[0]
    allowed = tensor.dtype == "float32" or (op.kind == "QUANTIZE" and tensor.dtype in QUANTISED)
    return None if allowed else f"{describe(tensor)} is {tensor.dtype}"


def numbers_are_integers(op: RawOperator) -> str | None:
    """A SOFTMAX, EXP, LOGISTIC or TANH must be of int8 or uint8, since the last bit of float32 is
    the C library's business there; cut the file in front of the DEQUANTIZE that feeds it, or
    quantise this operator too."""
    for tensor in (op.operand(0), *op.outputs):
        if tensor.dtype.startswith("float"):
            return f"{describe(tensor)} is {tensor.dtype}"
    return None
