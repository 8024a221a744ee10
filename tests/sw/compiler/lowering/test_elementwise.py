"""QUANTIZE, sums and products with constants between layers: each output from one integer."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from support.compiled import check
from support.layer_networks import build
from support.on_core import CONFIG, check_on_core

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from sw import importer
from sw.compiler import compile_graph
from sw.compiler.exact import tables
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.compiler.exact.tables import TableCodes, find_table_codes
from sw.fuzz.builder import NetworkBuilder
from sw.golden.primitives import multiply_by_quantized_multiplier, quantize_multiplier
from sw.golden.requantisation import Requantisation

SPECS = (RequantiserSpec(), RequantiserSpec(fraction_bits=17))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
@pytest.mark.parametrize("shape", [(), (1,), (20,), (1, 1, 1, 20)])
def test_constants(kind: str, shape: tuple[int, ...], dtype: str) -> None:
    """On either side: what is subtracted from a constant falls, and so do products with some."""

    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 5, 6, 8)), 20)
        x = getattr(net, kind)(x, net.constant(shape), activation="RELU")
        x = getattr(net, kind)(net.constant(shape), x)
        return net.conv_2d(x, 8)

    for seed in range(3):
        program = check(build(make, dtype=dtype, seed=seed))
        assert sum(w.descriptor.mode == Mode.ADD for w in program.work) == 2
        check(build(make, dtype=dtype, seed=seed), CoreConfig(fraction_bits=17))


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 1.01, 2.0, 3.7, 20.0])
def test_quantize_in_the_middle(factor: float) -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 4, 5, 8)), 12)
        x = net.quantize(x, "int8", output_scale=net[x].scales[0] * factor)
        x = net.quantize(x, "uint8", output_scale=net[x].scales[0] * 0.9)
        return net.conv_2d(x, 8)

    check(build(make), CoreConfig(fraction_bits=17))


def test_constants_of_channels_that_move_or_go() -> None:
    """Their constants move and go with them."""
    net = NetworkBuilder(seed=5, dtype="uint8")
    # Weights far from their zero point need an order of channels.
    x = net.conv_2d(net.input((1, 4, 4, 16)), 24)
    weights = net[net.file.operators[-1].inputs[1]]
    weights.zero_points = [40]
    assert weights.data is not None
    weights.data = np.where(net.rng.random(weights.shape) < 0.02, 255, 60).astype(np.uint8)
    x = net.mul(x, net.constant((24,)))
    check(net.build(outputs=[net.conv_2d(x, 8)]))
    net = NetworkBuilder(seed=6)
    x = net.conv_2d(net.input((1, 4, 4, 16)), 24)
    bias = net[net.file.operators[-1].inputs[2]]
    assert bias.data is not None
    bias.data[[3, 4, 17]] = 1 << 28
    x = net.add(net.mul(x, net.constant((24,))), net.constant((24,)))
    program = check(net.build(outputs=[net.conv_2d(x, 8)]), remove_constant_channels=True)
    assert program.tensors[x].channels == 21


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("kind", ["RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"])
def test_clamps_of_their_own(kind: str, dtype: str) -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 4, 5, 8)), 12)
        x = net.function(kind, x, output_scale=net[x].scales[0] * 1.1)
        return net.conv_2d(x, 8)

    check(build(make, dtype=dtype), CONFIG)


@pytest.mark.parametrize("kind", ["MAXIMUM", "MINIMUM"])
def test_extrema_of_a_constant(kind: str) -> None:
    """With one for each channel the clamps would differ."""

    def make(net: NetworkBuilder, shape: tuple[int, ...]) -> int:
        x = net.conv_2d(net.input((1, 4, 5, 8)), 12)
        return net.conv_2d(net.extremum(kind, x, net.constant(shape)), 8)

    check(build(lambda net: make(net, ())))
    with pytest.raises(UnsupportedError, match="a constant of one element;"):
        compile_graph(importer.loads(build(lambda net: make(net, (12,))), "test"), CONFIG)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.3])
def test_bent_functions_are_made_in_parts(scale: float) -> None:
    """Slopes of negative numbers may be negative, in some channels."""

    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 4, 5, 8)), 20)
        x = net.leaky_relu(x, 0.1, output_scale=net[x].scales[0] * scale)
        x = net.prelu(x, net.constant((1, 1, 20)), output_scale=net[x].scales[0] * scale)
        return net.conv_2d(x, 8)

    for seed in range(3):
        program = check(build(make, seed=seed), CONFIG)
        counts = [sum(w.layer == layer for w in program.work) for layer in (1, 2)]
        assert counts == [3, 5]


def test_constants_of_pixels_are_refused() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 4, 4, 8)), 8)
        return net.conv_2d(net.mul(x, net.constant((1, 4, 4, 8))), 8)

    with pytest.raises(UnsupportedError, match=r"'mul_1' .*or one for each channel;"):
        compile_graph(importer.loads(build(make), "test"), CoreConfig())


def test_row_by_row() -> None:
    """What lies between does not fit, so rows are made one by one."""

    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 24, 24, 8)), 48)
        x = net.mul(x, net.constant((48,)))
        return net.conv_2d(net.depthwise_conv_2d(x, stride=(2, 2)), 8)

    program = check(build(make), CoreConfig(memory_depth=2048))
    assert any(w.descriptor.mode == Mode.ADD and w.descriptor.height == 1 for w in program.work)


@pytest.mark.slow
def test_on_the_core() -> None:
    def make(net: NetworkBuilder) -> int:
        x = net.conv_2d(net.input((1, 6, 5, 3)), 20, kernel=(3, 3))
        x = net.add(net.mul(x, net.constant((20,))), net.constant((20,)), activation="RELU6")
        x = net.quantize(x, "int8", output_scale=net[x].scales[0] * 1.3)
        x = net.sub(net.constant(()), x)
        return net.conv_2d(x, 8)

    check_on_core(build(make))


@pytest.mark.parametrize("spec", SPECS)
def test_every_multiplier(spec: RequantiserSpec) -> None:
    """Tables of the reference's two roundings: exact ones at any scale, whatever the range."""
    rng = np.random.default_rng(0)
    x = np.arange(-128, 128)
    for real in (0.25, 0.5, 0.75, 1.0, *np.exp(rng.uniform(-4, 2, 40))):
        multiplier, shift = quantize_multiplier(float(real))
        zero, center = (int(v) for v in rng.integers(-128, 128, 2))
        table = multiply_by_quantized_multiplier(x - center, multiplier, shift) + zero
        table = np.clip(table, -128, 127)
        low, high = sorted(rng.integers(-128, 128, 2).tolist())
        found = find_table_codes(table[None], np.array([[low], [high]]), zero, spec)
        assert isinstance(found, TableCodes)
        inside = x[low + 128 : high + 129]
        u = found.factor * inside + found.bias
        got = spec.outputs(u, found.multiplier, found.shift, found.requantisation)
        np.testing.assert_array_equal(got, table[low + 128 : high + 129])


@pytest.mark.parametrize("spec", SPECS)
def test_what_only_the_trial_shows(
    spec: RequantiserSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this table's lines between all steps, the rounded integers of some miss one."""
    steps = np.repeat([0, 1, 2, 3], [10, 34, 25, 19])
    low, high = 8, 8 + len(steps) - 1
    table = np.concatenate([np.zeros(low + 128, np.int64), steps, np.full(127 - high, 3)])
    x = np.arange(low, high + 1)
    original, wrong = tables._trials, 0

    def outputs(trial: tuple[int, ...], requantisation: Requantisation) -> np.ndarray:
        factor, multiplier, shift, bias = trial
        return spec.outputs(
            factor * x + bias, np.array(multiplier), np.array(shift), requantisation
        )

    def wrong_first(
        x: np.ndarray, wanted: np.ndarray, requantisation: Requantisation
    ) -> list[tuple[int, ...]]:
        nonlocal wrong
        trials = list(islice(original(x, wanted, requantisation), 40))
        right = [bool(np.array_equal(outputs(t, requantisation), wanted)) for t in trials]
        wrong += right.count(False)
        return [trials[n] for n in np.argsort(right, kind="stable")]

    monkeypatch.setattr(tables, "_trials", wrong_first)
    tables._find.cache_clear()
    found = find_table_codes(table[None], np.array([[low], [high]]), 2, spec)
    assert isinstance(found, TableCodes) and wrong
    integers = (found.factor[0], found.multiplier[0], found.shift[0], found.bias[0])
    np.testing.assert_array_equal(outputs(integers, found.requantisation), steps)


def test_tables_that_no_line_has() -> None:
    x = np.arange(-128, 128)
    everything = np.array([[-128], [127]])
    for table in (np.abs(x) - 1, np.where(x < 0, x // 4, x), np.where(x < 0, -100, 100) + x // 64):
        assert find_table_codes(table[None], everything, 0, SPECS[0]) == 0
