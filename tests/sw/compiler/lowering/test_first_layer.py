"""First layers: few channels, in every layout of the input."""

from __future__ import annotations

import numpy as np
import pytest
from support.compiled import check, check_program, random_inputs
from support.layer_networks import build

from hw.contract.config import CoreConfig
from sw import importer
from sw.compiler import compile_graph, pipeline
from sw.compiler.graph.partition import partition
from sw.compiler.input.geometry import FirstLayer
from sw.compiler.input.units import units
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.dispatch import first_layer_options
from sw.compiler.program.tensors import Place
from sw.fuzz.builder import NetworkBuilder


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
def test_first_convolution(channels: int, stride: int, padding: str, dtype: str) -> None:
    data = build(
        lambda n: n.conv_2d(
            n.input((1, 10, 9, channels)),
            12,
            kernel=(3, 3),
            stride=(stride, stride),
            padding=padding,
        ),
        dtype=dtype,
        seed=channels,
    )
    check(data)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("stride", [1, 2])
def test_first_convolution_in_every_layout(
    channels: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = NetworkBuilder(seed=3)
    y = net.conv_2d(net.input((1, 9, 9, channels)), 8, kernel=(3, 3), stride=(stride, stride))
    graph = importer.loads(net.build(outputs=[y]), "test")
    ctx = Context.of(partition(graph), CoreConfig())
    options = first_layer_options(ctx, graph.ops[0])
    assert {layout.kind for layout, _ in options} == {"windows", "units", "pixels", "rows"}
    for option in options:
        monkeypatch.setattr(pipeline, "first_layer_options", lambda *_, option=option: [option])
        program = compile_graph(graph, CoreConfig())
        assert program.inputs[0][1] is option[0]
        check_program(graph, program, random_inputs(graph, channels))


@pytest.mark.parametrize("taps", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("kernel", "stride"),
    [((3, 3), (2, 2)), ((3, 3), (1, 1)), ((3, 3), (2, 1)), ((5, 3), (2, 1)), ((1, 3), (2, 2))],
)
def test_first_weights_beyond_int8_in_every_layout(
    kernel: tuple[int, int], stride: tuple[int, int], taps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are met twice lie in the units of any row."""
    net = NetworkBuilder(seed=taps, dtype="uint8")
    y = net.conv_2d(net.input((1, 11, 12, 3)), 8, kernel=kernel, stride=stride)
    spec = net[net.file.operators[-1].inputs[1]]
    spec.zero_points = [100]
    weights = np.clip(spec.data, 0, 227)
    places = net.rng.choice(weights[0].size, taps, replace=False)
    weights.reshape(8, -1)[net.rng.integers(0, 8, taps), places] = 250
    spec.data = weights
    graph = importer.loads(net.build(outputs=[y]), "test")
    ctx = Context.of(partition(graph), CoreConfig())
    options = first_layer_options(ctx, graph.ops[0])
    assert {"windows", "units"} == {layout.kind for layout, _ in options}
    for option in options:
        monkeypatch.setattr(pipeline, "first_layer_options", lambda *_, option=option: [option])
        program = compile_graph(graph, CoreConfig())
        for extremes in (False, True):
            check_program(graph, program, random_inputs(graph, taps, extremes))


@pytest.mark.parametrize("row", [0, 1, 2])
def test_rows_share_what_is_met_twice(row: int) -> None:
    """Two such weights in one kernel row take no more steps than one: a byte lies elsewhere."""
    found = {}
    for count in (1, 2):
        again = frozenset((row, 1, c) for c in range(count))
        first = FirstLayer(
            tensor=Place(0), zero_point=0, columns=8,
            shape=(8, 8, 3), output=(4, 4), kernel=(3, 3), stride=(2, 2), dilation=(1, 1),
            padding=(0, 0), again=again,
        )
        _, read = units(first, 1)
        found[count] = read.steps
    assert found == {1: 15, 2: 15}


@pytest.mark.parametrize("kernel", [(1, 1), (5, 5), (1, 3), (2, 2), (7, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_first_convolution_of_other_sizes(kernel: tuple[int, int], dilation: int) -> None:
    data = build(
        lambda n: n.conv_2d(
            n.input((1, 15, 14, 3)), 8, kernel=kernel, dilation=(dilation, dilation)
        )
    )
    check(data)


@pytest.mark.parametrize("multiplier", [2, 8, 9])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_depth_multiplier(channels: int, multiplier: int) -> None:
    data = build(
        lambda n: n.depthwise_conv_2d(
            n.input((1, 12, 12, channels)), depth_multiplier=multiplier, stride=(2, 2)
        )
    )
    program = check(data)
    assert program.macs == 36 * channels * multiplier * 9


def test_one_channel_takes_five_steps() -> None:
    data = build(
        lambda n: n.depthwise_conv_2d(
            n.input((1, 24, 24, 1)), depth_multiplier=8, stride=(2, 2), activation="RELU6"
        )
    )
    assert check(data).work[0].descriptor.steps == 5
