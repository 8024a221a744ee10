"""Narrowed channels give the same outputs."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from judges import Array

from sw import golden, importer, ir
from sw.fuzz.builder import NetworkBuilder
from sw.golden.narrow import narrow

BITS = {
    "vww_96_int8": 26,  # one channel of depthwise_conv_2d_23 is nearly constant, at 18.5
    "person_detect": 23,
    "mobilenet_v1_0.25_128_quant": 21,
    "mobilenetv2_160_035": 22,
    "mobilenet_v2_1.0_224_quant": 24,
}


def compare(graph: ir.Graph, x: Array) -> int:
    """Compare every convolution and return the widest accumulator."""
    tensors = golden.run(graph, x)
    bits = 0
    for op in graph.ops:
        if not isinstance(op, ir.Conv2D | ir.DepthwiseConv2D):
            continue
        params = narrow(graph, op)
        bits = max(bits, params.accumulator_bits)
        kernel = (
            golden.kernels.conv_2d
            if isinstance(op, ir.Conv2D)
            else golden.kernels.depthwise_conv_2d
        )
        changed = {"multiplier": params.multiplier, "shift": params.shift}
        y = kernel(
            tensors[op.input],
            cast(Array, graph.tensors[op.weights].data),
            params.bias,
            **{**golden.arguments(graph, op), **changed},
        )
        np.testing.assert_array_equal(y, tensors[op.output], op.name)
    return bits


@pytest.mark.parametrize("name", BITS)
def test_networks(shared: Path, name: str) -> None:
    graph = importer.load(shared / "models" / f"{name}.tflite")
    tensor = graph.tensors[graph.inputs[0]]
    limits = np.iinfo(tensor.dtype)
    rng = np.random.default_rng(0)
    x = rng.integers(limits.min, limits.max + 1, tensor.shape).astype(tensor.dtype)
    assert compare(graph, x) == BITS[name]


@pytest.mark.parametrize("seed", range(10))
def test_dead_channels(seed: int) -> None:
    net = NetworkBuilder(seed=seed)
    y = net.conv_2d(net.input((1, 4, 4, 3)), 6, kernel=(3, 3))
    weights, bias = net.file.operators[0].inputs[1:]
    scales = list(net[weights].scales)
    data = np.array(net[bias].data)
    # Outputs of 7, −9 and far beyond the range, however large the sums are.
    for channel, value in ((1, 7), (3, -9), (4, 10**6)):
        scales[channel] = float(np.float32(1e-8))
        real = net[0].scales[0] * scales[channel] / net[y].scales[0]
        data[channel] = np.clip(round(value / real), -(2**30), 2**30)
    net[weights].scales, net[bias].data = scales, data
    graph = importer.loads(net.build(outputs=[y]))
    (op,) = graph.ops
    assert isinstance(op, ir.Conv2D)
    limits = np.iinfo(np.int8)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        x = rng.choice([limits.min, limits.max], (1, 4, 4, 3)).astype(np.int8)
        bits = compare(graph, x)
    assert bits < golden.accumulator_range(graph, op)[1].max().item().bit_length()
