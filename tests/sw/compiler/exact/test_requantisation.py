"""Requantisation: what the compiler gives the hardware equals the reference, sum by sum."""

from __future__ import annotations

import numpy as np
import pytest

from common.arrays import Ints
from common.errors import UnsupportedError
from hw.contract.requantiser import MAX_SHIFT
from sw.compiler.exact.lines import step_positions
from sw.compiler.exact.proof import equal_steps
from sw.compiler.exact.reference import Bounds, ChannelSums, Reference
from sw.compiler.exact.requantisation import encode, nominal_codes
from sw.compiler.exact.requantiser import Codes, RequantiserSpec
from sw.golden.primitives import rounding_divide_by_pot
from sw.golden.requantisation import Requantisation

SPEC = RequantiserSpec()


def reference(
    multiplier: int, shift: int, *, single: bool = False, zero_point: int = 3
) -> Reference:
    return Reference(
        multiplier=np.array([multiplier]),
        shift=np.array([shift]),
        requantisation=Requantisation(
            zero_point=zero_point, act_min=-128, act_max=127, single_rounding=single
        ),
    )


def sums_of(
    weights: list[int], bias: int, zero_point: int, input_range: tuple[int, int] = (-128, 127)
) -> ChannelSums:
    return ChannelSums(
        weights=np.array([weights]),
        bias=np.array([bias]),
        input_zero_point=zero_point,
        input_range=np.array(input_range).reshape(2, 1, 1),
    )


def coded(
    ref: Reference, weights: list[int], bias: int, fraction_bits: int = 31, zero_point: int = -5
) -> tuple[Codes, Ints, Ints]:
    """Encode a channel; return its codes and all sums, for hardware and reference."""
    w, total = np.array([weights]), sums_of(weights, bias, zero_point)
    spec = RequantiserSpec(fraction_bits=fraction_bits)
    encoded = encode(ref, total, spec, "operator 'x'")
    assert not encoded.guards and not encoded.pieces
    codes = encoded.codes
    nominal = nominal_codes(ref, total, "operator 'x'")
    np.testing.assert_array_equal(nominal.factor, codes.factor)
    np.testing.assert_array_equal(nominal.output_range, codes.output_range)
    ends = [w * (end - zero_point) for end in (-128, 127)]
    low, high = int(np.minimum(*ends).sum()), int(np.maximum(*ends).sum())
    products = np.arange(low, high + 1, dtype=np.int64)
    raw = products + zero_point * int(w.sum())
    return codes, codes.factor * raw + codes.bias, products + bias


def assert_equal(
    ref: Reference, codes: Codes, u: Ints, sums: Ints, fraction_bits: int = 31
) -> None:
    spec = RequantiserSpec(fraction_bits=fraction_bits)
    got = spec.outputs(u, codes.multiplier, codes.shift, ref.requantisation)
    np.testing.assert_array_equal(got, ref.output(sums[None, :])[0])


WEIGHTS = [127, -128, 50, -7, 90, 3, -66, 12, 127]


@pytest.mark.parametrize("fraction_bits", [31, 17])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("shift", range(-12, -4))
def test_ordinary_channels(shift: int, single: bool, fraction_bits: int) -> None:
    rng = np.random.default_rng(-shift)
    ref = reference(int(rng.integers(1 << 30, 1 << 31)), shift, single=single)
    codes, u, sums = coded(ref, WEIGHTS, 1234, fraction_bits)
    assert_equal(ref, codes, u, sums, fraction_bits)
    assert codes.factor[0] == 1


@pytest.mark.parametrize("bias", [1 << 30, -(1 << 30), (1 << 30) + 128])
def test_dead_channels_become_constants(bias: int) -> None:
    ref = reference(1 << 30, -26)
    codes, u, sums = coded(ref, [1, -1, 2], bias)
    assert codes.factor[0] == 0
    assert abs(int(codes.bias[0])) < 1024
    assert_equal(ref, codes, u, sums)


def test_vanishing_scales_become_constants() -> None:
    ref = reference(0, 0)
    codes, u, sums = coded(ref, WEIGHTS, 5)
    assert codes.factor[0] == 0
    assert_equal(ref, codes, u, sums)


@pytest.mark.parametrize("shift", [-16, -17, -18])
def test_shifts_beyond_the_hardwares(shift: int) -> None:
    # Outputs of one sign, as behind a ReLU: a neighbouring bias makes up for the rounding.
    ref = reference(2116528314, shift, zero_point=-128)
    codes, u, sums = coded(ref, [114, 92, -55, 119, 127, -84, -33, 25, 39], 617536)
    assert codes.shift[0] <= MAX_SHIFT
    assert_equal(ref, codes, u, sums)


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
@pytest.mark.parametrize("single", [False, True])
def test_multipliers_of_one_half_and_more(shift: int, single: bool) -> None:
    ref = reference(1503238553, shift, single=single)
    codes, u, sums = coded(ref, [1, -1, 0], 2)
    assert codes.factor[0] == 1 << (shift + single)
    assert codes.shift[0] == int(single)
    assert_equal(ref, codes, u, sums)


def test_sums_beyond_the_accumulator_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"output channel 0 reach .* the requantiser scales"):
        coded(reference(1 << 30, -15), [127] * 400, 0)
    with pytest.raises(UnsupportedError, match="overflow int32"):
        coded(reference(1 << 30, -10), [100], (1 << 31) - 5)


def test_only_equal_codes_pass_the_proof() -> None:
    ref = reference(1500000000, -9)
    weights = np.array([WEIGHTS])
    codes, u, sums = coded(ref, WEIGHTS, 77)
    bounds = Bounds(low=sums[:1], high=sums[-1:], offset=77 + 5 * weights.sum(axis=1))
    assert equal_steps(ref, codes, bounds, SPEC).all()
    rng = np.random.default_rng(0)
    for _ in range(40):
        wrong = Codes(
            multiplier=codes.multiplier + int(rng.integers(-2_000_000, 2_000_000)),
            shift=codes.shift,
            bias=codes.bias + int(rng.integers(-2, 3)),
            factor=codes.factor,
            output_range=codes.output_range,
        )
        got = SPEC.outputs(
            u - codes.bias + wrong.bias, wrong.multiplier, wrong.shift, ref.requantisation
        )
        truth = np.array_equal(got, ref.output(sums[None, :])[0])
        assert equal_steps(ref, wrong, bounds, SPEC)[0] == truth


def test_output_ranges_enclose_outputs() -> None:
    ref = reference(1300000000, -8)
    codes, _, sums = coded(ref, WEIGHTS, -4000)
    outputs = ref.output(sums[None, :])[0]
    assert codes.output_range[:, 0].tolist() == [outputs.min(), outputs.max()]


def test_left_shifts_that_overflow_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="of 1 or more must not make sums overflow"):
        coded(reference(1503238553, 12), [127] * 40, 0)


def test_only_the_highest_sum_is_different() -> None:
    """A step between the last two sums counts like any other."""
    ref = reference(1 << 30, 1, zero_point=0)
    bounds = Bounds(low=np.array([-3]), high=np.array([4]), offset=np.array([0]))
    right, _, _ = coded(ref, [1], 0, zero_point=0)
    assert equal_steps(ref, right, bounds, SPEC).all()
    # Outputs are sums, but 4 becomes 3: the last step is missing.
    wrong = Codes(
        multiplier=np.array([int(0.87 * (1 << 30))]), shift=np.array([0]), bias=np.array([0]),
        factor=np.array([2]), output_range=right.output_range,
    )
    u = 2 * np.arange(-3, 5)
    got = SPEC.outputs(u, wrong.multiplier, wrong.shift, ref.requantisation)
    assert got.tolist() == [*range(-3, 4), 3]
    assert not equal_steps(ref, wrong, bounds, SPEC).any()


@pytest.mark.parametrize("shift", range(1, 7))
def test_where_outputs_are_reached(shift: int) -> None:
    """Half a unit below the least integer that is shifted to an output."""
    values = np.arange(-10 << shift, 10 << shift)
    shifted = rounding_divide_by_pot(values, shift)
    outputs = np.arange(-5, 6)
    least = values[[np.argmax(shifted >= output) for output in outputs]]
    np.testing.assert_array_equal(step_positions(outputs, shift), (least - 0.5) / 2**shift)
