"""Integers that reproduce a scaling which the reference computes in float64.

LiteRT's FULLY_CONNECTED scales accumulators by a float64 and rounds once, halves away from zero.
Hardware multiplies by a 31-bit integer instead.  Both are steps that never fall as the accumulator
grows, so they are equal if they step at the same accumulators, and an 8-bit output has at most 255
steps: a multiplier can be proven right, or replaced by a neighbour that is.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from common.arrays import Ints
from sw.golden.primitives import multiply_rounding_once, quantize_multiplier, round_half_away

__all__ = ["equivalent_multiplier", "steps"]

_NEIGHBOURS = (0, 1, -1, 2, -2)


def steps(real: float, scaled_min: int, scaled_max: int) -> Ints:
    """Return the accumulators at which the rounded product with ``real`` grows.

    Parameters
    ----------
    real : float
        Positive.
    scaled_min, scaled_max : int
        The product is clamped to this range.

    Returns
    -------
    (scaled_max − scaled_min,) int64
        The least integers whose product rounds to ``scaled_min`` + 1, … ``scaled_max``.
    """
    levels = np.arange(scaled_min + 1, scaled_max + 1, dtype=np.int64)
    guess = np.floor((levels - 0.5) / real)
    # Beyond 2^40 no accumulator gets there; the products stay exact enough to be compared.
    guess = np.clip(guess, -(2.0**40), 2.0**40).astype(np.int64)
    candidates = guess[:, None] + np.arange(-2, 4)
    reached = round_half_away(candidates * real) >= levels[:, None]
    first = np.argmax(reached, axis=1)
    result: Ints = candidates[np.arange(len(levels)), first]
    return result


# The compiler asks more than once.
@lru_cache(maxsize=1 << 12)
def equivalent_multiplier(
    real: float,
    *,
    accumulator_min: int,
    accumulator_max: int,
    scaled_min: int,
    scaled_max: int,
) -> tuple[int, int] | None:
    """Find integers that scale every possible accumulator like a float64 does.

    Parameters
    ----------
    real : float
        Positive.
    accumulator_min, accumulator_max : int
        The range that accumulators can have.
    scaled_min, scaled_max : int
        The range that scaled values are clamped to.

    Returns
    -------
    (multiplier, shift) or None
        For :func:`sw.golden.primitives.multiply_rounding_once`; ``None`` if no multiplier near
        ``real`` is equivalent.
    """
    nearest, shift = quantize_multiplier(real)
    at = steps(real, scaled_min, scaled_max)
    levels = np.arange(scaled_min + 1, scaled_max + 1, dtype=np.int64)
    # A step between a and a − 1 matters if both can occur.
    possible = (at > accumulator_min) & (at <= accumulator_max)
    at, levels = at[possible], levels[possible]
    # One accumulator of the range pins the level of all those before the first step.
    at = np.append(at, accumulator_min)
    anchor = np.clip(round_half_away(np.array([accumulator_min * real])), scaled_min, scaled_max)
    for distance in _NEIGHBOURS:
        multiplier = nearest + distance
        if not 0 <= multiplier < 1 << 31:
            continue
        above = np.clip(multiply_rounding_once(at, multiplier, shift), scaled_min, scaled_max)
        below = np.clip(multiply_rounding_once(at - 1, multiplier, shift), scaled_min, scaled_max)
        stepped = np.all(above[:-1] >= levels) and np.all(below[:-1] < levels)
        if stepped and above[-1] == anchor[0]:
            return multiplier, shift
    return None
