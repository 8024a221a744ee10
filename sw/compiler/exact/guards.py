"""Guards: coarse sums that tell when a sum is beyond what the requantiser scales rightly.

Accumulators are two's complement, so a sum is right if it is within the requantiser's limit at the
end.  Beyond the limit the output is anything.  Where the reference's output is saturated there, a
second sum of the same inputs with weights a power of two smaller, a *guard*, is enough to put it
right: its output is one level for all sums whose output is not saturated, and another level
wherever the sum can be beyond the limit.  ``docs/decisions/014-guards.md`` has the construction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from common.arrays import Ints
from hw.contract.requantiser import MAX_SHIFT
from sw.compiler.exact.proof import first_sums
from sw.compiler.exact.reference import Bounds, ChannelSums, Reference
from sw.compiler.exact.requantiser import Codes, RequantiserSpec
from sw.golden.requantisation import Requantisation

__all__ = ["GUARD_WEIGHT", "SUM_CODES", "Guard", "find_guard", "hidden"]

GUARD_WEIGHT = -256
"""What a level of the guard is worth where it is added to an output: more than all outputs."""

SUM_CODES = (1 << 31) - 1, 0
"""Multiplier and shift with which the requantiser's output is the sum itself."""

MOST_BITS = 8
"""That weights of a guard are less than the channel's."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Guard:
    """Guard of an output channel.

    Attributes
    ----------
    weights : (K,) int64
        int8, for raw inputs.
    multiplier, shift, bias : int
    quiet : int
        Its output, int8, wherever the channel's output is right and not saturated.  It is less
        wherever the sum is above the limit, and more wherever it is below.
    """

    weights: Ints
    multiplier: int
    shift: int
    bias: int
    quiet: int


@dataclass(frozen=True, kw_only=True)
class _Zones:
    """Zones of a channel's sums.

    Attributes
    ----------
    quiet : (least, greatest)
        Those whose outputs are not saturated.
    alarm : (int or None, int or None)
        The greatest below the limit, and the least above it, if there are any.
    """

    quiet: tuple[int, int]
    alarm: tuple[int | None, int | None]


def hidden(requantisation: Requantisation) -> Requantisation:
    """Return the requantisation of outputs that guards are added to."""
    return replace(requantisation, act_min=-128, act_max=127)


def find_guard(
    reference: Reference, codes: Codes, sums: ChannelSums, near: Bounds, spec: RequantiserSpec
) -> Guard | None:
    """Find the guard of a channel.

    Parameters
    ----------
    reference, codes, sums, near
        Of a single channel.  The requantiser is right for sums within ``near``.
    spec : RequantiserSpec
        Of the core.

    Returns
    -------
    Guard or None
        ``None`` if outputs beyond ``near`` are not saturated, or no guard tells them apart.
    """
    zones = _zones(reference, codes, sums.bounds, near)
    weights = sums.weights[0] * codes.factor[0]
    raw_bias = int(sums.bounds.offset[0] * codes.factor[0])
    least = np.minimum(sums.input_range[0], sums.input_zero_point)[0]
    greatest = np.maximum(sums.input_range[1], sums.input_zero_point)[0]

    def interval(some: Ints) -> tuple[int, int]:
        ends = some * least, some * greatest
        return int(np.minimum(*ends).sum()), int(np.maximum(*ends).sum())

    for bits in range(1, MOST_BITS + 1):
        coarse = np.clip(np.rint(weights / 2**bits), -127, 127).astype(np.int64)
        lost, reach = interval(weights - (coarse << bits)), interval(coarse)
        seen = _coarse(zones, bits, raw_bias, lost, reach)
        if seen is not None:
            for guard in _guards(-coarse, seen, reach, reference.requantisation, spec):
                return guard
    return None


def _zones(reference: Reference, codes: Codes, whole: Bounds, near: Bounds) -> _Zones:
    """Return the zones of a channel's sums, times its factor."""
    (steps,) = first_sums(reference, reference.levels, whole)
    first, last = int(steps[0]), int(steps[-1]) - 1
    low, high = int(near.low[0]), int(near.high[0])
    below, above = int(whole.low[0]) < low, int(whole.high[0]) > high
    factor = int(codes.factor[0])
    return _Zones(
        quiet=(first * factor, last * factor),
        alarm=(
            (low - 1) * factor if below else None,
            (high + 1) * factor if above else None,
        ),
    )


def _coarse(
    zones: _Zones, bits: int, bias: int, lost: tuple[int, int], reach: tuple[int, int]
) -> tuple[int, int, int | None, int | None] | None:
    """Return the zones as coarse sums see them: quiet ones, and those that may be beyond.

    Parameters
    ----------
    zones : _Zones
    bits : int
        A sum is the coarse one times 2^bits, and what is lost, and the bias.
    bias : int
    lost, reach : (least, greatest)
        Of what is lost; of the coarse sum.
    """
    unit = 1 << bits
    least = max(-((lost[1] + bias - zones.quiet[0]) // unit), reach[0])
    greatest = min((zones.quiet[1] - lost[0] - bias) // unit, reach[1])
    below, above = zones.alarm
    if below is not None:
        below = (below - lost[0] - bias) // unit
        if below >= least:
            return None
    if above is not None:
        above = -((lost[1] + bias - above) // unit)
        if above <= greatest:
            return None
    return least, greatest, below, above


def _guards(
    weights: Ints,
    seen: tuple[int, int, int | None, int | None],
    reach: tuple[int, int],
    requantisation: Requantisation,
    spec: RequantiserSpec,
) -> Iterator[Guard]:
    """Yield guards with weights whose sums are the coarse ones' negatives."""
    least, greatest, below, above = seen
    # A level ends in the middle of what is neither quiet nor beyond.
    lower = -(greatest + above) / 2 if above is not None else -max(greatest, reach[1]) - 1.0
    upper = -(least + below) / 2 if below is not None else -min(least, reach[0]) + 1.0
    period = upper - lower
    shift = min(MAX_SHIFT, max(int(requantisation.single_rounding), math.floor(math.log2(period))))
    multiplier = round(2.0 ** (31 + shift) / period)
    if not spec.least_multiplier < multiplier < 1 << 31:
        return
    for level in (0, 1, -1):
        bias = round((level + 0.5) * period - upper)
        quiet = requantisation.zero_point + level
        guard = Guard(weights=weights, multiplier=multiplier, shift=shift, bias=bias, quiet=quiet)
        # Sums that have to be quiet, above and below; of those in between nothing matters.
        sums = -np.array([reach[1], reach[0], greatest, least, above or 0, below or 0]) + bias
        if np.abs(sums).max() > spec.limit:
            continue
        got = spec.outputs(sums, np.array(multiplier), np.array(shift), hidden(requantisation))
        right = bool(np.all(got[2:4] == quiet))
        right &= above is None or got[4] < quiet
        right &= below is None or got[5] > quiet
        if right:
            yield guard
