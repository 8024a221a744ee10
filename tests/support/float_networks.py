"""Float networks with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sw.networks.architecture import Architecture
from sw.quantize.weights import LayerWeights, Norm, Weights


def random_weights(net: Architecture, seed: int = 0) -> Weights:
    """Return weights that keep activations in the range that ReLU6 has."""
    rng = np.random.default_rng(seed)
    found: Weights = {}
    for layer in net.layers:
        terms = np.prod(layer.weight_shape) / layer.outputs
        weight = rng.normal(0, np.sqrt(2 / terms), layer.weight_shape).astype(np.float32)
        count = layer.outputs
        norm = Norm(
            gamma=rng.uniform(0.5, 1.5, count).astype(np.float32),
            beta=rng.normal(0, 0.5, count).astype(np.float32),
            mean=rng.normal(0, 0.2, count).astype(np.float32),
            variance=rng.uniform(0.5, 1.5, count).astype(np.float32),
            epsilon=1e-3,
        )
        found[layer.name] = LayerWeights(
            weight=weight,
            bias=None if layer.norm else rng.normal(0, 0.5, count).astype(np.float32),
            norm=norm if layer.norm else None,
        )
    return found


def random_images(net: Architecture, count: int, seed: int = 0) -> np.ndarray:
    """Return (N, H, W, C) uint8 with large and small structure."""
    rng = np.random.default_rng(seed)
    shape = (count, net.size, net.size, net.channels)
    coarse = rng.uniform(0, 200, (count, 1, 1, net.channels))
    return np.clip(coarse + rng.normal(0, 60, shape), 0, 255).astype(np.uint8)


CORNERS = (
    "dead channels", "zero variances", "small epsilon", "large gammas", "small weights",
    "large biases", "positive weights", "dead layers",
)
"""What trained networks have in places, and quantisers stumble over."""


def corner_weights(net: Architecture, corners: Sequence[str], seed: int = 0) -> Weights:
    """Return random weights; the layers take turns in having one of :data:`CORNERS` each."""
    rng = np.random.default_rng(seed)
    found = random_weights(net, seed)
    for number, layer in enumerate(net.layers):
        weights = found[layer.name]
        norm = weights.norm
        if norm is None:
            continue
        count = layer.outputs
        some = rng.integers(0, 2, count).astype(np.float32)
        weight = weights.weight
        along = (-1,) if layer.kind == "depthwise" else (-1,) + (1,) * (weight.ndim - 1)
        match corners[number % len(corners)]:
            case "dead channels":
                norm = replace(norm, gamma=norm.gamma * some)
            case "zero variances":
                norm = replace(norm, variance=norm.variance * some, epsilon=1e-5)
            case "small epsilon":
                norm = replace(norm, variance=norm.variance * some, epsilon=1e-12)
            case "large gammas":
                norm = replace(norm, gamma=norm.gamma * 10 ** rng.uniform(0, 5, count))
            case "small weights":
                weight = weight * (10 ** rng.uniform(-12, 0, count)).reshape(along)
            case "large biases":
                norm = replace(norm, beta=norm.beta * 10 ** rng.uniform(0, 4, count))
            case "positive weights":
                weight = np.abs(weight)
            case "dead layers":
                weight, norm = weight * 0, replace(norm, mean=norm.mean * 0, beta=norm.beta * 0)
        found[layer.name] = replace(weights, weight=weight, norm=norm)
    return found
