"""Removal of constant channels: fewer of them in memory, the same tensors for the user."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.compiled import check, check_program, random_inputs
from support.plans import load_program, save_program

from hw.contract.config import CoreConfig
from sim.functional import run_program
from sw import golden, images, importer
from sw.compiler import Program, compile_graph, compile_layer
from sw.compiler.timing import predict
from sw.fuzz.builder import NetworkBuilder


def kill(net: NetworkBuilder, channels: list[int], value: int | None = None) -> None:
    """Make output channels of the last operator constant: its clamps', or a value between."""
    kind, operands = net.file.operators[-1].kind, net.file.operators[-1].inputs
    weights, bias = net[operands[1]], net[operands[2]]
    assert weights.data is not None and bias.data is not None
    axis = weights.data.ndim - 1 if kind == "DEPTHWISE_CONV_2D" else 0
    index: list[object] = [slice(None)] * weights.data.ndim
    index[axis] = channels
    if value is None:
        bias.data[channels] = -(1 << 28)
    else:
        weights.data[tuple(index)] = weights.zero_points[0]
        bias.data[channels] = value


def pruned(data: bytes) -> Program:
    """Check a network with constant channels removed and kept; return the smaller program."""
    program = check(data, remove_constant_channels=True)
    whole = check(data, remove_constant_channels=False)
    assert program.macs == whole.macs
    assert sum(layer.words for layer in program.layers) < sum(layer.words for layer in whole.layers)
    return program


def test_channels_that_meet_padding_stay_unless_they_are_its_zero_point() -> None:
    """At the borders a window sees the zero point, and elsewhere the channel's constant."""
    for value, kept in ((None, 12), (0, 9)):
        net = NetworkBuilder(seed=8)
        x = net.conv_2d(net.input((1, 4, 4, 8)), 12)
        net[x].zero_points = [-20]
        kill(net, [1, 2, 7], value)
        y = net.conv_2d(x, 8, kernel=(3, 3))
        program = check(net.build(outputs=[y]), remove_constant_channels=True)
        assert program.tensors[x].channels == kept


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("value", [None, 40000])
def test_pointwise_layers(value: int | None, dtype: str) -> None:
    net = NetworkBuilder(seed=1, dtype=dtype)
    x = net.conv_2d(net.input((1, 5, 5, 8)), 32, activation="RELU")
    kill(net, [0, 3, *range(10, 29)], value)
    program = pruned(net.build(outputs=[net.conv_2d(x, 16)]))
    tensor = program.tensors[x]
    assert tensor.kept is not None and len(tensor.kept) == 11
    assert tensor.words == 25 * 2


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("value", [None, 40000])
def test_depthwise_layers_keep_what_padding_makes_variable(value: int | None, dtype: str) -> None:
    net = NetworkBuilder(seed=2, dtype=dtype)
    x = net.conv_2d(net.input((1, 6, 6, 8)), 24, activation="RELU")
    kill(net, list(range(20)), value)
    y = net.depthwise_conv_2d(x, activation="RELU")
    kill(net, list(range(12)))
    program = pruned(net.build(outputs=[net.conv_2d(y, 16)]))
    kept = program.tensors[x].kept
    assert kept is not None and kept == program.tensors[y].kept
    assert set(range(20, 24)) <= set(kept) and not set(range(12)) & set(kept)


def test_pooling_and_flattened_images() -> None:
    net = NetworkBuilder(seed=3)
    x = net.conv_2d(net.input((1, 3, 3, 8)), 24, activation="RELU")
    kill(net, list(range(4, 24)))
    y = net.average_pool_2d(x, window=(3, 3))
    kept = pruned(net.build(outputs=[net.fully_connected(net.reshape(y, (1, 24)), 3)]))
    assert kept.tensors[y].channels == 4
    net = NetworkBuilder(seed=3)
    x = net.conv_2d(net.input((1, 3, 3, 8)), 24, activation="RELU")
    kill(net, list(range(4, 24)))
    pruned(net.build(outputs=[net.fully_connected(net.reshape(x, (1, 216)), 3)]))


def test_sums_lose_channels_together() -> None:
    net = NetworkBuilder(seed=4)
    x = net.conv_2d(net.input((1, 4, 4, 8)), 24, activation="RELU6")
    kill(net, list(range(16)))
    y = net.conv_2d(x, 24, activation="RELU6")
    kill(net, list(range(4, 24)))
    z = net.add(x, y, output_scale=0.0731)
    program = pruned(net.build(outputs=[net.conv_2d(z, 8)]))
    assert {program.tensors[t].kept for t in (x, y, z)} == {(*range(4), *range(16, 24))}


def test_outputs_and_last_channels_stay() -> None:
    net = NetworkBuilder(seed=5)
    x = net.conv_2d(net.input((1, 4, 4, 8)), 16, activation="RELU")
    kill(net, list(range(16)))
    y = net.conv_2d(x, 16, activation="RELU")
    kill(net, list(range(9)))
    program = check(net.build(outputs=[y]), remove_constant_channels=True)
    assert program.tensors[x].channels == 1
    assert program.tensors[y].kept is None


def test_a_real_network(shared: Path, tmp_path: Path) -> None:
    graph = importer.load(shared / "models" / "vww_96_int8.tflite")
    config = CoreConfig(fraction_bits=17)
    program = compile_graph(graph, config, remove_constant_channels=True)
    assert program.macs == 7_489_664
    assert sum(predict(program)) < 280_000
    save_program(program, tmp_path / "vww")
    loaded = load_program(tmp_path / "vww")
    for file in ("vww_quant_test_yes_0.dat", "vww_quant_test_no_0.dat"):
        check_program(graph, loaded, [images.load(shared / "images" / file, graph)])


def test_single_layers() -> None:
    net = NetworkBuilder(seed=6)
    x = net.conv_2d(net.input((1, 5, 5, 8)), 24, activation="RELU")
    kill(net, list(range(3, 20)))
    y = net.conv_2d(x, 16, activation="RELU")
    graph = importer.loads(net.build(outputs=[y]), "test")
    program = compile_layer(graph, 1, CoreConfig(), remove_constant_channels=True)
    ((_, layout),) = program.inputs
    assert layout.words == 25
    value = golden.run(graph, random_inputs(graph, 0)[0])
    np.testing.assert_array_equal(run_program(program, value[x])[y], value[y])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_channels_of_a_depth_multiplier_stay(dtype: str) -> None:
    net = NetworkBuilder(seed=7, dtype=dtype)
    x = net.depthwise_conv_2d(net.input((1, 8, 8, 2)), depth_multiplier=8, activation="RELU")
    kill(net, [1, 5, 6], 40000)
    program = check(net.build(outputs=[net.conv_2d(x, 8)]), remove_constant_channels=True)
    assert program.tensors[x].kept is None
