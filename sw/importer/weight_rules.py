"""Constraints on weights and biases; see :mod:`sw.importer.constraints`."""

from __future__ import annotations

from sw.importer.operands import describe
from sw.importer.read import RawOperator


def weights_are_constant(op: RawOperator) -> str | None:
    """Weights and bias must be constants; freeze the model before converting it."""
    for tensor in (op.operand(1), op.optional(2)):
        if tensor is not None and tensor.data is None:
            return f"{describe(tensor)} is not"
    return None


def weights_fit(op: RawOperator) -> str | None:
    """Weights must have the shape that this operator defines, and match the channels of input
    and output; the file is inconsistent, convert it again."""
    x, w, y = op.operand(0).shape, op.operand(1).shape, op.outputs[0].shape
    match op.kind:
        case "CONV_2D" | "TRANSPOSE_CONV":
            fits = len(w) == 4 and w[3] == x[3] and w[0] == y[3]
        case "DEPTHWISE_CONV_2D":
            fits = len(w) == 4 and w[0] == 1 and w[3] == y[3] and w[3] % x[3] == 0
        case _:
            fits = len(w) == 2 and len(x) > 0 and len(y) > 0 and w[0] == y[-1]
            fits = fits and op.operand(0).size % w[1] == 0
            fits = fits and op.operand(0).size // w[1] * w[0] == op.outputs[0].size
    return None if fits else f"weights are {list(w)} for input {list(x)} and output {list(y)}"


def depth_multiplier_fits(op: RawOperator) -> str | None:
    """The depth multiplier must be output channels ÷ input channels; the file is inconsistent,
    convert it again."""
    stated = op.options.DepthMultiplier()
    actual = op.outputs[0].shape[3] // op.operand(0).shape[3]
    # 0 is what files without the field say; the kernels' own shapes decide then.
    return None if stated in (0, actual) else f"it is {stated}, the shapes say {actual}"


def weight_scales_fit(op: RawOperator) -> str | None:
    """Weights must have one scale, or one per output channel; export with TensorFlow Lite's own
    converter."""
    q = op.operand(1).quantization
    count = 1 if q is None else len(q.scales)
    if q is not None and q.per_channel and count != op.outputs[0].shape[-1]:
        return f"there are {count} scales for {op.outputs[0].shape[-1]} channels"
    return None


def uint8_weights_are_per_tensor(op: RawOperator) -> str | None:
    """A uint8 operator must have one scale for all its weights; use int8 for scales per channel."""
    weights = op.operand(1)
    if weights.dtype == "uint8" and weights.quantization and weights.quantization.per_channel:
        return f"{describe(weights)} has {len(weights.quantization.scales)}"
    return None


def int8_weights_are_symmetric(op: RawOperator) -> str | None:
    """Zero points of int8 convolution weights must be 0, since the reference kernels ignore
    them; export with TensorFlow Lite's own converter."""
    weights = op.operand(1)
    zero_points = set(weights.quantization.zero_points) if weights.quantization else {0}
    per_channel = weights.quantization is not None and weights.quantization.per_channel
    if op.kind == "FULLY_CONNECTED" and not per_channel:
        return None
    if weights.dtype == "int8" and zero_points != {0}:
        return f"{describe(weights)} has {min(zero_points - {0})}"
    return None


def bias_is_int32(op: RawOperator) -> str | None:
    """The bias must be int32 with one value per output channel; export the model with 8-bit
    activations."""
    bias = op.optional(2)
    if bias is None:
        return None
    expected = (op.outputs[0].shape[-1],)
    if bias.dtype != "int32" or bias.shape != expected:
        return f"{describe(bias)} is {bias.dtype}{list(bias.shape)}, not int32{list(expected)}"
    return None


def bias_is_symmetric(op: RawOperator) -> str | None:
    """Zero points of a bias must be 0; the file is inconsistent, convert it again."""
    bias = op.optional(2)
    if bias is None or bias.quantization is None or not any(bias.quantization.zero_points):
        return None
    return f"{describe(bias)} has {next(z for z in bias.quantization.zero_points if z)}"


def bias_scale_fits(op: RawOperator) -> str | None:
    """The scale of a bias must be input scale × weight scale where weights have one scale; the
    file is inconsistent, convert it again."""
    bias, weights = op.optional(2), op.operand(1)
    if bias is None or bias.quantization is None or weights.q.per_channel:
        return None
    if op.kind != "FULLY_CONNECTED" and weights.dtype != "uint8":
        return None  # the reference does not look at it
    x, w, y = op.operand(0).q.scale, weights.q.scale, op.outputs[0].q.scale
    # The tolerance is the reference's own (GetQuantizedConvolutionMultipler).
    if abs(x * w - bias.quantization.scale) / y > 0.02:
        return f"the bias has {bias.quantization.scale:g}, the product is {x * w:g}"
    return None


def weights_format_is_default(op: RawOperator) -> str | None:
    """Weights must be stored in the default format, not shuffled; convert the model again."""
    number = op.options.WeightsFormat()
    return None if number == 0 else f"it is format {number}"
