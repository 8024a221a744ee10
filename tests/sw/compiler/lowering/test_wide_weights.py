"""Weights beyond int8: two visits of the input, everywhere exact."""

from __future__ import annotations

import pytest
from support.compiled import check
from support.layer_networks import set_weights, small_weights, uint8_weights

from common.errors import UnsupportedError
from sw.fuzz.builder import NetworkBuilder


@pytest.mark.parametrize("channels", [1024, 1280])
@pytest.mark.parametrize("at", [0, 400, 1023])
def test_weights_beyond_int8_of_long_sums(at: int, channels: int) -> None:
    """Words that are read twice may make parts of a sum that would have needed none."""
    net = NetworkBuilder(seed=at, dtype="uint8")
    y = net.conv_2d(net.input((1, 1, 1, channels)), 24)
    uint8_weights(net, 120)
    small_weights(net, y)
    set_weights(net, y, {(9, 0, 0, at): 255, (9, 0, 0, at // 2): 254})
    program = check(net.build(outputs=[y]))
    parts = [w.descriptor.width if w.descriptor.partial else 1 for w in program.work]
    # The channel's block stands at an end.
    assert sorted(parts) == ([1, 2] if channels == 1024 else [2, 2])


@pytest.mark.parametrize("channels", [8, 64, 72])
@pytest.mark.parametrize("at", [0, 7, 37, 63])
def test_pointwise_weights_beyond_int8(channels: int, at: int) -> None:
    net = NetworkBuilder(seed=at, dtype="uint8")
    y = net.conv_2d(net.input((1, 3, 3, channels)), 40)
    uint8_weights(net, 120)
    set_weights(net, y, {(17, 0, 0, at % channels): 255})
    program = check(net.build(outputs=[y]))
    steps = [work.descriptor.steps for work in program.work]
    # The channel's block stands at an end, so that two commands do.
    assert len(steps) == 2
    assert min(steps) == channels // 2 < max(steps) <= 2 * min(steps)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("tap", range(9))
def test_depthwise_weights_beyond_int8(tap: int, stride: int) -> None:
    net = NetworkBuilder(seed=tap, dtype="uint8")
    y = net.depthwise_conv_2d(net.input((1, 7, 7, 24)), stride=(stride, stride))
    uint8_weights(net, 200)
    set_weights(net, y, {(0, tap // 3, tap % 3, 11): 0})
    program = check(net.build(outputs=[y]))
    steps = [work.descriptor.steps for work in program.work]
    if len(steps) > 1:
        assert steps[0] == steps[2] < steps[1]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("channels", [1, 3])
def test_first_layer_weights_beyond_int8(channels: int, count: int) -> None:
    net = NetworkBuilder(seed=count, dtype="uint8")
    y = net.conv_2d(net.input((1, 11, 11, channels)), 16, kernel=(3, 3), stride=(2, 2))
    uint8_weights(net, 100)
    places = net.rng.integers(0, (16, 3, 3, channels), (count, 4))
    set_weights(net, y, {tuple(place): 255 for place in places.tolist()})
    check(net.build(outputs=[y]))


def test_weights_far_beyond_int8_are_refused() -> None:
    net = NetworkBuilder(dtype="uint8")
    y = net.depthwise_conv_2d(net.input((1, 5, 5, 8)))
    spec = net[net.file.operators[-1].inputs[1]]
    spec.zero_points = [0]
    assert spec.data is not None
    spec.data[:] = 255
    with pytest.raises(UnsupportedError, match="further beyond int8"):
        check(net.build(outputs=[y]))
