"""Kernels where they round and where they overflow."""

from __future__ import annotations

import numpy as np
import pytest
from support.judges import LiteRT, constants

from common.errors import UnsupportedError
from sw import golden, importer
from sw.fuzz.builder import NetworkBuilder
from sw.golden.requantisation import Requantisation


def scales_with_a_rounded_product(rng: np.random.Generator, greater: bool) -> tuple[float, float]:
    """Return scales of about 2^-10 whose product as a float32 is greater, or less, than theirs."""
    while True:
        x, w = (np.float32(s) for s in rng.uniform(0.0005, 0.002, 2))
        error = float(x * w) / (float(x) * float(w)) - 1
        if abs(error) > 2e-8 and (error > 0) == greater:
            return float(x), float(w)


@pytest.mark.parametrize("greater", [False, True])
def test_the_scales_product_of_uint8_convolutions_is_a_float32(greater: bool) -> None:
    """Biases near the steps of the output tell the last bits of the multiplier."""
    net = NetworkBuilder(seed=1, dtype="uint8")
    x_scale, w_scale = scales_with_a_rounded_product(net.rng, greater)
    y = net.conv_2d(net.input((1, 1, 1, 1), scale=x_scale, zero_point=7), 512, output_scale=1.0)
    operator = net.file.operators[0]
    weights, bias = net[operator.inputs[1]], net[operator.inputs[2]]
    weights.scales, weights.zero_points, net[y].zero_points = [w_scale], [100], [0]
    bias.scales = [float(np.float32(x_scale) * np.float32(w_scale))]
    steps = (np.arange(60, 252, 3) + 0.5) / (x_scale * w_scale)
    bias.data = (np.floor(steps)[:, None] + np.arange(-4, 4)).astype(np.int32).ravel()
    model = net.build(outputs=[y])
    graph, judge, value = importer.loads(model), LiteRT(model), np.full((1, 1, 1, 1), 7, np.uint8)
    judge.run(value)
    np.testing.assert_array_equal(golden.run(graph, value)[y], judge.tensor(y))


def test_the_multiplier_of_a_product_is_a_float32() -> None:
    # In float32 exactly one half, whose ties go up; in float64 a little more.
    net = NetworkBuilder(seed=1)
    x = net.input((1, 256), scale=float(np.float32(0.033663277)), zero_point=0)
    constant = net.constant((1, 256), scale=float(np.float32(0.017140402)))
    net[constant].zero_points = [0]
    net[constant].data = np.full((1, 256), 1, np.int8)
    y = net.mul(x, constant, output_scale=float(np.float32(0.0011540041)))
    model = net.build(outputs=[y])
    graph, judge = importer.loads(model), LiteRT(model)
    value = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
    judge.run(value)
    np.testing.assert_array_equal(golden.run(graph, value)[y], judge.tensor(y))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("scale", [5.0, 12.0, 40.0])
def test_softmax_of_large_scales(scale: float, dtype: str) -> None:
    """Few differences count, or none: beyond them the fixed-point numbers would overflow."""
    net = NetworkBuilder(dtype=dtype)
    y = net.softmax(net.input((1, 9), scale=scale))
    model = net.build(outputs=[y])
    graph, judge = importer.loads(model), LiteRT(model)
    for less in ([*range(9)], [0, 0, *range(7)], [0, 1, 2, 3, 4, 5, 7, 100, 255]):
        value = (np.iinfo(dtype).max - np.array([less])).astype(dtype)
        judge.run(value)
        np.testing.assert_array_equal(golden.run(graph, value)[y], judge.tensor(y))


def fully_connected_of_halves(weights: list[int], biases: list[int], dtype: str) -> bytes:
    """Return a layer of one input whose outputs are half of its accumulators."""
    net = NetworkBuilder(dtype=dtype)
    zero = 128 if dtype == "uint8" else 0
    y = net.fully_connected(
        net.input((1, 1), scale=0.5, zero_point=zero), len(weights), output_scale=0.5
    )
    operands = [net[index] for index in net.file.operators[0].inputs]
    operands[1].scales, operands[1].zero_points = [0.5], [zero]
    operands[1].data = (np.array(weights)[:, None] + zero).astype(dtype)
    operands[2].scales, operands[2].data = [0.25], np.array(biases, np.int32)
    net[y].zero_points = [zero]
    return net.build(outputs=[y])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_fully_connected_rounds_halves_away(dtype: str) -> None:
    biases = [*range(-9, 10)]
    model = fully_connected_of_halves([1] * len(biases), biases, dtype)
    graph = importer.loads(model)
    value = np.full((1, 1), 128 if dtype == "uint8" else 0, dtype)
    judge = LiteRT(model)
    judge.run(value)
    y = graph.outputs[0]
    np.testing.assert_array_equal(golden.run(graph, value)[y], judge.tensor(y))


def test_the_multiplier_of_a_fully_connected_layer_is_proven_for_all_channels() -> None:
    """One half is right for the first channel, which is constant, but not for the second."""
    graph = importer.loads(fully_connected_of_halves([0, 1], [0, 0], "int8"))
    (op,) = graph.ops
    multiplier, shift = golden.requantize_params(graph, op)
    for value in range(-128, 128):
        x = np.full((1, 1), value, np.int8)
        got = golden.primitives.multiply_rounding_once(np.array([0, value]), multiplier, shift)
        np.testing.assert_array_equal(got, golden.run(graph, x)[op.output][0])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("real", [1e6, 1e30, 1e300])
def test_fully_connected_scaled_beyond_int32_is_refused(real: float, sign: int) -> None:
    """A double that int32 cannot hold becomes another number on each processor."""
    with pytest.raises(OverflowError, match="scaled sums overflow int32"):
        fully_connected_of_one(sign * 127, 127 * 127, real)


def test_fully_connected_scaled_to_the_ends_of_int32() -> None:
    for x, room in ((1, (1 << 31) - 1 - 3), (-1, (1 << 31) + 3)):
        assert fully_connected_of_one(x, 1, float(room)) == (100 if x > 0 else -100)
        with pytest.raises(OverflowError, match="scaled sums overflow int32"):
            fully_connected_of_one(x, 1, float(room + 1))


def fully_connected_of_one(x: int, total: int, real: float) -> int:
    """Return the output for an accumulator of ± ``total``; x has its sign."""
    bias = np.array([total - abs(x) if x > 0 else abs(x) - total], np.int32)
    y = golden.kernels.fully_connected(
        np.array([[x]], np.int8),
        np.array([[1]], np.int8),
        bias,
        input_zero_point=0,
        real_multiplier=real,
        requantisation=Requantisation(zero_point=3, act_min=-100, act_max=100),
    )
    return int(y.item())


def test_accumulators_wrap_like_int32() -> None:
    x, weights = np.array([[[[2]]]], np.int8), np.array([[[[3]]]], np.int8)
    bias = np.array([(1 << 31) - 1], np.int32)
    for accumulate in (
        golden.kernels.conv_2d_accumulate, golden.kernels.depthwise_conv_2d_accumulate
    ):
        assert accumulate(x, weights, bias, input_zero_point=0).item() == -(1 << 31) + 5


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("kind", ["conv_2d", "depthwise_conv_2d"])
def test_accumulators_reach_their_range(kind: str, dtype: str) -> None:
    net = NetworkBuilder(seed=4, dtype=dtype)
    x = net.input((1, 3, 3, 5))
    if kind == "conv_2d":
        y = net.conv_2d(x, 5, kernel=(3, 3), padding="VALID")
    else:
        y = net.depthwise_conv_2d(x, padding="VALID")
    graph = importer.loads(net.build(outputs=[y]))
    (op,) = graph.ops
    low, high = golden.accumulator_range(graph, op)
    arguments = golden.arguments(graph, op)
    zero = {key: arguments[key] for key in ("input_zero_point", "weights_zero_point")}
    weights, bias = constants(graph, op)
    limits = np.iinfo(dtype)
    for channel in range(5):
        kernel = weights[channel] if kind == "conv_2d" else weights[0]
        growing = kernel > zero["weights_zero_point"]
        for ends, expected in (((limits.min, limits.max), high), ((limits.max, limits.min), low)):
            value = np.where(growing, ends[1], ends[0]).astype(dtype)[None]
            accumulate = getattr(golden.kernels, f"{kind}_accumulate")
            accumulator = accumulate(value, weights, bias, **zero)
            assert accumulator[0, 0, 0, channel] == expected[channel]


def test_fully_connected_sums_beyond_int32_are_refused() -> None:
    """LiteRT's kernel does not wrap there, or does: it depends on how it was compiled."""
    net = NetworkBuilder(seed=5)
    y = net.fully_connected(net.input((1, 1)), 1)
    weights, bias = (net[i] for i in net.file.operators[-1].inputs[1:])
    weights.data, bias.data = np.array([[89]], np.int8), np.array([(1 << 31) - 1], np.int32)
    net[net.inputs[0]].zero_points = [0]
    graph = importer.loads(net.build(outputs=[y]), "test")
    assert golden.run(graph, np.array([[0]], np.int8))[y].item() == 127
    with pytest.raises(UnsupportedError, match="test: operator 'fully_connected_0'"):
        golden.run(graph, np.array([[1]], np.int8))
