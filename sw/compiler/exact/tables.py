"""Integers for functions of one integer, proven for each of its values.

QUANTIZE, RELU, sums and products with a constant give each output from one integer.  The array can
do A·x + bias and one requantisation.  As for sums of two tensors (:mod:`sw.compiler.exact.sums`)
that is right if the line steps between the right values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from common.arrays import Floats, Ints
from hw.contract.requantiser import BIAS_BITS, MAX_SHIFT
from sw.compiler.exact.lines import scalings, separating_line, step_positions
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.golden.requantisation import Requantisation

__all__ = ["MOST_FACTOR", "TableCodes", "find_table_codes"]

MOST_FACTOR = 8 * 127
"""Greatest factor A: the array meets each integer so often in the fewest steps."""

FACTORS = tuple(range(MOST_FACTOR, MOST_FACTOR // 2, -37))
"""Factors that are tried."""

FAR = 1 << 30
"""What is beyond all sums."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TableCodes:
    """Integers of all channels: A·x + bias, scaled by multiplier × 2^(−31 − shift).

    Attributes
    ----------
    factor, multiplier, shift, bias : (C,) int64
    requantisation : Requantisation
        Its zero point is what the requantiser adds; not necessarily the output's.
    """

    factor: Ints
    multiplier: Ints
    shift: Ints
    bias: Ints
    requantisation: Requantisation


def find_table_codes(
    tables: Ints, ranges: Ints, zero_point: int, spec: RequantiserSpec
) -> TableCodes | int:
    """Find integers that give the outputs of tables.

    Parameters
    ----------
    tables : (C, 256) int64
        Outputs, as int8, of −128 to 127.
    ranges : (2, C) int64
        Least and greatest integer of each channel that is looked up.
    zero_point : int
        Of the outputs, int8: where the reference rounds to.
    spec : RequantiserSpec
        Of the core.

    Returns
    -------
    TableCodes or int
        Equal to the tables for every integer in the ranges: that has been tried.  Or a channel for
        which there are none.
    """
    used = [
        np.asarray(table[low + 128 : high + 129])
        for table, low, high in zip(tables, *ranges.tolist(), strict=True)
    ]
    output = Requantisation(
        zero_point=zero_point,
        act_min=int(min(values.min() for values in used)),
        act_max=int(max(values.max() for values in used)),
    )
    missing = 0
    for zero in dict.fromkeys((zero_point, -128, 127)):
        trial = replace(output, zero_point=zero)
        codes = []
        for channel, values in enumerate(used):
            low = int(ranges[0, channel])
            code = _find(tuple(values.tolist()), low, trial, spec)
            if code is None:
                missing = channel
                break
            codes.append(code)
        else:
            factor, multiplier, shift, bias = np.array(codes, np.int64).T
            return TableCodes(
                factor=factor, multiplier=multiplier, shift=shift, bias=bias, requantisation=trial
            )
    return missing


@lru_cache(maxsize=1024)
def _find(
    outputs: tuple[int, ...], low: int, requantisation: Requantisation, spec: RequantiserSpec
) -> tuple[int, int, int, int] | None:
    """Return factor, multiplier, shift and bias for the outputs of ``low``, ``low`` + 1 …"""
    wanted = np.array(outputs, np.int64)
    if wanted.min() == wanted.max():
        return 0, 1 << 30, 0, 2 * (outputs[0] - requantisation.zero_point)
    x = np.arange(low, low + len(wanted))
    for factor, multiplier, shift, bias in _trials(x, wanted, requantisation):
        u = factor * x + bias
        ends = max(int(np.abs(u).max()), abs(bias))
        if ends > spec.limit or abs(bias) >= 1 << BIAS_BITS - 1:
            continue
        got = spec.outputs(u, np.array(multiplier), np.array(shift), requantisation)
        if np.array_equal(got, wanted):
            return factor, multiplier, shift, bias
    return None


def _trials(
    x: Ints, wanted: Ints, requantisation: Requantisation
) -> Iterator[tuple[int, int, int, int]]:
    """Yield integers whose line passes between the right values of x."""
    sign = 1 if wanted[-1] > wanted[0] else -1
    if sign < 0:
        # The same line of −x.
        x, wanted = -x[::-1], wanted[::-1]
    if np.any(np.diff(wanted) < 0):
        return
    below, above, level = _steps(x, wanted, requantisation)
    level = level - requantisation.zero_point
    # Small shifts are for tables of the reference's small shifts, whose steps lie far apart.
    for shift in range(MAX_SHIFT, -1, -1):
        positions = step_positions(level, shift)
        period = _period(below, above, positions)
        if period is None:
            continue
        for factor in FACTORS:
            if period * factor < 1 << shift:
                break
            line = separating_line(below * factor, above * factor, positions, period * factor)
            if line is None:
                continue
            for multiplier, bias in scalings(
                below * factor, above * factor, positions, shift, line
            ):
                yield sign * factor, multiplier, shift, bias


def _steps(x: Ints, wanted: Ints, requantisation: Requantisation) -> tuple[Ints, Ints, Ints]:
    """Return the greatest x below each step, the least above it, and the outputs stepped to.

    The least and the greatest output are steps too, if the clamp does not hold them.
    """
    least, greatest = int(wanted[0]), int(wanted[-1])
    level = np.arange(least + 1, greatest + 1)
    first = np.searchsorted(wanted, level)
    below, above = x[first - 1], x[first]
    if least > requantisation.act_min:
        below, above = np.append(below, -FAR), np.append(above, x[0])
        level = np.append(level, least)
    if greatest < requantisation.act_max:
        below, above = np.append(below, x[-1]), np.append(above, FAR)
        level = np.append(level, greatest + 1)
    return below, above, level


def _period(below: Ints, above: Ints, position: Floats) -> float | None:
    """Return a period with which a line can pass between all steps, if there is one."""
    distance = position[:, None] - position[None, :]
    later = distance > 0
    if not later.any():
        return 1.0
    # From the step of the column to that of the row.
    most = float(((above[:, None] - below[None, :])[later] / distance[later]).min())
    least = max(0.0, float(((below[:, None] - above[None, :])[later] / distance[later]).max()))
    if least >= most:
        return None
    # Few steps leave it nearly free.
    return min((least + most) / 2, max(2 * least, 1.0))
