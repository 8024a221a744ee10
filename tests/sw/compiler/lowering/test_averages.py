"""Averages of any scale, on the core and as integers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.compiled import check, check_program, random_inputs
from support.layer_networks import build
from support.on_core import CONFIG, check_on_core

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from sw import importer, ir
from sw.compiler import compile_graph
from sw.compiler.exact.averages import find_codes
from sw.compiler.exact.parts import find_parts, steps_of
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.compiler.graph.partition import partition
from sw.compiler.lowering.average_site import AverageSite
from sw.compiler.lowering.context import Context
from sw.fuzz.builder import NetworkBuilder
from sw.golden.primitives import divide_round_half_away
from sw.golden.requantisation import Requantisation

SPEC = RequantiserSpec.of(CONFIG)


def mean_of(size: tuple[int, int], ratio: float, zero_point: int = 4, dtype: str = "int8") -> bytes:
    net = NetworkBuilder(seed=1, dtype=dtype)
    x = net.input((1, *size, 20), scale=0.02)
    y = net.mean(x, output_scale=float(np.float32(0.02 / ratio)))
    net[y].zero_points = [zero_point]
    return net.build(outputs=[y])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "ratio"), [((7, 7), 0.0191 / 0.02), ((16, 16), 1.5), ((1, 1), 0.9), ((5, 3), 1e-9)]
)
def test_means_of_any_scale(size: tuple[int, int], ratio: float) -> None:
    program = check_on_core(mean_of(size, ratio))
    assert len(program.work) == 1


@pytest.mark.slow
def test_an_average_whose_halves_round_away_on_both_sides() -> None:
    net = NetworkBuilder(seed=1)
    y = net.average_pool_2d(net.input((1, 9, 2, 20), zero_point=-5), window=(9, 2))
    check_on_core(net.build(outputs=[y]))


@pytest.mark.slow
@pytest.mark.parametrize("zero_point", [-128, 4])
def test_a_mean_that_the_array_cannot_multiply_is_made_in_parts(zero_point: int) -> None:
    """One more is 200 outputs more, and inputs are multiplied with 127 at most."""
    program = check_on_core(mean_of((1, 1), 200.0, zero_point))
    parts = [work.descriptor.mode.name for work in program.work]
    assert parts == ["POOL"] + ["POOL", "ADD"] * (len(parts) // 2)
    assert len(parts) > 1


def codes_of(model: bytes) -> tuple[AverageSite, int]:
    """Return the site of a network's only operator, and how many parts it is made of."""
    context = Context.of(partition(importer.loads(model, "test")), CONFIG)
    site = context.site(context.part.device[0])
    assert isinstance(site, AverageSite)
    assert site.codes is not None
    total = site.codes[0].outputs(site.sums, SPEC)
    for part in site.codes[1:]:
        total = total + part.outputs(site.sums, SPEC) - part.requantisation.act_min
    np.testing.assert_array_equal(total, site.averages)
    return site, len(site.codes)


@pytest.mark.parametrize("seed", range(40))
def test_no_scale_is_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dtype = "uint8" if rng.random() < 0.5 else "int8"
    limits = np.iinfo(dtype)
    rows = int(rng.integers(1, 17))
    size = rows, int(rng.integers(1, 256 // rows + 1))
    ratio = float(np.exp(rng.uniform(np.log(1e-3 if seed % 4 == 0 else 0.2), np.log(5))))
    zero = int(rng.choice([limits.min, limits.max, rng.integers(limits.min, limits.max)]))
    site, count = codes_of(mean_of(size, ratio, zero, dtype))
    assert isinstance(site.op, ir.Mean)
    assert count == 1


@pytest.mark.parametrize("offset", [0, 128])
@pytest.mark.parametrize("pixels", [1, 2, 6, 18, 35, 64, 100, 255, 256])
def test_no_size_is_refused(pixels: int, offset: int) -> None:
    """Halves are rounded away from 0, which is −128 for a byte."""
    sums = np.arange(-128 * pixels, 127 * pixels + 1)
    wanted = divide_round_half_away(sums + offset * pixels, pixels) - offset
    output = Requantisation(zero_point=0, act_min=-128, act_max=127)
    codes = find_codes(sums, wanted, 1 / pixels, output, SPEC)
    assert codes is not None and len(codes) == 1
    np.testing.assert_array_equal(codes[0].outputs(sums, SPEC), wanted)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("activation", ["NONE", "RELU6"])
@pytest.mark.parametrize(
    ("window", "stride"), [((2, 2), (2, 2)), ((3, 2), (1, 3)), ((1, 5), (1, 1)), ((7, 6), (1, 1))]
)
def test_windows(
    window: tuple[int, int], stride: tuple[int, int], activation: str, dtype: str
) -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 7, 9, 8)), 20)
        return net.average_pool_2d(
            x, window=window, stride=stride, padding="VALID", activation=activation
        )

    data = build(make, dtype=dtype)
    check(data)
    check(data, CONFIG)


@pytest.mark.slow
def test_windows_on_the_core() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 8, 8, 8)), 12)
        x = net.average_pool_2d(x, window=(2, 2), stride=(2, 2), padding="VALID")
        return net.conv_2d(x, 8)

    check_on_core(build(make))


def test_windows_that_reach_into_padding_are_refused() -> None:
    def make(net: NetworkBuilder) -> int:
        return net.average_pool_2d(
            net.conv_2d(net.input((1, 7, 7, 8)), 8), window=(3, 3), stride=(1, 1), padding="SAME"
        )

    with pytest.raises(UnsupportedError, match="must not reach into padding"):
        compile_graph(importer.loads(build(make), "test"), CoreConfig())


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("keep_dims", [False, True])
@pytest.mark.parametrize("shape", [(1, 6, 7, 20), (1, 70, 2, 8), (1, 5, 1, 8)])
def test_means_of_some_axes(shape: tuple[int, ...], keep_dims: bool, axes: tuple[int, ...]) -> None:
    net = NetworkBuilder(seed=3)
    x = net.conv_2d(net.input(shape), shape[3])
    y = net.mean(x, keep_dims=keep_dims, output_scale=net[x].scales[0])
    graph = importer.loads(net.build(outputs=[y]), "test")
    mean = dataclasses.replace(graph.ops[-1], axes=axes)
    kept = tuple(
        1 if d in axes else n for d, n in enumerate(shape) if keep_dims or d not in axes
    )
    tensors = list(graph.tensors)
    tensors[y] = dataclasses.replace(tensors[y], shape=kept)
    graph = dataclasses.replace(graph, ops=(*graph.ops[:-1], mean), tensors=tuple(tensors))
    program = compile_graph(graph, CONFIG)
    for seed in range(2):
        check_program(graph, program, random_inputs(graph, seed))


@pytest.mark.parametrize("gain", [1.013, 0.777, 0.31])
@pytest.mark.parametrize("pixels", [3, 49, 64, 200])
def test_parts_are_proven(pixels: int, gain: float) -> None:
    """With few fraction bits lines are wrong that would be right otherwise."""
    spec = RequantiserSpec(fraction_bits=9)
    sums = np.arange(-128 * pixels, 127 * pixels + 1)
    wanted = np.clip(np.rint(sums * gain / pixels).astype(np.int64), -128, 127)
    output = Requantisation(zero_point=0, act_min=-128, act_max=127)
    parts = find_parts(steps_of(sums, wanted), (1,), output, spec)
    assert parts is not None
    total = parts[0].outputs(sums, spec)
    for part in parts[1:]:
        total = total + part.outputs(sums, spec) - part.requantisation.act_min
    np.testing.assert_array_equal(total, wanted)
