"""Order of channels: weights beyond int8 cost less, every tensor stays what it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.compiled import check, check_program, random_inputs
from support.plans import load_program, save_program

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from sim.functional import run_program
from sw import golden, importer
from sw.compiler import Program, compile_graph, compile_layer, pipeline
from sw.compiler.graph.partition import partition
from sw.compiler.lowering import channel_order, reading_order
from sw.compiler.lowering.channel_order import order_channels
from sw.compiler.lowering.context import Context
from sw.compiler.timing import predict
from sw.fuzz.builder import NetworkBuilder


def calm(net: NetworkBuilder, outliers: Sequence[tuple[int, ...]] = ()) -> None:
    """Give the last operator weights within int8, but for some that are far beyond."""
    spec = net[net.file.operators[-1].inputs[1]]
    assert spec.data is not None
    zero_point = spec.zero_points[0]
    low, high = max(0, zero_point - 128), min(255, zero_point + 127)
    spec.data = net.rng.integers(low, high + 1, spec.shape).astype(np.uint8)
    for index in outliers:
        spec.data[index] = 255 if zero_point < 128 else 0


def some(net: NetworkBuilder, count: int) -> list[tuple[int, ...]]:
    """Choose a few weights of the last operator."""
    shape = net[net.file.operators[-1].inputs[1]].shape
    return [tuple(net.rng.integers(0, shape).tolist()) for _ in range(count)]


def pointwise(net: NetworkBuilder, x: int, channels: int, outliers: int, relu: bool = True) -> int:
    y = net.conv_2d(x, channels, activation="RELU" if relu else "NONE")
    calm(net, some(net, outliers))
    return y


def depthwise(net: NetworkBuilder, x: int, outliers: int, stride: int = 1) -> int:
    y = net.depthwise_conv_2d(x, stride=(stride, stride), activation="RELU")
    calm(net, some(net, outliers))
    return y


def work_of(program: Program) -> int:
    """Return the steps of all windows."""
    descriptors = [work.descriptor for work in program.work]
    return sum(d.steps * d.width * d.height * d.blocks for d in descriptors)


def in_order(data: bytes, monkeypatch: pytest.MonkeyPatch, **options: bool) -> Program:
    """Compile a network with its channels where they are."""
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "order_channels", lambda ctx: dict(ctx.channels))
        return compile_graph(importer.loads(data, "test"), CoreConfig(), **options)


def version_1(seed: int, outliers: int = 2) -> bytes:
    net = NetworkBuilder(seed=seed, dtype="uint8")
    x = net.conv_2d(net.input((1, 12, 12, 3)), 24, kernel=(3, 3), stride=(2, 2), activation="RELU")
    calm(net, some(net, 1))
    for stride, channels in ((1, 40), (2, 32), (1, 64)):
        x = pointwise(net, depthwise(net, x, outliers, stride), channels, outliers)
    x = net.average_pool_2d(x, window=(3, 3))
    y = pointwise(net, x, 51, 7, relu=False)
    return net.build(outputs=[net.softmax(net.reshape(y, (1, 51)))])


def version_2(seed: int, outliers: int = 2) -> bytes:
    net = NetworkBuilder(seed=seed, dtype="uint8")
    x = net.conv_2d(net.input((1, 10, 10, 3)), 16, kernel=(3, 3), stride=(2, 2), activation="RELU")
    calm(net)
    x = pointwise(net, depthwise(net, x, 1), 24, outliers, relu=False)
    for _ in range(3):
        y = depthwise(net, pointwise(net, x, 72, outliers), outliers)
        y = pointwise(net, y, 24, outliers, relu=False)
        x = net.add(x, y, output_scale=0.0731 + 0.01 * net.rng.random())
    x = net.average_pool_2d(x, window=(5, 5))
    y = net.fully_connected(net.reshape(x, (1, 24)), 20)
    calm(net, some(net, 3))
    return net.build(outputs=[y])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [version_1, version_2])
def test_networks(make: object, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make(seed)  # type: ignore[operator]
    program = check(data)
    plain = in_order(data, monkeypatch)
    assert work_of(program) < work_of(plain)
    assert sum(predict(program)) < sum(predict(plain))
    moved = [t for t in program.tensors.values() if t.kept is not None]
    assert moved
    for tensor in moved:
        assert tensor.kept is not None
        assert sorted(tensor.kept) == list(range(tensor.shape[-1])) != list(tensor.kept)


@pytest.mark.parametrize("make", [version_1, version_2])
def test_networks_with_such_weights_everywhere(make: object) -> None:
    check(make(7, outliers=60))  # type: ignore[operator]


def test_sums_are_ordered_alike() -> None:
    graph = importer.loads(version_2(1), "test")
    program = compile_graph(graph, CoreConfig())
    sums = [op for op in graph.ops if op.kind == "ADD"]
    orders = {program.tensors[i].kept for op in sums for i in (*op.inputs, op.output)}
    assert len(sums) == 3
    assert len(orders) == 1 and orders != {None}


def test_pointwise_reads_half_the_words_twice_over() -> None:
    net = NetworkBuilder(seed=3, dtype="uint8")
    x = net.conv_2d(net.input((1, 4, 4, 8)), 64)
    calm(net)
    y = net.conv_2d(x, 32)
    # Two blocks and two words.
    calm(net, [(3, 0, 0, 50), (30, 0, 0, 11)])
    program = check(net.build(outputs=[y]))
    work = [w.descriptor for w in program.work if program.layers[w.layer].output == y]
    assert sorted((d.steps, d.blocks) for d in work) == [(32, 3), (34, 1)]
    kept = program.tensors[x].kept
    assert kept is not None
    # Where turns of half the words meet.
    assert {kept.index(50) // 2, kept.index(11) // 2} in ({12}, {16})


def test_depthwise_channels_share_a_block() -> None:
    net = NetworkBuilder(seed=4, dtype="uint8")
    x = net.conv_2d(net.input((1, 6, 6, 8)), 40)
    calm(net)
    y = net.depthwise_conv_2d(x)
    calm(net, [(0, 0, 1, 2), (0, 0, 1, 12), (0, 0, 1, 33)])
    program = check(net.build(outputs=[y]))
    work = [w.descriptor for w in program.work if program.layers[w.layer].output == y]
    assert sorted((d.steps, d.blocks) for d in work)[0] == (5, 4)
    assert len(work) == 2 and work[0].steps != work[1].steps


def test_flattened_images() -> None:
    net = NetworkBuilder(seed=5, dtype="uint8")
    x = net.conv_2d(net.input((1, 3, 3, 8)), 24, activation="RELU")
    calm(net)
    y = net.fully_connected(net.reshape(x, (1, 216)), 30)
    calm(net, some(net, 6))
    program = check(net.build(outputs=[y]))
    assert program.tensors[y].kept is not None


@pytest.mark.parametrize("seed", range(3))
def test_constant_channels_are_left_out_too(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = NetworkBuilder(seed=seed, dtype="uint8")
    x = net.conv_2d(net.input((1, 5, 5, 8)), 40, activation="RELU")
    calm(net, some(net, 2))
    dead = [0, 1, *range(12, 25)]
    bias = net[net.file.operators[-1].inputs[2]].data
    assert bias is not None
    bias[dead] = -(1 << 28)
    y = depthwise(net, x, 0)
    z = pointwise(net, y, 24, 3)
    data = net.build(outputs=[pointwise(net, z, 16, 2)])
    program = check(data, remove_constant_channels=True)
    plain = in_order(data, monkeypatch, remove_constant_channels=True)
    assert work_of(program) < work_of(plain)
    kept, before = program.tensors[x].kept, plain.tensors[x].kept
    assert kept is not None and before is not None
    assert not set(kept) & set(dead)
    assert sorted(kept) == list(before)
    check(data, remove_constant_channels=False)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_networks_without_such_weights_stay(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = NetworkBuilder(seed=6, dtype=dtype)
    x = net.conv_2d(net.input((1, 6, 6, 8)), 24, activation="RELU")
    if dtype == "uint8":
        calm(net)
    x = net.conv_2d(x, 24, activation="RELU")
    if dtype == "uint8":
        calm(net)
    data = net.build(outputs=[x])
    program = compile_graph(importer.loads(data, "test"), CoreConfig())
    assert program.flash == in_order(data, monkeypatch).flash
    assert all(tensor.kept is None for tensor in program.tensors.values())


def test_what_stays_where_it_is() -> None:
    net = NetworkBuilder(seed=8, dtype="uint8")
    x = net.input((1, 5, 5, 24))
    y = net.depthwise_conv_2d(x)
    calm(net, [(0, 1, 1, 3), (0, 1, 1, 20)])
    z = net.conv_2d(y, 16)
    calm(net, [(3, 0, 0, 9), (12, 0, 0, 1)])
    program = check(net.build(outputs=[z]))
    # The input's order is the network's, and the depthwise convolution keeps it.
    assert program.tensors[y].kept is None
    assert program.tensors[z].kept is not None
    net = NetworkBuilder(seed=9, dtype="uint8")
    x = net.depthwise_conv_2d(net.input((1, 6, 6, 2)), depth_multiplier=8)
    calm(net, some(net, 2))
    y = net.conv_2d(x, 16)
    calm(net, [(3, 0, 0, 9), (12, 0, 0, 1)])
    program = check(net.build(outputs=[y]))
    assert program.tensors[x].kept is None


def test_single_layers_and_files(tmp_path: Path) -> None:
    graph = importer.loads(version_2(2), "test")
    value = golden.run(graph, random_inputs(graph, 0)[0])
    compiled = 0
    for number, op in enumerate(graph.ops):
        if op.kind == "RESHAPE":
            continue
        program = compile_layer(graph, number, CoreConfig())
        save_program(program, tmp_path / "layer")
        program = load_program(tmp_path / "layer")
        inputs = [value[layout.tensor] for _, layout in program.inputs]
        np.testing.assert_array_equal(run_program(program, inputs)[op.output], value[op.output])
        compiled += 1
    assert compiled == 17
    program = compile_graph(graph, CoreConfig())
    save_program(program, tmp_path / "network")
    check_program(graph, load_program(tmp_path / "network"), random_inputs(graph, 1))


def test_weights_too_far_beyond_int8_are_still_refused() -> None:
    net = NetworkBuilder(seed=10, dtype="uint8")
    x = net.conv_2d(net.input((1, 4, 4, 8)), 16)
    calm(net)
    y = net.depthwise_conv_2d(x)
    spec = net[net.file.operators[-1].inputs[1]]
    assert spec.data is not None
    spec.zero_points = [0]
    spec.data[:] = 255
    with pytest.raises(UnsupportedError, match="quantise the network with symmetric"):
        compile_graph(importer.loads(net.build(outputs=[y]), "test"), CoreConfig())


def test_errors_name_the_networks_channels() -> None:
    net = NetworkBuilder(seed=12, dtype="uint8")
    x = net.conv_2d(net.input((1, 4, 4, 3), scale=0.01), 16, kernel=(3, 3))
    calm(net)
    scale = net[x].scales[0]
    y = net.conv_2d(x, 24, output_scale=scale * 0.01 * (1 << 12))
    calm(net, [(11, 0, 0, 3), (20, 0, 0, 9)])
    bias = net[net.file.operators[-1].inputs[2]].data
    assert bias is not None
    bias[0] = 1 << 19
    graph = importer.loads(net.build(outputs=[y]), "test")
    kept = compile_graph(graph, CoreConfig()).tensors[y].kept
    assert kept is not None and kept[0] != 0
    with pytest.raises(UnsupportedError, match="of output channel 0 reach"):
        compile_graph(graph, CoreConfig(acc_bits=20))


def test_a_sum_that_fits_in_the_right_order(monkeypatch: pytest.MonkeyPatch) -> None:
    net = NetworkBuilder(seed=11, dtype="uint8")
    x = net.conv_2d(net.input((1, 1, 2, 8)), 480)
    calm(net)
    y = net.conv_2d(x, 16)
    calm(net, [(3, 0, 0, 411), (15, 0, 0, 1)])
    data = net.build(outputs=[y])
    config = CoreConfig(weight_depth=256)
    graph = importer.loads(data, "test")
    program = compile_graph(graph, config)
    assert max(work.descriptor.steps for work in program.work) == 242
    check_program(graph, program, random_inputs(graph, 0))
    monkeypatch.setattr(pipeline, "order_channels", lambda ctx: dict(ctx.channels))
    # Parts of the sum, each with weights of its own.
    plain = compile_graph(graph, config)
    assert any(work.descriptor.partial for work in plain.work)
    assert sum(predict(program)) < sum(predict(plain))


def test_orders_are_the_same_every_time() -> None:
    graph = importer.loads(version_2(3), "test")
    first = order_channels(Context.of(partition(graph), CoreConfig()))
    again = order_channels(Context.of(partition(dataclasses.replace(graph)), CoreConfig()))
    assert first == again and first


def wide(seed: int, outliers: int) -> bytes:
    """Return layers with a weight beyond int8 in many columns, each in another word."""
    net = NetworkBuilder(seed=seed, dtype="uint8")
    x = net.conv_2d(net.input((1, 2, 2, 8)), 512)
    calm(net)
    for channels in (500, 768, 520):
        x = net.conv_2d(x, channels)
        calm(net, some(net, outliers))
    return net.build(outputs=[x])


@pytest.mark.parametrize("outliers", [30, 90])
def test_bounded_work(outliers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Budget is what is done: places where turns may begin are looked for most of the time."""
    spent, ways = [], 0
    first_place = reading_order._first_place

    class Counted(channel_order.OrderWork):
        def __del__(self) -> None:
            spent.append(self.left)

    def counted(*arguments: Any) -> object:
        nonlocal ways
        ways += 1
        return first_place(*arguments)

    monkeypatch.setattr(channel_order, "OrderWork", Counted)
    monkeypatch.setattr(channel_order, "WORK", 200_000)
    monkeypatch.setattr(reading_order, "_first_place", counted)
    part = partition(importer.loads(wide(1, outliers), "test"))
    reading_order._search.cache_clear()
    orders = order_channels(Context.of(part, CoreConfig()))
    # A single trial may be begun with little left.
    assert ways * reading_order.PLACE_WORK * 8 < 300_000
    # What is known already counts as it did.
    assert order_channels(Context.of(part, CoreConfig())) == orders
    assert len(spent) == 2 and spent[0] == spent[1] > -100_000


@pytest.mark.slow
def test_real_networks(shared: Path) -> None:
    name = "mobilenet_v1_0.25_128_quant"
    graph = importer.load(shared / "models" / f"{name}.tflite")
    program = compile_graph(graph, CoreConfig(fraction_bits=17))
    # 969,416 with the channels in their order.
    assert work_of(program) < 911_000
    graph = importer.load(shared / "models" / "mobilenet_v2_1.0_224_quant.tflite")
    orders = order_channels(Context.of(partition(graph), CoreConfig(fraction_bits=17)))
    assert all(sorted(c.kept) == list(range(len(c.kept))) for c in orders.values())
    assert len(orders) > 40
