"""Every constraint rejects something, and says what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.rules import (
    Case,
    Change,
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

from common.errors import UnsupportedError
from sw import importer
from sw.fuzz.builder import NetworkBuilder
from sw.importer import data_rules as data
from sw.importer import detection_rules as detection
from sw.importer import moving_rules as moving
from sw.importer import scale_rules as scales
from sw.importer import shape_rules as shape
from sw.importer import weight_rules as weights
from sw.importer.constraints import CONSTRAINTS


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


def pool() -> Network:
    """A pooling; tensors are 0 input, 1 output."""
    net = NetworkBuilder()
    return net, [net.average_pool_2d(net.input((1, 4, 4, 3)), window=(2, 2))]


def operands(inputs: list[int], outputs: list[int]) -> Change:
    """Return a change of the operator's tensors."""

    def change(net: NetworkBuilder) -> None:
        net.file.operators[0].inputs, net.file.operators[0].outputs = inputs, outputs

    return change


def output_scale(number: int, ratio: float) -> Change:
    """Return a change of a scale: so much less than what the others amount to."""

    def change(net: NetworkBuilder) -> None:
        x, other = max(net[0].scales), max(net[1].scales)
        total = max(x, other) if net.file.operators[0].kind in ("ADD", "SUB") else x * other
        net[number].scales = [total / ratio]

    return change


def bias_scale(net: NetworkBuilder) -> None:
    """Change the scale of the bias by a twentieth of the output's."""
    net[2].scales = [net[0].scales[0] * net[1].scales[0] + 0.05 * net[3].scales[0]]


CASES: list[Case] = [
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
    (shape.add_shapes_fit, binary("add"), tensor(2, shape=(1, 4, 4, 5)), r"\[1, 4, 4, 5\]"),
    (data.sum_scale_is_usual, binary("sub"), tensor(2, scales=[1e-9]), "the ratio is"),
    (data.pool_keeps_quantisation, pool(), tensor(1, scales=[7.0]), "becomes"),
    (data.data_keeps_quantisation, unary("reshape", (48,)), tensor(1, scales=[7.0]), "becomes"),
    (shape.second_input_is_constant, unary("mean"), computed(2), "tensor 2 .* is computed"),
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
def test_constraint(case: Case) -> None:
    check_refused(case)


def test_every_constraint_has_a_test() -> None:
    assert rules_of(data, shape, weights) <= {constraint for constraint, *_ in CASES}
    assert rules_of(data, shape, weights, moving, scales, detection) == {
        constraint for rules in CONSTRAINTS.values() for constraint in rules
    }


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
