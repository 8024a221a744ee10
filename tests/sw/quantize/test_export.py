"""Quantisation and export: the parts, and whole files against the judges."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.float_networks import random_images, random_weights
from support.judges import LiteRT, Micro
from support.marks import slow

import boards
from common.errors import InputError
from sw import golden, importer
from sw.compiler import compile_graph
from sw.networks.architecture import Architecture, Layer, mobilenet_v1, mobilenet_v2
from sw.quantize.accuracy import accuracy, batched, float_predictions, golden_outputs
from sw.quantize.calibrate import ActivationQuantization, calibrate, choose
from sw.quantize.export import quantize
from sw.quantize.layer import BIAS_LIMIT, quantize_layer
from sw.quantize.reference import (
    KERAS,
    POOL,
    TORCHVISION,
    UNIT,
    FloatNetwork,
    Preprocessing,
    padding_of,
)
from sw.quantize.weights import LayerWeights, Norm, fold

V1 = mobilenet_v1(0.125, 32, classes=5, name="v1")
V2 = mobilenet_v2(0.1, 32, classes=5, head=24, stem_stride=1, padding="symmetric", name="v2")
GREY = mobilenet_v1(0.125, 28, classes=3, channels=1, stem_stride=1, padding="symmetric")


def network(net: Architecture, preprocessing: Preprocessing = UNIT, seed: int = 0) -> FloatNetwork:
    return FloatNetwork(net, random_weights(net, seed), preprocessing)


# The float network


def naive(layer: Layer, net: Architecture, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Convolve one image with loops, padding by looking outside."""
    (top, _), (left, _) = padding_of(net, layer)
    y = np.zeros((layer.output_size, layer.output_size, layer.outputs))
    for row, column, output in np.ndindex(y.shape):
        for i, j in np.ndindex(layer.kernel, layer.kernel):
            r, c = row * layer.stride + i - top, column * layer.stride + j - left
            if 0 <= r < layer.size and 0 <= c < layer.size:
                if layer.kind == "depthwise":
                    y[row, column, output] += x[r, c, output] * w[i, j, output]
                else:
                    y[row, column, output] += x[r, c] @ w[output, i, j]
    return y


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("size", [5, 6])
@pytest.mark.parametrize("preprocessing", [UNIT, TORCHVISION])
def test_float_network(padding: str, size: int, preprocessing: Preprocessing) -> None:
    """A network cut down to four layers, against loops with the normalisation not folded."""
    whole = mobilenet_v1(0.1, size, classes=4, padding=padding)
    layers = [*whole.layers[:3], dataclasses.replace(whole.layers[-1], inputs=6)]
    net = dataclasses.replace(whole, layers=tuple(layers))
    found = random_weights(net)
    images = random_images(net, 2)
    seen: dict[str, np.ndarray] = {}
    logits = FloatNetwork(net, found, preprocessing).run(images, seen.__setitem__)
    x = (images - np.array(preprocessing.mean)) / np.array(preprocessing.deviation)
    for layer in net.layers[:-1]:
        weights = found[layer.name]
        y = np.stack([naive(layer, net, image, weights.weight) for image in x])
        norm = weights.norm
        assert norm is not None
        y = norm.gamma * (y - norm.mean) / np.sqrt(norm.variance + norm.epsilon) + norm.beta
        x = np.clip(y, 0, 6)
        np.testing.assert_allclose(seen[layer.name], x, atol=1e-4)
    last = found["classifier"]
    np.testing.assert_allclose(seen[POOL], x.mean(axis=(1, 2)), atol=1e-4)
    np.testing.assert_allclose(logits, x.mean(axis=(1, 2)) @ last.weight.T + last.bias, atol=1e-3)


def test_padding_of_both_kinds() -> None:
    for size, same, symmetric in ((28, (0, 1), (1, 0)), (7, (1, 1), (1, 1))):
        for padding, expected in (("same", same), ("symmetric", symmetric)):
            net = mobilenet_v1(1, size, padding=padding)
            assert padding_of(net, net.layers[0]) == (expected, expected)
            pointwise = net.layer("block1_pointwise")
            assert padding_of(net, pointwise) == ((0, 0), (0, 0))


# The parts


def test_fold() -> None:
    rng = np.random.default_rng(0)
    for layer in V1.layers[:3]:
        weights = random_weights(V1)[layer.name]
        weights = dataclasses.replace(weights, bias=rng.normal(size=layer.outputs))
        weight, bias = fold(weights, layer)
        x = rng.normal(size=layer.weight_shape)
        axes = (0, 1) if layer.kind == "depthwise" else (1, 2, 3)
        norm = weights.norm
        assert norm is not None
        y = (x * weights.weight).sum(axis=axes) + weights.bias
        y = norm.gamma * (y - norm.mean) / np.sqrt(norm.variance + norm.epsilon) + norm.beta
        np.testing.assert_allclose((x * weight).sum(axis=axes) + bias, y, rtol=1e-6, atol=1e-9)


def test_quantize_layer() -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(6, 3, 3, 4)), rng.normal(size=6)
    x, y = ActivationQuantization(0.02, -128), ActivationQuantization(0.1, -128)
    integers, biases, scales = quantize_layer(weight, bias, x, y, axis=0)
    assert integers.dtype == np.int8 and biases.dtype == np.int32 and scales.dtype == np.float32
    assert np.abs(integers.astype(int)).reshape(6, -1).max(axis=1).tolist() == [127] * 6
    back = integers * scales.astype(float).reshape(-1, 1, 1, 1)
    # Half a step, and what the scale's own rounding to float32 adds.
    assert np.all(np.abs(back - weight) <= 0.5001 * scales.reshape(-1, 1, 1, 1))
    assert np.all(np.abs(biases * (0.02 * scales.astype(float)) - bias) <= 0.5001 * 0.02 * scales)


def test_channels_that_are_next_to_nothing() -> None:
    """Their scales would be so small that the bias does not fit an accumulator."""
    weight = np.array([[1e-12], [0.0], [0.5]])
    bias = np.array([3.0, -2.0, 0.0])
    x, y = ActivationQuantization(0.01, -128), ActivationQuantization(0.05, 0)
    integers, biases, scales = quantize_layer(weight, bias, x, y, axis=0)
    assert integers.ravel().tolist() == [0, 0, 127]
    assert np.abs(biases).max() <= BIAS_LIMIT + 1
    np.testing.assert_allclose(biases * (0.01 * scales.astype(float)), bias, rtol=1e-5)
    zero, none, one = quantize_layer(np.zeros((1, 4)), np.zeros(1), x, y, axis=0)
    assert not zero.any() and not none.any() and one[0] > 0


def test_steep_and_long_channels() -> None:
    """Scales within what cores can do: a factor from 2^-16 to below 1, sums of 24 bits."""
    x, y = ActivationQuantization(0.02, -128), ActivationQuantization(0.02, -128)
    weight = np.zeros((3, 1280))
    weight[0] = np.linspace(-1e5, 1e5, 1280)  # steep: the output is 0 or saturated
    weight[1] = 0.01  # with weights of 127 each the sums would have 26 bits
    weight[2] = 1e-6
    integers, biases, scales = quantize_layer(weight, np.zeros(3), x, y, axis=0)
    factors = x.scale * scales.astype(float) / y.scale
    assert np.all((factors >= 2**-16) & (factors < 1))
    assert np.abs(integers[0].astype(int)).max() > 60
    sums = 255 * integers.astype(int).clip(0).sum(axis=1) + biases
    assert sums[1] < 1 << 23 and integers[1, 0] > 10
    np.testing.assert_allclose(integers[1] * scales[1], 0.01, rtol=0.05)


def test_ranges() -> None:
    net = network(V2)
    images = random_images(V2, 20)
    extremes = calibrate(net, images, batch=7)
    inner = calibrate(net, images, quantile=0.99, batch=10)
    seen: dict[str, list[np.ndarray]] = {}
    net.run(images, lambda name, value: seen.setdefault(name, []).append(value.copy()))
    for name, values in seen.items():
        # However the images are divided into batches.
        assert extremes[name] == (values[0].min(), values[0].max())
        assert inner[name][0] >= extremes[name][0]
        assert inner[name][1] <= extremes[name][1]
    assert inner != extremes
    with pytest.raises(InputError, match="quantile"):
        calibrate(net, images, quantile=1.5)
    with pytest.raises(InputError, match="images"):
        calibrate(net, images[:0])


def test_chosen_quantisation() -> None:
    net = network(V2)
    ranges = calibrate(net, random_images(V2, 8))
    chosen = choose(net, ranges)
    # Narrow as it is, V2's first block adds the stem's output.
    added = {layer.skip for layer in V2.layers}
    for layer in V2.layers:
        q = chosen[layer.name]
        assert -128 <= q.zero_point <= 127
        assert float(np.float32(q.scale)) == q.scale
        if layer.relu6 and layer.name not in added:
            assert q.zero_point == -128
            assert 255 * q.scale <= 6.00001
            assert 255 * q.scale >= min(6.0, ranges[layer.name][1]) - 1e-5
        if layer.skip is not None:
            other = V2.layer(layer.skip)
            operand = layer.skip if other.skip is None else f"{layer.skip}_add"
            assert chosen[operand] == chosen[layer.name]


# Whole files


@pytest.mark.slow
@pytest.mark.parametrize("case", ["v1", "v2", "v2 keras", "grey"])
def test_file_equals_the_judges(case: str) -> None:
    """LiteRT and TensorFlow Lite Micro compute every tensor of the file as the golden model."""
    net, preprocessing = {
        "v1": (V1, KERAS),
        "v2": (V2, TORCHVISION),
        "v2 keras": (dataclasses.replace(V2, padding="same"), KERAS),
        "grey": (GREY, UNIT),
    }[case]
    float_net = network(net, preprocessing)
    images = random_images(net, 12)
    data = quantize(float_net, images[:8], softmax=case != "grey")
    graph = importer.loads(data, case)
    judges = [LiteRT(data), Micro(data)]
    for image in images[8:]:
        x = (image.astype(np.int16) - 128).astype(np.int8)[None]
        expected = golden.run(graph, x)
        for judge in judges:
            judge.run(x)
            for op in graph.ops:
                # The old integers are gone where a tensor only has another shape.
                np.testing.assert_array_equal(
                    judge.tensor(op.output).ravel(), expected[op.output].ravel(), err_msg=op.name
                )


@pytest.mark.slow
@pytest.mark.parametrize("preprocessing", [UNIT, KERAS, TORCHVISION])
def test_preprocessing_is_part_of_the_first_layer(preprocessing: Preprocessing) -> None:
    """Away from the border, where padding stands for the mean of all channels' means."""
    float_net = network(V2, preprocessing)
    images = random_images(V2, 10)
    graph = importer.loads(quantize(float_net, images))
    seen: dict[str, np.ndarray] = {}
    float_net.run(images, lambda name, value: seen.setdefault(name, value.copy()))
    several = batched(graph, len(images))
    stem = graph.tensors[graph.ops[0].output]
    x = (images.astype(np.int16) - 128).astype(np.int8)
    found = golden.run(several, x)[stem.index].astype(float) - stem.q.zero_point
    error = np.abs(found * stem.q.scale - seen["stem"])[:, 1:-1, 1:-1] / stem.q.scale
    assert error.mean() < 1 and error.max() < 4


@pytest.mark.parametrize("net", [V1, slow(V2)])
def test_integers_are_near_the_float_network(net: Architecture) -> None:
    float_net = network(net, seed=3)
    images = random_images(net, 40, seed=1)
    graph = importer.loads(quantize(float_net, images, softmax=False))
    output = graph.tensors[graph.outputs[0]].q
    real = output.scale * (golden_outputs(graph, images).astype(float) - output.zero_point)
    exact = float_net.run(images)
    assert np.abs(real - exact).mean() < 0.1 * exact.std()
    assert np.corrcoef(real.ravel(), exact.ravel())[0, 1] > 0.98


@pytest.mark.slow
def test_file_compiles() -> None:
    board = boards.get("icebreaker")
    for net in (GREY, dataclasses.replace(V2, padding="same")):
        graph = importer.loads(quantize(network(net), random_images(net, 8)))
        program = compile_graph(graph, board.config, board=board.name)
        assert program.macs == net.macs


@pytest.mark.slow
def test_softmax_is_optional() -> None:
    images = random_images(V1, 4)
    kinds = [
        [op.kind for op in importer.loads(quantize(network(V1), images, softmax=softmax)).ops]
        for softmax in (True, False)
    ]
    assert kinds[0] == [*kinds[1], "SOFTMAX"]


# Accuracy


def test_batches_have_the_same_integers() -> None:
    images = random_images(V2, 5)
    graph = importer.loads(quantize(network(V2), images))
    together = golden_outputs(graph, images, batch=2)
    for image, output in zip(images, together, strict=True):
        x = (image.astype(np.int16) - 128).astype(np.int8)[None]
        np.testing.assert_array_equal(golden.run(graph, x)[graph.outputs[0]].ravel(), output)
    with pytest.raises(InputError, match="batch size 1"):
        batched(batched(graph, 2), 3)
    with pytest.raises(InputError, match="the images are uint8"):
        golden_outputs(graph, images[:, :5])


def test_accuracy() -> None:
    assert accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0])) == 0.5
    with pytest.raises(InputError, match="3 labels for 4 images"):
        accuracy(np.zeros(4, np.intp), np.zeros(3, np.intp))
    images = random_images(V1, 7)
    predictions = float_predictions(network(V1), images, batch=3)
    np.testing.assert_array_equal(predictions, network(V1).run(images).argmax(axis=1))


# Bad input


def test_bad_images() -> None:
    net = network(V1)
    for images in (random_images(V1, 3).astype(np.float32), random_images(GREY, 3)):
        with pytest.raises(InputError, match=r"takes images of uint8\[N, 32, 32, 3\]"):
            quantize(net, images)


def test_bad_preprocessing() -> None:
    with pytest.raises(InputError, match="means must be from 0 to 255"):
        Preprocessing(mean=(-1.0,))
    with pytest.raises(InputError, match="deviations must be positive"):
        Preprocessing(deviation=(0.0,))
    with pytest.raises(InputError, match="2 values for the mean of 3 channels"):
        network(V1, Preprocessing(mean=(1.0, 2.0)))


def test_bad_weights() -> None:
    def changed(name: str, **fields: object) -> None:
        found = random_weights(V1)
        found[name] = dataclasses.replace(found[name], **fields)
        FloatNetwork(V1, found)

    with pytest.raises(InputError, match="weight of layer 'stem' has the shape"):
        changed("stem", weight=np.zeros((3, 3), np.float32))
    with pytest.raises(InputError, match="bias of layer 'classifier' has the shape"):
        changed("classifier", bias=np.zeros(4, np.float32))
    with pytest.raises(InputError, match="'stem' is not finite"):
        changed("stem", weight=np.full(V1.layers[0].weight_shape, np.nan))
    norm = random_weights(V1)["stem"].norm
    assert isinstance(norm, Norm)
    with pytest.raises(InputError, match="negative variances"):
        changed("stem", norm=dataclasses.replace(norm, variance=-norm.variance))
    found = random_weights(V1)
    del found["block3_pointwise"]
    with pytest.raises(InputError, match="'block3_pointwise' has no weights"):
        FloatNetwork(V1, found)
    assert isinstance(found["stem"], LayerWeights)
