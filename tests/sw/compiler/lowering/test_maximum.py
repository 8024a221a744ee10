"""MAX_POOL_2D on the core: differences and sums."""

from __future__ import annotations

import pytest
from support.compiled import check
from support.layer_networks import build
from support.on_core import CONFIG, check_on_core

from sw.fuzz.builder import NetworkBuilder


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("window", "stride", "activation"),
    [
        ((2, 2), (2, 2), "NONE"),
        ((3, 3), (2, 2), "RELU"),
        ((1, 4), (1, 3), "RELU6"),
        ((1, 1), (2, 2), "RELU"),
        ((7, 6), (1, 1), "NONE"),
    ],
)
def test_windows(
    window: tuple[int, int], stride: tuple[int, int], activation: str, padding: str, dtype: str
) -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 7, 6, 8)), 20)
        x = net.max_pool_2d(
            x, window=window, stride=stride, padding=padding, activation=activation
        )
        return net.conv_2d(x, 8)

    program = check(build(make, dtype=dtype), CONFIG)
    assert "MAX_POOL_2D" in [layer.kind for layer in program.layers]


@pytest.mark.slow
def test_on_the_core() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 9, 8, 3)), 12, kernel=(3, 3))
        x = net.max_pool_2d(x, window=(2, 2))
        return net.max_pool_2d(net.conv_2d(x, 8), window=(3, 3), stride=(1, 1), padding="SAME")

    check_on_core(build(make))
