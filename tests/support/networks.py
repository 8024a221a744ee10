"""Networks that take hardly any time to compile, and inputs for them."""

from __future__ import annotations

import numpy as np

from sw import importer
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

TINY_SHAPE = (1, 4, 4, 8)
"""Input of :func:`tiny_model`."""

SMALL_SHAPE = (1, 12, 12, 3)
"""Input of :func:`small_model` and :func:`small_network`."""

SCORES = {
    "vww_96_int8": [-238, -150, 120, 146],
    "person_detect": [226, -154],
}
"""Published networks' second output less the first, of the images that come with them."""


def tiny_model() -> bytes:
    """Return a file: a pointwise convolution, the mean, a fully connected layer."""
    net = NetworkBuilder(seed=3)
    y = net.conv_2d(net.input(TINY_SHAPE), 8, kernel=(1, 1), activation="RELU6")
    return net.build(outputs=[net.fully_connected(net.reshape(net.mean(y), (1, 8)), 4)])


def small_model() -> bytes:
    """Return a file: a convolution, a depthwise one, the mean, a fully connected layer."""
    net = NetworkBuilder(seed=3)
    y = net.conv_2d(net.input(SMALL_SHAPE), 8, kernel=(3, 3), activation="RELU6")
    y = net.depthwise_conv_2d(y, kernel=(3, 3))
    return net.build(outputs=[net.fully_connected(net.reshape(net.mean(y), (1, 8)), 4)])


def small_network() -> Graph:
    """Return a convolution, a depthwise and a pointwise one, pooling, a fully connected layer."""
    net = NetworkBuilder(seed=3)
    x = net.input(SMALL_SHAPE)
    y = net.conv_2d(x, 8, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.depthwise_conv_2d(y, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.conv_2d(y, 16, kernel=(1, 1), activation="RELU6")
    y = net.average_pool_2d(y, window=(3, 3), padding="VALID")
    y = net.fully_connected(net.reshape(y, (1, 16)), 4)
    return importer.loads(net.build(outputs=[net.softmax(y)]), "small")


def frame(graph: Graph, seed: int) -> np.ndarray:
    """Return a random int8 input."""
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)


def image_network(size: int = 48) -> Graph:
    net = NetworkBuilder(seed=5)
    x = net.conv_2d(net.input((1, size, size, 3)), 8, kernel=(3, 3), stride=(2, 2))
    for channels, stride in ((16, 1), (24, 2)):
        x = net.conv_2d(net.depthwise_conv_2d(x, stride=(stride, stride)), channels)
    y = net.fully_connected(net.mean(x), 10)
    return importer.loads(net.build(outputs=[y]), "small")
