"""Networks in little memory: row by row, outputs over inputs, inputs in chunks; all exact."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from compiled import check_program, random_inputs
from tflite_builder import NetworkBuilder

from hw.config import CoreConfig
from sw import importer
from sw.compiler import Program, compile_graph
from sw.compiler.chains import Segment
from sw.compiler.layers import Trail
from sw.compiler.memory import Buffer, plan
from sw.errors import UnsupportedError
from sw.ir import Graph


def separable(seed: int, size: int, *, dtype: str = "int8", padding: str = "SAME") -> Graph:
    """Return a V1: first convolution, then pairs with strides 1, 2, 1, 2."""
    net = NetworkBuilder(seed=seed, dtype=dtype)
    x = net.conv_2d(net.input((1, size, size + 2, 3)), 8, kernel=(3, 3), stride=(2, 2))
    for number, channels in enumerate((16, 16, 24, 24)):
        step = number % 2 + 1
        x = net.depthwise_conv_2d(x, stride=(step, step), padding=padding)
        x = net.conv_2d(x, channels)
    return importer.loads(net.build(outputs=[x]), "separable")


def inverted(seed: int, size: int, *, dtype: str = "int8") -> Graph:
    """Return a V2: three inverted residuals, the second with a shortcut, linear bottlenecks."""
    net = NetworkBuilder(seed=seed, dtype=dtype)
    x = net.conv_2d(net.input((1, size, size, 3)), 8, kernel=(3, 3), stride=(2, 2),
                    activation="RELU6")
    for stride, channels, residual in ((1, 8, False), (1, 8, True), (2, 16, False)):
        y = net.conv_2d(x, 32, activation="RELU6")
        y = net.depthwise_conv_2d(y, stride=(stride, stride), activation="RELU6")
        y = net.conv_2d(y, channels)
        if residual:
            scale = (net[x].scales[0] + net[y].scales[0]) * float(net.rng.uniform(0.5, 1.1))
            y = net.add(x, y, output_scale=scale)
        x = y
    return importer.loads(net.build(outputs=[x]), "inverted")


def smallest(graph: Graph, low: int = 256) -> Program:
    """Compile for the smallest memory, a power of two, in which a network fits."""
    for exponent in itertools.count(low.bit_length() - 1):
        config = dataclasses.replace(CoreConfig(), memory_depth=1 << exponent)
        try:
            return compile_graph(graph, config)
        except UnsupportedError as error:
            assert "needs at least" in str(error)
    raise AssertionError


def rolled(program: Program) -> set[str]:
    return {program.layers[work.layer].name for work in program.work if work.rows == 1}


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("size", [26, 31, 40])
@pytest.mark.parametrize("make", [separable, inverted])
def test_in_the_smallest_memory(make: object, size: int, dtype: str) -> None:
    graph = make(size, size, dtype=dtype)  # type: ignore[operator]
    program = smallest(graph)
    whole = compile_graph(graph, CoreConfig())
    assert len(rolled(program)) > len(rolled(whole))
    assert program.macs == whole.macs
    for seed in range(2):
        check_program(graph, program, random_inputs(graph, seed, extremes=seed == 1))


@pytest.mark.parametrize("size", [37, 44, 53])
def test_valid_padding(size: int) -> None:
    graph = separable(size, size, padding="VALID")
    check_program(graph, smallest(graph), random_inputs(graph, 0))


@pytest.mark.parametrize("size", [70, 76])
def test_inputs_that_do_not_fit_come_in_chunks(size: int) -> None:
    graph = inverted(size, size)
    program = smallest(graph)
    assert program.chunks
    memory = program.config.memory_depth
    assert program.inputs[0][1].words > memory or len(program.chunks) > 1
    check_program(graph, program, random_inputs(graph, size))


def test_what_never_fits_says_what_it_needs() -> None:
    graph = inverted(1, 200)
    with pytest.raises(UnsupportedError, match=r"run row by row|needs at least \d+ KB") as caught:
        compile_graph(graph, dataclasses.replace(CoreConfig(), memory_depth=256))
    assert "the core has 2 KB" in str(caught.value)


def test_rows_are_made_once_and_in_time() -> None:
    graph = inverted(5, 40)
    program = smallest(graph)
    done: dict[int, int] = {}
    for work in program.work:
        assert work.first_row == (done.get(work.layer, 0) if work.rows else work.first_row)
        done[work.layer] = done.get(work.layer, 0) + work.rows
    for number, layer in enumerate(program.layers):
        assert done[number] == program.tensors[layer.output].rows


def test_a_single_layer_is_no_chain() -> None:
    program = compile_graph(inverted(2, 20), CoreConfig())
    assert not rolled(program)
    assert not Segment(layers=()).is_chain


def test_trails() -> None:
    trail = Trail(gap=10, unit=4)
    assert trail.allows(12) and not trail.allows(8) and not trail.allows(13)
    buffers = [
        Buffer(tensor=0, name="in", words=100, first=0, last=1),
        Buffer(tensor=1, name="out", words=100, first=1, last=2, trails={0: Trail(12, 4)}),
    ]
    result = plan(buffers, 256, 8, 8)
    distance = result.addresses[0] - result.addresses[1]
    assert distance == 12 and result.tops == (112, 112, 100)
