"""Channels in pieces: blocks that run once for each range of outputs, in every kind of layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from support.on_core import CONFIG, check_on_core

from common.errors import UnsupportedError
from sw import importer
from sw.compiler import compile_graph
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.fuzz.builder import NetworkBuilder
from sw.golden.primitives import multiply_by_quantized_multiplier
from sw.golden.requantisation import Requantisation

SPEC = RequantiserSpec.of(CONFIG)


class Channel(NamedTuple):
    """A channel of nine products without a right multiplier near to its own."""

    weights: tuple[int, ...]
    multiplier: int
    shift: int
    input_zero: int
    output_zero: int

    @property
    def scale(self) -> float:
        return self.multiplier * 2.0 ** (self.shift - 31)

    def wrong_inputs(self, count: int) -> npt.NDArray[np.integer]:
        """Return inputs, (count, 9), whose outputs the core has wrong with these constants."""
        rng = np.random.default_rng(1)
        found = []
        while sum(map(len, found)) < count:
            x = rng.integers(-128, 128, (1 << 20, 9))
            sums = (x - self.input_zero) @ np.array(self.weights)
            output = Requantisation(zero_point=self.output_zero, act_min=-128, act_max=127)
            got = SPEC.outputs(sums, np.array(self.multiplier), np.array(-self.shift), output)
            want = multiply_by_quantized_multiplier(sums, self.multiplier, self.shift)
            found.append(x[got != output.finish(want)])
        return np.concatenate(found)[:count].astype(np.int8)


ONE_SIDE = Channel((-86, -7, 10, 34, 60, 108, -105, -106, 96), 1641199488, -8, 0, -128)
BOTH_SIDES = Channel((43, -61, 55, -18, -116, 120, -71, 124, -113), 1082218752, -7, -128, -128)
CHANNELS = (ONE_SIDE, BOTH_SIDES)


def layer(
    channel: Channel,
    kind: str,
    shape: tuple[int, ...],
    at: int,
    count: int,
    padding: str = "SAME",
) -> bytes:
    """Return a layer of which one channel is the given one, and nothing saturates in others."""
    net = NetworkBuilder(seed=at)
    x = net.input(shape, scale=1.0, zero_point=channel.input_zero)
    if kind == "depthwise":
        y = net.depthwise_conv_2d(x, output_scale=1.0)
    elif kind == "long":
        y = net.depthwise_conv_2d(x, kernel=(9, 1), padding=padding, output_scale=1.0)
    elif kind == "pointwise":
        y = net.conv_2d(x, count, output_scale=1.0)
    else:
        y = net.conv_2d(x, count, kernel=(3, 3), output_scale=1.0)
    net[y].zero_points = [channel.output_zero]
    spec, bias = (net[i] for i in net.file.operators[-1].inputs[1:])
    bias.data = np.zeros(bias.shape, np.int32)
    spec.scales = [float(np.float32(channel.scale * 0.9))] * len(spec.scales)
    spec.scales[at] = channel.scale
    data = np.array(spec.data)
    if kind in ("depthwise", "long"):
        data[0, :, :, at] = np.reshape(channel.weights, data.shape[1:3])
    else:
        data[at] = np.reshape(channel.weights, data[at].shape)
    spec.data = data
    return net.build(outputs=[y])


@pytest.mark.slow
@pytest.mark.parametrize("channel", CHANNELS)
def test_pointwise_channels_in_pieces(channel: Channel) -> None:
    model = layer(channel, "pointwise", (1, 4, 5, 9), 9, 21)
    frame = channel.wrong_inputs(20).reshape(1, 4, 5, 9)
    program = check_on_core(model, frames=[frame])
    modes = [work.descriptor.mode.name for work in program.work]
    blocks = [work.descriptor.blocks for work in program.work]
    # The second of three blocks runs twice.
    assert modes == ["SYSTOLIC"] * 4 + ["ADD"]
    assert blocks == [1] * 5


@pytest.mark.slow
@pytest.mark.parametrize("channel", CHANNELS)
def test_depthwise_channels_in_pieces(channel: Channel) -> None:
    model = layer(channel, "depthwise", (1, 7, 7, 24), 20, 24)
    frame = np.full((1, 7, 7, 24), channel.input_zero, np.int8)
    for number, window in enumerate(channel.wrong_inputs(4)):
        row, column = 3 * (number // 2), 3 * (number % 2)
        frame[0, row : row + 3, column : column + 3, 20] = window.reshape(3, 3)
    program = check_on_core(model, frames=[frame])
    assert [work.descriptor.blocks for work in program.work] == [2, 1, 1, 1]
    assert program.work[-1].descriptor.mode.name == "ADD"


@pytest.mark.slow
def test_channels_of_the_first_layer_in_pieces() -> None:
    channel = ONE_SIDE
    model = layer(channel, "first", (1, 6, 6, 1), 3, 12)
    frame = np.full((1, 6, 6, 1), channel.input_zero, np.int8)
    for number, window in enumerate(channel.wrong_inputs(4)):
        row, column = 3 * (number // 2), 3 * (number % 2)
        frame[0, row : row + 3, column : column + 3, 0] = window.reshape(3, 3)
    program = check_on_core(model, frames=[frame])
    assert program.work[-1].descriptor.mode.name == "ADD"


@pytest.mark.slow
def test_channels_of_a_padded_convolution_in_pieces() -> None:
    """It reads a copy of its input; what is not the output is not written again."""
    model = layer(BOTH_SIDES, "first", (1, 6, 6, 1), 3, 12)
    frame = np.full((1, 6, 6, 1), BOTH_SIDES.input_zero, np.int8)
    frame[0, 2:5, 2:5, 0] = BOTH_SIDES.wrong_inputs(1).reshape(3, 3)
    program = check_on_core(model, frames=[frame], dense_input=True)
    assert program.work[-1].descriptor.mode.name == "ADD"


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_channels_of_long_kernels_in_pieces(padding: str) -> None:
    """With padding, each word of channels is copied before it is read."""
    model = layer(BOTH_SIDES, "long", (1, 9, 4, 24), 20, 24, padding)
    frame = np.full((1, 9, 4, 24), BOTH_SIDES.input_zero, np.int8)
    frame[0, :, :, 20] = BOTH_SIDES.wrong_inputs(4).T
    program = check_on_core(model, frames=[frame], dense_input=True)
    assert program.work[-1].descriptor.mode.name == "ADD"


def test_channels_in_pieces_and_with_guards_are_refused_in_one_layer() -> None:
    """A sum beyond the requantiser's limit, and another channel without a multiplier."""
    channel = ONE_SIDE
    net = NetworkBuilder(seed=1)
    x = net.input((1, 1, 1, 1280), scale=1.0, zero_point=0)
    y = net.conv_2d(x, 8, output_scale=1.0)
    net[y].zero_points = [channel.output_zero]
    spec, bias = (net[i] for i in net.file.operators[-1].inputs[1:])
    bias.data = np.zeros(bias.shape, np.int32)
    spec.scales = [float(np.float32(channel.scale * 0.9)), *[channel.scale] * 7]
    data = np.zeros(spec.shape, np.int8)
    data[0, 0, 0] = 127
    data[1, 0, 0, :9] = channel.weights
    spec.data = data
    graph = importer.loads(net.build(outputs=[y]), "test")
    with pytest.raises(UnsupportedError, match=r"able to run twice; .*channel 1 has no integers"):
        compile_graph(graph, CONFIG)
