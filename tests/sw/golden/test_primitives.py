"""Fixed-point primitives against the reference's C++, transcribed literally."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sw.golden import primitives as p
from sw.golden.requantisation import Requantisation
from sw.golden.rounding import equivalent_multiplier, steps
from sw.golden.softmax import SUM_INTEGER_BITS, reciprocal
from sw.ir import Activation

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
CORNERS = [INT32_MIN, INT32_MIN + 1, -(2**30), -3, -2, -1, 0, 1, 2, 3, 2**30, INT32_MAX]


def truncating_division(a: int, b: int) -> int:
    """Divide as C does."""
    return abs(a) // b * (1 if a >= 0 else -1)


def c_high_mul(a: int, b: int) -> int:
    """gemmlowp::SaturatingRoundingDoublingHighMul."""
    if a == b == INT32_MIN:
        return INT32_MAX
    product = a * b
    nudge = 1 << 30 if product >= 0 else 1 - (1 << 30)
    return truncating_division(product + nudge, 1 << 31)


def c_divide_by_pot(x: int, exponent: int) -> int:
    """gemmlowp::RoundingDivideByPOT."""
    mask = (1 << exponent) - 1
    remainder = x & mask
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if remainder > threshold else 0)


def test_high_mul() -> None:
    rng = np.random.default_rng(0)
    values = CORNERS + [int(v) for v in rng.integers(INT32_MIN, INT32_MAX + 1, 40)]
    # Products whose low 31 bits are exactly one half, of both signs.
    values += [2**15, -(2**15), 3 * 2**15, -3 * 2**15, 2**16, -(2**16)]
    a = np.array(values)
    expected = [[c_high_mul(x, y) for y in values] for x in values]
    np.testing.assert_array_equal(
        p.saturating_rounding_doubling_high_mul(a[:, None], a[None, :]), expected
    )


def test_divide_by_pot() -> None:
    rng = np.random.default_rng(1)
    values = CORNERS + [int(v) for v in rng.integers(INT32_MIN, INT32_MAX + 1, 40)]
    values += list(range(-40, 41))
    exponents = list(range(32))
    expected = [[c_divide_by_pot(x, e) for e in exponents] for x in values]
    np.testing.assert_array_equal(
        p.rounding_divide_by_pot(np.array(values)[:, None], np.array(exponents)), expected
    )


@pytest.mark.parametrize("shift", [-31, -20, -8, -1, 0, 1, 7])
def test_multiply(shift: int) -> None:
    rng = np.random.default_rng(2)
    values = [int(v) for v in rng.integers(-(2**23), 2**23, 50)] + [-1, 0, 1]
    for multiplier in (0, 2**30, 2**30 + 1, 1518500250, INT32_MAX):
        expected = [
            c_divide_by_pot(c_high_mul(v << max(shift, 0), multiplier), max(-shift, 0))
            for v in values
        ]
        got = p.multiply_by_quantized_multiplier(np.array(values), multiplier, shift)
        np.testing.assert_array_equal(got, expected)


def test_left_shift_wraps_like_int32() -> None:
    assert p.multiply_by_quantized_multiplier(2**30, 2**30, 2) == 0


def test_ties_round_twice() -> None:
    # 2.5 − 2^-31: the first rounding makes it 2.5, the second 3.  Rounding once gives 2.
    x, multiplier, shift = 5, INT32_MAX, -1
    assert p.multiply_by_quantized_multiplier(x, multiplier, shift) == 3
    assert p.multiply_rounding_once(x, multiplier, shift) == 2
    assert p.multiply_by_quantized_multiplier(-x, multiplier, shift) == -3


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (0.5, (1 << 30, 0)),
        (1.0, (1 << 30, 1)),
        (0.25, (1 << 30, -1)),
        (0.75, (3 << 29, 0)),
        # Rounds up to 2^31, which becomes 2^30 with one more shift.
        (1 - 2.0**-40, (1 << 30, 1)),
        (2.0**-33, (0, 0)),
        (2.0**-32, (1 << 30, -31)),
        (100.0, (1677721600, 7)),
    ],
)
def test_quantize_multiplier(real: float, expected: tuple[int, int]) -> None:
    assert p.quantize_multiplier(real) == expected


@pytest.mark.parametrize("real", [-1.0, math.inf, math.nan])
def test_quantize_multiplier_refuses(real: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        p.quantize_multiplier(real)


@pytest.mark.parametrize(
    ("activation", "dtype", "scale", "zero_point", "expected"),
    [
        ("NONE", "int8", 0.1, 3, (-128, 127)),
        ("NONE", "uint8", 0.1, 3, (0, 255)),
        ("RELU", "int8", 0.1, -100, (-100, 127)),
        ("RELU6", "int8", 0.1, -100, (-100, -40)),
        ("RELU6", "int8", 6 / 255, -128, (-128, 127)),
        ("RELU6", "uint8", 0.5, 10, (10, 22)),
        # 6 / 4 is a tie, which goes away from zero; so is 6 / 2.4, but only in float32.
        ("RELU6", "uint8", 4.0, 0, (0, 2)),
        ("RELU6", "uint8", float(np.float32(2.4)), 0, (0, 3)),
    ],
)
def test_activation_range(
    activation: Activation, dtype: str, scale: float, zero_point: int, expected: tuple[int, int]
) -> None:
    assert p.activation_range(activation, dtype, scale, zero_point) == expected


def test_requantize_clamps() -> None:
    requantisation = Requantisation(zero_point=5, act_min=-3, act_max=100)
    got = requantisation.outputs(np.array([-(2**24), -1, 0, 1, 2**24]), 1 << 30, 1)
    np.testing.assert_array_equal(got, [-3, 4, 5, 6, 100])


def test_divide_round_half_away() -> None:
    numerator = np.arange(-20, 21)
    for denominator in (1, 2, 3, 4, 9):
        expected = [
            truncating_division(
                n + (denominator // 2 if n > 0 else -(denominator // 2)), denominator
            )
            for n in range(-20, 21)
        ]
        np.testing.assert_array_equal(p.divide_round_half_away(numerator, denominator), expected)


def test_round_half_away() -> None:
    values = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 0.49999999999999994, 2.0**52 + 1])
    expected = [-3, -2, -1, 1, 2, 0, 2**52 + 1]
    np.testing.assert_array_equal(p.round_half_away(values), expected)


@pytest.mark.parametrize("seed", range(20))
def test_equivalent_multiplier(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limit = int(rng.integers(1000, 1 << 22))
    # Powers of two make exact ties, which the integers must round away from zero too.
    real = float(rng.choice([0.5, 0.125, 2.0**-9, 3 * 2.0**-12, rng.uniform(1e-5, 0.9)]))
    pair = equivalent_multiplier(
        real, accumulator_min=-limit, accumulator_max=limit, scaled_min=-120, scaled_max=135
    )
    assert pair is not None
    near = steps(real, -120, 135)[:, None] + np.arange(-3, 4)
    accumulators = np.concatenate([near.ravel(), rng.integers(-limit, limit + 1, 1000)])
    accumulators = accumulators[np.abs(accumulators) <= limit]
    expected = np.clip(p.round_half_away(accumulators * real), -120, 135)
    got = np.clip(p.multiply_rounding_once(accumulators, *pair), -120, 135)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("low", "high"), [(-2, 0), (-1, -1), (-1, 0)])
def test_a_half_is_rounded_away_at_the_ends_of_the_range(low: int, high: int) -> None:
    """The multiplier 2^30 would bring −1 to 0: a step at either end, or none at all."""
    pair = equivalent_multiplier(
        0.5, accumulator_min=low, accumulator_max=high, scaled_min=-128, scaled_max=127
    )
    assert pair is not None
    sums = np.arange(low, high + 1)
    np.testing.assert_array_equal(
        p.multiply_rounding_once(sums, *pair), p.round_half_away(sums * 0.5)
    )


def test_small_scales_round_to_nothing() -> None:
    assert p.multiply_rounding_once(INT32_MAX, INT32_MAX, -31) == 1
    assert p.multiply_rounding_once(INT32_MAX, 1 << 30, -31) == 0


def test_equivalent_multiplier_may_not_exist() -> None:
    # The first step, at 0.5, is one accumulator later than for 2^-26 itself, and the neighbours of
    # that multiplier are too far apart for the steps at accumulators near 2^31.
    pair = equivalent_multiplier(
        2.0**-26 * (1 - 2.0**-40),
        accumulator_min=-(2**31),
        accumulator_max=2**31 - 1,
        scaled_min=-128,
        scaled_max=127,
    )
    assert pair is None


def test_reciprocal() -> None:
    """Newton's method has come to its end."""
    fraction_bits = 31 - SUM_INTEGER_BITS
    for x in (1 << fraction_bits, 600_000, 1_000_003, 123_456_789, INT32_MAX):
        mantissa, bits = reciprocal(x, SUM_INTEGER_BITS)
        product = mantissa * 2.0 ** (-31 - bits) * x / (1 << fraction_bits)
        assert product == pytest.approx(1, abs=1e-8)
