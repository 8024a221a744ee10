"""Whole networks against the reference interpreters, in every tensor."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest
import tflite
from support.judges import Array, LiteRT, Micro, constants

from common.errors import InputError
from sw import golden, images, importer, ir
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

NETWORKS = {
    "vww_96_int8": ("vww_quant_test_yes_0.dat", 1.0),
    "person_detect": ("person.png", 1.0),
    "mobilenet_v1_0.25_128_quant": ("cat.bmp", 1.0),
    "mobilenetv2_160_035": ("mnv2_160_00004_970.npy", 3.0),
    "mobilenet_v2_1.0_224_quant": ("grace_hopper.bmp", 10.0),
}
WITH_MICRO = ("vww_96_int8", "person_detect", "mobilenetv2_160_035")
SCORES = {
    "vww_96_int8": {
        "vww_quant_test_no_0.dat": -238,
        "vww_quant_test_no_1.dat": -150,
        "vww_quant_test_yes_0.dat": 120,
        "vww_quant_test_yes_1.dat": 146,
    },
    "mobilenetv2_160_035": {
        "mnv2_160_00002_2532.npy": -112,
        "mnv2_160_00004_970.npy": 128,
    },
    "person_detect": {"person.png": 226, "no_person.png": -154},
}
LABELS = {
    "mobilenet_v1_0.25_128_quant": ("Egyptian cat", "chickadee", "academic gown"),
    "mobilenet_v2_1.0_224_quant": ("Egyptian cat", "chickadee", "military uniform"),
}


def correct_quantized_dimension(data: bytes) -> bytes:
    """Return the file with ``quantized_dimension`` 0 for every tensor of one dimension."""
    patched = bytearray(data)
    subgraph = tflite.Model.GetRootAs(patched, 0).Subgraphs(0)
    for i in range(subgraph.TensorsLength()):
        tensor = subgraph.Tensors(i)
        quantization = tensor.Quantization()
        if tensor.ShapeLength() == 1 and quantization is not None:
            table = quantization._tab
            offset = table.Offset(16)
            if offset:
                struct.pack_into("<i", patched, table.Pos + offset, 0)
    return bytes(patched)


def random_input(graph: Graph, seed: int) -> Array:
    """Return random data of the network's input type."""
    tensor = graph.tensors[graph.inputs[0]]
    limits = np.iinfo(tensor.dtype)
    rng = np.random.default_rng(seed)
    return rng.integers(limits.min, limits.max + 1, tensor.shape).astype(tensor.dtype)


def compare(graph: Graph, judge: LiteRT | Micro, x: Array) -> None:
    """Compare every tensor."""
    tensors = golden.run(graph, x)
    judge.run(x)
    assert list(tensors) == [*graph.inputs, *(op.output for op in graph.ops)]
    for index, value in tensors.items():
        np.testing.assert_array_equal(value, judge.tensor(index), graph.tensors[index].name)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_equals_reference(shared: Path, name: str) -> None:
    path = shared / "models" / f"{name}.tflite"
    graph = importer.load(path)
    data = path.read_bytes()
    if name == "person_detect":
        with pytest.raises(ValueError, match="quantized_dimension"):
            LiteRT(data)
        data = correct_quantized_dimension(data)
    judge = LiteRT(data)
    compare(graph, judge, images.load(shared / "images" / NETWORKS[name][0], graph))
    compare(graph, judge, random_input(graph, 0))


@pytest.mark.parametrize("name", WITH_MICRO)
def test_every_tensor_equals_micro(shared: Path, name: str) -> None:
    path = shared / "models" / f"{name}.tflite"
    graph = importer.load(path)
    judge = Micro(path)
    compare(graph, judge, images.load(shared / "images" / NETWORKS[name][0], graph))
    compare(graph, judge, random_input(graph, 1))


@pytest.mark.parametrize("name", SCORES)
def test_published_scores(shared: Path, name: str) -> None:
    graph = importer.load(shared / "models" / f"{name}.tflite")
    for file, score in SCORES[name].items():
        x = images.load(shared / "images" / file, graph)
        output = golden.run(graph, x)[graph.outputs[0]].ravel().astype(int)
        assert output[1] - output[0] == score


@pytest.mark.parametrize("name", LABELS)
def test_published_labels(shared: Path, name: str) -> None:
    graph = importer.load(shared / "models" / f"{name}.tflite")
    labels = (shared / "images" / "imagenet_labels.txt").read_text().splitlines()
    for file, label in zip(("cat", "bird", "grace_hopper"), LABELS[name], strict=True):
        x = images.load(shared / "images" / f"{file}.bmp", graph)
        output = golden.run(graph, x)[graph.outputs[0]].ravel()
        assert labels[int(output.argmax())].startswith(label)


@pytest.mark.parametrize("name", NETWORKS)
def test_speed(shared: Path, name: str) -> None:
    graph = importer.load(shared / "models" / f"{name}.tflite")
    x = random_input(graph, 0)
    start = time.perf_counter()
    golden.run(graph, x)
    assert time.perf_counter() - start < NETWORKS[name][1]


@pytest.mark.parametrize("name", NETWORKS)
def test_accumulators_stay_below_2_to_the_25(shared: Path, name: str) -> None:
    graph = importer.load(shared / "models" / f"{name}.tflite")
    tensors = golden.run(graph, random_input(graph, 3))
    for op in graph.ops:
        if not isinstance(op, ir.Conv2D | ir.DepthwiseConv2D):
            continue
        arguments = golden.arguments(graph, op)
        keys = ("input_zero_point", "weights_zero_point", "windows")
        accumulate = (
            golden.kernels.conv_2d_accumulate
            if isinstance(op, ir.Conv2D)
            else golden.kernels.depthwise_conv_2d_accumulate
        )
        accumulator = accumulate(
            tensors[op.input], *constants(graph, op), **{key: arguments[key] for key in keys}
        )
        low, high = golden.accumulator_range(graph, op)
        assert np.all((accumulator >= low) & (accumulator <= high))
        # Channels whose weights have a vanishing scale have biases of any size.
        multiplier, shift = golden.requantize_params(graph, op)
        usual = multiplier * 2.0 ** (shift - 31) > 1e-6
        assert np.abs(accumulator[..., usual]).max() < 1 << 25


def small() -> Graph:
    """A network of two inputs."""
    net = NetworkBuilder(seed=1)
    y = net.add(net.input((1, 2, 2, 3)), net.input((1, 2, 2, 3)))
    return importer.loads(net.build(outputs=[y]), "small")


def test_inputs_by_number_or_order() -> None:
    graph = small()
    a, b = random_input(graph, 1), random_input(graph, 2)
    first = golden.run(graph, [a, b])
    second = golden.run(graph, dict(zip(graph.inputs, (a, b), strict=True)))
    np.testing.assert_array_equal(first[graph.outputs[0]], second[graph.outputs[0]])


def test_wrong_inputs() -> None:
    graph = small()
    a = random_input(graph, 1)
    with pytest.raises(InputError, match="takes 2 inputs, not 1"):
        golden.run(graph, a)
    with pytest.raises(InputError, match="is missing"):
        golden.run(graph, {graph.inputs[0]: a})
    with pytest.raises(InputError, match=r"must be int8\[1, 2, 2, 3\], not int16\[1, 2, 2, 3\]"):
        golden.run(graph, [a, a.astype(np.int16)])
    with pytest.raises(InputError, match=r"not int8\[2, 2, 3\]"):
        golden.run(graph, [a, a[0]])
