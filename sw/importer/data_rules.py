"""Constraints on data: types, quantisation, activations; see :mod:`sw.importer.constraints`."""

from __future__ import annotations

import math

import numpy as np

from sw.importer.operands import OPERANDS, QUANTISED, WEIGHTED, data_operands, describe
from sw.importer.read import RawOperator
from sw.ir import Quantization

_ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}


def one_output(op: RawOperator) -> str | None:
    """The operator must have exactly one output; export the model for inference only."""
    return None if len(op.outputs) == 1 else f"it has {len(op.outputs)}"


def operand_count_fits(op: RawOperator) -> str | None:
    """The operator must have the inputs that its definition lists; the file is inconsistent,
    convert it again."""
    least, most = OPERANDS[op.kind]
    return None if least <= len(op.inputs) <= most else f"it has {len(op.inputs)}"


def data_is_not_float(op: RawOperator) -> str | None:
    """Data must be int8 or uint8; quantise the model to int8 (full integer post-training
    quantisation with a representative data set)."""
    for tensor in data_operands(op):
        if tensor.dtype.startswith("float"):
            return f"{describe(tensor)} is {tensor.dtype}"
    return None


def data_is_8_bit(op: RawOperator) -> str | None:
    """Data must be int8 or uint8; export the model with 8-bit activations and weights."""
    for tensor in data_operands(op):
        if tensor.dtype not in QUANTISED:
            return f"{describe(tensor)} is {tensor.dtype}"
    return None


def data_has_one_type(op: RawOperator) -> str | None:
    """Inputs, weights and output must be of the same type; insert a QUANTIZE between int8 and
    uint8 parts."""
    found = {tensor.dtype for tensor in data_operands(op)}
    return None if len(found) == 1 else "found " + " and ".join(sorted(found))


def data_is_quantised(op: RawOperator) -> str | None:
    """Data must have a scale and zero point; quantise the model fully to integers."""
    for tensor in data_operands(op):
        if tensor.dtype in QUANTISED and tensor.quantization is None:
            return f"{describe(tensor)} has none"
    return None


def zero_points_in_range(op: RawOperator) -> str | None:
    """Zero points must be representable in the tensor's own type; export the model again."""
    for tensor in data_operands(op):
        if tensor.dtype not in QUANTISED or tensor.quantization is None:
            continue
        limits = np.iinfo(tensor.dtype)
        for zero_point in tensor.quantization.zero_points:
            if not limits.min <= zero_point <= limits.max:
                return f"{describe(tensor)} has {zero_point} in {tensor.dtype}"
    return None


def activations_are_per_tensor(op: RawOperator) -> str | None:
    """Inputs and outputs must have one scale per tensor (only weights have one per channel);
    export with TensorFlow Lite's own converter."""
    for number, tensor in enumerate(data_operands(op)):
        # One tensor may be both: the activations' rule is the stricter one.
        is_weights = op.kind in WEIGHTED and number == 1
        if not is_weights and tensor.quantization is not None and tensor.quantization.per_channel:
            return f"{describe(tensor)} has {len(tensor.quantization.scales)}"
    return None


def activation_name(number: int) -> str:
    """Return the schema's name of a fused activation."""
    return _ACTIVATIONS.get(number, f"number {number}")


def activation_is_a_clamp(op: RawOperator) -> str | None:
    """The fused activation must be NONE, RELU or RELU6; train the model with one of these."""
    name = activation_name(op.options.FusedActivationFunction())
    return None if name in ("NONE", "RELU", "RELU6") else f"it is {name}"


def pool_keeps_quantisation(op: RawOperator) -> str | None:
    """Input and output of a pooling must have the same scale and zero point; requantise with a
    QUANTIZE after it."""
    return _same_quantisation(op)


def data_keeps_quantisation(op: RawOperator) -> str | None:
    """An operator that only moves data must have the same scale and zero point at input and
    output; requantise with a QUANTIZE after it."""
    return _same_quantisation(op)


def _same_quantisation(op: RawOperator) -> str | None:
    if op.outputs[0].dtype not in QUANTISED:
        return None
    for output in op.outputs:
        if found := _other_quantisation(op.operand(0).q, output.q):
            return found
    return None


def _other_quantisation(x: Quantization, y: Quantization) -> str | None:
    # The tolerance is the reference's own (Prepare in pooling.cc).
    if abs(x.scale - y.scale) <= 1e-6 and x.zero_point == y.zero_point:
        return None
    return f"({x.scale:g}, {x.zero_point}) becomes ({y.scale:g}, {y.zero_point})"


def softmax_output_is_standard(op: RawOperator) -> str | None:
    """A softmax must have scale 1/256 and the lowest zero point at its output; export with
    TensorFlow Lite's own converter."""
    y = op.outputs[0]
    # The reference accepts 0.1 % of deviation and computes with 1/256 all the same.
    standard = abs(y.q.scale * 256 - 1) <= 1e-3
    if standard and y.q.zero_point == np.iinfo(y.dtype).min:
        return None
    return f"it has {y.q.scale:g} and {y.q.zero_point}"


def softmax_scale_is_usual(op: RawOperator) -> str | None:
    """A softmax's beta × input scale must be above 2^-26; use a beta of 1."""
    beta, scale = op.options.Beta(), op.operand(0).q.scale
    # The reference aborts below (QuantizeMultiplierGreaterThanOne).
    if math.isfinite(beta) and beta * scale * (1 << 26) > 1:
        return None
    return f"beta is {beta:g}, the scale {scale:g}"


def scale_ratio_is_usual(op: RawOperator) -> str | None:
    """The factor from accumulators to outputs must be below 256; the scales are wrong, quantise
    the model again with a representative data set."""
    if op.operand(0).dtype == "float32":
        return None
    inputs = [op.operand(0).q.scale]
    if op.kind in (*WEIGHTED, "MUL"):
        inputs.append(max(op.operand(1).q.scales))
    ratio = math.prod(inputs) / op.outputs[0].q.scale
    return None if ratio < 256 else f"it is {ratio:g}"


def sum_scale_is_usual(op: RawOperator) -> str | None:
    """The scales of a sum's or difference's operands must be below 2^19 times the output's; the
    scales are wrong, quantise the model again with a representative data set."""
    ratio = max(op.operand(0).q.scale, op.operand(1).q.scale) / op.outputs[0].q.scale
    # The reference aborts above (QuantizeMultiplierSmallerThanOneExp).
    return None if ratio < 1 << 19 else f"the ratio is {ratio:g}"
