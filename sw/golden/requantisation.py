"""Requantisation: the last step of a layer, from sums to integers of the output's type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from sw.golden.primitives import (
    INT32_MAX,
    INT32_MIN,
    IntLike,
    multiply_by_quantized_multiplier,
    multiply_rounding_once,
)

__all__ = ["Requantisation"]


@dataclass(frozen=True, kw_only=True)
class Requantisation:
    """Rounding, zero point and clamp of an operator's outputs: what all channels have in common.

    Attributes
    ----------
    zero_point, act_min, act_max : int
        In the range of the output's type.
    single_rounding : bool
        Scaled sums are rounded once, as fully connected layers do, and not twice.
    """

    zero_point: int
    act_min: int
    act_max: int
    single_rounding: bool = False

    def finish(self, scaled: Ints) -> Ints:
        """Add the zero point to scaled sums and clamp them."""
        return cast(Ints, np.clip(scaled + self.zero_point, self.act_min, self.act_max))

    def outputs(self, sums: IntLike, multiplier: IntLike, shift: IntLike) -> Ints:
        """Return the outputs of sums.

        Parameters
        ----------
        sums : integers in the range of int32
            Biases included.
        multiplier, shift : integers
            Broadcast against ``sums``; positive shifts go left.

        Returns
        -------
        ndarray of int64
            In [act_min, act_max].
        """
        scale = multiply_rounding_once if self.single_rounding else multiply_by_quantized_multiplier
        return self.finish(scale(sums, multiplier, shift))

    def ignores(self, multiplier: IntLike, shift: IntLike) -> npt.NDArray[np.bool_]:
        """Return which channels have one output, whatever their sums, even such as wrap in int32.

        Parameters
        ----------
        multiplier, shift : integers
            As for :meth:`outputs`.

        Returns
        -------
        ndarray of bool
            ``True`` where the multiplier is 0, or scales all of int32 to a single output.
        """
        right = np.minimum(shift, 0)
        lowest, highest = (self.outputs(u, multiplier, right) for u in (INT32_MIN, INT32_MAX))
        # A shift to the left wraps: it does not matter only if nothing is left.
        steady = (np.asarray(shift) <= 0) | (np.asarray(multiplier) == 0)
        return np.asarray((lowest == highest) & steady)
