"""The requantiser against the golden model, streamed one accumulator a cycle."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest
from amaranth.hdl import UnusedElaboratable
from amaranth.sim import Simulator
from support.marks import slow

from common.arrays import Ints
from hw.contract.requantiser import MAX_SHIFT, digits, encode_channel, truncated_product, u_limit
from hw.requantise.requantiser import FIELD_STAGE, LATENCY, Requantiser
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.golden.requantisation import Requantisation

pytestmark = pytest.mark.slow

HALF = 1 << 30
MAX_MULTIPLIER = (1 << 31) - 1


def golden(u, multiplier, shift, **layer) -> Ints:
    """Return the reference's outputs."""
    return Requantisation(**layer).outputs(u, multiplier, -shift)


def stream(dut: Requantiser, layers, acc, bias, multiplier, shift) -> list[Ints]:
    """Send accumulators through the unit, one per cycle; return its outputs for each layer.

    What is not to be sampled is random.
    """
    rng = np.random.default_rng(0)
    fields = np.array(
        [
            encode_channel(multiplier=int(m), shift=int(s), bias=int(b))
            for m, s, b in zip(multiplier, shift, bias, strict=True)
        ]
    )
    outputs = []

    async def bench(ctx):
        for layer in layers:
            for name, value in layer.items():
                ctx.set(getattr(dut, name), value)
            got = []
            await ctx.tick()
            for cycle in range(len(acc) + LATENCY):
                noise = rng.integers(0, 1 << 16, 5).tolist()
                ctx.set(dut.acc, int(acc[cycle]) if cycle < len(acc) else noise[4])
                for k, stage in enumerate(FIELD_STAGE):
                    index = cycle - stage
                    word = int(fields[index, k]) if 0 <= index < len(acc) else noise[k]
                    ctx.set(getattr(dut, f"field_{k}"), word)
                if cycle >= LATENCY:
                    got.append(ctx.get(dut.value))
                await ctx.tick()
            outputs.append(np.array(got))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return outputs


def check(layers, u, multiplier, shift, *, bias=None, **parameters) -> None:
    """Compare the unit with the golden model for every layer."""
    u, multiplier, shift = (np.asarray(x, np.int64) for x in (u, multiplier, shift))
    acc_bits = parameters.get("acc_bits", 24)
    limit = (1 << acc_bits - 1) - 1
    if bias is None:
        bias = np.random.default_rng(1).integers(-(1 << 16), 1 << 16, len(u))
    # Accumulator and bias share out u so that both fit.
    acc = np.clip(u - bias, -limit, limit)
    bias = u - acc
    outputs = stream(Requantiser(**parameters), layers, acc, bias, multiplier, shift)
    for layer, got in zip(layers, outputs, strict=True):
        expected = golden(u, multiplier, shift, **layer)
        np.testing.assert_array_equal(got, expected, err_msg=f"{layer}")


def layer(zero_point=0, act_min=-128, act_max=127, single_rounding=False):
    """Return a layer's constants by port name."""
    return {
        "zero_point": zero_point,
        "act_min": act_min,
        "act_max": act_max,
        "single_rounding": single_rounding,
    }


LAYERS = [
    layer(),
    layer(zero_point=-128),  # ReLU6 at its usual scale
    layer(zero_point=-100, act_min=-100, act_max=83),
    layer(zero_point=127),
    layer(zero_point=5, act_min=-3, act_max=-3),
]


def with_single_rounding(layers):
    """Return layers with either rounding."""
    return [{**x, "single_rounding": single} for x in layers for single in (False, True)]


def product(*columns):
    """Return the columns of a Cartesian product."""
    return [np.ravel(x) for x in np.meshgrid(*columns, indexing="ij")]


def corners(max_shift: int, limit: int) -> tuple[Ints, Ints, Ints]:
    """Return extremes, small numbers, and numbers whose product is a tie in either rounding."""
    shifts = np.arange(max_shift + 1)
    multipliers = [HALF, HALF + 1, HALF * 3 // 2, 1_276_901_417, MAX_MULTIPLIER - 1, MAX_MULTIPLIER]
    u = [-limit, 1 - limit, -1 << 16, -3, -2, -1, 0, 1, 2, 3, 1 << 16, limit - 1, limit]
    columns = [product(u, multipliers, shifts)]
    # With a multiplier of a half (0.75), x is u / 2 (3u / 4): halves in the first rounding at odd
    # u, and in the second around (k + 1/2) 2^s.
    for s in shifts:
        for k in (-128, -127, -65, -2, -1, 0, 1, 64, 126, 127):
            tie = (2 * k + 1) << s
            near = np.arange(tie - 3, tie + 4)
            near = np.concatenate([near, near * 2 // 3])
            columns.append(product(near[abs(near) <= limit], [HALF, HALF * 3 // 2], [s]))
    # Digits: all of one kind, and multipliers that are not normalised.
    sparse = [0, 1, 2, 3, 0x2AAAAAAA, 0x55555555, 0x3FFFFFFF, 0x7FFFFFFE, 0x2AAAAAAB, 0x6AAAAAAA]
    columns.append(product([-limit, -54321, -1, 0, 1, 54321, limit], sparse, [0, 1, 2, max_shift]))
    u, multiplier, shift = (np.concatenate(c) for c in zip(*columns, strict=True))
    return u, multiplier, shift


def random_channels(rng, count: int, max_shift: int, limit: int) -> tuple[Ints, Ints, Ints]:
    """Return random parameters; about half of the outputs are not saturated."""
    multiplier = rng.integers(HALF, 1 << 31, count)
    shift = rng.integers(0, max_shift + 1, count)
    level = rng.uniform(-1.2, 1.2, count) * np.where(rng.random(count) < 0.7, 200, 2000)
    u = np.floor(level * 2.0 ** (31 + shift) / multiplier).astype(np.int64)
    everywhere = rng.integers(-limit, limit + 1, count)
    return np.where(abs(u) <= limit, u, everywhere), multiplier, shift


@pytest.mark.slow
def test_corners() -> None:
    """Ties of both signs, every shift, extremes of u and multiplier, every kind of clamp."""
    u, multiplier, shift = corners(MAX_SHIFT, u_limit(24))
    check(with_single_rounding(LAYERS[:3]), u, multiplier, shift)


@pytest.mark.parametrize("number", [0, *map(slow, range(1, len(LAYERS)))])
def test_random(number: int) -> None:
    """Seeded random accumulators and channels."""
    rng = np.random.default_rng(number)
    u, multiplier, shift = random_channels(rng, 4000, MAX_SHIFT, u_limit(24))
    expected = golden(u, multiplier, shift, **layer())
    assert 0.3 < np.mean((expected > -128) & (expected < 127)) < 0.9
    check(with_single_rounding(LAYERS[number : number + 1]), u, multiplier, shift)


@pytest.mark.slow
def test_max_shift() -> None:
    """Shifts up to 31."""
    u, multiplier, shift = corners(31, u_limit(24))
    check(with_single_rounding([layer(zero_point=-7)]), u, multiplier, shift, max_shift=31)


@pytest.mark.slow
@pytest.mark.parametrize("acc_bits", [18, 23])
def test_acc_bits(acc_bits: int) -> None:
    """Narrower accumulators."""
    rng = np.random.default_rng(acc_bits)
    u, multiplier, shift = corners(MAX_SHIFT, u_limit(acc_bits))
    bias = rng.integers(-999, 999, len(u))
    check([layer(zero_point=-7)], u, multiplier, shift, bias=bias, acc_bits=acc_bits)


def rounded(products: Ints, u: Ints, shift: Ints, *, single_rounding: bool) -> Ints:
    """Return shifted products as the hardware rounds them, not clamped."""
    nudge = np.where(shift == 0, 1, 0 if single_rounding else np.where(u < 0, -1, 1))
    return ((products + nudge * HALF >> 31) + (1 << shift >> 1)) >> shift


@pytest.mark.parametrize("fraction_bits", [9, 17, 29])
@pytest.mark.parametrize("single_rounding", [False, True])
def test_fraction_bits(fraction_bits: int, single_rounding: bool) -> None:
    """Truncated products are those of the compiler's model."""
    u, multiplier, shift = random_channels(np.random.default_rng(9), 3000, MAX_SHIFT, u_limit(24))
    products = truncated_product(u, multiplier, fraction_bits=fraction_bits)
    drop = 31 - fraction_bits
    error = u * multiplier - products
    assert error.min() >= 0 and error.max() <= drop * 2 ** (drop - 1)
    constants = layer(zero_point=-20, act_max=100, single_rounding=single_rounding)
    exact = rounded(u * multiplier, u, shift, single_rounding=single_rounding) - 20
    np.testing.assert_array_equal(
        np.clip(exact, -128, 100), golden(u, multiplier, shift, **constants)
    )
    expected = rounded(products, u, shift, single_rounding=single_rounding) - 20
    np.testing.assert_array_equal(
        RequantiserSpec(fraction_bits=fraction_bits).outputs(
            u, multiplier, shift, Requantisation(**constants)
        ),
        np.clip(expected, -128, 100),
    )
    dut = Requantiser(fraction_bits=fraction_bits)
    (got,) = stream(dut, [constants], u, u * 0, multiplier, shift)
    np.testing.assert_array_equal(got, np.clip(expected, -128, 100))


@pytest.mark.parametrize(
    ("name", "value"),
    [("acc_bits", 17), ("acc_bits", 25), ("max_shift", 16), ("fraction_bits", 30)],
)
def test_bad_parameters(name: str, value: int) -> None:
    """Parameters out of range are named."""
    with warnings.catch_warnings():
        # Amaranth misses the use of a component that was never made; it says so when it is freed.
        warnings.simplefilter("ignore", UnusedElaboratable)
        with pytest.raises(ValueError, match=rf"{name} must be .*, not {value}") as caught:
            Requantiser(**{name: value})
        del caught
        gc.collect()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("multiplier", -1),
        ("multiplier", 1 << 31),
        ("shift", -1),
        ("shift", 32),
        ("bias", 1 << 23),
        ("bias", -(1 << 23) - 1),
    ],
)
def test_bad_constants(name: str, value: int) -> None:
    """So are constants of a channel."""
    with pytest.raises(ValueError, match=rf"{name} must be .*, not {value}"):
        encode_channel(**{"multiplier": HALF, "shift": 0, "bias": 0, name: value})


def test_digits() -> None:
    """Digits stand for the multiplier."""
    for multiplier in [0, 1, 2, 3, HALF, MAX_MULTIPLIER, 0x55555555, 0x2AAAAAAA, 1_276_901_417]:
        found = digits(multiplier)
        assert set(found) <= {-1, 0, 1, 2}
        assert sum(digit * 4**i for i, digit in enumerate(found)) == multiplier
