"""Every constraint rejects something, and says what."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.errors import UnsupportedError
from sw import importer
from sw.fuzz.builder import NetworkBuilder, TensorSpec
from sw.importer import data_rules as data
from sw.importer import moving_rules as moving
from sw.importer import scale_rules as scales
from sw.importer import shape_rules as shape
from sw.importer import weight_rules as weights
from sw.importer.constraints import CONSTRAINTS, rule
from sw.importer.operands import Constraint

Network = tuple[NetworkBuilder, list[int]]


def conv(dtype: str = "int8", **options: Any) -> Network:
    """A convolution; tensors are 0 input, 1 weights, 2 bias, 3 output."""
    net = NetworkBuilder(dtype=dtype)
    return net, [net.conv_2d(net.input((1, 8, 8, 3)), 4, **options)]


def depthwise() -> Network:
    """A depthwise convolution; tensors are 0 input, 1 weights, 2 bias, 3 output."""
    net = NetworkBuilder()
    return net, [net.depthwise_conv_2d(net.input((1, 8, 8, 3)), depth_multiplier=2)]


def fully_connected(**options: Any) -> Network:
    """A fully connected layer; tensors are 0 input, 1 weights, 2 bias, 3 output."""
    net = NetworkBuilder()
    return net, [net.fully_connected(net.input((1, 6)), 4, **options)]


def binary(kind: str) -> Network:
    """An operator with a constant; tensors are 0 input, 1 constant, 2 output."""
    net = NetworkBuilder()
    x = net.input((1, 4, 4, 3))
    return net, [getattr(net, kind)(x, net.constant((3,)))]


def unary(kind: str, *arguments: Any) -> Network:
    """An operator; tensors are 0 input, 1 output, then constants; or 1 constant where noted."""
    net = NetworkBuilder()
    return net, [getattr(net, kind)(net.input((1, 4, 4, 3)), *arguments)]


def pool() -> Network:
    """A pooling; tensors are 0 input, 1 output."""
    net = NetworkBuilder()
    return net, [net.average_pool_2d(net.input((1, 4, 4, 3)), window=(2, 2))]


def tensor(number: int, **changes: Any) -> Callable[[NetworkBuilder], None]:
    """Return a change of a tensor."""

    def change(net: NetworkBuilder) -> None:
        spec: TensorSpec = net[number]
        for name, value in changes.items():
            assert hasattr(spec, name)
            setattr(spec, name, value)

    return change


def option(**changes: int) -> Callable[[NetworkBuilder], None]:
    """Return a change of the operator's options."""

    def change(net: NetworkBuilder) -> None:
        options = net.file.operators[0].options
        assert options is not None
        options[1].update(changes)

    return change


def operands(inputs: list[int], outputs: list[int]) -> Callable[[NetworkBuilder], None]:
    """Return a change of the operator's tensors."""

    def change(net: NetworkBuilder) -> None:
        net.file.operators[0].inputs, net.file.operators[0].outputs = inputs, outputs

    return change


def computed(number: int) -> Callable[[NetworkBuilder], None]:
    """Return a change that makes a constant an input of the network."""

    def change(net: NetworkBuilder) -> None:
        net[number].data = None
        net.inputs.append(number)

    return change


def each(*changes: Callable[[NetworkBuilder], None]) -> Callable[[NetworkBuilder], None]:
    """Return several changes as one."""

    def change(net: NetworkBuilder) -> None:
        for one in changes:
            one(net)

    return change


def output_scale(number: int, ratio: float) -> Callable[[NetworkBuilder], None]:
    """Return a change of a scale: so much less than what the others amount to."""

    def change(net: NetworkBuilder) -> None:
        x, other = max(net[0].scales), max(net[1].scales)
        total = max(x, other) if net.file.operators[0].kind in ("ADD", "SUB") else x * other
        net[number].scales = [total / ratio]

    return change


def bias_scale(net: NetworkBuilder) -> None:
    """Change the scale of the bias by a twentieth of the output's."""
    net[2].scales = [net[0].scales[0] * net[1].scales[0] + 0.05 * net[3].scales[0]]


def ints(*values: Any) -> Any:
    """Return an int32 array."""
    return np.array(values, np.int32)


def two(other: tuple[int, ...]) -> Network:
    """A maximum of two inputs; tensors are 0 and 1 inputs, 2 output."""
    net = NetworkBuilder()
    return net, [net.extremum("MAXIMUM", net.input((1, 4, 4, 3)), net.input(other))]


def several(kind: str, *arguments: Any) -> Network:
    """An operator of several outputs on (1, 4, 4, 3)."""
    net = NetworkBuilder()
    return net, getattr(net, kind)(net.input((1, 4, 4, 3)), *arguments)


def joined(kind: str, axis: int, dtype: str = "int8") -> Network:
    """Two inputs of the same quantisation; tensors are 0 and 1 inputs, 2 output."""
    net = NetworkBuilder(dtype=dtype)
    xs = [net.input((1, 4, 4, 3), scale=0.5, zero_point=3) for _ in range(2)]
    return net, [getattr(net, kind)(xs, axis)]


def function(kind: str, **options: Any) -> Network:
    """A function of each element; tensors are 0 input, 1 output."""
    net = NetworkBuilder()
    return net, [net.function(kind, net.input((1, 4, 4, 3)), **options)]


def prelu() -> Network:
    """Tensors are 0 input, 1 alpha, 2 output."""
    net = NetworkBuilder()
    return net, [net.prelu(net.input((1, 4, 4, 3)), net.constant((3,)))]


def strided(**masks: int) -> Network:
    """Every second row; tensors are 0 input, 1 output, 2 to 4 begin, end, strides."""
    net = NetworkBuilder()
    x = net.input((1, 4, 4, 3))
    return net, [net.strided_slice(x, [0, 0], [1, 4], [1, 2], **masks)]


def resized(**flags: bool) -> Network:
    """Tensors are 0 input, 1 output, 2 size."""
    net = NetworkBuilder()
    return net, [net.resize("RESIZE_BILINEAR", net.input((1, 4, 4, 3)), (8, 6), **flags)]


def transposed() -> Network:
    """Tensors are 0 input, 1 weights, 2 shape, 3 bias, 4 output."""
    net = NetworkBuilder()
    return net, [net.transpose_conv(net.input((1, 4, 4, 3)), 2, kernel=(3, 3), stride=(2, 2))]


def mirrored(edge: bool) -> Network:
    """Tensors are 0 input, 1 output, 2 paddings."""
    net = NetworkBuilder()
    x = net.input((1, 4, 4, 3))
    return net, [net.mirror_pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], edge=edge)]


AROUND: list[tuple[Constraint, Network, Callable[[NetworkBuilder], None], str]] = [
    (moving.data_is_movable, unary("reshape", (48,)), tensor(1, dtype="int16"), "int16"),
    (moving.rank_is_at_most_5, unary("transpose", (0, 1, 2, 3)),
     tensor(0, shape=(1, 1, 1, 4, 4, 3)), "it has 6"),
    (moving.numbers_are_constant, unary("slice", [0, 0, 0, 0], [1, 2, 2, 3]), computed(2),
     "tensor 2 .* is computed"),
    (moving.slice_is_inside, unary("slice", [0, 0, 0, 0], [1, 2, 2, 3]),
     tensor(2, data=ints(0, 3, 0, 0)), "from"),
    (moving.slice_is_inside, unary("slice", [0, 0, 0, 0], [1, 2, 2, 3]),
     tensor(2, data=ints(0, -1, 0, 0)), "from"),
    (moving.strided_slice_is_plain, strided(), option(EllipsisMask=1), "an ellipsis"),
    (moving.strided_slice_is_plain, strided(), option(NewAxisMask=1), "a new axis"),
    (moving.strided_slice_is_plain, strided(), option(Offset=1), "offsets"),
    (moving.strided_slice_is_plain, strided(), tensor(3, data=ints(1), shape=(1,)), "numbers for"),
    (moving.strided_slice_is_inside, strided(), tensor(3, data=ints(1, 1)), "from"),
    (moving.strided_slice_is_inside, strided(), tensor(4, data=ints(0, 2)), "from"),
    (moving.strided_slice_is_inside, strided(shrink_mask=1), tensor(4, data=ints(-1, 2)), "from"),
    (moving.strided_slice_is_inside, strided(shrink_mask=1), tensor(2, data=ints(1, 0)), "from"),
    (moving.parts_fit, several("split", 3, 3), tensor(2, shape=(1, 4, 4, 2)), "along axis 3"),
    (moving.parts_fit, several("split", 3, 3), tensor(4, data=ints(7), shape=(1,)), "axis 7"),
    (moving.parts_fit, several("split_v", 3, [1, 2]), tensor(3, data=ints(2, 1)), "stated are"),
    (moving.parts_fit, several("unpack", 1), option(Axis=3), "along axis 3"),
    (moving.joined_tensors_fit, joined("concatenation", 3), option(Axis=2), "along axis 2"),
    (moving.joined_tensors_fit, joined("concatenation", 3), option(Axis=4), "along axis 4"),
    (moving.joined_tensors_fit, joined("pack", 0), tensor(1, shape=(1, 4, 4, 2)), "along axis 0"),
    (moving.joined_tensors_keep_quantisation, joined("concatenation", 3),
     tensor(1, scales=[0.25]), r"\(0.25, 3\)"),
    (moving.joined_tensors_keep_quantisation, joined("pack", 0, "uint8"),
     tensor(1, zero_points=[4]), r"\(0.5, 4\)"),
    (moving.joined_scales_are_usual, joined("concatenation", 3, "uint8"),
     tensor(1, scales=[200.0]), "the ratio is 400"),
    (moving.concatenation_has_no_activation, joined("concatenation", 3),
     option(FusedActivationFunction=1), "it is number 1"),
    (moving.padding_value_fits, unary("pad_v2", [(0, 0)] * 4, 3), computed(1), "or computed"),
    (moving.padding_value_fits, unary("pad_v2", [(0, 0)] * 4, 3),
     tensor(1, zero_points=[127]), "has others"),
    (moving.mirror_is_known, mirrored(True), option(Mode=2), "it is mode 2"),
    (moving.mirror_is_known, mirrored(False),
     tensor(2, data=ints([0, 0], [4, 0], [0, 0], [0, 0])), "at 4 elements"),
    (moving.mirror_is_known, mirrored(True),
     tensor(2, data=ints([0, 0], [5, 0], [0, 0], [0, 0])), "at 4 elements"),
    (moving.resized_as_stated, resized(), tensor(2, data=ints(8, 7)), r"\[8, 7\] for"),
    (moving.corners_or_centres, resized(align_corners=True), option(HalfPixelCenters=1), "both"),
    (moving.resized_inside, resized(),
     each(tensor(0, shape=(1, 1, 4, 3)), tensor(1, shape=(1, 65, 6, 3)),
          tensor(2, data=ints(65, 6))), "1 become 65"),
    (moving.one_axis, unary("arg_max", 3), tensor(2, data=ints(1, 2), shape=(2,)), "there are 2"),
    (moving.index_is_an_integer, unary("arg_max", 3), tensor(1, dtype="uint8"), "is uint8"),
    (moving.index_is_an_integer, unary("arg_max", 3), option(OutputType=4), "say int64"),
    (moving.sum_is_uint8, unary("sum"), each(), "it is int8"),
    (moving.transposed_size_fits, transposed(),
     each(tensor(4, shape=(1, 9, 8, 2)), tensor(2, data=ints(1, 9, 8, 2))), "becomes"),
    (shape.new_shape_is_output, transposed(), tensor(2, data=ints(1, 7, 8, 2)), "is not"),
    (scales.output_scale_is_usual, function("TANH"), tensor(1, scales=[2.0**-24]), "it is"),
    (scales.logistic_output_is_standard, function("LOGISTIC"), tensor(1, scales=[0.004]), "0.004"),
    (scales.negative_scale_is_usual, prelu(), tensor(1, scales=[300.0]), "it is"),
    (scales.negative_scale_is_usual, unary("leaky_relu", 0.3), option(Alpha=300.0), "it is"),
    (scales.alpha_is_not_negative, unary("leaky_relu", 0.3), option(Alpha=-0.1), "it is -0.1"),
    (scales.alpha_fits, prelu(), tensor(1, shape=(1, 1, 3, 1)), r"\[1, 1, 3, 1\] for"),
    (scales.hard_swish_scales_are_usual, function("HARD_SWISH", output_scale=0.02),
     tensor(1, scales=[1e-5]), "the ratio"),
    (scales.hard_swish_scales_are_usual, function("HARD_SWISH", output_scale=0.02),
     tensor(1, scales=[100.0]), "the ratio"),
    (scales.hard_swish_scales_are_usual, function("HARD_SWISH"),
     each(tensor(0, scales=[1e-7]), tensor(1, scales=[1e-7])), "the scale is"),
    (scales.exponential_is_int8, function("EXP"),
     each(*(tensor(n, dtype="uint8", zero_points=[3]) for n in (0, 1))), "it is uint8"),
    (scales.exponential_fits, function("EXP"), tensor(0, scales=[1.0], zero_points=[0]),
     "it is exp"),
    (scales.numbers_are_integers, function("TANH"), tensor(1, dtype="float32"), "tensor 1 "),
    (scales.float_side_is_float32, unary("dequantize"), tensor(1, dtype="float16"), "float16"),
    (scales.float_side_is_float32, unary("quantize", "int8"), tensor(0, dtype="int16"), "int16"),
]

CASES: list[tuple[Constraint, Network, Callable[[NetworkBuilder], None], str]] = [
    (data.operand_count_fits, unary("softmax"), operands([0, 0], [1]), "it has 2"),
    (data.one_output, unary("softmax"), operands([0], [1, 1]), "it has 2"),
    (data.data_is_not_float, conv(), tensor(3, dtype="float32", scales=()), "tensor 3 .* float32"),
    (data.data_is_8_bit, conv(), tensor(3, dtype="int16"), "tensor 3 .* int16"),
    (data.data_has_one_type, conv(), tensor(3, dtype="uint8", zero_points=[0]), "int8 and uint8"),
    (data.data_is_quantised, conv(), tensor(3, scales=()), "tensor 3 .* has none"),
    (data.zero_points_in_range, conv(), tensor(3, zero_points=[200]), "200 in int8"),
    (
        data.activations_are_per_tensor,
        conv(),
        tensor(3, scales=[0.1] * 4, zero_points=[0] * 4, axis=3),
        "tensor 3 .* has 4",
    ),
    (weights.weights_are_constant, conv(), computed(1), "tensor 1 .* is not"),
    (weights.weights_are_constant, conv(), computed(2), "tensor 2 .* is not"),
    (shape.input_is_4d, conv(), tensor(0, shape=(8, 8, 3)), r"\[8, 8, 3\]"),
    (weights.weights_fit, conv(), tensor(0, shape=(1, 8, 8, 5)), "weights are"),
    (weights.weights_fit, depthwise(), tensor(0, shape=(1, 8, 8, 4)), "weights are"),
    (weights.weights_fit, fully_connected(), tensor(0, shape=(1, 7)), "weights are"),
    (
        weights.depth_multiplier_fits,
        depthwise(),
        option(DepthMultiplier=3),
        "it is 3, the shapes say 2",
    ),
    (
        weights.weight_scales_fit,
        conv(),
        tensor(1, scales=[0.1] * 3, zero_points=[0] * 3, axis=3),
        "3 scales for 4 channels",
    ),
    (
        weights.uint8_weights_are_per_tensor,
        conv("uint8"),
        tensor(1, scales=[0.1] * 4, zero_points=[0] * 4, axis=0),
        "tensor 1 .* has 4",
    ),
    (weights.int8_weights_are_symmetric, conv(), tensor(1, zero_points=[0, 0, 5, 0]), "has 5"),
    (weights.bias_is_int32, conv(), tensor(2, shape=(1, 4)), r"int32\[1, 4\], not int32\[4\]"),
    (weights.bias_is_symmetric, conv(), tensor(2, zero_points=[0, 7, 0, 0]), "has 7"),
    (weights.bias_scale_fits, conv("uint8"), tensor(2, scales=[9.0]), "the bias has 9"),
    (weights.bias_scale_fits, fully_connected(), tensor(2, scales=[9.0]), "the bias has 9"),
    (data.scale_ratio_is_usual, conv(), tensor(3, scales=[1e-9]), "it is"),
    (data.scale_ratio_is_usual, binary("mul"), tensor(2, scales=[1e-9]), "it is"),
    (shape.stride_is_positive, conv(), option(StrideW=65), "it is 1 × 65"),
    (shape.stride_is_positive, pool(), option(StrideH=0), "it is 0 × 2"),
    (shape.kernel_is_at_most_64, conv(kernel=(3, 3)), option(DilationHFactor=40), "it is 81 × 3"),
    (shape.kernel_is_at_most_64, conv(), option(DilationHFactor=0), "dilation is 0 × 1"),
    (shape.kernel_is_at_most_64, pool(), option(FilterWidth=65), "it is 2 × 65"),
    (shape.padding_is_known, conv(), option(Padding=2), "it is number 2"),
    (data.activation_is_a_clamp, conv(), option(FusedActivationFunction=4), "it is TANH"),
    (weights.weights_format_is_default, fully_connected(), option(WeightsFormat=1), "format 1"),
    (shape.add_shapes_fit, binary("add"), tensor(1, shape=(1, 4), data=None), r"\[1, 4\]"),
    (shape.add_shapes_fit, two((1, 1, 4, 3)), tensor(0, shape=(1, 1, 4, 3)), "both together"),
    (shape.add_shapes_fit, binary("add"), tensor(2, shape=(1, 4, 4, 5)), r"\[1, 4, 4, 5\]"),
    (data.sum_scale_is_usual, binary("sub"), tensor(2, scales=[1e-9]), "the ratio is"),
    (data.pool_keeps_quantisation, pool(), tensor(1, scales=[7.0]), "becomes"),
    (data.data_keeps_quantisation, unary("reshape", (48,)), tensor(1, scales=[7.0]), "becomes"),
    (shape.second_input_is_constant, unary("mean"), computed(2), "tensor 2 .* is computed"),
    (moving.axes_are_valid, unary("mean"), tensor(2, data=ints(1, 4)), r"\[1, 4\] of"),
    (moving.axes_are_valid, unary("mean"), tensor(2, data=ints(-5, 1)), r"\[-5, 1\] of"),
    (
        shape.paddings_are_reasonable,
        unary("pad", [(0, 0)] * 4),
        tensor(2, data=ints([0, -1], [0, 0], [0, 0], [0, 0])),
        "they are",
    ),
    (
        shape.paddings_are_reasonable,
        unary("pad", [(0, 0)] * 4),
        tensor(2, data=ints([0, 0], [0, 0]), shape=(2, 2)),
        r"\[2, 2\] for 4",
    ),
    (
        shape.permutation_is_valid,
        unary("transpose", (0, 3, 1, 2)),
        tensor(2, data=ints(0, 3, 1, 1)),
        r"\[0, 3, 1, 1\]",
    ),
    (shape.element_count_is_kept, unary("reshape", (48,)), tensor(1, shape=(47,)), r"\[47\]"),
    (
        shape.new_shape_is_output,
        unary("reshape", (48,)),
        tensor(2, data=ints(47)),
        r"\[47\] is not",
    ),
    (shape.new_shape_is_output, unary("reshape", (48,)), computed(2), "is computed"),
    (data.softmax_output_is_standard, unary("softmax"), tensor(1, scales=[0.1]), "it has 0.1"),
    (data.softmax_output_is_standard, unary("softmax"), tensor(1, zero_points=[0]), "and 0"),
    (data.softmax_scale_is_usual, unary("softmax"), option(Beta=0), "beta is 0"),
    *AROUND,
    # At the bounds, and each part of a rule by itself.
    (data.zero_points_in_range, conv(), tensor(3, zero_points=[-129]), "-129 in int8"),
    (data.pool_keeps_quantisation, pool(), tensor(1, zero_points=[77]), "becomes"),
    (data.softmax_output_is_standard, unary("softmax"), tensor(1, scales=[0.0039]), "has 0.0039"),
    (data.softmax_scale_is_usual, unary("softmax"), option(Beta=1e-7), "beta is 1e-07"),
    (data.scale_ratio_is_usual, conv(), output_scale(3, 257.0), "it is 257"),
    (data.scale_ratio_is_usual, conv(), tensor(1, scales=[1e-9, 1e6, 1e-9, 1e-9]), "it is"),
    (data.scale_ratio_is_usual, binary("mul"), tensor(1, scales=[1e6]), "it is"),
    (data.sum_scale_is_usual, binary("add"), output_scale(2, 530_000.0), "the ratio is 530000"),
    (
        data.sum_scale_is_usual,
        binary("sub"),
        each(tensor(1, scales=[1e-12]), tensor(2, scales=[1e-9])),
        "the ratio is",
    ),
    (weights.weights_fit, conv(), tensor(3, shape=(1, 8, 8, 5)), "weights are"),
    (
        weights.int8_weights_are_symmetric,
        fully_connected(per_channel=True),
        tensor(1, zero_points=[0, 0, 5, 0]),
        "has 5",
    ),
    (weights.bias_scale_fits, conv("uint8"), bias_scale, "the bias has"),
    (
        shape.permutation_is_valid,
        unary("transpose", (0, 3, 1, 2)),
        tensor(2, data=ints(0, 3, 1, 2, 2), shape=(5,)),
        r"\[0, 3, 1, 2, 2\]",
    ),
    (
        shape.new_shape_is_output,
        unary("reshape", (2, 24)),
        tensor(2, data=ints(-1, -1)),
        r"\[-1, -1\] is not",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_constraint(
    case: tuple[Constraint, Network, Callable[[NetworkBuilder], None], str],
) -> None:
    constraint, (net, outputs), change, found = case
    net.build(outputs=outputs)
    change(net)
    with pytest.raises(UnsupportedError) as caught:
        importer.loads(net.build(outputs=outputs), "net")
    message = str(caught.value)
    assert rule(constraint) in message, message
    assert re.search(f"here .*{found}", message), message
    assert re.match(rf"net: operator 0 \({net.file.operators[0].kind}, writing '", message)
    assert "\n" not in message


def test_every_constraint_has_a_test() -> None:
    used = {constraint for rules in CONSTRAINTS.values() for constraint in rules}
    assert used == {case[0] for case in CASES}


def test_rules_say_what_to_do() -> None:
    for rules in importer.supported_operators().values():
        for text in rules:
            assert ";" in text
            assert not text.endswith(".")


@pytest.mark.parametrize("make", [conv, depthwise, fully_connected, pool])
def test_unchanged_networks_pass(make: Callable[[], Network]) -> None:
    net, outputs = make()
    importer.loads(net.build(outputs=outputs))


def test_weights_as_activations_have_one_scale() -> None:
    """One tensor may be activations and weights; LiteRT has no scale for such activations."""
    net = NetworkBuilder(seed=3)
    x = net.depthwise_conv_2d(net.input((1, 5, 5, 8)))
    y = net.depthwise_conv_2d(x, padding="VALID")
    weights = net.file.operators[0].inputs[1]
    net.file.operators[-1].inputs = [weights, *net.file.operators[-1].inputs[1:]]
    with pytest.raises(UnsupportedError, match="one scale per tensor"):
        importer.loads(net.build(outputs=[y]), "test")
