"""Inputs that are each read by a convolution which has a choice of layouts."""

from __future__ import annotations

import pytest
from support.on_core import check_on_core

from sw.fuzz.builder import NetworkBuilder


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"compact_input": True}, {"dense_input": True}])
def test_each_convolution_reads_its_input_as_it_lies(options: dict[str, bool]) -> None:
    net = NetworkBuilder(seed=1)
    shapes = ((1, 8, 8, 3), (1, 8, 8, 2), (1, 16, 16, 1))
    xs = [net.input(shape) for shape in shapes]
    strides = ((1, 1), (1, 1), (2, 2))
    ys = [net.conv_2d(x, 8, kernel=(3, 3), stride=s) for x, s in zip(xs, strides, strict=True)]
    for y in ys[1:]:
        net[y].scales = net[ys[0]].scales
    total = ys[0]
    for y in ys[1:]:
        total = net.add(total, y, output_scale=net[ys[0]].scales[0])
    program = check_on_core(net.build(outputs=[total]), **options)
    assert len(program.inputs) == len(xs)
