"""Integers for averages of so many inputs, proven for every possible sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from hw.contract.requantiser import MAX_SHIFT
from sw.compiler.exact.parts import Part, find_parts, steps_of
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.golden.requantisation import Requantisation

__all__ = ["find_codes"]

AT_ONCE = 32
"""Codes that are tried together."""


FACTORS = (127, 113, 96, 80, 64, 48, 32, 16, 8, 4, 2, 1)
"""What inputs are multiplied with where the usual integers are not right."""


class _Trial(NamedTuple):
    """What inputs are multiplied with, and the requantiser's constants."""

    factor: int
    multiplier: int
    shift: int
    bias: int


@lru_cache(maxsize=64)
def _candidates(gain: float) -> tuple[tuple[int, int, int], ...]:
    """Return (weight, multiplier, shift) whose product is near a gain, large weights first."""
    result = []
    for weight in range(127, 0, -1):
        ratio = gain / weight
        for shift in range(MAX_SHIFT + 1):
            nearest = round(ratio * 2.0 ** (31 + shift))
            if 1 << 29 <= nearest < (1 << 31) - 2:
                result += [(weight, nearest + d, shift) for d in (0, 1, -1, 2)]
    return tuple(result)


def _trials(
    sums: Ints, wanted: Ints, gain: float, requantisation: Requantisation, limit: int
) -> Iterator[_Trial]:
    """Yield codes whose sums stay within a limit."""
    # Where the output has its zero point: the bias that centres the line, in units of sums.
    inside = (wanted > requantisation.act_min) & (wanted < requantisation.act_max)
    if not inside.any():
        inside = np.ones_like(inside)
    zero_point = requantisation.zero_point
    centre = float(np.mean((wanted - zero_point)[inside] / gain - sums[inside]))
    for weight, multiplier, shift in _candidates(gain):
        for shift_of_sum in (round(centre), centre, centre + 0.25, centre - 0.25):
            bias = round(shift_of_sum * weight)
            ends = (int(sums[0]) * weight + bias, int(sums[-1]) * weight + bias, bias)
            if max(map(abs, ends)) <= limit:
                yield _Trial(weight, multiplier, shift, bias)


def find_codes(
    sums: Ints, wanted: Ints, gain: float, requantisation: Requantisation, spec: RequantiserSpec
) -> tuple[Part, ...] | None:
    """Find integers that turn every sum into the wanted output.

    Parameters
    ----------
    sums, wanted : (N,) int64
        All sums of the inputs, consecutive, and their outputs, which never fall.
    gain : float
        Real factor from a sum to the output.
    requantisation : Requantisation
        Of the output, in the hardware.
    spec : RequantiserSpec
        Of the core.

    Returns
    -------
    tuple of Part, or None
        One, hardly ever two or more, whose outputs less their least ones are to be added to the
        first one's: exact for all of ``sums``, that has been tried.  Their factors, at most 127,
        are what inputs are multiplied with.
    """
    if wanted[0] == wanted[-1]:
        value = 2 * (int(wanted[0]) - requantisation.zero_point)
        constant = Part(
            factor=0, multiplier=1 << 30, shift=0, bias=value, requantisation=requantisation
        )
        return (constant,)
    usual = _usual(sums, wanted, gain, requantisation, spec)
    if usual is not None:
        return (Part(**usual._asdict(), requantisation=requantisation),)
    return find_parts(steps_of(sums, wanted), FACTORS, requantisation, spec)


def _usual(
    sums: Ints, wanted: Ints, gain: float, requantisation: Requantisation, spec: RequantiserSpec
) -> _Trial | None:
    """Return integers near the real gain, if there are any; arguments as for :func:`find_codes`."""

    def gives(some: Ints, codes: Sequence[_Trial]) -> npt.NDArray[np.bool_]:
        """Whether each code turns some of the sums, by their positions, into the wanted outputs."""
        factor, multiplier, shift, bias = np.array(codes, np.int64).T[:, :, None]
        got = spec.outputs(sums[some] * factor + bias, multiplier, shift, requantisation)
        return np.asarray((got == wanted[some]).all(axis=1))

    # Where the output steps is where a code goes wrong: few sums tell nearly all of them.
    steps = np.flatnonzero(np.diff(wanted))
    telling = np.unique(np.concatenate([[0, len(sums) - 1], steps, steps + 1]))
    codes = _trials(sums, wanted, gain, requantisation, spec.limit)
    every = np.arange(len(sums))
    # The first is often right.
    for count in chain([1], repeat(AT_ONCE)):
        some = list(islice(codes, count))
        if not some:
            return None
        for number in np.flatnonzero(gives(telling, some)):
            if gives(every, [some[number]])[0]:
                return some[number]
    return None
