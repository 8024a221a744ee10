"""The proof that hardware and reference agree, channel by channel.

Both sides never fall as the sum grows, so they are equal if they step at the same sums: that is at
most 255 comparisons a channel, and no sampling.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from sw.compiler.exact.reference import Bounds, Reference
from sw.compiler.exact.requantiser import Codes, RequantiserSpec

__all__ = ["equal_steps", "first_sums"]


def equal_steps(
    reference: Reference, codes: Codes, bounds: Bounds, spec: RequantiserSpec
) -> npt.NDArray[np.bool_]:
    """Prove per channel that hardware and reference agree on every sum in a range.

    Parameters
    ----------
    reference, codes, bounds
        The hardware's u is ``factor × (sum − offset) + bias``, all with their own channel.
    spec : RequantiserSpec

    Returns
    -------
    (C,) bool
    """

    def hardware(sums: Ints) -> Ints:
        u = codes.factor[:, None] * (sums - bounds.offset[:, None]) + codes.bias[:, None]
        return spec.outputs(
            u, codes.multiplier[:, None], codes.shift[:, None], reference.requantisation
        )

    low, high, levels = bounds.low[:, None], bounds.high[:, None], reference.levels
    above = first_sums(reference, levels, bounds)
    inside = above <= high
    after = hardware(np.minimum(above, high)) >= levels
    before = hardware(np.maximum(above - 1, low)) < levels
    # A level reached at `low` has no sum before it.
    steps = np.where(inside, after, True) & np.where(above > low, before, True)
    return cast(npt.NDArray[np.bool_], steps.all(axis=1))


def first_sums(reference: Reference, levels: Ints, bounds: Bounds) -> Ints:
    """Return the least sum at which each level is reached; ``high + 1`` if it never is.

    Parameters
    ----------
    reference : Reference
    levels : (L,) int64
    bounds : Bounds

    Returns
    -------
    (C, L) int64
    """
    channels = np.arange(len(bounds.low))
    below = np.repeat(bounds.low[:, None] - 1, len(levels), axis=1)
    above = np.repeat(bounds.high[:, None] + 1, len(levels), axis=1)
    while np.any(above - below > 1):
        middle = (below + above) >> 1
        reached = (reference.output(middle, channels) >= levels) & (above - below > 1)
        above = np.where(reached, middle, above)
        below = np.where(reached | (above - below <= 1), below, middle)
    return above
