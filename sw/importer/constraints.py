"""What an operator must satisfy to be supported.

Each constraint is a function whose docstring *is* the user's error text: the rule, then what to
do.  It returns ``None`` when the rule holds, and otherwise a few words on what was found.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from sw.errors import UnsupportedError
from sw.importer.read import RawOperator
from sw.ir import Tensor

Constraint: TypeAlias = Callable[[RawOperator], str | None]

MAX_KERNEL = 64
_ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}
_QUANTISED = ("int8", "uint8")


def activation_name(number: int) -> str:
    """Return the schema's name of a fused activation."""
    return _ACTIVATIONS.get(number, f"number {number}")


def _describe(tensor: Tensor) -> str:
    return f"tensor {tensor.index} ({tensor.name!r})"


def _data_operands(op: RawOperator) -> list[Tensor]:
    """Operands and results that hold network data, not biases, shapes, axes or permutations."""
    count = 2 if op.kind in ("ADD", "SUB", "MUL", *_WEIGHTED) else 1
    return [*(op.operand(i) for i in range(count)), *op.outputs]


def one_output(op: RawOperator) -> str | None:
    """The operator must have exactly one output; export the model for inference only."""
    return None if len(op.outputs) == 1 else f"it has {len(op.outputs)}"


def operand_count_fits(op: RawOperator) -> str | None:
    """The operator must have the inputs that its definition lists; the file is inconsistent,
    convert it again."""
    least, most = _OPERANDS[op.kind]
    return None if least <= len(op.inputs) <= most else f"it has {len(op.inputs)}"


def data_is_not_float(op: RawOperator) -> str | None:
    """Data must be int8 or uint8; quantise the model to int8 (full integer post-training
    quantisation with a representative data set)."""
    for tensor in _data_operands(op):
        if tensor.dtype.startswith("float"):
            return f"{_describe(tensor)} is {tensor.dtype}"
    return None


def data_is_8_bit(op: RawOperator) -> str | None:
    """Data must be int8 or uint8; export the model with 8-bit activations and weights."""
    for tensor in _data_operands(op):
        if tensor.dtype not in _QUANTISED:
            return f"{_describe(tensor)} is {tensor.dtype}"
    return None


def data_has_one_type(op: RawOperator) -> str | None:
    """Inputs, weights and output must be of the same type; insert a QUANTIZE between int8 and
    uint8 parts."""
    found = {tensor.dtype for tensor in _data_operands(op)}
    return None if len(found) == 1 else "found " + " and ".join(sorted(found))


def data_is_quantised(op: RawOperator) -> str | None:
    """Data must have a scale and zero point; quantise the model fully to integers."""
    for tensor in _data_operands(op):
        if tensor.quantization is None:
            return f"{_describe(tensor)} has none"
    return None


def zero_points_in_range(op: RawOperator) -> str | None:
    """Zero points must be representable in the tensor's own type; export the model again."""
    for tensor in _data_operands(op):
        if tensor.dtype not in _QUANTISED or tensor.quantization is None:
            continue
        limits = np.iinfo(tensor.dtype)
        for zero_point in tensor.quantization.zero_points:
            if not limits.min <= zero_point <= limits.max:
                return f"{_describe(tensor)} has {zero_point} in {tensor.dtype}"
    return None


def activations_are_per_tensor(op: RawOperator) -> str | None:
    """Inputs and outputs must have one scale per tensor (only weights have one per channel);
    export with TensorFlow Lite's own converter."""
    for tensor in _data_operands(op):
        is_weights = op.kind in _WEIGHTED and tensor is op.operand(1)
        if not is_weights and tensor.quantization is not None and tensor.quantization.per_channel:
            return f"{_describe(tensor)} has {len(tensor.quantization.scales)}"
    return None


def weights_are_constant(op: RawOperator) -> str | None:
    """Weights and bias must be constants; freeze the model before converting it."""
    for tensor in (op.operand(1), op.optional(2)):
        if tensor is not None and tensor.data is None:
            return f"{_describe(tensor)} is not"
    return None


def input_is_4d(op: RawOperator) -> str | None:
    """Input and output must be NHWC images of four dimensions; reshape the input before this
    operator."""
    for tensor in (op.operand(0), *op.outputs):
        if len(tensor.shape) != 4:
            return f"{_describe(tensor)} has the shape {list(tensor.shape)}"
    return None


def weights_fit(op: RawOperator) -> str | None:
    """Weights must have the shape that this operator defines, and match the channels of input
    and output; the file is inconsistent, convert it again."""
    x, w, y = op.operand(0).shape, op.operand(1).shape, op.outputs[0].shape
    match op.kind:
        case "CONV_2D":
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
        return f"{_describe(weights)} has {len(weights.quantization.scales)}"
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
        return f"{_describe(weights)} has {min(zero_points - {0})}"
    return None


def bias_is_int32(op: RawOperator) -> str | None:
    """The bias must be int32 with one value per output channel; export the model with 8-bit
    activations."""
    bias = op.optional(2)
    if bias is None:
        return None
    expected = (op.outputs[0].shape[-1],)
    if bias.dtype != "int32" or bias.shape != expected:
        return f"{_describe(bias)} is {bias.dtype}{list(bias.shape)}, not int32{list(expected)}"
    return None


def bias_is_symmetric(op: RawOperator) -> str | None:
    """Zero points of a bias must be 0; the file is inconsistent, convert it again."""
    bias = op.optional(2)
    if bias is None or bias.quantization is None or not any(bias.quantization.zero_points):
        return None
    return f"{_describe(bias)} has {next(z for z in bias.quantization.zero_points if z)}"


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


def stride_is_1_or_2(op: RawOperator) -> str | None:
    """Strides must be 1 or 2; replace larger strides by several layers or a pooling."""
    stride = (op.options.StrideH(), op.options.StrideW())
    return None if set(stride) <= {1, 2} else f"it is {stride[0]} × {stride[1]}"


def stride_is_positive(op: RawOperator) -> str | None:
    """Strides must be from 1 to 64; the file is inconsistent, convert it again."""
    stride = (op.options.StrideH(), op.options.StrideW())
    if all(1 <= s <= MAX_KERNEL for s in stride):
        return None
    return f"it is {stride[0]} × {stride[1]}"


def kernel_is_at_most_64(op: RawOperator) -> str | None:
    """The kernel, dilation included, must be at most 64 × 64; use several smaller layers."""
    if op.kind == "AVERAGE_POOL_2D":
        extent = [op.options.FilterHeight(), op.options.FilterWidth()]
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


def activation_is_a_clamp(op: RawOperator) -> str | None:
    """The fused activation must be NONE, RELU or RELU6; train the model with one of these."""
    name = activation_name(op.options.FusedActivationFunction())
    return None if name in ("NONE", "RELU", "RELU6") else f"it is {name}"


def weights_format_is_default(op: RawOperator) -> str | None:
    """Weights must be stored in the default format, not shuffled; convert the model again."""
    number = op.options.WeightsFormat()
    return None if number == 0 else f"it is format {number}"


def add_shapes_fit(op: RawOperator) -> str | None:
    """Operands must have the output's shape, except a constant that broadcasts to it; reshape
    or repeat the operand first."""
    output = op.outputs[0].shape
    operands = (op.operand(0), op.operand(1))
    for tensor in operands:
        try:
            fits = np.broadcast_shapes(tensor.shape, output) == output
        except ValueError:
            fits = False
        if not fits or (tensor.data is None and tensor.shape != output):
            return f"{_describe(tensor)} is {list(tensor.shape)}, the output {list(output)}"
    return None


def one_operand_is_constant(op: RawOperator) -> str | None:
    """One of the operands must be a constant; a product or difference of two activations is not
    part of a MobileNet."""
    if op.operand(0).data is None and op.operand(1).data is None:
        return "both are computed"
    return None


def pool_keeps_quantisation(op: RawOperator) -> str | None:
    """Input and output of a pooling must have the same scale and zero point; requantise with a
    QUANTIZE after it."""
    return _same_quantisation(op)


def data_keeps_quantisation(op: RawOperator) -> str | None:
    """An operator that only moves data must have the same scale and zero point at input and
    output; requantise with a QUANTIZE after it."""
    return _same_quantisation(op)


def _same_quantisation(op: RawOperator) -> str | None:
    x, y = op.operand(0).q, op.outputs[0].q
    # The tolerance is the reference's own (Prepare in pooling.cc).
    if abs(x.scale - y.scale) <= 1e-6 and x.zero_point == y.zero_point:
        return None
    return f"({x.scale:g}, {x.zero_point}) becomes ({y.scale:g}, {y.zero_point})"


def second_input_is_constant(op: RawOperator) -> str | None:
    """Axes, paddings and permutations must be constants; export the model with fixed shapes."""
    tensor = op.operand(1)
    if tensor.data is None or tensor.dtype not in ("int32", "int64"):
        return f"{_describe(tensor)} is computed or not of integers"
    return None


def mean_is_over_height_and_width(op: RawOperator) -> str | None:
    """A MEAN must run over height and width of an NHWC image; use global average pooling."""
    x = op.operand(0).shape
    data = op.operand(1).data
    axes = [] if data is None else [int(a) for a in data.reshape(-1)]
    if len(x) == 4 and sorted(a + 4 if a < 0 else a for a in axes) == [1, 2]:
        return None
    return f"it runs over axes {axes} of {list(x)}"


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
    tensor, output = op.optional(1), op.outputs[0].shape
    if tensor is None:
        return None
    if tensor.data is None or tensor.dtype != "int32":
        return f"{_describe(tensor)} is computed"
    stated = [int(n) for n in tensor.data.reshape(-1)]
    # One dimension may be -1, for whatever remains.
    agrees = len(stated) == len(output) and stated.count(-1) <= 1
    if agrees and all(a in (-1, b) for a, b in zip(stated, output, strict=True)):
        return None
    return f"{stated} is not {list(output)}"


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
    inputs = [op.operand(0).q.scale]
    if op.kind in (*_WEIGHTED, "MUL"):
        inputs.append(max(op.operand(1).q.scales))
    ratio = math.prod(inputs) / op.outputs[0].q.scale
    return None if ratio < 256 else f"it is {ratio:g}"


def sum_scale_is_usual(op: RawOperator) -> str | None:
    """The scales of a sum's or difference's operands must be below 2^19 times the output's; the
    scales are wrong, quantise the model again with a representative data set."""
    ratio = max(op.operand(0).q.scale, op.operand(1).q.scale) / op.outputs[0].q.scale
    # The reference aborts above (QuantizeMultiplierSmallerThanOneExp).
    return None if ratio < 1 << 19 else f"the ratio is {ratio:g}"


_OPERANDS = {
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
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

_DATA: tuple[Constraint, ...] = (
    operand_count_fits,
    one_output,
    data_is_not_float,
    data_is_8_bit,
    data_is_quantised,
    zero_points_in_range,
    activations_are_per_tensor,
)
_ONE_TYPE: tuple[Constraint, ...] = (*_DATA, data_has_one_type)
_WEIGHTS: tuple[Constraint, ...] = (
    weights_are_constant,
    weights_fit,
    weight_scales_fit,
    uint8_weights_are_per_tensor,
    int8_weights_are_symmetric,
    bias_is_int32,
    bias_is_symmetric,
    bias_scale_fits,
    scale_ratio_is_usual,
    activation_is_a_clamp,
)
_WINDOW: tuple[Constraint, ...] = (padding_is_known, kernel_is_at_most_64)

CONSTRAINTS: dict[str, tuple[Constraint, ...]] = {
    "CONV_2D": (*_ONE_TYPE, input_is_4d, *_WEIGHTS, stride_is_1_or_2, *_WINDOW),
    "DEPTHWISE_CONV_2D": (
        *_ONE_TYPE,
        input_is_4d,
        *_WEIGHTS,
        depth_multiplier_fits,
        stride_is_1_or_2,
        *_WINDOW,
    ),
    "FULLY_CONNECTED": (*_ONE_TYPE, *_WEIGHTS, weights_format_is_default),
    "ADD": (*_ONE_TYPE, add_shapes_fit, sum_scale_is_usual, activation_is_a_clamp),
    "SUB": (
        *_ONE_TYPE,
        one_operand_is_constant,
        add_shapes_fit,
        sum_scale_is_usual,
        activation_is_a_clamp,
    ),
    "MUL": (
        *_ONE_TYPE,
        one_operand_is_constant,
        add_shapes_fit,
        scale_ratio_is_usual,
        activation_is_a_clamp,
    ),
    "AVERAGE_POOL_2D": (
        *_ONE_TYPE,
        input_is_4d,
        pool_keeps_quantisation,
        stride_is_positive,
        *_WINDOW,
        activation_is_a_clamp,
    ),
    "MEAN": (
        *_ONE_TYPE,
        second_input_is_constant,
        mean_is_over_height_and_width,
        scale_ratio_is_usual,
    ),
    "PAD": (
        *_ONE_TYPE,
        data_keeps_quantisation,
        second_input_is_constant,
        paddings_are_reasonable,
    ),
    "RESHAPE": (*_ONE_TYPE, data_keeps_quantisation, element_count_is_kept, new_shape_is_output),
    "QUANTIZE": (*_DATA, scale_ratio_is_usual),
    "SOFTMAX": (*_ONE_TYPE, softmax_output_is_standard, softmax_scale_is_usual),
    "TRANSPOSE": (
        *_ONE_TYPE,
        data_keeps_quantisation,
        second_input_is_constant,
        permutation_is_valid,
    ),
}
"""Constraints of each supported operator, in the order in which they are checked."""


def rule(constraint: Constraint) -> str:
    """Return the text of a constraint as one line, without the full stop."""
    return " ".join((inspect.getdoc(constraint) or constraint.__name__).split()).rstrip(".")


def supported_operators() -> dict[str, list[str]]:
    """Return every supported operator with its rules, for documentation."""
    return {kind: [rule(c) for c in CONSTRAINTS[kind]] for kind in sorted(CONSTRAINTS)}


def check(op: RawOperator) -> None:
    """Check an operator against its constraints.

    Raises
    ------
    UnsupportedError
        Naming the operator, the rule, what was found and what to do.
    """
    if op.kind not in CONSTRAINTS:
        raise UnsupportedError(
            f"{op.where} is not supported: the supported operators are "
            f"{', '.join(sorted(CONSTRAINTS))}; replace it or leave it out of the exported model"
        )
    for constraint in CONSTRAINTS[op.kind]:
        found = constraint(op)
        if found is not None:
            raise UnsupportedError(f"{op.where}: {rule(constraint)} (here {found})")
