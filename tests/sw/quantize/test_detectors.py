"""Quantised detectors."""

from __future__ import annotations

import numpy as np
import pytest
from support.float_networks import random_weights
from support.judges import LiteRT

from common.errors import InputError
from sw import golden, importer
from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
from sw.networks.detectors import fomo
from sw.networks.shipped import default_model, default_scenes
from sw.outputs.detections import detector_of, found_in
from sw.quantize.detectors import float_found, golden_found
from sw.quantize.export import quantize
from sw.quantize.reference import FloatNetwork

NETWORKS = [
    fomo(mobilenet_v1(0.1, 32, classes=2, channels=1)),
    fomo(mobilenet_v2(0.1, 32, classes=2, channels=1)),
]


@pytest.mark.parametrize("net", NETWORKS, ids=lambda net: net.name)
def test_a_detector_is_exported(net: Architecture) -> None:
    """Equal to the reference's integers in every tensor; read as a grid of cells."""
    network = FloatNetwork(net, random_weights(net))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 32, 32, 1)).astype(np.uint8)
    model = quantize(network, pixels)
    graph, judge = importer.loads(model, net.name), LiteRT(model)
    assert graph.tensors[graph.outputs[0]].shape == (1, 4, 4, 3)
    assert detector_of(graph) is not None
    for image in pixels[:3]:
        x = (image.astype(np.int16) - 128).astype(np.int8)[None]
        judge.run(x)
        expected = golden.run(graph, x)
        for op in graph.ops:
            np.testing.assert_array_equal(judge.tensor(op.output), expected[op.output])
    logits = network.run(pixels)
    assert logits.shape == (8, 4, 4, 3)
    # Each image by itself, rows before columns.
    np.testing.assert_array_equal(logits[2:3], network.run(pixels[2:3]))
    exported = quantize(network, pixels, softmax=False)
    plain = importer.loads(exported, net.name)
    q = plain.tensors[plain.outputs[0]].q
    near = (golden.run(plain, x)[plain.outputs[0]].astype(float) - q.zero_point) * q.scale
    assert np.corrcoef(near.ravel(), logits[2].ravel())[0, 1] > 0.9


@pytest.mark.slow
def test_found_by_both() -> None:
    """What is found in float is what the float probabilities say."""
    net = fomo(mobilenet_v2(0.1, 96, classes=5, channels=1))
    network = FloatNetwork(net, random_weights(net))
    scenes = default_scenes(6)
    images = np.stack([one.image for one in scenes])[..., None]
    logits = network.run(images).astype(float)
    powers = np.exp(logits)
    grids = powers / powers.sum(axis=-1, keepdims=True)
    assert [[(o.number, o.left, o.top) for o in found] for found in float_found(network, scenes)] \
        == [[(o.number, o.left, o.top) for o in found_in(grid)] for grid in grids]
    graph = importer.loads(quantize(network, images), net.name)
    expected = [
        detector_of(graph).found([golden.run(
            graph, (image.astype(np.int16) - 128).astype(np.int8)[None])[graph.outputs[0]]])
        for image in images
    ]
    assert golden_found(graph, scenes) == expected


def test_a_classifier_finds_nothing() -> None:
    with pytest.raises(InputError, match="is no detector"):
        golden_found(importer.load(default_model()), default_scenes(1))
