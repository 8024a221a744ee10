"""Every constraint of the operators around the core rejects something, and says what."""

from __future__ import annotations

from typing import Any

import pytest
from support.rules import (
    Case,
    Network,
    check_refused,
    computed,
    each,
    ints,
    option,
    rules_of,
    tensor,
    unary,
)

from sw.fuzz.builder import NetworkBuilder
from sw.importer import moving_rules as moving
from sw.importer import scale_rules as scales
from sw.importer import shape_rules as shape


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


CASES: list[Case] = [
    (moving.axes_are_valid, unary("mean"), tensor(2, data=ints(1, 4)), r"\[1, 4\] of"),
    (moving.axes_are_valid, unary("mean"), tensor(2, data=ints(-5, 1)), r"\[-5, 1\] of"),
    (shape.add_shapes_fit, two((1, 1, 4, 3)), tensor(0, shape=(1, 1, 4, 3)), "both together"),
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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_constraint(case: Case) -> None:
    check_refused(case)


def test_every_constraint_has_a_test() -> None:
    tested = {constraint for constraint, *_ in CASES}
    assert rules_of(moving, scales) <= tested
