"""Convolutions with padding that do not read the network's input."""

from __future__ import annotations

import pytest
from support.compiled import check
from support.layer_networks import build
from support.on_core import check_on_core

from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from sw.compiler.lowering.frames import Frame
from sw.fuzz.builder import NetworkBuilder

MEDIUM = CoreConfig(memory_depth=2048)


def behind(shape: tuple[int, ...], channels: int = 8, **options: object) -> bytes:
    """Return a network of a pointwise convolution and one with the given options."""
    return build(lambda n: n.conv_2d(n.conv_2d(n.input(shape), shape[3]), channels, **options))


@pytest.mark.parametrize(
    ("shape", "kernel", "stride"),
    [
        ((1, 6, 7, 8), (3, 3), (1, 1)),
        ((1, 8, 6, 20), (3, 3), (2, 2)),
        # The right padding of a row is more than the left one of the next, or as wide as the image.
        ((1, 5, 4, 3), (2, 2), (1, 1)),
        ((1, 4, 1, 8), (5, 5), (1, 1)),
        ((1, 3, 2, 8), (4, 7), (1, 1)),
        # Padding in one direction only.
        ((1, 9, 5, 12), (5, 1), (1, 1)),
        ((1, 5, 9, 12), (1, 7), (1, 2)),
        ((1, 1, 1, 8), (3, 3), (1, 1)),
        ((1, 7, 9, 8), (4, 3), (3, 4)),
    ],
)
def test_kernels_and_strides(
    shape: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int]
) -> None:
    check(behind(shape, 12, kernel=kernel, stride=stride))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("channels", [8, 20])
def test_dilation(padding: str, channels: int) -> None:
    """With one word a pixel columns are skipped, with more they meet no weights."""
    for dilation in ((2, 2), (1, 3), (3, 1)):
        check(behind((1, 9, 10, channels), kernel=(3, 3), dilation=dilation, padding=padding))


def test_wide_rows_are_copied_word_by_word_in_one_command() -> None:
    """40 pixels of 8 words are more than a row of windows."""
    program = check(behind((1, 3, 40, 64), kernel=(3, 3)))
    first = [w for w in program.work if w.layer == 1]
    copies = [w.descriptor for w in first if w.descriptor.mode == Mode.ADD]
    assert [(d.blocks, d.width, d.height) for d in copies] == [(8, 41, 2), (8, 40, 1)]


def test_padding_of_a_pad() -> None:
    """Windows may lie in the padding as a whole."""

    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 5, 6, 8)), 8)
        x = net.pad(x, ((0, 0), (4, 5), (6, 0), (0, 0)))
        return net.conv_2d(x, 8, kernel=(3, 3), padding="VALID")

    for config in (CoreConfig(), CoreConfig(memory_depth=512)):
        check(build(make), config)


@pytest.mark.parametrize("stride", [1, 2])
def test_bands_where_memory_is_small(stride: int) -> None:
    """A copy of the whole input would not fit: rows are copied several times, and make the same."""
    data = behind((1, 39, 24, 8), kernel=(3, 3), stride=(stride, stride))
    whole, bands = check(data), check(data, MEDIUM)
    counts = [
        sum(w.descriptor.mode == Mode.SYSTOLIC and w.descriptor.middle == 3 for w in p.work)
        for p in (whole, bands)
    ]
    assert counts[0] == 1 < counts[1]


def test_an_output_over_its_input() -> None:
    """What has been copied is not needed any more."""
    for multiplier in (1, 2):
        data = build(
            lambda n, m=multiplier: n.depthwise_conv_2d(
                n.conv_2d(n.input((1, 20, 20, 8)), 16), kernel=(5, 5), depth_multiplier=m
            )
        )
        check(data, CoreConfig(memory_depth=2048 * multiplier))
    check(behind((1, 20, 20, 8), 24, kernel=(3, 3)), MEDIUM)


def test_weights_of_a_band_fit_its_rows() -> None:
    frame = Frame(rows=3, width=5, top=1, bottom=0, left=1, right=2, words=2)
    assert (frame.pitch, frame.head, frame.tail, frame.size) == (7, 16, 4, 16 + 38 + 4)


@pytest.mark.slow
def test_a_residual_network_on_the_core() -> None:
    """As ResNet-8 has them: the sums' operands are read by padded convolutions."""

    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 10, 10, 3)), 16, kernel=(3, 3), activation="RELU")
        y = net.conv_2d(x, 16, kernel=(3, 3), activation="RELU")
        x = net.add(x, net.conv_2d(y, 16, kernel=(3, 3)), activation="RELU")
        y = net.conv_2d(x, 24, kernel=(3, 3), stride=(2, 2), activation="RELU")
        y = net.conv_2d(y, 24, kernel=(5, 3))
        return net.add(net.conv_2d(x, 24, stride=(2, 2)), y)

    check_on_core(build(make))
