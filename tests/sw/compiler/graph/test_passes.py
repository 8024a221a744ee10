"""Passes, the partition between host and device, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.compiled import check, random_inputs

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from sw import golden, importer, ir
from sw.compiler import compile_graph
from sw.compiler.graph import passes
from sw.compiler.graph.partition import partition
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph


def graph_of(make: Callable[[NetworkBuilder], int], *, dtype: str = "int8") -> Graph:
    net = NetworkBuilder(dtype=dtype)
    return importer.loads(net.build(outputs=[make(net)]), "test")


def refusal(make: Callable[[NetworkBuilder], int], config: CoreConfig | None = None) -> str:
    with pytest.raises(UnsupportedError) as caught:
        compile_graph(graph_of(make), config or CoreConfig())
    message = str(caught.value)
    assert message.startswith("test: ")
    assert "\n" not in message
    return message


def test_padding_is_folded_into_convolutions() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.pad(net.input((1, 6, 6, 3)), [(0, 0), (1, 0), (0, 1), (0, 0)])
        return net.conv_2d(x, 8, kernel=(3, 3), stride=(2, 2), padding="VALID")

    graph = graph_of(make)
    folded = passes.run_passes(graph)
    (op,) = folded.ops
    assert isinstance(op, ir.Conv2D)
    assert op.padding == ((1, 0), (0, 1))
    x = np.random.default_rng(0).integers(-128, 128, (1, 6, 6, 3)).astype(np.int8)
    np.testing.assert_array_equal(
        golden.run(folded, x)[graph.outputs[0]], golden.run(graph, x)[graph.outputs[0]]
    )


def test_padding_of_channels_stays() -> None:
    def make(net: NetworkBuilder) -> int:
        return net.conv_2d(net.pad(net.input((1, 4, 4, 3)), [(0, 0), (0, 0), (0, 0), (0, 5)]), 8)

    graph = passes.run_passes(graph_of(make))
    assert [op.kind for op in graph.ops] == ["PAD", "CONV_2D"]
    part = partition(graph)
    assert [op.kind for op in part.prefix] == ["PAD"]


def test_unused_operators_are_dropped() -> None:
    net = NetworkBuilder()
    x = net.input((1, 4, 4, 8))
    net.conv_2d(x, 16)
    y = net.conv_2d(x, 8)
    graph = importer.loads(net.build(outputs=[y]), "test")
    assert len(graph.ops) == 2
    assert [op.output for op in passes.run_passes(graph).ops] == [y]


def test_host_and_device() -> None:
    net = NetworkBuilder(dtype="uint8")
    x = net.quantize(net.input((1, 8, 8, 3), zero_point=128), "int8", zero_point=0)
    x = net.sub(net.mul(x, net.constant((3,))), net.constant((3,)))
    y = net.average_pool_2d(net.conv_2d(x, 16, kernel=(3, 3), stride=(2, 2)), window=(4, 4))
    y = net.fully_connected(net.reshape(y, (1, 16)), 4)
    data = net.build(outputs=[net.softmax(y)])
    part = partition(passes.run_passes(importer.loads(data)))
    assert [op.kind for op in part.prefix] == ["QUANTIZE", "MUL", "SUB"]
    assert [op.kind for op in part.device] == ["CONV_2D", "AVERAGE_POOL_2D", "FULLY_CONNECTED"]
    assert [op.kind for op in part.suffix] == ["SOFTMAX"]
    assert len(part.aliases) == 1
    check(data)


def test_input_in_other_order() -> None:
    net = NetworkBuilder()
    x = net.transpose(net.input((1, 3, 8, 8)), (0, 2, 3, 1))
    check(net.build(outputs=[net.conv_2d(x, 8, kernel=(3, 3))]))


def test_quantize_that_moves_nothing_in_the_middle() -> None:
    net = NetworkBuilder(dtype="uint8")
    x = net.conv_2d(net.input((1, 4, 4, 8)), 8)
    zero_point = net[x].zero_points[0]
    x = net.quantize(x, "int8", zero_point=zero_point - 128)
    program = check(net.build(outputs=[net.depthwise_conv_2d(x)]))
    assert len(program.layers) == 2


def test_several_outputs() -> None:
    net = NetworkBuilder()
    x = net.conv_2d(net.input((1, 6, 6, 8)), 8)
    y, z = net.conv_2d(x, 16), net.depthwise_conv_2d(x)
    graph = importer.loads(net.build(outputs=[y, z, x]), "test")
    program = compile_graph(graph, CoreConfig())
    assert set(program.outputs) == {x, y, z}
    check(net.build(outputs=[y, z, x]))


def test_refused_in_the_middle() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 4, 4, 8)), 8)
        return net.conv_2d(net.mul(x, net.constant((1, 4, 4, 8))), 8)

    message = refusal(make)
    assert "'mul_1' (MUL)" in message and "one operand must be computed" in message


def test_nothing_for_the_device() -> None:
    assert "nothing to compile" in refusal(lambda n: n.softmax(n.input((1, 4))))


def test_too_many_input_channels() -> None:
    def make(net: NetworkBuilder) -> int:
        y = net.conv_2d(net.input((1, 9, 9, 1280)), 8)
        weights = net[net.file.operators[-1].inputs[1]]
        assert weights.data is not None
        weights.data = weights.data // 4
        return y

    message = refusal(make)
    assert "a sum of 1280 products per output channel" in message and "the output is 9x9" in message


def test_batches() -> None:
    assert "batch of 2" in refusal(lambda n: n.conv_2d(n.input((2, 4, 4, 8)), 8))


def test_too_large_for_memory() -> None:
    def make(net: NetworkBuilder) -> int:
        return net.depthwise_conv_2d(net.conv_2d(net.input((1, 100, 100, 3)), 64))

    message = refusal(make)
    assert "layers 'conv_2d_0' to 'depthwise_conv_2d_1', run row by row" in message
    assert "the network needs at least 644 KB of activation memory" in message


def test_too_large_with_the_input() -> None:
    message = refusal(lambda n: n.conv_2d(n.input((1, 120, 120, 8)), 8))
    assert "needs at least 226 KB" in message and "layer 'conv_2d_0' and the tensors" in message


def test_padding_that_changes_the_scale_stays() -> None:
    """The importer lets scales differ by a millionth, as the reference does."""
    net = NetworkBuilder()
    x = net.input((1, 6, 6, 3), scale=1e-5)
    padded = net.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    net[padded].scales = [1.05e-5]
    y = net.conv_2d(padded, 8, kernel=(3, 3), padding="VALID")
    graph = importer.loads(net.build(outputs=[y]), "test")
    value = random_inputs(graph, 0)
    np.testing.assert_array_equal(
        golden.run(passes.run_passes(graph), value)[y], golden.run(graph, value)[y]
    )


def test_quantize_that_moves_the_zero_point_in_the_middle() -> None:
    """The bytes change, so it is a layer."""
    net = NetworkBuilder()
    x = net.conv_2d(net.input((1, 4, 4, 8)), 8)
    x = net.quantize(x, "int8", zero_point=net[x].zero_points[0] // 2 + 1)
    program = check(net.build(outputs=[net.conv_2d(x, 8)]))
    assert [layer.kind for layer in program.layers] == ["CONV_2D", "QUANTIZE", "CONV_2D"]
