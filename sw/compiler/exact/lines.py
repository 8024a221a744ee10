"""Straight lines that step where they have to.

A requantiser makes steps at equal distances, the *period*: it is a line in the plane of outputs
and sums.  That its outputs are right means that the line passes between neighbouring sums at every
step, so finding integers for it is a linear programme in two variables, period and bias.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["scalings", "separating_line", "step_positions"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

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


def separating_line(
    below: Ints, above: Ints, levels: Floats, nominal: float
) -> tuple[float, float] | None:
    """Return the range of periods P for which a line ``levels × P + c`` can separate all sums.

    Parameters
    ----------
    below, above : (N,) int64
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

    # The room left for c is a concave function of P: the least of some lines.

    def room(p: float) -> tuple[float, float]:
        """Return the room at a period and its slope there."""
        over, under = above - levels * p, below - levels * p
        i, j = int(np.argmin(over)), int(np.argmax(under))
        return float(over[i] - under[j]), float(levels[j] - levels[i])

    low, high = nominal * (1 - WIDTH), nominal * (1 + WIDTH)
    top = low
    for _ in range(ROUNDS):
        (low_room, low_slope), (high_room, high_slope) = room(low), room(high)
        if low_slope <= 0 or high_slope >= 0:
            top = low if low_slope <= 0 else high
            break
        # Where the tangents meet: nothing in between is higher.
        top = (high_room - high_slope * high - low_room + low_slope * low) / (
            low_slope - high_slope
        )
        bound = low_room + low_slope * (top - low)
        if bound <= 0:
            return None
        at_top, slope = room(top)
        if at_top > 0.999 * bound:
            break
        low, high = (top, high) if slope > 0 else (low, top)
    if room(top)[0] <= 0:
        return None
    ends = []
    for end in (nominal * (1 - WIDTH), nominal * (1 + WIDTH)):
        # Newton's method comes from outside and never passes the zero of a concave function.
        for _ in range(ROUNDS):
            value, slope = room(end)
            if value >= 0 or slope == 0:
                break
            end -= value / slope
        ends.append(end)
    return ends[0], ends[1]


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
