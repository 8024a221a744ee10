"""Operators around convolutions against the reference interpreter, integer for integer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.judges import Array, LiteRT

from common.errors import InputError, UnsupportedError
from sw import golden, importer
from sw.fuzz.builder import NetworkBuilder
from sw.golden.resize import Grid
from sw.ir import Graph

Step = Callable[[NetworkBuilder, int], int]

IMAGE = (1, 7, 6, 5)


def same(net: NetworkBuilder, x: int, shape: tuple[int, ...]) -> int:
    """Add an input of the same quantisation."""
    return net.input(shape, scale=net[x].scales[0], zero_point=net[x].zero_points[0])


def scaled(kind: str, ratio: float) -> Step:
    """Return a function of each element whose output's scale is another."""
    return lambda n, x: n.function(kind, x, output_scale=n[x].scales[0] * ratio)


STEPS: dict[str, Step] = {
    **{
        f"{kind.lower()}_{ratio}": scaled(kind, ratio)
        for kind in ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "HARD_SWISH")
        for ratio in (1, 0.37)
    },
    "logistic": lambda n, x: n.function("LOGISTIC", x, zero_point=-128 + 128 * (n.dtype != "int8")),
    "logistic_any_zero_point": lambda n, x: n.function("LOGISTIC", x),
    "tanh": lambda n, x: n.function("TANH", x, zero_point=128 * (n.dtype != "int8")),
    "leaky_relu": lambda n, x: n.leaky_relu(x, 0.2, output_scale=n[x].scales[0] * 0.8),
    "leaky_relu_steep": lambda n, x: n.leaky_relu(x, 1.7),
    "prelu_channels": lambda n, x: n.prelu(x, n.constant((5,)), output_scale=0.02),
    "prelu_full": lambda n, x: n.prelu(x, n.input(IMAGE)),
    "maximum": lambda n, x: n.extremum("MAXIMUM", x, same(n, x, IMAGE)),
    "minimum_other_scale": lambda n, x: n.extremum("MINIMUM", x, n.input((1, 1, 6, 1))),
    "add_broadcast": lambda n, x: n.add(x, n.input((1, 7, 1, 5)), activation="RELU"),
    "sub_broadcast_both": lambda n, x: n.sub(n.input((1, 1, 6, 5)), n.input((1, 7, 1, 1))),
    "mul_tensors": lambda n, x: n.mul(x, n.input((1, 1, 1, 5)), activation="RELU6"),
    "max_pool": lambda n, x: n.max_pool_2d(x, window=(2, 2)),
    "max_pool_same": lambda n, x: n.max_pool_2d(
        x, window=(3, 2), stride=(2, 3), padding="SAME", activation="RELU6"
    ),
    "mean_rows": lambda n, x: n.mean(x, axes=(1,), keep_dims=False),
    "mean_channels": lambda n, x: n.mean(x, axes=(-1,)),
    "mean_all": lambda n, x: n.mean(x, axes=(0, 1, 2, 3)),
    "mean_twice_named": lambda n, x: n.mean(x, axes=(1, -3)),
    "arg_max": lambda n, x: n.arg_max(x, 3),
    "arg_max_64": lambda n, x: n.arg_max(x, -3, dtype="int64"),
    **{
        f"resize_{kind.lower()}_{name}": (
            lambda n, x, kind=kind, flags=flags: n.resize(f"RESIZE_{kind}", x, (11, 3), **flags)
        )
        for kind in ("BILINEAR", "NEAREST_NEIGHBOR")
        for name, flags in {
            "plain": {}, "corners": {"align_corners": True}, "centres": {"half_pixel_centers": True}
        }.items()
    },
    "resize_to_one": lambda n, x: n.resize("RESIZE_BILINEAR", x, (1, 1), align_corners=True),
    "transpose_conv": lambda n, x: n.transpose_conv(x, 3, kernel=(3, 3), stride=(2, 2)),
    "transpose_conv_valid": lambda n, x: n.transpose_conv(
        x, 3, kernel=(2, 4), stride=(3, 2), size=(20, 14), padding="VALID", bias=False,
        activation="RELU",
    ),
    "pad_channels": lambda n, x: n.pad(x, [(0, 0), (1, 0), (0, 2), (3, 1)]),
    "pad_v2": lambda n, x: n.pad_v2(x, [(0, 1), (1, 0), (0, 2), (0, 3)], 100),
    "mirror_pad_reflect": lambda n, x: n.mirror_pad(
        x, [(0, 0), (6, 2), (0, 5), (1, 4)], edge=False
    ),
    "mirror_pad_symmetric": lambda n, x: n.mirror_pad(
        x, [(1, 1), (7, 2), (0, 6), (1, 5)], edge=True
    ),
    "squeeze": lambda n, x: n.squeeze(x),
    "expand_dims": lambda n, x: n.expand_dims(x, 2),
    "transpose": lambda n, x: n.transpose(x, (3, 0, 2, 1)),
    "transpose_of_five": lambda n, x: n.transpose(n.expand_dims(x, 1), (4, 2, 0, 1, 3)),
    "slice": lambda n, x: n.slice(x, (0, 2, 1, 3), (1, 3, -1, 1)),
    "strided_slice": lambda n, x: n.strided_slice(
        x, (0, 5, -5), (1, -7, 9), (1, -2, 2), end_mask=1
    ),
    "strided_slice_backwards": lambda n, x: n.strided_slice(
        x, (0, 3, 0, -1), (1, 0, 6, 0), (1, -1, 1, -3), begin_mask=2, end_mask=8
    ),
    "strided_slice_shrunk": lambda n, x: n.strided_slice(
        x, (0, -2, 1), (0, 0, 4), (1, 1, 1), shrink_mask=3
    ),
    "split": lambda n, x: n.split(x, -2, 3)[1],
    "split_v": lambda n, x: n.split_v(x, 1, [2, 4, 1])[1],
    "unpack": lambda n, x: n.unpack(x, 2)[4],
    "concatenation": lambda n, x: n.concatenation([x, same(n, x, (1, 7, 6, 2)), x], 3),
    "pack": lambda n, x: n.pack([x, same(n, x, IMAGE)], 4),
    "quantize": lambda n, x: n.quantize(x, "uint8", output_scale=0.011),
    "dequantize_in_the_middle": lambda n, x: n.reshape(n.dequantize(x), (7, 30)),
}
UINT8: dict[str, Step] = {
    "sum": lambda n, x: n.sum(x, axes=(1, 2)),
    "sum_one": lambda n, x: n.sum(x, axes=(-1,), keep_dims=False),
    "concatenation_of_scales": lambda n, x: n.concatenation(
        [x, n.input((1, 7, 6, 2), scale=0.3), n.input((1, 7, 6, 1), scale=0.001)], 3
    ),
    "concatenation_of_zero_points": lambda n, x: n.concatenation(
        [x, n.input(IMAGE, scale=n[x].scales[0])], 1
    ),
}


def frames(graph: Graph, seed: int) -> list[list[Array]]:
    """Return inputs: everything at one end, ends mixed, random ones."""
    rng = np.random.default_rng(seed)
    result: list[list[Array]] = [[] for _ in range(5)]
    for index in graph.inputs:
        tensor = graph.tensors[index]
        low, high = np.iinfo(tensor.dtype).min, np.iinfo(tensor.dtype).max
        for row, value in zip(
            result,
            (
                np.full(tensor.shape, low), np.full(tensor.shape, high),
                np.where(rng.random(tensor.shape) < 0.5, low, high),
                rng.integers(low, high + 1, tensor.shape),
                rng.integers(low, high + 1, tensor.shape),
            ),
            strict=True,
        ):
            row.append(value.astype(tensor.dtype))
    return result


def compare(net: NetworkBuilder, y: int, seed: int = 0) -> Graph:
    """Compare every tensor with LiteRT's, bit for bit."""
    model = net.build(outputs=[y])
    graph, judge = importer.loads(model), LiteRT(model)
    for values in frames(graph, seed):
        tensors = golden.run(graph, values)
        judge.run(*values)
        for index, value in tensors.items():
            expected = judge.tensor(index)
            assert value.dtype == expected.dtype
            assert value.tobytes() == expected.tobytes(), graph.tensors[index].name
    return graph


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("name", STEPS)
def test_operator_equals_reference(name: str, dtype: str, seed: int) -> None:
    net = NetworkBuilder(seed=seed, dtype=dtype)
    compare(net, STEPS[name](net, net.input(IMAGE)), seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", UINT8)
def test_operator_of_uint8_equals_reference(name: str, seed: int) -> None:
    net = NetworkBuilder(seed=seed, dtype="uint8")
    compare(net, UINT8[name](net, net.input(IMAGE)), seed)


@pytest.mark.parametrize("seed", range(8))
def test_exponential_equals_reference(seed: int) -> None:
    net = NetworkBuilder(seed=seed)
    x = net.input(IMAGE, scale=0.03, zero_point=[-128, 127, 0, 60][seed % 4])
    compare(net, net.function("EXP", x, output_scale=[0.02, 0.9][seed // 4]), seed)


@pytest.mark.parametrize("kind", ["RELU6", "RELU_N1_TO_1"])
@pytest.mark.parametrize("scale", [2.0, 1.0, 6 / 255, 0.4, 12.0])
def test_clamps_round_halves_away(kind: str, scale: float) -> None:
    """Minus a half and half of a step are the bounds here."""
    net = NetworkBuilder(seed=1)
    x = net.input((1, 256), scale=scale, zero_point=0)
    y = net.function(kind, x, output_scale=scale, zero_point=3)
    model = net.build(outputs=[y])
    value = np.arange(-128, 128).astype(np.int8)[None]
    judge = LiteRT(model)
    judge.run(value)
    np.testing.assert_array_equal(golden.run(importer.loads(model), value)[y], judge.tensor(y))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("scale", [2.0**-21, 1e-4, 0.011, 0.0118, 0.03, 1.0, 100.0, 2.0**20])
@pytest.mark.parametrize("ratio", [1 / 256, 0.3, 1.0, 7.0, 63.9])
def test_hard_swish_of_all_scales(dtype: str, scale: float, ratio: float) -> None:
    """Shifts of 16-bit numbers in both directions, and where they saturate."""
    net = NetworkBuilder(seed=2, dtype=dtype)
    lowest = int(np.iinfo(dtype).min)
    x = net.input((1, 256), scale=scale, zero_point=lowest + 100)
    y = net.function("HARD_SWISH", x, output_scale=scale / ratio)
    model = net.build(outputs=[y])
    value = (np.arange(256) + lowest).astype(dtype)[None]
    judge = LiteRT(model)
    judge.run(value)
    np.testing.assert_array_equal(golden.run(importer.loads(model), value)[y], judge.tensor(y))


def test_tables_that_depend_on_the_c_library_are_refused() -> None:
    """A little more or less than the half between two integers is another integer."""
    for steps, refused in ((2.5, True), (2.499, False)):
        net = NetworkBuilder()
        x = net.input((1, 4), scale=1.0, zero_point=0)
        y = net.function("TANH", x, output_scale=float(np.tanh(1) / steps), zero_point=0)
        graph = importer.loads(net.build(outputs=[y]), "net")
        value = np.array([[-1, 0, 1, 2]], np.int8)
        if not refused:
            assert golden.run(graph, value)[y].tolist() == [[-2, 0, 2, 3]]
            continue
        with pytest.raises(UnsupportedError, match=r"'tanh_0'.* C library's .*; quantise"):
            golden.run(graph, value)


def test_bilinear_positions_behind_the_image_are_undefined() -> None:
    x = np.zeros((1, 1, 1, 1), np.int8)
    grid = Grid(size=(65, 1), align_corners=False, half_pixel_centers=False)
    with pytest.raises(OverflowError, match="reads behind the image"):
        golden.kernels.resize_bilinear(x, grid=grid)


def two_conversions() -> tuple[NetworkBuilder, int, int]:
    """Return a network with a float32 input that two QUANTIZE read, and DEQUANTIZE at its end."""
    net = NetworkBuilder(seed=4)
    x = net.file.tensor((1, 500), "float32", name="numbers")
    net.inputs.append(x)
    parts = [net.activation((1, 500), scale) for scale in (0.013, 0.0077)]
    for part in parts:
        net.file.operator("QUANTIZE", [x], [part], ("QuantizeOptions", {}))
    y = net.dequantize(net.add(*parts))
    return net, x, net.reshape(y, (500,))


def test_float_edges_equal_reference() -> None:
    net, x, y = two_conversions()
    model = net.build(outputs=[y])
    graph, judge = importer.loads(model), LiteRT(model)
    rng = np.random.default_rng(1)
    for spread in (0.01, 1.0, 100.0, 1e6):
        value = rng.normal(0, spread, (1, 500)).astype(np.float32)
        judge.run(value)
        for index, ours in golden.run(graph, {x: value}).items():
            assert ours.tobytes() == judge.tensor(index).tobytes()


@pytest.mark.parametrize("number", [np.nan, np.inf, -1e30])
def test_numbers_that_no_integer_stands_for_are_refused(number: float) -> None:
    net, _, y = two_conversions()
    graph = importer.loads(net.build(outputs=[y]), "net")
    value = np.full((1, 500), number, np.float32)
    with pytest.raises(UnsupportedError, match=r"net: operator 'quantize_0'.*; give numbers"):
        golden.run(graph, value)


def test_a_channel_of_scale_0_is_constant() -> None:
    for kind in ("conv_2d", "fully_connected"):
        net = NetworkBuilder(seed=3)
        y = getattr(net, kind)(net.input((1, 3)) if kind == "fully_connected" else
                               net.input((1, 3, 3, 3)), 4, per_channel=True)
        weights, bias = (net[i] for i in net.file.operators[0].inputs[1:])
        for spec in (weights, bias):
            spec.scales = [spec.scales[0], 0.0, *spec.scales[2:]]
        graph = compare(net, y)
        (op,) = graph.ops
        assert [n[1] for n in golden.requantize_params(graph, op)] == [0, 0]


def test_inputs_by_name() -> None:
    net = NetworkBuilder(seed=5)
    a, b = net.input((1, 4)), net.input((1, 4))
    net[a].name, net[b].name = "serving_default_left:0", "serving_default_right:0"
    graph = importer.loads(net.build(outputs=[net.sub(a, b)]), "net")
    values = {a: net.random(a), b: net.random(b)}
    expected = golden.run(graph, values)
    named = golden.run(graph, {"right": values[b], "serving_default_left:0": values[a]})
    assert all(np.array_equal(named[i], expected[i]) for i in expected)
    with pytest.raises(InputError, match="'serving' fits several inputs of network 'net'"):
        golden.run(graph, {"serving": values[a]})
    with pytest.raises(InputError, match=r"'middle' is no input .* 'serving_default_left:0', "):
        golden.run(graph, {"middle": values[a]})
    with pytest.raises(InputError, match="is no input"):
        golden.run(graph, {"": values[a]})
    with pytest.raises(InputError, match="given twice"):
        golden.run(graph, {"left": values[a], "left:0": values[a]})
