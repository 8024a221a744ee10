"""Integers for ADD, proven for all 65,536 pairs of operands.

The reference brings both operands to a common scale with 20 more bits, adds, and scales again.
The array can do A·x₁ + B·x₂ + bias, where A and B are sums of one int8 weight per step, and one
requantisation.  Both are equal if the sums of pairs with different outputs do not mix: then every
output has an interval of sums to itself, and the requantiser's thresholds have to fall between
them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from common.arrays import Floats, Ints
from hw.contract.modes import Mode, minimum_steps
from hw.contract.requantiser import MAX_SHIFT
from sw.compiler.exact.budget import Budget
from sw.compiler.exact.lines import scalings, separating_line, step_positions
from sw.compiler.exact.ratios import LINE_WORK, Outline
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.golden import kernels
from sw.golden.elementwise import Addition
from sw.golden.requantisation import Requantisation

__all__ = ["STEPS", "AddCode", "find_codes", "reference_table"]

STEPS = (*range(4, 17), 20, 24, 28, 32, 40, 48, 64, 96, 128)
"""Numbers of steps that are tried, fewest first."""

RATIOS = 3000
MANY_STEPS = 16
MANY_STEPS_RATIOS = 600
"""Ratios A : B that are tried for each number of steps, the nearest ones first; fewer where there
are many steps, as more of them fit."""

ONE_CODE_STEPS = 16
"""Steps beyond which two codes, for outputs above and below the zero point, are tried first."""

DELTAS = 12
OWN_DELTAS = 3
"""Shifts that are tried, from the largest one possible; with the output's own zero point."""


@dataclass(frozen=True, kw_only=True)
class AddCode:
    """Integers of an ADD: A·x₁ + B·x₂ + bias, scaled by multiplier × 2^(−31 − shift).

    Attributes
    ----------
    first, second : int
        A and B, at most 127 times the steps.
    steps : int
    multiplier, shift, bias : int
    requantisation : Requantisation
        Its zero point is what the requantiser adds; not necessarily the output's.
    """

    first: int
    second: int
    steps: int
    multiplier: int
    shift: int
    bias: int
    requantisation: Requantisation


def reference_table(reference: Addition) -> npt.NDArray[np.int8]:
    """Return the outputs of all pairs of int8.

    Parameters
    ----------
    reference : Addition
        The reference's integers, of tensors as the device stores them.

    Returns
    -------
    (256, 256) int8
        First operand −128 to 127 down, second across.
    """
    values = np.arange(-128, 128).astype(np.int8)
    table = kernels.add(values[:, None], values[None, :], addition=reference)
    return table.astype(np.int8)


def _ratios(ratio: float, limit: int) -> tuple[Ints, Ints]:
    """Return A and B with A / B near a ratio and the larger one above limit / 2, best first."""
    larger = np.arange(limit, limit // 2, -1)
    smaller = np.rint(larger * min(ratio, 1 / ratio)).astype(np.int64)
    error = np.abs(smaller / larger - min(ratio, 1 / ratio))
    count = RATIOS if limit < 127 * MANY_STEPS else MANY_STEPS_RATIOS
    best = np.argsort(error, kind="stable")[:count]
    pair = smaller[best], larger[best]
    return pair if ratio <= 1 else pair[::-1]


class _Search:
    """A search for integers that give one table of outputs.

    Parameters
    ----------
    reference, ratio, gain, spec, work
        See :func:`find_codes`.
    """

    def __init__(
        self,
        reference: Addition,
        ratio: float,
        gain: float,
        spec: RequantiserSpec,
        work: int,
    ) -> None:
        self.table = reference_table(reference)
        self.requantisation = reference.requantisation
        self.zero_point = reference.requantisation.zero_point
        self.ratio, self.gain, self.spec = ratio, gain, spec
        self.work = Budget(left=work)
        self.tried: set[tuple[int, int]] = set()
        self.intervals: dict[int | None, tuple[float, float] | None] = {}

    @cached_property
    def outline(self) -> Outline:
        """The steps between outputs."""
        return Outline(self.table, self.ratio)

    def find(self, most: int) -> AddCode | None:
        """Find integers that take as few steps as possible, and at most so many.

        Returns
        -------
        AddCode or None
            Equal to the reference for all pairs: that has been tried.
        """
        lowest = int(self.table.min())
        if lowest == self.table.max():
            return AddCode(
                first=0,
                second=0,
                steps=minimum_steps(Mode.ADD),
                multiplier=1 << 30,
                shift=0,
                bias=0,
                requantisation=replace(self.requantisation, zero_point=lowest),
            )
        for steps in (s for s in STEPS if s <= most):
            for first, second in self._pairs(127 * steps):
                for code in self._codes(first, second, steps):
                    if _proven(code, self.table, self.spec):
                        return code
        return None

    def _pairs(self, limit: int) -> Iterator[tuple[int, int]]:
        """Yield pairs A, B up to a limit that were not tried yet, best first.

        Those with which no line can separate all sums are left out.
        """
        first, second = _ratios(self.ratio, limit)
        some = second > 0
        first, second = first[some], second[some]
        away = first / second - self.ratio
        longest = np.floor(np.log2(second / self.gain))
        possible = self._inside(away, None)
        for shift in range(MAX_SHIFT + 1):
            lost = longest - shift
            if np.any(now := (lost >= 0) & (lost < OWN_DELTAS)):
                possible |= now & self._inside(away, shift)
        possible &= np.abs(away) <= self.outline.reach
        for pair in zip(first[possible].tolist(), second[possible].tolist(), strict=True):
            if self.work.left <= 0:
                return
            if pair not in self.tried:
                self.tried.add(pair)
                yield pair

    def _inside(self, away: Floats, shift: int | None) -> npt.NDArray[np.bool_]:
        """Return for which distances from the real ratio there is a line.

        With the output's own zero point and a shift, or, without one, with a zero point at an end.
        """
        if shift not in self.intervals:
            zero = -128 if shift is None else self.zero_point
            levels = step_positions(
                self.outline.outputs[1:] - zero, MAX_SHIFT if shift is None else shift
            )
            self.intervals[shift] = self.outline.interval(levels, 1 / self.gain, self.work)
        interval = self.intervals[shift]
        if interval is None:
            return np.zeros(away.shape, np.bool_)
        return np.asarray((away >= interval[0]) & (away <= interval[1]))

    def _codes(self, first: int, second: int, steps: int) -> Iterator[AddCode]:
        """Yield codes whose steps separate all sums.

        Rounding twice moves the steps of positive scaled values down and of others up, by half a
        unit before the shift.  The reference does that too, with a smaller unit.  With a zero point
        at an end of the range all values have one sign and all steps move alike, which the bias
        makes up for: so one line is right for all shifts and both ends, or none is.  With the
        output's own the steps move in the reference's direction.
        """
        below, above = self.outline.sums(first, second)
        nominal = second / self.gain
        longest = math.floor(math.log2(nominal))
        straight = True
        for zero in dict.fromkeys((-128, 127, self.zero_point)):
            level = self.outline.outputs[1:] - zero
            own, line = zero == self.zero_point, None
            for lost in range(OWN_DELTAS if own else DELTAS):
                shift = longest - lost
                if not 0 <= shift <= MAX_SHIFT or not (own or straight):
                    continue
                levels = step_positions(level, shift)
                if line is None or own:
                    self.work.left -= LINE_WORK
                    line = separating_line(below, above, levels, nominal)
                if line is None:
                    straight &= own
                    continue
                for multiplier, bias in scalings(below, above, levels, shift, line):
                    if self.work.left <= 0:
                        return
                    self.work.left -= LINE_WORK
                    code = AddCode(
                        first=first,
                        second=second,
                        steps=steps,
                        multiplier=multiplier,
                        shift=shift,
                        bias=bias,
                        requantisation=replace(self.requantisation, zero_point=zero),
                    )
                    if self._steps_right(code, below, above):
                        yield code

    def _steps_right(self, code: AddCode, below: Ints, above: Ints) -> bool:
        """Compare the sums next to steps, and the least and the greatest, with the reference."""
        ends = np.array([-128, 127]) * (code.first + code.second)
        outputs = self.outline.outputs
        want = np.concatenate((outputs, outputs[:-1], outputs[-1:]))
        sums = np.concatenate((ends[:1], above, below, ends[1:]))
        return _same(code, sums, want, self.spec)


@lru_cache(maxsize=256)
def find_codes(
    reference: Addition, ratio: float, gain: float, spec: RequantiserSpec, work: int = 50_000
) -> tuple[AddCode, ...] | None:
    """Find one code for an ADD, or three where the reference's double rounding forbids one.

    The reference moves steps away from zero by less than a millionth of an output, but where a
    pair of operands is that near to a step on either side of zero, no straight line separates the
    outputs.  Then what is above the zero point and what is below are computed apart, each with a
    line of its own, and added.

    Parameters
    ----------
    reference : Addition
        See :func:`reference_table`.
    ratio : float
        Scale of the first operand by that of the second.
    gain : float
        Scale of the second operand by that of the output.
    spec : RequantiserSpec
        Of the core.
    work : int
        See :class:`sw.compiler.exact.budget.Budget`: for one code, and for either half of three.

    Returns
    -------
    tuple of AddCode, or None
        As few steps as were found.  The third one of three adds the results of the first two.
    """
    output = reference.requantisation
    low, high, zero = output.act_min, output.act_max, output.zero_point
    whole = _Search(reference, ratio, gain, spec, work)
    code = whole.find(ONE_CODE_STEPS)
    if code is not None:
        return (code,)
    halves = []
    for least, greatest in ((max(low, zero), high), (low, min(high, zero))):
        if least <= greatest:
            clamped = replace(output, act_min=least, act_max=greatest)
            half = replace(reference, requantisation=clamped)
            part = _Search(half, ratio, gain, spec, work).find(STEPS[-1])
            halves += [] if part is None else [part]
    # (p − z) + (n − z) + z, in steps of one half.
    total = AddCode(
        first=2,
        second=2,
        steps=minimum_steps(Mode.ADD),
        multiplier=1 << 30,
        shift=0,
        bias=-4 * zero,
        requantisation=output,
    )
    three = (*halves, total)
    limit = sum(part.steps for part in three) if len(halves) == 2 else STEPS[-1]
    code = whole.find(limit)
    if code is not None:
        return (code,)
    return three if len(halves) == 2 else None


def _proven(code: AddCode, table: npt.NDArray[np.int8], spec: RequantiserSpec) -> bool:
    """Compare all pairs of operands with the reference."""
    x = np.arange(-128, 128, dtype=np.int64)
    sums = x[:, None] * code.first + x[None, :] * code.second
    return _same(code, sums, table, spec)


def _same(
    code: AddCode, sums: Ints, outputs: npt.NDArray[np.integer], spec: RequantiserSpec
) -> bool:
    """Compare the outputs of sums without bias with what they should be."""
    u = sums + code.bias
    if max(np.abs(u).max(), abs(code.bias)) > spec.limit:
        return False
    got = spec.outputs(u, np.array(code.multiplier), np.array(code.shift), code.requantisation)
    return np.array_equal(got, outputs)
