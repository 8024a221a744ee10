"""Pieces: ranges of outputs that are right with constants of their own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sw.compiler.exact.equivalents import with_close_multipliers, with_smaller_shifts
from sw.compiler.exact.pieces import Piece, find_pieces
from sw.compiler.exact.proof import first_sums
from sw.compiler.exact.reference import Bounds, Reference
from sw.compiler.exact.requantisation import Encoded
from sw.compiler.exact.requantiser import Codes, RequantiserSpec
from sw.golden.requantisation import Requantisation

SPEC = RequantiserSpec(fraction_bits=17)

CHANNELS = [
    # Multiplier, shift, least and greatest sum, zero point.
    (1175161598, -8, -132144, 50727, 47),
    (1271877169, -10, -498429, 463589, -128),
    (1331440130, -5, -8677, 7882, -83),
    (1441518753, -10, -281809, 418994, -128),
    (1555767977, -9, -123006, 169037, -128),
    (1633030357, -10, -48293, 303263, -107),
    (2146612874, -10, -253589, 288354, -128),
]
"""Of half a million random channels, those without a multiplier near to their own."""


def channel(
    multiplier: int, shift: int, low: int, high: int, zero_point: int
) -> tuple[Reference, Codes, Bounds]:
    one = np.ones(1, np.int64)
    output = Requantisation(zero_point=zero_point, act_min=-128, act_max=127)
    return (
        Reference(multiplier=multiplier * one, shift=shift * one, requantisation=output),
        Codes(
            multiplier=multiplier * one,
            shift=-shift * one,
            bias=0 * one,
            factor=one,
            output_range=np.array([[-128], [127]]),
        ),
        Bounds(low=low * one, high=high * one, offset=0 * one),
    )


def assert_right(
    reference: Reference, codes: Codes, bounds: Bounds, pieces: tuple[Piece, ...]
) -> None:
    """Compare what the pieces add up to with the reference: beside its steps, and elsewhere."""
    low, high = int(bounds.low[0]), int(bounds.high[0])
    (above,) = first_sums(reference, reference.levels, bounds)
    beside = (above[:, None] + np.arange(-3, 3)).ravel()
    sums = np.concatenate([np.linspace(low, high, 100_000).astype(np.int64), beside])
    sums = sums[(sums >= low) & (sums <= high)]
    encoded = Encoded(codes=codes, guards={}, pieces={0: pieces})
    output = reference.requantisation
    ends = (output.act_min, *encoded.tops, output.act_max)
    total = np.full(len(sums), output.act_min)
    for bottom, top in itertools.pairwise(ends):
        own = encoded.of_range(top)
        clamped = Requantisation(zero_point=output.zero_point, act_min=bottom, act_max=top)
        total += SPEC.outputs(sums + own.bias, own.multiplier, own.shift, clamped) - bottom
    np.testing.assert_array_equal(total, reference.output(sums[None])[0])


@pytest.mark.parametrize("numbers", CHANNELS)
def test_channels_without_a_close_multiplier(numbers: tuple[int, int, int, int, int]) -> None:
    reference, codes, bounds = channel(*numbers)
    assert with_close_multipliers(reference, codes, bounds, SPEC)[1] == [0]
    pieces = find_pieces(reference, codes, bounds, SPEC)
    assert pieces is not None and len(pieces) <= 3
    assert_right(reference, codes, bounds, pieces)


@pytest.mark.parametrize("seed", range(4))
def test_large_shifts_on_both_sides_of_the_zero_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = int(rng.integers(1 << 30, 1 << 31)), -int(rng.integers(16, 20))
    reference, codes, bounds = channel(*numbers, -6_000_000, 5_900_000, 3)
    assert with_smaller_shifts(reference, codes, bounds, SPEC)[1] == [0]
    pieces = find_pieces(reference, codes, bounds, SPEC)
    assert pieces is not None and 2 <= len(pieces) <= 4
    assert_right(reference, codes, bounds, pieces)


def test_outputs_that_the_clamp_does_not_hold() -> None:
    """A channel's least and greatest output are steps, too."""
    reference, codes, bounds = channel(1331440130, -5, -2000, 900, -83)
    pieces = find_pieces(reference, codes, bounds, SPEC)
    assert pieces is not None
    assert_right(reference, codes, bounds, pieces)


def test_sums_beyond_the_limit_have_no_pieces() -> None:
    reference, codes, bounds = channel(1 << 30, -16, -7_000_000, 7_000_000, 0)
    assert find_pieces(reference, codes, bounds, SPEC) is None
