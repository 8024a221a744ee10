"""FOMO over MobileNets."""

from __future__ import annotations

import pytest

from common.errors import InputError
from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
from sw.networks.detectors import fomo
from sw.networks.shipped import DETECTOR


def test_cut_where_edge_impulse_cuts() -> None:
    """Behind the expansion before the stride to a sixteenth (block_6_expand_relu in Keras)."""
    net = fomo(mobilenet_v2(0.35, 96, classes=1), head=32)
    names = [layer.name for layer in net.layers]
    assert names[-3:] == ["block7_expand", "head", "classifier"]
    assert [layer.output_size for layer in net.layers[-3:]] == [12, 12, 12]
    assert (net.classes, net.layers[-1].outputs, net.layers[-2].outputs) == (2, 2, 32)
    assert not net.layers[-1].norm and not net.layers[-1].relu6
    # The face file of the wild has 5.9 million with an input of three channels.
    assert net.macs == pytest.approx(5.9e6, rel=0.02)


def test_over_v1() -> None:
    net = fomo(mobilenet_v1(0.25, 160, classes=3))
    assert [layer.name for layer in net.layers[-3:]] == ["block5_pointwise", "head", "classifier"]
    assert net.layers[-1].output_size == 20 and net.classes == 4


@pytest.mark.parametrize("size", [9, 33, 96, 100, 224])
@pytest.mark.parametrize("family", [mobilenet_v1, mobilenet_v2])
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_cells_are_an_eighth(family: type[Architecture], size: int, stem_stride: int) -> None:
    net = fomo(family(0.25, size, classes=2, stem_stride=stem_stride))
    assert net.layers[-1].output_size == -(-size // 8)
    before = [layer.output_size for layer in net.layers[:-2]]
    assert before == sorted(before, reverse=True)


def test_what_has_no_such_cells() -> None:
    with pytest.raises(InputError, match="head must be at least 1, not 0"):
        fomo(mobilenet_v2(0.35, 96), head=0)
    with pytest.raises(InputError, match="a layer; use a smaller head"):
        fomo(mobilenet_v2(0.35, 96), head=1 << 24)


def test_the_one_that_ships() -> None:
    assert (DETECTOR.size, DETECTOR.channels, DETECTOR.classes) == (96, 1, 6)
