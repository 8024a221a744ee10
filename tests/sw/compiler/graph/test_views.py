"""Places in memory and what operators see there: shapes, types and names are an operand's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.compiled import check, random_inputs
from support.plans import load_program, save_program

import boards
from common.errors import UnsupportedError
from sim.functional import run_program
from sw import golden, importer
from sw.compiler import compile_graph
from sw.driver import Device
from sw.driver.simulation import SimTransport
from sw.fuzz.builder import NetworkBuilder

CONFIG = boards.get("icebreaker").config

Reader = Callable[[NetworkBuilder, int], int]


def within_int8(net: NetworkBuilder, y: int) -> int:
    """Give the last operator weights that are int8 without their zero point."""
    weights = net[net.file.operators[-1].inputs[1]]
    weights.zero_points = [128 if weights.dtype == "uint8" else 0] * len(weights.zero_points)
    return y


READERS: dict[str, Reader] = {
    "conv_1x1": lambda net, x: net.conv_2d(x, 8, activation="RELU6"),
    "conv_1x1_stride_2": lambda net, x: within_int8(net, net.conv_2d(x, 8, stride=(2, 2))),
    "conv_2x1_valid": lambda net, x: within_int8(
        net, net.conv_2d(x, 8, kernel=(2, 1), padding="VALID")
    ),
    "depthwise": lambda net, x: net.depthwise_conv_2d(x, activation="RELU"),
    "depthwise_stride_2": lambda net, x: net.depthwise_conv_2d(x, stride=(2, 2)),
    "add": lambda net, x: net.add(
        x,
        net.conv_2d(x, 8, output_scale=net[x].scales[0]),
        output_scale=2 * net[x].scales[0],
    ),
    "average_pool": lambda net, x: net.average_pool_2d(x, window=net[x].shape[1:3]),
    "mean": lambda net, x: net.mean(x, output_scale=net[x].scales[0]),
    "fully_connected": lambda net, x: net.fully_connected(
        net.reshape(x, (1, 128)), 5, activation="RELU"
    ),
    "fully_connected_of_rows": lambda net, x: net.fully_connected(net.reshape(x, (2, 64)), 5),
}


@pytest.mark.parametrize("shape", [(8, 2), (2, 8), (16, 1), (1, 16), (4, 4)])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_reader_has_the_shape_that_it_names(
    reader: str, shape: tuple[int, int], dtype: str
) -> None:
    net = NetworkBuilder(seed=5, dtype=dtype)
    if reader == "conv_2x1_valid" and shape[0] < 2:
        shape = (2, 8)
    x = net.conv_2d(net.input((1, 4, 4, 8)), 8)
    y = net.depthwise_conv_2d(x)
    y = READERS[reader](net, net.reshape(y, (1, *shape, 8)))
    for options in ({}, {"remove_constant_channels": True}):
        check(net.build(outputs=[y]), **options)


def test_reshaped_place_is_read_in_both_shapes() -> None:
    net = NetworkBuilder(seed=6)
    x = net.conv_2d(net.input((1, 4, 4, 8)), 8)
    flat = net.reshape(x, (1, 2, 8, 8))
    y = net.add(net.depthwise_conv_2d(flat), flat)
    z = net.add(net.depthwise_conv_2d(x), x)
    # And once more, through two names.
    again = net.depthwise_conv_2d(net.reshape(net.reshape(y, (1, 128)), (1, 16, 1, 8)))
    check(net.build(outputs=[again, z, flat]))


def test_reshaped_input_is_laid_out_by_the_host() -> None:
    net = NetworkBuilder(seed=7)
    x = net.input((1, 4, 8, 8))
    y = net.conv_2d(x, 8)
    z = net.depthwise_conv_2d(net.reshape(x, (1, 8, 4, 8)))
    program = check(net.build(outputs=[y, z]))
    assert len(program.inputs) == 2


def test_rows_of_a_reshaped_tensor_are_not_the_rows_that_were_written() -> None:
    # Too large to be whole in memory, so that neighbours run row by row where they can.
    net = NetworkBuilder(seed=8)
    x = net.conv_2d(net.input((1, 64, 64, 3)), 24, kernel=(3, 3), stride=(2, 2), activation="RELU")
    x = net.depthwise_conv_2d(net.conv_2d(x, 96, activation="RELU"), activation="RELU")
    x = net.conv_2d(net.reshape(x, (1, 16, 64, 96)), 8)
    graph = importer.loads(net.build(outputs=[net.depthwise_conv_2d(x)]), "test")
    try:
        program = compile_graph(graph, CONFIG)
    except UnsupportedError as error:
        assert "memory" in str(error)
    else:
        inputs = random_inputs(graph, 1)
        expected = golden.run(graph, inputs)
        for index, value in run_program(program, inputs).items():
            np.testing.assert_array_equal(value, expected[index])


def test_pixels_are_left_where_they_are() -> None:
    net = NetworkBuilder(seed=9)
    x = net.conv_2d(net.input((1, 4, 4, 6)), 6)
    y = net.depthwise_conv_2d(net.reshape(x, (1, 4, 2, 12)))
    graph = importer.loads(net.build(outputs=[y]), "test")
    with pytest.raises(UnsupportedError, match="tensor with 6 channels"):
        compile_graph(graph, CONFIG)


def test_batch_made_by_a_reshape_is_refused() -> None:
    net = NetworkBuilder(seed=9)
    x = net.conv_2d(net.input((1, 4, 4, 8)), 8)
    y = net.conv_2d(net.reshape(x, (2, 2, 4, 8)), 8)
    graph = importer.loads(net.build(outputs=[y]), "test")
    with pytest.raises(UnsupportedError, match="batch of 2"):
        compile_graph(graph, CONFIG)


def other(dtype: str) -> str:
    return "uint8" if dtype == "int8" else "int8"


@pytest.mark.parametrize("zero_point", [-128, -3, 0, 127])
@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
@pytest.mark.parametrize("window", [(2, 4), (3, 3), (1, 2)])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_average_rounds_in_the_type_that_it_names(
    dtype: str, window: tuple[int, int], activation: str, zero_point: int
) -> None:
    """Halves are rounded away from zero, and zero is elsewhere in the other type."""
    net = NetworkBuilder(seed=10, dtype=dtype)
    x = net.conv_2d(net.input((1, *window, 4)), 8)
    shift = {"int8": 0, "uint8": 128}
    net[x].zero_points = [zero_point + shift[dtype]]
    y = net.quantize(x, other(dtype), zero_point=zero_point + shift[other(dtype)])
    check(net.build(outputs=[net.average_pool_2d(y, window=window, activation=activation)]))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("dead", [False, True])
def test_reader_has_the_type_that_it_names(reader: str, dtype: str, dead: bool) -> None:
    net = NetworkBuilder(seed=11, dtype=dtype)
    x = net.conv_2d(net.input((1, 4, 4, 8)), 8, activation="RELU")
    if dead:
        weights, bias = (net[i] for i in net.file.operators[-1].inputs[1:])
        assert weights.data is not None and bias.data is not None
        weights.data[[1, 2, 5]], bias.data[[1, 2, 5]] = weights.zero_points[0], [40000, 0, -9]
    shift = 128 if dtype == "int8" else -128
    y = net.quantize(x, other(dtype), zero_point=int(net[x].zero_points[0]) + shift)
    net.dtype = other(dtype)
    y = READERS[reader](net, y)
    for options in ({}, {"remove_constant_channels": True}):
        check(net.build(outputs=[y, x]), **options)


def on_core(data: bytes, path: Path) -> None:
    """Compare all outputs and every layer on the simulated core, one frame and a stream.

    The program comes from a file, so that a file has all of it.
    """
    graph = importer.loads(data, "test")
    save_program(compile_graph(graph, CONFIG), path)
    program = load_program(path)
    frames = [random_inputs(graph, seed) for seed in range(2)]
    with Device(SimTransport(CONFIG), CONFIG) as device:
        device.load(program)
        seen: dict[int, np.ndarray] = {}
        result = device.infer(frames[0], seen.__setitem__)
        expected = [golden.run(graph, frame) for frame in frames]
        assert sorted(seen) == list(range(len(program.layers)))
        for number, value in seen.items():
            np.testing.assert_array_equal(value, expected[0][program.layers[number].output])
        results = [result.tensors, *(r.tensors for r in device.stream(frames[1:]))]
        for tensors, wanted in zip(results, expected, strict=True):
            assert tensors is not None
            for index in graph.outputs:
                np.testing.assert_array_equal(tensors[index], wanted[index])


@pytest.mark.slow
def test_input_is_an_output(tmp_path: Path) -> None:
    net = NetworkBuilder(seed=12)
    x = net.input((1, 4, 4, 3))
    on_core(net.build(outputs=[net.conv_2d(x, 8), x]), tmp_path / "network.sep")


@pytest.mark.slow
def test_constant_is_an_output(tmp_path: Path) -> None:
    net = NetworkBuilder(seed=12)
    y = net.conv_2d(net.input((1, 4, 4, 3)), 8)
    on_core(net.build(outputs=[y, net.file.operators[-1].inputs[2]]), tmp_path / "network.sep")


@pytest.mark.slow
def test_tensor_of_the_host_is_an_output(tmp_path: Path) -> None:
    net = NetworkBuilder(seed=13)
    x = net.mul(net.input((1, 4, 4, 3)), net.constant((3,)))
    on_core(net.build(outputs=[net.conv_2d(x, 8), x]), tmp_path / "network.sep")


@pytest.mark.slow
def test_tail_reads_what_the_host_made(tmp_path: Path) -> None:
    net = NetworkBuilder(seed=14)
    x = net.input((1, 4, 4, 3))
    scaled = net.mul(x, net.constant(()))
    y = net.conv_2d(scaled, 8)
    outputs = [net.softmax(scaled), y, net.softmax(net.reshape(y, (1, 128)))]
    on_core(net.build(outputs=outputs), tmp_path / "network.sep")


def test_same_output_twice(tmp_path: Path) -> None:
    net = NetworkBuilder(seed=15)
    y = net.conv_2d(net.input((1, 4, 4, 3)), 8)
    on_core(net.build(outputs=[y, y]), tmp_path / "network.sep")


def test_heads_stand_in_any_order(tmp_path: Path) -> None:
    net = NetworkBuilder(seed=16)
    x = net.conv_2d(net.input((1, 4, 4, 3)), 8)
    first = net.softmax(net.reshape(x, (1, 128)))
    second = net.fully_connected(net.reshape(x, (1, 128)), 4)
    on_core(net.build(outputs=[first, second]), tmp_path / "network.sep")


@pytest.mark.slow
def test_sums_in_parts_are_compared_row_by_row(tmp_path: Path) -> None:
    """A layer of several pixels that cannot run row by row is seen as a whole."""
    net = NetworkBuilder(seed=17, dtype="uint8")
    x = within_int8(net, net.conv_2d(net.input((1, 3, 2, 16)), 1020))
    y = net.conv_2d(x, 8)
    weights = net[net.file.operators[-1].inputs[1]]
    assert weights.data is not None
    # Some beyond int8: more words to read than the weight memory has steps.
    weights.zero_points = [90]
    weights.data = (weights.data % 20 + 80).astype(np.uint8)
    weights.data[0, 0, 0, ::300] = 255
    on_core(net.build(outputs=[y]), tmp_path / "network.sep")


def test_inputs_without_effect_are_refused() -> None:
    net = NetworkBuilder(seed=18)
    x = net.input((1, 4, 4, 3))
    y = net.conv_2d(x, 8)
    net.inputs.append(net.file.operators[-1].inputs[1])
    with pytest.raises(UnsupportedError, match="no effect"):
        importer.loads(net.build(outputs=[y]), "test")


def test_dropped_channels_whose_bias_overflows() -> None:
    net = NetworkBuilder(seed=19)
    x = net.conv_2d(net.input((1, 2, 2, 8)), 8, activation="RELU")
    weights, bias = (net[i] for i in net.file.operators[-1].inputs[1:])
    assert weights.data is not None and bias.data is not None
    weights.data[:4], bias.data[:4] = 0, 1 << 24
    y = net.conv_2d(x, 8)
    last = net[net.file.operators[-1].inputs[2]]
    assert last.data is not None
    last.data[:] = (1 << 31) - 1
    last.data[1::2] = -(1 << 31)
    graph = importer.loads(net.build(outputs=[y]), "test")
    for options in ({}, {"remove_constant_channels": True}):
        with pytest.raises(UnsupportedError, match="overflow int32"):
            compile_graph(graph, CONFIG, **options)


def test_constant_channels_in_front_of_a_depth_multiplier_stay() -> None:
    """One number of channels has to be a multiple of the other."""
    net = NetworkBuilder(seed=20)
    x = net.conv_2d(net.input((1, 4, 4, 8)), 9, activation="RELU")
    bias = net[net.file.operators[-1].inputs[2]]
    assert bias.data is not None
    bias.data[1:] = -(1 << 28)
    y = net.depthwise_conv_2d(x, depth_multiplier=6)
    program = check(net.build(outputs=[y]), CONFIG, remove_constant_channels=True)
    assert program.tensors[x].channels == 9


@pytest.mark.parametrize("kernel", [(2, 2), (4, 4)])
def test_depthwise_of_an_input_with_very_many_channels(kernel: tuple[int, int]) -> None:
    """As a convolution with zeros it would take gigabytes; and a descriptor has 256 blocks."""
    net = NetworkBuilder(seed=21)
    y = net.depthwise_conv_2d(net.input((1, *kernel, 2200)), kernel=kernel, padding="VALID")
    check(net.build(outputs=[y]), CONFIG)
