"""The core's requantiser: what it is told of each channel, and what it makes of sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Ints
from hw.contract.config import CoreConfig
from hw.contract.requantiser import MULTIPLIER_BITS, truncated_product, u_limit
from sw.golden import primitives
from sw.golden.requantisation import Requantisation

__all__ = ["Codes", "RequantiserSpec"]


@dataclass(frozen=True, kw_only=True)
class RequantiserSpec:
    """Widths of a core's requantiser.

    Attributes
    ----------
    acc_bits : int
        Of accumulators, sign included.
    fraction_bits : int
        Of products: 31, or less if they are cut off.
    """

    acc_bits: int = 24
    fraction_bits: int = MULTIPLIER_BITS

    @classmethod
    def of(cls, config: CoreConfig) -> RequantiserSpec:
        """Return the requantiser of a core."""
        return cls(acc_bits=config.acc_bits, fraction_bits=config.fraction_bits)

    @property
    def limit(self) -> int:
        """Greatest magnitude of accumulator + bias that is scaled rightly."""
        return u_limit(self.acc_bits)

    @property
    def lost(self) -> int:
        """What products lose at most where they are cut off, in units of 2^−31."""
        drop = MULTIPLIER_BITS - self.fraction_bits
        return drop // 2 << drop

    @property
    def least_multiplier(self) -> int:
        """Least multiplier of which outputs surely never fall as sums grow."""
        return max(1 << 20, 2 * self.lost)

    def outputs(
        self, u: Ints, multiplier: Ints, shift: Ints, requantisation: Requantisation
    ) -> Ints:
        """Return what the hardware makes of accumulators.

        Parameters
        ----------
        u : ndarray of int64
            Sums of products plus bias, in the range of int32.
        multiplier, shift : ndarray of int64
            0 to 2^31 − 1 and 0 to 31, to the right; broadcast against ``u``.
        requantisation : Requantisation

        Returns
        -------
        ndarray of int64
            In [act_min, act_max].
        """
        single = requantisation.single_rounding
        if self.fraction_bits < MULTIPLIER_BITS:
            # The circuit, constant by constant: hw.requantise.requantiser.Requantiser.
            shift = np.asarray(shift, np.int64)
            second = np.where(single, 0, np.where(u < 0, -(1 << 30), 1 << 30))
            first = np.where(shift == 0, 1 << 30, second)
            product = truncated_product(u, multiplier, fraction_bits=self.fraction_bits)
            scaled = (product + first >> 31) + ((np.int64(1) << shift) >> 1) >> shift
        elif single:
            half = (np.int64(1) << np.asarray(shift, np.int64)) >> 1
            scaled = ((u * multiplier >> 31) + half) >> shift
        else:
            high = primitives.saturating_rounding_doubling_high_mul(u, multiplier)
            scaled = primitives.rounding_divide_by_pot(high, shift)
        return requantisation.finish(scaled)


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """Constants that the hardware is given for each channel.

    Attributes
    ----------
    multiplier, shift, bias : (C,) int64
        Ready for the parameter words.  ``bias`` is for raw int8 inputs: the input's zero point
        is folded in.
    factor : (C,) int64
        What the weights are multiplied with: 1; 0 for channels that are constant; a power of two
        for multipliers of 1 and more.
    output_range : (2, C) int64
        Least and greatest output of every channel.
    """

    multiplier: Ints
    shift: Ints
    bias: Ints
    factor: Ints
    output_range: Ints

    def at(self, channels: Ints) -> Codes:
        """Return those of some channels, possibly of one of them several times."""
        return Codes(
            multiplier=self.multiplier[channels],
            shift=self.shift[channels],
            bias=self.bias[channels],
            factor=self.factor[channels],
            output_range=self.output_range[:, channels],
        )
