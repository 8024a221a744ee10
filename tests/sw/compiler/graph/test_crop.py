"""Bands of rows of single layers, against the golden model's rows of whole ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from sim.functional import run_program
from sw import golden, importer, ir
from sw.compiler import compile_layer
from sw.compiler.graph import passes
from sw.compiler.graph.crop import band_of
from sw.fuzz.builder import NetworkBuilder

CONFIG = CoreConfig()


def build(make: Callable[[NetworkBuilder], int]) -> ir.Graph:
    net = NetworkBuilder(seed=9)
    return importer.loads(net.build(outputs=[make(net)]), "test")


def check(graph: ir.Graph, number: int, first: int, end: int) -> None:
    rng = np.random.default_rng(number)
    inputs = [
        rng.integers(-128, 128, graph.tensors[index].shape).astype(np.int8)
        for index in graph.inputs
    ]
    tensors = golden.run(graph, inputs)
    folded = passes.run_passes(graph)
    op = next(o for o in folded.ops if o.name == graph.ops[number].name)
    band = band_of(folded, op, first, end)
    program = compile_layer(graph, number, CONFIG, band=band)
    given = {
        layout.tensor: tensors[layout.tensor][:, band.input_first : band.input_end]
        for _, layout in program.inputs
    }
    result = run_program(program, given)[op.output]
    np.testing.assert_array_equal(result, tensors[op.output][:, first:end])
    whole = compile_layer(graph, number, CONFIG)
    rows = graph.tensors[op.output].shape[1]
    assert program.macs * rows == whole.macs * (end - first)


@pytest.mark.parametrize(("first", "end"), [(0, 1), (0, 4), (2, 5), (4, 6), (5, 6), (0, 6)])
@pytest.mark.parametrize("number", range(4))
def test_every_kind_of_layer(number: int, first: int, end: int) -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 11, 9, 3)), 16, kernel=(3, 3), stride=(2, 2))
        y = net.depthwise_conv_2d(x, kernel=(3, 3), activation="RELU6")
        z = net.conv_2d(y, 16, kernel=(1, 1))
        return net.add(z, x)

    check(build(make), number, first, end)


@pytest.mark.parametrize(("first", "end"), [(0, 1), (1, 3), (2, 4), (3, 4)])
@pytest.mark.parametrize("padding", ["SAME", "VALID", "explicit"])
def test_stride_and_padding(padding: str, first: int, end: int) -> None:
    def make(net: NetworkBuilder) -> int:
        y = net.conv_2d(net.input((1, 9 - (padding == "SAME"), 8, 8)), 16, kernel=(1, 1))
        if padding == "explicit":
            y = net.pad(y, ((0, 0), (0, 0), (1, 1), (0, 0)))
        style = "SAME" if padding == "SAME" else "VALID"
        return net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2), padding=style)

    graph = build(make)
    check(graph, len(graph.ops) - 1, first, end)


def test_ranges_are_those_of_the_network() -> None:
    """A band is made of the same blocks as the layer: it takes the steps that the layer takes."""

    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 12, 6, 8)), 24, kernel=(1, 1), activation="RELU6")
        return net.conv_2d(x, 24, kernel=(1, 1))

    graph = build(make)
    whole = compile_layer(graph, 1, CONFIG)
    band = compile_layer(graph, 1, CONFIG, band=band_of(graph, graph.ops[1], 4, 8))
    (of_band,), (of_whole,) = (
        [item.descriptor for item in program.work] for program in (band, whole)
    )
    assert (of_band.steps, of_band.blocks) == (of_whole.steps, of_whole.blocks)
    assert (of_band.height, of_whole.height) == (4, 12)


def test_no_rows() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 4, 4, 8)), 8, kernel=(1, 1))
        return net.average_pool_2d(x, window=(4, 4), padding="VALID")

    graph = build(make)
    with pytest.raises(UnsupportedError, match=r"AVERAGE_POOL_2D\) has no rows .* use smaller"):
        band_of(graph, graph.ops[1], 0, 1)


def test_nothing_but_padding() -> None:
    graph = build(lambda net: net.conv_2d(net.input((1, 4, 4, 3)), 8, kernel=(3, 3)))
    op = replace(graph.ops[0], padding=((4, 4), (1, 1)))
    for row in (0, 1, 8, 9):
        with pytest.raises(UnsupportedError, match=f"rows {row} to {row} .* nothing but padding"):
            band_of(graph, op, row, row + 1)
    assert band_of(graph, op, 2, 8).padding == (2, 2)
