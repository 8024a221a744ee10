"""Ratios A : B with which sums A·x₁ + B·x₂ keep the outputs of an ADD apart.

Sums are looked at in units of B: then they are x₁·r + x₂, lines in the plane of ratios and sums.
At the edges of an output's sums the right ratio decides between few pairs of operands, and a
ratio for which no line of the requantiser separates the edges rules out all those on one side of
it.  So the ratios with which there is a line are found as an interval, without trying any A, B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.arrays import Floats, Ints
from sw.compiler.exact.budget import Budget
from sw.compiler.exact.lines import ROUNDS, obstacle

__all__ = ["LINE_WORK", "Outline"]

TINY = 1e-9
"""Room in units of B, by the size of sums, that is none: less than floating point tells apart."""

LINE_WORK = 50
"""Budget of finding out whether there is a line."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Edge:
    """Pairs of operands that may have the least sum above each step, or the greatest below.

    Attributes
    ----------
    x1, x2 : (N,) int64
        By steps.
    real : (N,) float64
        Their sums, in units of B, at the real ratio.
    starts : (steps,) int64
        Where the pairs of each step begin.
    extreme : ufunc
        ``np.minimum`` or ``np.maximum``.
    """

    x1: Ints
    x2: Ints
    real: Floats
    starts: Ints
    extreme: np.ufunc

    def sums(self, first: int, second: int) -> Ints:
        """Return the least or greatest sum of each step, for A and B."""
        sums = first * self.x1 + second * self.x2
        return np.asarray(self.extreme.reduceat(sums, self.starts), np.int64)

    def near(self, away: float) -> Floats:
        """Return the same in units of B, so far from the real ratio."""
        sums = self.real + away * self.x1
        return np.asarray(self.extreme.reduceat(sums, self.starts), np.float64)

    def slope(self, away: float, step: int) -> int:
        """Return how fast the sum of a step changes with the ratio."""
        begin, *ends = self.starts[step : step + 2]
        part = slice(begin, ends[0] if ends else None)
        sums = self.real[part] + away * self.x1[part]
        best = np.argmin(sums) if self.extreme is np.minimum else np.argmax(sums)
        return int(self.x1[part][best])


def _edge(x2: Ints, ratio: float, reach: float, extreme: np.ufunc) -> _Edge:
    """Return an edge for ratios that are at most ``reach`` from the real one.

    Parameters
    ----------
    x2 : (steps, 256) int64
        For each first operand: the second one next to the step; beyond int8 if there is none.
    ratio, reach : float
    extreme : ufunc
    """
    x1 = np.arange(-128, 128)
    real = np.asarray(x1 * ratio + x2, np.float64)
    height = np.where((x2 >= -128) & (x2 <= 127), real if extreme is np.minimum else -real, np.inf)
    # A pair matters if no other one is better by what the ratio can change between the two.
    left, right = height - reach * x1, (height + reach * x1)[:, ::-1]
    matters = (left < _least_before(left)) & (right <= _least_before(right))[:, ::-1]
    matters &= np.isfinite(height)
    step, column = np.nonzero(matters)
    return _Edge(
        x1=x1[column],
        x2=x2[matters],
        real=real[matters],
        starts=np.flatnonzero(np.diff(step, prepend=-1)),
        extreme=extreme,
    )


def _least_before(values: Floats) -> Floats:
    """Return the least of the values before each one of a row; infinity for the first."""
    before = np.minimum.accumulate(values, axis=1)[:, :-1]
    return np.pad(before, ((0, 0), (1, 0)), constant_values=np.inf)


class Outline:
    """The edges of all steps from one output to the next.

    Parameters
    ----------
    table : (256, 256) int8
        Outputs of all pairs of operands, not falling along either axis; at least two.
    ratio : float
        The real one.

    Attributes
    ----------
    outputs : (steps + 1,) int64
        All of them, in order.
    reach : float
        How far from the real ratio others are considered.
    """

    def __init__(self, table: npt.NDArray[np.int8], ratio: float) -> None:
        self.ratio = ratio
        rows = np.arange(256)[:, None]
        counts = np.bincount((256 * rows + table + 128).ravel(), minlength=1 << 16)
        counts = counts.reshape(256, 256)
        self.outputs = np.flatnonzero(counts.any(axis=0)) - 128
        # The first second operand above each step, for each first one; 128 if there is none.
        x2 = np.cumsum(counts, axis=1).T[self.outputs[:-1] + 128] - 128
        lowest = -128.0 * (1 + ratio)
        least = np.where(x2 <= 127, np.arange(-128, 128) * ratio + x2, np.inf).min(axis=1)
        # Sums may move by an eighth of the distance between two steps.
        distance = float(np.min(np.diff(least, prepend=lowest))) if len(least) > 1 else 8.0
        self.reach = distance / 8 / 128
        self.above = _edge(x2, ratio, self.reach, np.minimum)
        self.below = _edge(x2 - 1, ratio, self.reach, np.maximum)

    def sums(self, first: int, second: int) -> tuple[Ints, Ints]:
        """Return the greatest sum below each step and the least above, for A : B within reach."""
        return self.below.sums(first, second), self.above.sums(first, second)

    def interval(
        self, levels: Floats, period: float, work: Budget
    ) -> tuple[float, float] | None:
        """Return the ratios for which a line can separate all sums, less the real one.

        Parameters
        ----------
        levels
            See :func:`sw.compiler.exact.lines.separating_line`.
        period : float
            The nominal one, in units of B.
        work : Budget

        Returns
        -------
        (least, greatest) or None
            ``None`` if there are none.
        """
        ends = []
        tiny = TINY * (1 + self.ratio)
        for end in (-self.reach, self.reach):
            inwards = -end
            # The room is a concave function of the ratio.  Newton's method comes from outside.
            for _ in range(ROUNDS):
                work.left -= LINE_WORK
                cut = self._cut(end, levels, period)
                if cut is None:
                    break
                value, slope = cut
                if slope * inwards <= 0:
                    return None
                # A bit further, or rounding might find the same obstacle again.
                end -= (value - tiny) / slope
                if abs(end) > self.reach:
                    return None
            ends.append(end)
        return (ends[0], ends[1]) if ends[0] <= ends[1] else None

    def _cut(self, away: float, levels: Floats, period: float) -> tuple[float, float] | None:
        """Return a bound of the room and its slope at a ratio that leaves none, if it does."""
        below = self.below.near(away)
        above = self.above.near(away)
        found = obstacle(below, above, levels, period)
        if found is None:
            return None
        slope = sum(
            weight * (self.above.slope(away, over) - self.below.slope(away, under))
            for weight, over, under in found.tangents
        )
        return found.bound, slope
