"""Integers for averages over a whole image, proven for every possible sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from hw.contract.requantiser import MAX_SHIFT
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.golden.requantisation import Requantisation

__all__ = ["AverageCode", "find_code"]

AT_ONCE = 32
"""Codes that are tried together."""


class AverageCode(NamedTuple):
    """Integers of an average: what inputs are multiplied with, and the requantiser's constants."""

    weight: int
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
) -> Iterator[AverageCode]:
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
                yield AverageCode(weight, multiplier, shift, bias)


def find_code(
    sums: Ints, wanted: Ints, gain: float, requantisation: Requantisation, spec: RequantiserSpec
) -> AverageCode | None:
    """Find integers that turn every sum into the wanted output.

    Parameters
    ----------
    sums, wanted : (N,) int64
        All sums and their outputs.
    gain : float
        Real factor from a sum to the output.
    requantisation : Requantisation
        Of the output, in the hardware.
    spec : RequantiserSpec
        Of the core.

    Returns
    -------
    AverageCode or None
        Exact for all of ``sums``: that has been tried.
    """

    def gives(some: Ints, codes: Sequence[AverageCode]) -> npt.NDArray[np.bool_]:
        """Whether each code turns some of the sums, by their positions, into the wanted outputs."""
        weight, multiplier, shift, bias = np.array(codes, np.int64).T[:, :, None]
        got = spec.outputs(sums[some] * weight + bias, multiplier, shift, requantisation)
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
