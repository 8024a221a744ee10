"""Networks of one layer, and weights that are beyond int8."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sw.fuzz.builder import NetworkBuilder

Network = Callable[[NetworkBuilder], int]


def build(make: Network, *, seed: int = 0, dtype: str = "int8") -> bytes:
    net = NetworkBuilder(seed=seed, dtype=dtype)
    return net.build(outputs=[make(net)])


def set_weights(
    net: NetworkBuilder, layer_output: int, changes: dict[tuple[int, ...], int]
) -> None:
    """Overwrite single weights of the operator that was added last."""
    spec = net[net.file.operators[-1].inputs[1]]
    assert spec.data is not None
    assert net.file.operators[-1].outputs[0] == layer_output
    for index, value in changes.items():
        spec.data[index] = value


def small_weights(net: NetworkBuilder, layer_output: int) -> int:
    """Shrink the last operator's weights, as those of long sums are; return its output."""
    spec = net[net.file.operators[-1].inputs[1]]
    assert spec.data is not None
    zero = spec.zero_points[0]
    spec.data = (zero + (spec.data.astype(np.int64) - zero) // 8).astype(spec.data.dtype)
    return layer_output


def uint8_weights(net: NetworkBuilder, zero_point: int) -> None:
    """Give the last operator weights around a zero point, all within int8."""
    spec = net[net.file.operators[-1].inputs[1]]
    assert spec.data is not None
    low, high = max(0, zero_point - 128), min(255, zero_point + 127)
    spec.zero_points = [zero_point]
    spec.data = net.rng.integers(low, high + 1, spec.shape).astype(np.uint8)
