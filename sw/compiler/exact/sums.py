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
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.contract.modes import Mode, minimum_steps
from hw.contract.requantiser import MAX_SHIFT, MULTIPLIER_BITS, u_limit
from sw.compiler.exact.lines import scalings, separating_line, step_positions
from sw.compiler.exact.requantisation import hardware_requantize
from sw.golden import kernels

__all__ = ["STEPS", "AddCode", "find_code", "find_codes", "reference_table"]

Ints = npt.NDArray[np.int64]

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
    """Integers of an ADD: clamp((A·x₁ + B·x₂ + bias) × multiplier × 2^(−31 − shift) + zero point).

    Attributes
    ----------
    first, second : int
        A and B, at most 127 times the steps.
    steps : int
    multiplier, shift, bias : int
    zero_point : int
        What the requantiser adds; not necessarily the output's.
    """

    first: int
    second: int
    steps: int
    multiplier: int
    shift: int
    bias: int
    zero_point: int


def reference_table(parameters: tuple[tuple[str, int], ...]) -> npt.NDArray[np.int8]:
    """Return the outputs of all pairs of int8.

    Parameters
    ----------
    parameters
        Keywords of :func:`sw.golden.kernels.add`, sorted, for int8.

    Returns
    -------
    (256, 256) int8
        First operand −128 to 127 down, second across.
    """
    values = np.arange(-128, 128).astype(np.int8)
    settings: dict[str, Any] = dict(parameters)
    table = kernels.add(values[:, None], values[None, :], **settings)
    return table.astype(np.int8)


BATCHES = (4, 16, 64)
"""Pairs A, B that are looked at together: few at first, as the first ones are often right."""


class _Intervals:
    """For candidates A, B: which sums lead to which output.

    Only pairs whose real sum is near a step of the output are looked at; a ratio must be near
    enough to the real one that no others can change places.
    """

    def __init__(self, table: npt.NDArray[np.int8], ratio: float) -> None:
        x = np.arange(-128, 128, dtype=np.int64)
        flat = table.ravel().astype(np.int64)
        x1, x2 = np.repeat(x, 256), np.tile(x, 256)
        real = x1 * ratio + x2
        order = np.argsort(flat, kind="stable")
        self.outputs, starts = np.unique(flat[order], return_index=True)
        least = np.minimum.reduceat(real[order], starts)
        greatest = np.maximum.reduceat(real[order], starts)
        # Half the distance between two steps is as far as sums may move.
        self.reach = float(np.min(np.diff(least))) / 8 if len(least) > 2 else 1.0
        position = np.searchsorted(self.outputs, flat)
        low = real <= least[position] + 2 * self.reach
        high = real >= greatest[position] - 2 * self.reach
        self.low, self.high = (_Group(x1[part], x2[part], flat[part]) for part in (low, high))
        self.ratio = ratio

    def apart(self, limit: int) -> Iterator[tuple[int, int, Ints, Ints]]:
        """Yield pairs A, B up to a limit with which outputs have sums to themselves, best first.

        Yields
        ------
        (A, B, greatest sums below, least sums at each output but the lowest)
        """
        first, second = _ratios(self.ratio, limit)
        with np.errstate(divide="ignore", invalid="ignore"):
            near = 128 * np.abs(first / second - self.ratio) <= self.reach
        first, second = first[near], second[near]
        begin = 0
        for size in chain(BATCHES, repeat(BATCHES[-1])):
            a, b = first[begin : begin + size], second[begin : begin + size]
            if not len(a):
                return
            below = self.high.extreme(np.maximum, a, b)[:, :-1]
            above = self.low.extreme(np.minimum, a, b)[:, 1:]
            for i in np.flatnonzero(np.all(below < above, axis=1)):
                yield int(a[i]), int(b[i]), below[i], above[i]
            begin += size


class _Group:
    """Pairs of operands, sorted by the output they have."""

    def __init__(self, x1: Ints, x2: Ints, outputs: Ints) -> None:
        order = np.argsort(outputs, kind="stable")
        # Sums stay below 2^23.
        self.x1, self.x2 = x1[order].astype(np.int32), x2[order].astype(np.int32)
        _, self.starts = np.unique(outputs[order], return_index=True)

    def extreme(self, ufunc: np.ufunc, first: Ints, second: Ints) -> Ints:
        """Return the least or greatest sum of every output: a row for each A, B."""
        a, b = first.astype(np.int32), second.astype(np.int32)
        sums = a[:, None] * self.x1 + b[:, None] * self.x2
        return np.asarray(ufunc.reduceat(sums, self.starts, axis=1), np.int64)


def _ratios(ratio: float, limit: int) -> tuple[Ints, Ints]:
    """Return A and B with A / B near a ratio and the larger one above limit / 2, best first."""
    larger = np.arange(limit, limit // 2, -1)
    smaller = np.rint(larger * min(ratio, 1 / ratio)).astype(np.int64)
    error = np.abs(smaller / larger - min(ratio, 1 / ratio))
    count = RATIOS if limit < 127 * MANY_STEPS else MANY_STEPS_RATIOS
    best = np.argsort(error, kind="stable")[:count]
    pair = smaller[best], larger[best]
    return pair if ratio <= 1 else pair[::-1]


def _scalings(
    below: Ints, above: Ints, outputs: Ints, nominal: float, zero_point: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (multiplier, shift, bias, zero point) whose steps separate all sums.

    Rounding twice moves the steps of positive scaled values down and of others up, by half a
    unit before the shift.  The reference does that too, with a smaller unit.  With a zero point
    at an end of the range all values have one sign and all steps move alike, which the bias makes
    up for: so one line is right for all shifts and both ends, or none is.  With the output's own
    the steps move in the reference's direction.
    """
    longest = math.floor(math.log2(nominal))
    straight = True
    for zero in dict.fromkeys((-128, 127, zero_point)):
        level = outputs - zero
        own, line = zero == zero_point, None
        for lost in range(OWN_DELTAS if own else DELTAS):
            shift = longest - lost
            if not 0 <= shift <= MAX_SHIFT or not (own or straight):
                continue
            levels = step_positions(level, shift)
            if line is None or own:
                line = separating_line(below, above, levels, nominal)
            if line is not None:
                for multiplier, bias in scalings(below, above, levels, shift, line):
                    yield multiplier, shift, bias, zero
            elif not own:
                straight = False


@lru_cache(maxsize=256)
def find_code(
    parameters: tuple[tuple[str, int], ...],
    ratio: float,
    gain: float,
    acc_bits: int,
    fraction_bits: int = MULTIPLIER_BITS,
    steps_limit: int = STEPS[-1],
) -> AddCode | None:
    """Find integers for an ADD in as few steps as possible.

    Parameters
    ----------
    parameters
        See :func:`reference_table`.
    ratio : float
        Scale of the first operand by that of the second.
    gain : float
        Scale of the second operand by that of the output.
    acc_bits, fraction_bits : int
        Of the core.
    steps_limit : int

    Returns
    -------
    AddCode or None
        Equal to the reference for all pairs: that has been tried.
    """
    table = reference_table(parameters)
    settings = dict(parameters)
    low, high = settings["activation_min"], settings["activation_max"]
    if table.min() == table.max():
        return AddCode(
            first=0,
            second=0,
            steps=minimum_steps(Mode.ADD),
            multiplier=1 << 30,
            shift=0,
            bias=0,
            zero_point=int(table.min()),
        )
    intervals = _Intervals(table, ratio)
    outputs = intervals.outputs[1:]
    for steps in (s for s in STEPS if s <= steps_limit):
        for first, second, below, above in intervals.apart(127 * steps):
            for multiplier, shift, bias, offset_zero in _scalings(
                below, above, outputs, second / gain, settings["output_zero_point"]
            ):
                code = AddCode(
                    first=first,
                    second=second,
                    steps=steps,
                    multiplier=multiplier,
                    shift=shift,
                    bias=bias,
                    zero_point=offset_zero,
                )
                if _proven(code, table, (low, high), acc_bits, fraction_bits):
                    return code
    return None


def find_codes(
    parameters: tuple[tuple[str, int], ...],
    ratio: float,
    gain: float,
    acc_bits: int,
    fraction_bits: int = MULTIPLIER_BITS,
) -> list[tuple[AddCode, tuple[int, int]]] | None:
    """Find one code for an ADD, or three where the reference's double rounding forbids one.

    The reference moves steps away from zero by less than a millionth of an output, but where a
    pair of operands is that near to a step on either side of zero, no straight line separates the
    outputs.  Then what is above the zero point and what is below are computed apart, each with a
    line of its own, and added.

    Returns
    -------
    list of (AddCode, (least, greatest output)), or None
        The third one of three adds the results of the first two.
    """
    core = (acc_bits, fraction_bits)
    settings = dict(parameters)
    low, high, zero = (
        settings[key] for key in ("activation_min", "activation_max", "output_zero_point")
    )
    code = find_code(parameters, ratio, gain, *core, ONE_CODE_STEPS)
    if code is not None:
        return [(code, (low, high))]
    halves = []
    for clamp in ((max(low, zero), high), (low, min(high, zero))):
        clamped = {**settings, "activation_min": clamp[0], "activation_max": clamp[1]}
        part = find_code(tuple(sorted(clamped.items())), ratio, gain, *core)
        if part is not None and clamp[0] <= clamp[1]:
            halves.append((part, clamp))
    # (p − z) + (n − z) + z, in steps of one half.
    total = AddCode(
        first=2,
        second=2,
        steps=minimum_steps(Mode.ADD),
        multiplier=1 << 30,
        shift=0,
        bias=-4 * zero,
        zero_point=zero,
    )
    three = [*halves, (total, (low, high))]
    limit = sum(part.steps for part, _ in three) if len(halves) == 2 else STEPS[-1]
    code = find_code(parameters, ratio, gain, *core, limit)
    if code is not None:
        return [(code, (low, high))]
    return three if len(halves) == 2 else None


def _proven(
    code: AddCode,
    table: npt.NDArray[np.int8],
    clamp: tuple[int, int],
    acc_bits: int,
    fraction_bits: int,
) -> bool:
    """Compare all pairs of operands with the reference."""
    x = np.arange(-128, 128, dtype=np.int64)
    u = x[:, None] * code.first + x[None, :] * code.second + code.bias
    if max(np.abs(u).max(), abs(code.bias)) > u_limit(acc_bits):
        return False
    got = hardware_requantize(
        u,
        np.array(code.multiplier),
        np.array(code.shift),
        single_rounding=False,
        zero_point=code.zero_point,
        act_min=clamp[0],
        act_max=clamp[1],
        fraction_bits=fraction_bits,
    )
    return np.array_equal(got, table)
