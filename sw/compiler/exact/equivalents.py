"""Equivalents: other constants with the same outputs, for channels that the hardware cannot take.

Their shifts are larger than the hardware's, or its products are cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hw.contract.requantiser import MAX_SHIFT, MULTIPLIER_BITS
from sw.compiler.exact.lines import scalings, separating_line, step_positions
from sw.compiler.exact.proof import equal_steps, first_sums
from sw.compiler.exact.reference import Bounds, Reference
from sw.compiler.exact.requantiser import Codes, RequantiserSpec

__all__ = ["with_close_multipliers", "with_smaller_shifts"]

NEIGHBOURS = 400
"""How far from the reference's a multiplier is looked for when products are cut off."""

AT_ONCE = 100
"""Multipliers that are tried together."""


def with_smaller_shifts(
    reference: Reference, codes: Codes, bounds: Bounds, spec: RequantiserSpec
) -> tuple[Codes, list[int]]:
    """Give channels with too large a shift a smaller one, with a smaller multiplier.

    Rounding happens elsewhere then: bias and multiplier are chosen so that all steps stay where
    they are.  Returns the codes, and the channels for which that is not possible.
    """
    left = []
    multiplier, shift, bias = codes.multiplier.copy(), codes.shift.copy(), codes.bias.copy()
    for channel in np.flatnonzero(codes.shift > MAX_SHIFT):
        at = np.array([channel])
        alone, its = reference.at(at), bounds.at(at)
        for trial in _smaller_shifts(alone, codes.at(at), its):
            if equal_steps(alone, trial, its, spec)[0]:
                multiplier[at], shift[at], bias[at] = trial.multiplier, trial.shift, trial.bias
                break
        else:
            left.append(int(channel))
    return replace(codes, multiplier=multiplier, shift=shift, bias=bias), left


def _smaller_shifts(reference: Reference, codes: Codes, bounds: Bounds) -> Iterator[Codes]:
    """Yield codes of a single channel whose steps fall between the right sums."""
    ends = (int(reference.output(sums)[0]) for sums in (bounds.low, bounds.high))
    least, greatest = ends
    levels = np.arange(least + 1, greatest + 1)
    if not len(levels):
        # Nothing steps within these sums: next to nothing of them is left.
        yield replace(codes, multiplier=np.array([1]), shift=np.array([MAX_SHIFT]))
        return
    above = first_sums(reference, levels, bounds)[0]
    nominal = 2.0 ** (31 + int(codes.shift[0])) / float(codes.multiplier[0])
    for shift in range(MAX_SHIFT, MAX_SHIFT - 4, -1):
        positions = step_positions(levels - reference.requantisation.zero_point, shift)
        line = separating_line(above - 1, above, positions, nominal)
        if line is None:
            continue
        for multiplier, bias in scalings(above - 1, above, positions, shift, line):
            yield replace(
                codes,
                multiplier=np.array([multiplier]),
                shift=np.array([shift]),
                bias=codes.bias + bias,
            )


def with_close_multipliers(
    reference: Reference, codes: Codes, bounds: Bounds, spec: RequantiserSpec
) -> tuple[Codes, list[int]]:
    """Prove every channel for products that are cut off; give the others a close multiplier.

    Returns the codes, and the channels for which there is none.
    """
    left = []
    multiplier = codes.multiplier.copy()
    right = equal_steps(reference, codes, bounds, spec)
    for channel in np.flatnonzero(~right):
        nearby = np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
        trials = multiplier[channel] + nearby[np.argsort(np.abs(nearby), kind="stable")]
        trials = trials[(trials > 0) & (trials < 1 << MULTIPLIER_BITS)]
        for begin in range(0, len(trials), AT_ONCE):
            some = trials[begin : begin + AT_ONCE]
            same = np.full(len(some), channel)
            trial = replace(codes.at(same), multiplier=some)
            fits = equal_steps(reference.at(same), trial, bounds.at(same), spec)
            if fits.any():
                multiplier[channel] = some[np.argmax(fits)]
                break
        else:
            left.append(int(channel))
    return replace(codes, multiplier=multiplier), left
