"""Functions of a sum, in as few parts as lines are right for, proven for every sum.

The reference scales a sum and rounds it, once or twice.  That is a staircase; the requantiser's is
one with equal steps, but for its zero point, where its rounding turns round.  Where no line of the
requantiser has the right steps, the outputs are made in *parts*: one rises with the sum from the
least output to one in the middle and stays there, the next stays there and rises from it.  What
each is more than its least one is added up.  A single step is always right, so there always
are parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from hw.contract.requantiser import BIAS_BITS, MAX_SHIFT
from sw.compiler.exact.lines import centred_scalings, separating_line, step_positions
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.golden.requantisation import Requantisation

__all__ = ["Part", "Steps", "find_parts", "steps_of"]

FAR = 1 << 40
"""Beyond all sums."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Part of a function: factor × sum + bias, scaled by multiplier × 2^(−31 − shift).

    Attributes
    ----------
    factor, multiplier, shift, bias : int
    requantisation : Requantisation
        Its clamp holds the part's outputs.  Its zero point is what the requantiser adds.
    """

    factor: int
    multiplier: int
    shift: int
    bias: int
    requantisation: Requantisation

    def outputs(self, sums: Ints, spec: RequantiserSpec) -> Ints:
        """Return what the hardware makes of sums."""
        u = self.factor * sums + self.bias
        return spec.outputs(
            u, np.array(self.multiplier), np.array(self.shift), self.requantisation
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """Steps of a function that never falls.

    Attributes
    ----------
    levels : (N,) int64
        The outputs stepped to, ascending: all integers between the least and the greatest.
    below, above : (N,) int64
        The greatest sum that stays below each level, and the least one that does not.
    low, high : int
        Range of the sums.
    """

    levels: Ints
    below: Ints
    above: Ints
    low: int
    high: int

    @property
    def least(self) -> int:
        """The least output."""
        return int(self.levels[0]) - 1

    @property
    def greatest(self) -> int:
        """The greatest output."""
        return int(self.levels[-1])

    def between(self, first: int, end: int) -> Steps:
        """Return the steps of a part of the outputs, by their positions."""
        part = slice(first, end)
        return Steps(
            levels=self.levels[part],
            below=self.below[part],
            above=self.above[part],
            low=self.low,
            high=self.high,
        )


def steps_of(sums: Ints, outputs: Ints) -> Steps:
    """Return the steps of outputs, at least two different ones, of ascending sums."""
    levels = np.arange(int(outputs[0]) + 1, int(outputs[-1]) + 1)
    first = np.searchsorted(outputs, levels)
    return Steps(
        levels=levels,
        below=sums[first - 1],
        above=sums[first],
        low=int(sums[0]),
        high=int(sums[-1]),
    )


def find_parts(
    steps: Steps,
    factors: Sequence[int],
    requantisation: Requantisation,
    spec: RequantiserSpec,
    most: int = 256,
) -> tuple[Part, ...] | None:
    """Find the parts that a function is made of.

    Parameters
    ----------
    steps : Steps
    factors : sequence of int
        What sums may be multiplied with; positive, the best first.
    requantisation : Requantisation
        Of the output: its zero point is where parts meet, its rounding theirs.
    spec : RequantiserSpec
        Of the core.
    most : int
        Parts.

    Returns
    -------
    tuple of Part, or None
        From the least outputs to the greatest; each is right for every sum.  ``None`` if there
        are not so few.
    """
    for zero in dict.fromkeys((requantisation.zero_point, steps.least, steps.greatest, -128, 127)):
        for part in _lines(steps, factors, zero, requantisation, spec):
            if _right(part, steps, spec):
                return (part,)
    count = len(steps.levels)
    if count == 1 or most == 1:
        return None
    # Where rounding turns round, or in the middle.
    at = requantisation.zero_point - steps.least
    at = at if 0 < at < count else count // 2
    lower = find_parts(steps.between(0, at), factors, requantisation, spec, most - 1)
    if lower is None:
        return None
    left = most - len(lower)
    upper = find_parts(steps.between(at, count), factors, requantisation, spec, left)
    return None if upper is None else lower + upper


def _right(part: Part, steps: Steps, spec: RequantiserSpec) -> bool:
    """Prove a part: it never falls, so the sums beside its steps, and the ends, tell all."""
    u = part.factor * np.array([steps.low, steps.high]) + part.bias
    if np.abs(u).max() > spec.limit or not abs(part.bias) < 1 << BIAS_BITS - 1:
        return False
    above, below = part.outputs(steps.above, spec), part.outputs(steps.below, spec)
    return bool(np.all(above >= steps.levels) and np.all(below < steps.levels))


def _lines(
    steps: Steps,
    factors: Sequence[int],
    zero_point: int,
    output: Requantisation,
    spec: RequantiserSpec,
) -> Iterator[Part]:
    """Yield parts whose steps lie between the right sums, with a zero point."""
    requantisation = Requantisation(
        zero_point=zero_point,
        act_min=steps.least,
        act_max=steps.greatest,
        single_rounding=output.single_rounding,
    )
    positions = {
        shift: _positions(steps.levels - zero_point, shift, output.single_rounding)
        for shift in range(int(output.single_rounding), MAX_SHIFT + 1)
    }
    # With a zero point at an end all shifts have the same lines; only the finest count.
    turning = steps.least < zero_point < steps.greatest and not output.single_rounding
    for factor in factors:
        for shift in reversed(positions):
            at = positions[shift]
            period = _period(factor * steps.below, factor * steps.above, at, shift, spec)
            if period is None:
                continue
            line = separating_line(factor * steps.below, factor * steps.above, at, period)
            if line is None:
                continue
            lost = spec.lost * period / 2.0 ** (31 + shift)
            for multiplier, bias in centred_scalings(
                factor * steps.below, factor * steps.above, at, shift, line, lost
            ):
                if multiplier < spec.least_multiplier:
                    continue
                yield Part(
                    factor=factor,
                    multiplier=multiplier,
                    shift=shift,
                    bias=bias,
                    requantisation=requantisation,
                )
            if not turning:
                break


def _positions(outputs: Ints, shift: int, single_rounding: bool) -> Floats:
    """Return where the hardware steps to outputs, in periods."""
    if single_rounding:
        return np.asarray(outputs - 0.5, np.float64)
    return step_positions(outputs, shift)


def _period(
    below: Ints, above: Ints, position: Floats, shift: int, spec: RequantiserSpec
) -> float | None:
    """Return a period with which a line can pass between all steps of a shift, if there is one."""
    distance = position[:, None] - position[None, :]
    later = distance > 0
    shortest = 2.0**shift / (1 - 2.0**-31)
    least, most = shortest, 2.0 ** (31 + shift) / spec.least_multiplier
    if later.any():
        # From the step of the column to that of the row.
        most = min(most, float(((above[:, None] - below[None, :])[later] / distance[later]).min()))
        least = max(
            least, float(((below[:, None] - above[None, :])[later] / distance[later]).max())
        )
    if least >= most:
        return None
    # Few steps leave it nearly free: then not much more than it has to be.
    middle = (least + most) / 2
    return middle if math.isfinite(middle) and most < 1.01 * least else min(middle, 1.002 * least)
