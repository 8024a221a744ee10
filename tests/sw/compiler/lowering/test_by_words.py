"""Depthwise convolutions of other kernels, strides and dilations than the modes have."""

from __future__ import annotations

import numpy as np
import pytest
from support.compiled import check
from support.layer_networks import build
from support.on_core import check_on_core

from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from sw import importer
from sw.compiler import Program, compile_graph
from sw.compiler.graph.refusals import Refused
from sw.fuzz.builder import NetworkBuilder


def behind(shape: tuple[int, ...], *, dtype: str = "int8", **options: object) -> bytes:
    """Return a network of a pointwise convolution and a depthwise one with the given options."""
    return build(
        lambda n: n.depthwise_conv_2d(n.conv_2d(n.input(shape), shape[3]), **options), dtype=dtype
    )


def modes(program: Program) -> set[Mode]:
    """Return the modes of the second layer."""
    return {w.descriptor.mode for w in program.work if w.layer == 1}


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("kernel", "stride"),
    [
        ((9, 1), (1, 1)),
        ((1, 7), (1, 2)),
        ((5, 5), (1, 1)),
        ((7, 7), (2, 2)),
        ((4, 2), (1, 1)),
        ((3, 3), (3, 3)),
    ],
)
def test_large_kernels(
    kernel: tuple[int, int], stride: tuple[int, int], padding: str, dtype: str
) -> None:
    data = behind((1, 11, 10, 20), kernel=kernel, stride=stride, padding=padding, dtype=dtype)
    assert modes(check(data)) == {Mode.SYSTOLIC}


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("multiplier", [2, 3, 8])
def test_depth_multipliers(multiplier: int, padding: str) -> None:
    """A block's outputs are made of one word of the input, whatever the multiplier."""
    for channels in (8, 20):
        check(behind((1, 5, 6, channels), depth_multiplier=multiplier, padding=padding))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_dilation(padding: str) -> None:
    for dilation in ((2, 2), (1, 3)):
        check(behind((1, 9, 10, 20), dilation=dilation, padding=padding))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("kernel", "stride", "mode"),
    [
        ((3, 1), (1, 1), Mode.DEPTHWISE),
        ((1, 3), (2, 2), Mode.DEPTHWISE_STRIDE2),
        ((2, 2), (1, 1), Mode.DEPTHWISE),
        ((1, 2), (1, 2), Mode.DEPTHWISE_STRIDE2),
        ((3, 3), (2, 1), Mode.DEPTHWISE),
        ((3, 3), (1, 2), Mode.DEPTHWISE_STRIDE2),
        ((3, 3), (3, 1), Mode.DEPTHWISE),
        ((1, 1), (1, 1), Mode.DEPTHWISE),
    ],
)
def test_small_kernels_have_the_depthwise_modes(
    kernel: tuple[int, int], stride: tuple[int, int], mode: Mode, padding: str
) -> None:
    """They are 3×3 with zeros around them; rows may have any stride."""
    for shape in ((1, 8, 9, 12), (1, 7, 6, 8)):
        program = check(behind(shape, kernel=kernel, stride=stride, padding=padding))
        assert modes(program) == {mode}


@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("kernel", [(3, 1), (1, 3), (3, 3), (5, 5)])
def test_row_by_row(kernel: tuple[int, int], stride: tuple[int, int]) -> None:
    """Their rows are in slots as those of others are; larger windows are copied from there."""

    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 20, 16, 8)), 24)
        x = net.depthwise_conv_2d(x, kernel=kernel, stride=stride)
        return net.conv_2d(x, 8)

    program = check(build(make), CoreConfig(memory_depth=1024))
    assert any(w.rows == 1 for w in program.work)


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5)])
def test_weights_beyond_int8(kernel: tuple[int, int]) -> None:
    """Words with such weights are copied, and met, twice."""

    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 6, 7, 16)), 16)
        for layer in ("depthwise_conv_2d", "conv_2d"):
            options = {"channels": 12} if layer == "conv_2d" else {"dilation": (1, 2)}
            x = getattr(net, layer)(x, kernel=kernel, **options)
            weights = net[net.file.operators[-1].inputs[1]]
            assert weights.data is not None
            weights.zero_points = [20]
            weights.data = np.where(net.rng.random(weights.shape) < 0.01, 255, 30).astype(np.uint8)
        return x

    check(build(make, dtype="uint8"))


def test_more_than_one_row_of_padding() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 6, 6, 8)), 8)
        x = net.pad(x, [(0, 0), (2, 1), (1, 1), (0, 0)])
        return net.depthwise_conv_2d(x, padding="VALID")

    check(build(make))


@pytest.mark.slow
def test_on_the_core() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 9, 9, 3)), 12, kernel=(3, 3))
        x = net.depthwise_conv_2d(x, kernel=(5, 5), activation="RELU6")
        x = net.depthwise_conv_2d(x, depth_multiplier=2, stride=(2, 2))
        x = net.depthwise_conv_2d(x, kernel=(3, 1), stride=(2, 1))
        return net.depthwise_conv_2d(x, kernel=(2, 3), stride=(1, 2), padding="VALID")

    check_on_core(build(make))


def test_a_program_of_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its input may come in parts, which would wait for descriptors that nobody counts."""

    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 20, 16, 8)), 24)
        return net.conv_2d(net.depthwise_conv_2d(x, kernel=(5, 5)), 8)

    graph = importer.loads(build(make), "test")
    monkeypatch.setattr("sw.compiler.input_choice.HOLD_NEVER", 100)
    with pytest.raises(Refused, match=r"has \d+ descriptors, \d+ of them for this") as error:
        compile_graph(graph, CoreConfig(memory_depth=1024))
    assert list(error.value.rules) == ["depthwise_conv_2d_1"]
