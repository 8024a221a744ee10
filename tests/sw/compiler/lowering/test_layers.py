"""Networks of one or two layers: compiled, run on the functional model, compared with golden."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from support.compiled import check, check_program, random_inputs
from support.layer_networks import build, set_weights, small_weights, uint8_weights
from support.on_core import check_on_core

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from hw.contract.requantiser import u_limit
from sim.functional import run_program
from sw import golden, importer, ir
from sw.compiler import compile_layer
from sw.compiler.exact.averages import find_codes
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.compiler.input.geometry import FirstLayer
from sw.compiler.input.units import units
from sw.compiler.lowering import depthwise
from sw.compiler.program.tensors import Place
from sw.compiler.timing import predict
from sw.fuzz.builder import NetworkBuilder
from sw.golden.requantisation import Requantisation


def add(net: NetworkBuilder, a: int, b: int, activation: str = "NONE") -> int:
    """Add a sum at a scale that makes no systematic ties, as networks have it."""
    scale = (net[a].scales[0] + net[b].scales[0]) * float(net.rng.uniform(0.5, 1.1))
    return net.add(a, b, activation=activation, output_scale=scale)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((1, 5, 7, 8), 8),
        ((1, 4, 4, 16), 24),
        ((1, 1, 1, 8), 8),
        ((1, 3, 5, 12), 20),
        ((1, 6, 3, 3), 5),
        ((1, 2, 2, 40), 2),
        ((1, 3, 3, 1), 9),
    ],
)
def test_pointwise(shape: tuple[int, ...], channels: int, dtype: str) -> None:
    program = check(build(lambda n: n.conv_2d(n.input(shape), channels), dtype=dtype))
    assert all(work.descriptor.mode == Mode.SYSTOLIC for work in program.work)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 2)])
@pytest.mark.parametrize("channels", [8, 19])
def test_convolution_of_any_size_without_padding(stride: tuple[int, int], channels: int) -> None:
    data = build(
        lambda n: n.conv_2d(
            n.input((1, 7, 8, channels)), 16, kernel=(3, 2), stride=stride, padding="VALID"
        )
    )
    check(data, dense_input=True)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("height", "width", "channels"), [(9, 9, 8), (8, 10, 16), (7, 6, 20), (3, 3, 8), (4, 3, 3)]
)
def test_depthwise(
    height: int, width: int, channels: int, stride: int, padding: str, dtype: str
) -> None:
    data = build(
        lambda n: n.depthwise_conv_2d(
            n.input((1, height, width, channels)), stride=(stride, stride), padding=padding
        ),
        dtype=dtype,
        seed=height * width + stride,
    )
    program = check(data)
    modes = {work.descriptor.mode for work in program.work}
    assert modes == {Mode.DEPTHWISE if stride == 1 else Mode.DEPTHWISE_STRIDE2}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (5, 1), (2, 2), (2, 1)])
def test_depthwise_of_tiny_images(height: int, width: int, stride: int) -> None:
    check(
        build(
            lambda n: n.depthwise_conv_2d(n.input((1, height, width, 8)), stride=(stride, stride))
        )
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pads", [(1, 1), (0, 1), (1, 0), (0, 0)])
@pytest.mark.parametrize("width", [6, 7])
def test_depthwise_with_folded_padding(pads: tuple[int, int], width: int, stride: int) -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.pad(net.input((1, width + 1, width, 8)), [(0, 0), pads, pads[::-1], (0, 0)])
        return net.depthwise_conv_2d(x, stride=(stride, stride), padding="VALID")

    program = check(build(make))
    assert len(program.layers) == 1
    assert not program.prefix.ops


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("shape", [(1, 64), (1, 3), (1, 2, 3, 16), (1, 1, 1, 40)])
def test_fully_connected(shape: tuple[int, ...], dtype: str) -> None:
    check(build(lambda n: n.fully_connected(n.input(shape), 11), dtype=dtype))


@pytest.mark.parametrize("channels", [8, 12, 3])
def test_fully_connected_of_a_flattened_image(channels: int) -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 3, 4, 8)), channels)
        return net.fully_connected(net.reshape(x, (1, 12 * channels)), 5)

    check(build(make))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("channels", [1026, 1280, 1792, 2048, 3136])
def test_sums_of_more_products_than_weights_are_stored(channels: int, dtype: str) -> None:
    def convolution(net: NetworkBuilder) -> int:
        return small_weights(net, net.conv_2d(net.input((1, 1, 1, channels)), 19))

    def fully_connected(net: NetworkBuilder) -> int:
        return small_weights(net, net.fully_connected(net.input((1, channels)), 19))

    for make in (convolution, fully_connected):
        program = check(build(make, dtype=dtype, seed=channels))
        (work,) = program.work
        assert work.descriptor.partial
        assert work.descriptor.width == -(-channels // 1024)
        assert len(work.block_words) == 3 * work.descriptor.width


@pytest.mark.parametrize("shape", [(1, 5, 7, 36), (1, 3, 3, 16), (1, 3, 2, 10)])
def test_a_convolution_of_the_whole_tensor(shape: tuple[int, ...]) -> None:
    def make(net: NetworkBuilder) -> int:
        y = net.conv_2d(net.input(shape), 11, kernel=(shape[1], shape[2]), padding="VALID")
        return small_weights(net, y)

    program = check(build(make), dense_input=True)
    assert program.work[0].descriptor.partial == (shape[3] == 36)


def test_single_blocks_of_many_pixels_in_parts() -> None:
    """A second visit is more than the weight memory has room for; other blocks need none."""
    net = NetworkBuilder(seed=7, dtype="uint8")
    y = net.conv_2d(net.input((1, 2, 3, 1016)), 24)
    uint8_weights(net, 120)
    small_weights(net, y)
    set_weights(net, y, {(9, 0, 0, 0): 255})
    program = check(net.build(outputs=[y]))
    parts = [work.descriptor.partial for work in program.work]
    # The channel's block stands at an end.
    assert sorted(parts) == [False, *[True] * 6]


def test_single_blocks_of_too_many_pixels_are_refused() -> None:
    net = NetworkBuilder(seed=7, dtype="uint8")
    y = net.conv_2d(net.input((1, 5, 13, 1016)), 8)
    uint8_weights(net, 120)
    small_weights(net, y)
    set_weights(net, y, {(3, 0, 0, 0): 255})
    with pytest.raises(UnsupportedError, match=r"at most 64 .*in parts; .*the output is 5x13"):
        check(net.build(outputs=[y]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "dtype"), [("CONV_2D", "int8"), ("FULLY_CONNECTED", "uint8"), ("FLATTENED", "int8")]
)
def test_long_sums_of_many_pixels(kind: str, dtype: str) -> None:
    """Each pixel has its weights from the flash: a descriptor for every one."""

    def make(net: NetworkBuilder) -> int:
        x = net.input((1, 3, 2, 1280))
        if kind == "CONV_2D":
            y = net.conv_2d(x, 10)
        else:
            x = net.reshape(x, (3, 2560)) if kind == "FLATTENED" else x
            y = net.fully_connected(x, 10)
        return small_weights(net, y)

    program = check_on_core(build(make, dtype=dtype))
    pixels = 3 if kind == "FLATTENED" else 6
    assert all(work.descriptor.partial for work in program.work)
    assert len(program.work) == pixels
    # Two blocks, a byte of weights a cycle.
    words = pixels * 2 * 2 * (1280 if kind == "FLATTENED" else 640)
    assert 8 * words < sum(predict(program)) < 8.2 * words


def test_long_sums_of_too_many_pixels_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"at most 64 .*in parts; .*the output is 5x13"):
        check(build(lambda n: small_weights(n, n.conv_2d(n.input((1, 5, 13, 1280)), 8))))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
def test_activations(activation: str, dtype: str) -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 5, 5, 8)), 16, activation=activation)
        x = net.depthwise_conv_2d(x, activation=activation)
        return add(net, x, net.conv_2d(x, 16), activation)

    check(build(make, dtype=dtype))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("size", [(3, 3), (4, 4), (6, 6), (7, 7), (5, 2), (1, 1), (16, 16)])
def test_average_pool(size: tuple[int, int], dtype: str) -> None:
    data = build(lambda n: n.average_pool_2d(n.input((1, *size, 20)), window=size), dtype=dtype)
    check(data)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("keep_dims", [True, False])
@pytest.mark.parametrize("size", [(3, 3), (4, 4), (7, 5)])
def test_mean(size: tuple[int, int], keep_dims: bool, dtype: str) -> None:
    data = build(lambda n: n.mean(n.input((1, *size, 9)), keep_dims=keep_dims), dtype=dtype)
    check(data)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("shape", [(1, 5, 5, 8), (1, 7, 9, 20), (1, 1, 1, 3), (1, 23, 29, 8)])
def test_add(shape: tuple[int, ...], dtype: str) -> None:
    program = check(build(lambda n: add(n, n.input(shape), n.input(shape)), dtype=dtype))
    assert program.work[0].descriptor.mode == Mode.ADD


def test_add_of_a_tensor_to_itself() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 4, 4, 8)), 8)
        return add(net, x, x)

    check(build(make))


def test_add_of_more_words_than_a_rectangle_has() -> None:
    shape = (1, 1, 257, 8)
    program = check(build(lambda n: add(n, n.input(shape), n.input(shape))))
    assert len(program.work) == 2


@pytest.mark.parametrize("lanes", [2, 4])
def test_other_numbers_of_lanes(lanes: int) -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 12, 12, 3)), 20, kernel=(3, 3), stride=(2, 2))
        y = net.conv_2d(net.depthwise_conv_2d(x), 20)
        y = net.average_pool_2d(add(net, x, y), window=(6, 6))
        return net.fully_connected(net.reshape(y, (1, 20)), 3)

    check(build(make), CoreConfig(lanes=lanes))


def test_single_layers_of_a_network() -> None:
    net = NetworkBuilder(seed=5)
    x = net.conv_2d(net.input((1, 12, 12, 3)), 20, kernel=(3, 3), stride=(2, 2))
    y = net.conv_2d(net.depthwise_conv_2d(x), 20)
    y = net.average_pool_2d(add(net, x, y), window=(6, 6))
    y = net.softmax(net.fully_connected(net.reshape(y, (1, 20)), 3))
    graph = importer.loads(net.build(outputs=[y]), "test")
    for number, op in enumerate(graph.ops):
        if isinstance(op, ir.Reshape | ir.Softmax):
            with pytest.raises(UnsupportedError, match="not a layer of the device"):
                compile_layer(graph, number, CoreConfig())
            continue
        program = compile_layer(graph, number, CoreConfig())
        alone = dataclasses.replace(
            graph, ops=(op,), inputs=program.prefix.inputs, outputs=(op.output,)
        )
        if isinstance(op, ir.FullyConnected):
            # Its input is the image before it is flattened.
            assert alone.tensors[alone.inputs[0]].shape == (1, 1, 1, 20)
            (x_value,) = random_inputs(alone, 1)
            expected = golden.compute(
                graph, op, [x_value, *(graph.tensors[i].data for i in op.inputs[1:])]
            )
            np.testing.assert_array_equal(run_program(program, x_value)[op.output], expected)
            continue
        check_program(alone, program, random_inputs(alone, 1))
        first = number == 0
        assert (program.inputs[0][1].kind != "dense") == first


def test_biases_of_averages_fit_the_accumulator() -> None:
    """Sums far from 0 want a large bias, which a small weight makes smaller."""
    sums = np.arange(1_000_000, 1_000_101)
    requantisation = Requantisation(zero_point=0, act_min=-128, act_max=127)
    codes = find_codes(sums, sums - 1_000_050, 1.0, requantisation, RequantiserSpec())
    assert codes is not None
    (code,) = codes
    assert 0 < code.factor <= 8
    assert abs(code.bias) <= u_limit(24)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (0, 1), (1, 0)])
@pytest.mark.parametrize("size", [(3, 3), (5, 4), (6, 9), (8, 8)])
def test_depthwise_over_its_input(
    size: tuple[int, int], padding: tuple[int, int], stride: int
) -> None:
    """An output is written where no later window reads, and no nearer to the input than that."""
    height, width = size
    top, left = padding
    output = ((height + top - 2) // stride + 1, (width + left - 2) // stride + 1)
    gap = 0
    for i, row in itertools.product(range(output[0]), range(height)):
        # The last row of windows that this row of pixels is read for is not before row i.
        if i * stride <= row + top < i * stride + 3 or (
            i == output[0] - 1 and row + top >= i * stride
        ):
            for column in range(width):
                j = min((column + left) // stride, output[1] - 1)
                gap = max(gap, i * output[1] + j - (row * width + column))
    assert depthwise._trail(size, output, (stride, stride), padding) == gap


def test_units_end_with_the_last_byte_that_is_used() -> None:
    first = FirstLayer(
        tensor=Place(0), zero_point=0, columns=8,
        shape=(8, 8, 3), output=(8, 8), kernel=(3, 1), stride=(1, 1), dilation=(1, 1),
        padding=(1, 0), again=frozenset(),
    )
    found = units(first, 1)
    assert found is not None and found[1].steps == 3 * 2
