"""Straight lines that step where they have to.

A requantiser makes steps at equal distances, the *period*: it is a line in the plane of outputs
and sums.  That its outputs are right means that the line passes between neighbouring sums at every
step, so finding integers for it is a linear programme in two variables, period and bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints

__all__ = [
    "ROUNDS",
    "Obstacle",
    "centred_scalings",
    "obstacle",
    "scalings",
    "separating_line",
    "step_positions",
]

Sums = Ints | Floats

WIDTH = 4e-3
"""How far from the nominal period others are looked for, relative to it."""

PERIODS = 63
"""Periods of a range that are tried."""

ROUNDS = 60
"""Most iterations; a few are needed."""


def step_positions(outputs: Ints, shift: int) -> Floats:
    """Return where the hardware steps to each output, counted in periods.

    The product is rounded to an integer before the shift rounds again, halves away from zero:
    positive outputs are reached half a unit of that integer early, others half a unit late.

    Parameters
    ----------
    outputs : (N,) int64
        Less the zero point.
    shift : int
        To the right.
    """
    early = np.where(outputs >= 1, -1.0, 1.0)
    return np.asarray(outputs - 0.5 + early * 2.0 ** (-shift - 1), np.float64)


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Obstacle to every line that would separate sums.

    Attributes
    ----------
    bound : float
        No line has more room; not positive.
    tangents : tuple of (weight, step, step)
        The bound is a mean of the distances from the sum below the second step of each to the one
        above the first, with these weights.
    """

    bound: float
    tangents: tuple[tuple[float, int, int], ...]


class _Room:
    """The room that is left for c, as a function of P: concave, the least of some lines."""

    def __init__(self, below: Sums, above: Sums, levels: Floats, nominal: float) -> None:
        self.below, self.above, self.levels = below, above, levels
        self.low, self.high = nominal * (1 - WIDTH), nominal * (1 + WIDTH)

    def at(self, p: float) -> tuple[float, float, int, int]:
        """Return the room at a period, its slope there, and the steps that it lies between."""
        levels = self.levels
        at = levels * p
        over, under = self.above - at, self.below - at
        i, j = int(over.argmin()), int(under.argmax())
        return float(over[i] - under[j]), float(levels[j] - levels[i]), i, j

    def obstacle(self) -> Obstacle | None:
        """Return why there is no room at any period, if there is none."""
        low, high = self.low, self.high
        left, right = self.at(low), self.at(high)
        for _ in range(ROUNDS):
            if left[1] <= 0 or right[1] >= 0:
                room, _, i, j = left if left[1] <= 0 else right
                return None if room > 0 else Obstacle(bound=room, tangents=((1.0, i, j),))
            # Where the tangents meet: nothing in between is higher.
            top = (right[0] - right[1] * high - left[0] + left[1] * low) / (left[1] - right[1])
            bound = left[0] + left[1] * (top - low)
            if bound <= 0:
                share = left[1] / (left[1] - right[1])
                return Obstacle(
                    bound=bound, tangents=((1 - share, *left[2:]), (share, *right[2:]))
                )
            between = self.at(top)
            if between[0] > 0:
                return None
            if between[1] > 0:
                low, left = top, between
            else:
                high, right = top, between
        return None

    def end(self, p: float) -> float:
        """Return where the room begins, seen from a period that has none."""
        # Newton's method comes from outside and never passes the zero of a concave function.
        for _ in range(ROUNDS):
            value, slope, *_ = self.at(p)
            if value >= 0 or slope == 0:
                break
            p -= value / slope
        return p


def separating_line(
    below: Sums, above: Sums, levels: Floats, nominal: float
) -> tuple[float, float] | None:
    """Return the range of periods P for which a line ``levels × P + c`` can separate all sums.

    Parameters
    ----------
    below, above : (N,) int64 or float64
        The greatest sum that stays below each step, and the least that is above.
    levels : (N,) float64
        Positions of the steps, in periods.
    nominal : float
        About the period.

    Returns
    -------
    (least, greatest) or None
        ``None`` if there is no such line.
    """
    room = _Room(below, above, levels, nominal)
    if room.obstacle() is not None:
        return None
    return room.end(room.low), room.end(room.high)


def obstacle(below: Sums, above: Sums, levels: Floats, nominal: float) -> Obstacle | None:
    """Return why there is no line, if there is none; see :func:`separating_line`."""
    return _Room(below, above, levels, nominal).obstacle()


def scalings(
    below: Ints, above: Ints, levels: Floats, shift: int, periods: tuple[float, float]
) -> Iterator[tuple[int, int]]:
    """Yield (multiplier, bias) with which the hardware's steps separate all sums.

    Parameters
    ----------
    below, above, levels
        See :func:`separating_line`.
    shift : int
    periods : (least, greatest)
    """
    trials = np.linspace(*periods, PERIODS + 2)[1:-1]
    at = levels[None, :] * trials[:, None]
    least, most = np.max(at - above, axis=1), np.min(at - below, axis=1)
    biases = np.ceil(least)
    for i in np.flatnonzero(biases < most):
        multiplier = round(2.0 ** (31 + shift) / float(trials[i]))
        if multiplier < 1 << 31:
            yield multiplier, int(biases[i])


def centred_scalings(
    below: Ints,
    above: Ints,
    levels: Floats,
    shift: int,
    periods: tuple[float, float],
    lost: float = 0.0,
) -> Iterator[tuple[int, int]]:
    """Yield (multiplier, bias) like :func:`scalings`, those with most room first.

    Parameters
    ----------
    below, above, levels, shift, periods
        See :func:`scalings`.
    lost : float
        Sums are scaled as if they were less by up to so much.
    """
    trials = np.linspace(*periods, PERIODS + 2)[1:-1]
    at = levels[None, :] * trials[:, None]
    least, most = np.max(at - above, axis=1) + lost, np.min(at - below, axis=1)
    room = most - least
    for i in np.argsort(-room, kind="stable"):
        multiplier = round(2.0 ** (31 + shift) / float(trials[i]))
        if not 0 < multiplier < 1 << 31:
            continue
        middle = (least[i] + most[i]) / 2
        # Some lose less: what is proven afterwards may be right without room.
        for bias in dict.fromkeys(
            (round(middle), math.ceil(float(least[i])), math.ceil(float(most[i])) - 1)
        ):
            if least[i] - lost <= bias < most[i]:
                yield multiplier, bias
