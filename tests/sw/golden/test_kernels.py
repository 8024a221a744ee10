"""Every kernel against the reference interpreters, integer for integer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.judges import Array, LiteRT, Micro, constants

from common.errors import UnsupportedError
from sw import golden, importer
from sw.fuzz.builder import NetworkBuilder
from sw.golden.requantisation import Requantisation
from sw.golden.windows import Windows
from sw.ir import Graph

Step = Callable[[NetworkBuilder, int], int]
Case = tuple[Step, tuple[int, ...]]

SEEDS = range(3)

LAYERS: dict[str, Case] = {
    "conv_same": (
        lambda n, x: n.conv_2d(x, 5, kernel=(3, 3), stride=(2, 2), activation="RELU6"),
        (1, 9, 8, 3),
    ),
    "conv_valid": (lambda n, x: n.conv_2d(x, 5, kernel=(3, 2), padding="VALID"), (1, 9, 8, 3)),
    "conv_even": (
        lambda n, x: n.conv_2d(x, 3, kernel=(2, 4), stride=(2, 1), activation="RELU"),
        (2, 7, 5, 2),
    ),
    "conv_pointwise": (lambda n, x: n.conv_2d(x, 17, activation="RELU6"), (1, 5, 5, 13)),
    "conv_per_tensor": (lambda n, x: n.conv_2d(x, 5, per_channel=False), (1, 9, 8, 3)),
    "conv_dilated": (
        lambda n, x: n.conv_2d(x, 5, kernel=(3, 3), dilation=(2, 3)),
        (1, 9, 8, 3),
    ),
    "conv_one_pixel": (lambda n, x: n.conv_2d(x, 4, kernel=(3, 3)), (1, 1, 1, 5)),
    "conv_gain_above_one": (
        lambda n, x: n.conv_2d(x, 4, output_scale=n[x].scales[0] * 0.003),
        (1, 3, 3, 2),
    ),
    "depthwise_same": (
        lambda n, x: n.depthwise_conv_2d(x, stride=(2, 2), activation="RELU"),
        (1, 9, 8, 3),
    ),
    "depthwise_valid": (lambda n, x: n.depthwise_conv_2d(x, padding="VALID"), (1, 5, 6, 7)),
    "depthwise_multiplier": (
        lambda n, x: n.depthwise_conv_2d(x, depth_multiplier=4, activation="RELU6"),
        (1, 5, 6, 2),
    ),
    "depthwise_of_grey": (
        lambda n, x: n.depthwise_conv_2d(x, depth_multiplier=8, stride=(2, 2)),
        (1, 9, 9, 1),
    ),
    "depthwise_dilated": (
        lambda n, x: n.depthwise_conv_2d(x, dilation=(2, 2), padding="VALID"),
        (1, 9, 8, 2),
    ),
    "depthwise_5x5": (
        lambda n, x: n.depthwise_conv_2d(x, kernel=(5, 5), stride=(1, 2)),
        (1, 7, 7, 3),
    ),
    "average_pool": (lambda n, x: n.average_pool_2d(x, window=(3, 3)), (1, 9, 9, 5)),
    "average_pool_same": (
        lambda n, x: n.average_pool_2d(x, window=(3, 2), stride=(2, 2), padding="SAME"),
        (1, 9, 8, 5),
    ),
    "average_pool_global": (
        lambda n, x: n.average_pool_2d(x, window=(4, 4), activation="RELU6"),
        (1, 4, 4, 50),
    ),
    "mean": (lambda n, x: n.mean(x), (1, 5, 7, 30)),
    "mean_of_16": (lambda n, x: n.mean(x, axes=(-2, 1), keep_dims=False), (1, 4, 4, 30)),
    "mean_same_scale": (lambda n, x: n.mean(x, output_scale=n[x].scales[0]), (1, 7, 7, 30)),
    "pad": (lambda n, x: n.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0))), (1, 5, 7, 3)),
    "reshape": (lambda n, x: n.reshape(x, (1, 105)), (1, 5, 7, 3)),
    "transpose": (lambda n, x: n.transpose(x, (0, 2, 3, 1)), (1, 3, 5, 7)),
    "softmax": (lambda n, x: n.softmax(x), (1, 100)),
    "softmax_of_two": (lambda n, x: n.softmax(x, beta=0.5), (3, 2)),
    "mul_scalar": (lambda n, x: n.mul(x, n.constant(())), (1, 5, 7, 9)),
    "mul_channels": (
        lambda n, x: n.mul(n.constant((9,)), x, activation="RELU6"),
        (1, 5, 7, 9),
    ),
    "sub_scalar": (lambda n, x: n.sub(x, n.constant(())), (1, 5, 7, 9)),
    "sub_from_channels": (
        lambda n, x: n.sub(n.constant((9,)), x, activation="RELU"),
        (1, 5, 7, 9),
    ),
    "add_channels": (lambda n, x: n.add(x, n.constant((9,))), (1, 5, 7, 9)),
    "add": (lambda n, x: n.add(x, n.input((1, 5, 7, 9)), activation="RELU6"), (1, 5, 7, 9)),
    "add_linear": (lambda n, x: n.add(x, n.input((1, 5, 7, 9))), (1, 5, 7, 9)),
    "add_very_different_scales": (
        lambda n, x: n.add(x, n.input((1, 5, 7, 9), scale=n[x].scales[0] * 90)),
        (1, 5, 7, 9),
    ),
    "add_same_scales": (
        lambda n, x: n.add(
            x, n.input((1, 5, 7, 9), scale=n[x].scales[0]), output_scale=n[x].scales[0]
        ),
        (1, 5, 7, 9),
    ),
    "requantize": (
        lambda n, x: n.quantize(x, n.dtype, output_scale=n[x].scales[0] * 0.3),
        (1, 5, 7, 9),
    ),
}
FULLY_CONNECTED: dict[str, Case] = {
    "fully_connected": (lambda n, x: n.fully_connected(x, 70), (1, 90)),
    "fully_connected_relu6": (
        lambda n, x: n.fully_connected(x, 17, activation="RELU6", bias=False),
        (4, 30),
    ),
}
INT8_ONLY: dict[str, Case] = {
    "fully_connected_per_channel": (
        lambda n, x: n.fully_connected(x, 70, per_channel=True),
        (2, 30),
    ),
}
BETWEEN_TYPES: dict[str, Case] = {
    "quantize_same_scale": (lambda n, x: n.quantize(x, other(n.dtype)), (1, 5, 7, 9)),
    "quantize_shift_by_128": (
        lambda n, x: n.quantize(
            x, other(n.dtype), zero_point=n[x].zero_points[0] + (128 if n.dtype == "int8" else -128)
        ),
        (1, 5, 7, 9),
    ),
    "quantize_other_scale": (
        lambda n, x: n.quantize(x, other(n.dtype), output_scale=n[x].scales[0] * 1.9),
        (1, 5, 7, 9),
    ),
}


def other(dtype: str) -> str:
    """Return the other of the two types."""
    return "uint8" if dtype == "int8" else "int8"


def inputs(graph: Graph, seed: int) -> list[list[Array]]:
    """Return inputs: everything lowest, everything highest, extremes mixed, and random ones."""
    rng = np.random.default_rng(seed)
    result: list[list[Array]] = [[] for _ in range(5)]
    for index in graph.inputs:
        tensor = graph.tensors[index]
        low, high = np.iinfo(tensor.dtype).min, np.iinfo(tensor.dtype).max
        values = [
            np.full(tensor.shape, low),
            np.full(tensor.shape, high),
            rng.choice([low, high], tensor.shape),
            rng.integers(low, high + 1, tensor.shape),
            rng.integers(low, high + 1, tensor.shape),
        ]
        for row, value in zip(result, values, strict=True):
            row.append(value.astype(tensor.dtype))
    return result


def compare(model: bytes, judge: LiteRT | Micro, seed: int) -> None:
    """Compare every output of every operator."""
    graph = importer.loads(model)
    for arrays in inputs(graph, seed):
        tensors = golden.run(graph, arrays)
        judge.run(*arrays)
        for op in graph.ops:
            expected = judge.tensor(op.output)
            assert tensors[op.output].dtype == expected.dtype
            np.testing.assert_array_equal(tensors[op.output], expected, op.name)


def build(case: Case, seed: int, dtype: str) -> bytes:
    """Build the network of a case."""
    step, shape = case
    net = NetworkBuilder(seed=seed, dtype=dtype)
    return net.build(outputs=[step(net, net.input(shape))])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("name", [*LAYERS, *FULLY_CONNECTED])
def test_kernel_equals_reference(name: str, dtype: str, seed: int) -> None:
    model = build((LAYERS | FULLY_CONNECTED)[name], seed, dtype)
    compare(model, LiteRT(model), seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", INT8_ONLY)
def test_int8_kernel_equals_reference(name: str, seed: int) -> None:
    model = build(INT8_ONLY[name], seed, "int8")
    compare(model, LiteRT(model), seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("name", BETWEEN_TYPES)
def test_quantize_equals_reference(name: str, dtype: str, seed: int) -> None:
    model = build(BETWEEN_TYPES[name], seed, dtype)
    compare(model, LiteRT(model), seed)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_softmax_of_1001_classes(dtype: str) -> None:
    net = NetworkBuilder(dtype=dtype)
    x = net.input((1, 1001), scale=0.1)
    model = net.build(outputs=[net.softmax(x)])
    graph, judge = importer.loads(model), LiteRT(model)
    for _ in range(5):
        value = net.random(x)
        judge.run(value)
        y = graph.outputs[0]
        np.testing.assert_array_equal(golden.run(graph, value)[y], judge.tensor(y))
    # The reference aborts on a sum of exponentials of 512 or more; 1/1001 is less than half of
    # 1/256, so there is no doubt about the outcome.
    uniform = golden.run(graph, np.zeros((1, 1001), dtype))[graph.outputs[0]]
    assert set(uniform.ravel().tolist()) == {np.iinfo(dtype).min}


@pytest.mark.parametrize("name", LAYERS)
def test_kernel_equals_micro(name: str) -> None:
    model = build(LAYERS[name], 7, "int8")
    compare(model, Micro(model), 7)


@pytest.mark.parametrize("name", ["conv_2d", "depthwise_conv_2d"])
def test_without_bias(name: str) -> None:
    # LiteRT refuses convolutions without a bias, TensorFlow Lite Micro takes them.
    net = NetworkBuilder(seed=1)
    x = net.input((1, 6, 6, 4))
    if name == "conv_2d":
        y = net.conv_2d(x, 5, kernel=(3, 3), bias=False)
    else:
        y = net.depthwise_conv_2d(x, bias=False)
    model = net.build(outputs=[y])
    compare(model, Micro(model), 1)


def test_micro_rounds_fully_connected_twice() -> None:
    """The judges differ here; LiteRT's reference is the one to follow."""
    differences: int = 0
    for seed in range(20):
        model = build(FULLY_CONNECTED["fully_connected"], seed, "int8")
        judge, graph = Micro(model), importer.loads(model)
        (x,) = inputs(graph, seed)[-1]
        judge.run(x)
        difference = golden.run(graph, x)[graph.outputs[0]].astype(int) - judge.tensor(
            graph.outputs[0]
        ).astype(int)
        assert np.abs(difference).max() <= 1
        differences += int(np.count_nonzero(difference))
    assert 0 < differences < 10


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_integers_of_a_fully_connected_layer(dtype: str, seed: int) -> None:
    """What the hardware does, with the integers that it is given, equals the reference."""
    model = build(FULLY_CONNECTED["fully_connected"], seed, dtype)
    graph = importer.loads(model)
    (op,) = graph.ops
    (x,) = inputs(graph, seed)[-1]
    arguments = golden.arguments(graph, op)
    accumulator = golden.kernels.fully_connected_accumulate(
        x,
        *constants(graph, op),
        input_zero_point=arguments["input_zero_point"],
        weights_zero_point=arguments["weights_zero_point"],
    )
    requantisation = golden.requantisation(graph, op)
    assert requantisation.single_rounding
    got = requantisation.outputs(accumulator, *golden.requantize_params(graph, op))
    np.testing.assert_array_equal(got, golden.run(graph, x)[op.output])


def test_kernel_on_plain_arrays() -> None:
    x = np.arange(-8, 8, dtype=np.int8).reshape(1, 4, 4, 1)
    weights = np.ones((1, 3, 3, 1), np.int8)
    y = golden.kernels.depthwise_conv_2d(
        x,
        weights,
        np.array([9], np.int32),
        input_zero_point=-1,
        windows=Windows(padding=((1, 1), (1, 1))),
        multiplier=1 << 30,
        shift=1,
        requantisation=Requantisation(zero_point=2, act_min=-20, act_max=100),
    )
    assert y.shape == (1, 4, 4, 1)
    # Top left: (−8 − 7 − 4 − 3) + 4 × 1 + 9 = −9, times 1, plus 2.
    assert y[0, 0, 0, 0] == -7
    # Row 1, column 1: (−8 … 2) without two per row is −27, + 9 × 1 + 9 = −9, plus 2.
    assert y[0, 1, 1, 0] == -7


def test_requantize_params_per_channel() -> None:
    net = NetworkBuilder(seed=2)
    y = net.conv_2d(net.input((1, 3, 3, 2)), 6)
    graph = importer.loads(net.build(outputs=[y]))
    multiplier, shift = golden.requantize_params(graph, graph.ops[0])
    assert (multiplier.shape, shift.shape) == ((6,), (6,))
    assert multiplier.dtype == shift.dtype == np.int32
    assert len(set(multiplier.tolist())) == 6


def test_operators_without_requantisation() -> None:
    net = NetworkBuilder(seed=2)
    y = net.average_pool_2d(net.input((1, 4, 4, 2)), window=(2, 2))
    graph = importer.loads(net.build(outputs=[y]))
    with pytest.raises(TypeError, match="AVERAGE_POOL_2D"):
        golden.requantize_params(graph, graph.ops[0])


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
