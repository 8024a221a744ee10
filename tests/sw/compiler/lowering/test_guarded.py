"""Sums beyond what the requantiser scales: guards put their outputs right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from support.on_core import CONFIG, check_on_core

from common.errors import UnsupportedError
from hw.contract.requantiser import u_limit
from sw import importer
from sw.compiler import compile_graph
from sw.compiler.exact.guards import GUARD_WEIGHT, SUM_CODES
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.fuzz.builder import NetworkBuilder
from sw.golden.requantisation import Requantisation

SIZE = 1280
LIMIT = u_limit(24)


def dense(
    kind: str,
    channels: int,
    large: list[int],
    *,
    dtype: str = "int8",
    pixels: int = 1,
    zero_point: int | None = None,
    activation: str = "NONE",
) -> tuple[bytes, npt.NDArray[np.integer]]:
    """Return a layer of which some channels have large weights, and its weights (C, K)."""
    net = NetworkBuilder(seed=channels + pixels, dtype=dtype)
    x = net.input((1, pixels, 1, SIZE))
    if kind == "CONV_2D":
        y = net.conv_2d(x, channels, activation=activation)
    else:
        y = net.fully_connected(x, channels, activation=activation)
    spec = net[net.file.operators[-1].inputs[1]]
    if dtype == "uint8":
        spec.zero_points = [120]
    zero = spec.zero_points[0]
    data = spec.data.reshape(channels, -1).astype(np.int64) - zero
    small = [c for c in range(channels) if c not in large]
    data[small] = np.clip(data[small] // 8, -15, 15)
    data[large] = np.clip(data[large] * 2, -120 if dtype == "uint8" else -127, 127)
    spec.data = (data + zero).astype(dtype).reshape(spec.shape)
    if zero_point is not None:
        net[y].zero_points = [zero_point]
    return net.build(outputs=[y]), data


def frames_of(
    weights: npt.NDArray[np.integer], large: list[int], pixels: int, dtype: str
) -> list[npt.NDArray[np.integer]]:
    """Return inputs whose sums go from the greatest to the least of each large channel."""
    limits, rng = np.iinfo(dtype), np.random.default_rng(0)
    frames = []
    for channel in large:
        for sign in (1, -1):
            high = np.where(sign * weights[channel] > 0, limits.max, limits.min)
            rows = [high]
            for count in rng.integers(0, SIZE, pixels - 1):
                row = high.copy()
                row[:count] = rng.integers(limits.min, limits.max + 1, count)
                rows.append(row)
            frames.append(np.array(rows, dtype).reshape(1, pixels, 1, SIZE))
    return frames


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "dtype", "end"),
    [
        ("CONV_2D", "int8", "least"),
        ("CONV_2D", "uint8", "greatest"),
        ("FULLY_CONNECTED", "uint8", "middle"),
    ],
)
def test_guards_in_free_columns(kind: str, dtype: str, end: str) -> None:
    """Two classes and their guards are one block, whose outputs are added up in another."""
    limits = np.iinfo(dtype)
    zero = {"least": int(limits.min), "middle": int(limits.min) + 100, "greatest": int(limits.max)}
    model, weights = dense(kind, 2, [0, 1], dtype=dtype, zero_point=zero[end])
    program = check_on_core(model, frames=frames_of(weights, [0, 1], 1, dtype))
    assert [work.descriptor.partial for work in program.work] == [True, False]


@pytest.mark.slow
def test_guards_in_another_word() -> None:
    """Blocks without a guard are written as ever."""
    large, pixels = [9, 10, 11, 20], 3
    model, weights = dense("CONV_2D", 21, large, pixels=pixels, activation="RELU6")
    program = check_on_core(model, frames=frames_of(weights, large, pixels, "int8"))
    blocks = [work.descriptor.blocks for work in program.work]
    # Block 0; block 1 in two words, added up; block 2 with its guard, added up.
    assert blocks == [1] * pixels + [2] * pixels + [1] + [1] * pixels + [1]


@pytest.mark.slow
def test_partial_sums_and_biases_may_wrap() -> None:
    """Only the sum at the end has to be within the limit: here inputs are 100 to 127."""
    net = NetworkBuilder(seed=4)
    x = net.conv_2d(net.input((1, 1, 1, 8)), 600, activation="RELU")
    net[x].zero_points = [100]
    y = net.conv_2d(x, 8)
    weights, bias = (net[i] for i in net.file.operators[-1].inputs[1:])
    weights.data = np.full(weights.shape, 127, np.int8)
    bias.data = np.linspace(-4_000_000, 0, 8).astype(np.int32)
    net[y].zero_points = [0]
    net[y].scales = [net[x].scales[0] * float(np.mean(weights.scales)) * 20_000]
    assert 127 * 127 * 600 > 1 << 23
    check_on_core(net.build(outputs=[y]))


def test_outputs_that_are_not_saturated_beyond_the_limit_are_refused() -> None:
    net = NetworkBuilder(seed=1)
    y = net.fully_connected(net.input((1, SIZE)), 2)
    weights = net[net.file.operators[-1].inputs[1]]
    weights.data = np.full(weights.shape, 100, np.int8)
    net[y].scales = [net[0].scales[0] * weights.scales[0] * 2.2 * LIMIT / 255]
    net[y].zero_points = [0]
    graph = importer.loads(net.build(outputs=[y]), "test")
    with pytest.raises(UnsupportedError, match="not all outputs of sums about there are saturated"):
        compile_graph(graph, CONFIG)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "zero_point"),
    [((3, 3), 1, "VALID", 5), ((3, 3), 2, "SAME", -128), ((1, 1), 2, "SAME", 127)],
)
def test_blocks_of_any_convolution_run_again_with_guards(
    kernel: tuple[int, int], stride: int, padding: str, zero_point: int
) -> None:
    """The second of three blocks, of which one channel has sums within the limit."""
    net = NetworkBuilder(seed=1)
    channels = 96 if kernel == (3, 3) else 800
    x = net.input((1, 5, 5, channels), zero_point=-100)
    y = net.conv_2d(x, 21, kernel=kernel, stride=(stride, stride), padding=padding)
    net[y].zero_points = [zero_point]
    weights = net[net.file.operators[-1].inputs[1]]
    data = np.clip(np.asarray(weights.data) // 8, -15, 15)
    data[8:15] = np.clip(np.asarray(weights.data[8:15], np.int64) * 2, -127, 127)
    weights.data = data.astype(np.int8)
    frames = []
    for channel in (8, 14):
        for sign in (1, -1):
            window = np.where(sign * data[channel] > 0, 127, -128)
            repeated = np.tile(window, (-(-5 // kernel[0]) + 1, -(-5 // kernel[1]) + 1, 1))
            # The window that is in the middle of the padded output.
            first = 2 if (kernel, padding) == ((3, 3), "SAME") else 0
            frames.append(repeated[first : first + 5, first : first + 5][None].astype(np.int8))
    program = check_on_core(net.build(outputs=[y]), frames=frames)
    assert program.work[-1].descriptor.mode.name == "ADD"


@pytest.mark.parametrize("fraction_bits", [17, 31])
def test_sums_are_their_own_outputs(fraction_bits: int) -> None:
    """What adds a guard to an output scales nothing."""
    multiplier, shift = SUM_CODES
    most = 256 * -GUARD_WEIGHT
    sums = np.arange(-most, most + 1)
    wide = Requantisation(zero_point=0, act_min=-most, act_max=most)
    spec = RequantiserSpec(fraction_bits=fraction_bits)
    got = spec.outputs(sums, np.array(multiplier), np.array(shift), wide)
    np.testing.assert_array_equal(got, sums)
