"""Float networks with random weights."""

from __future__ import annotations

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
