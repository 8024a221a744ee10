"""Requantisation parameters of the hardware, each proven equal to the reference.

The hardware adds a bias of ``CoreConfig.acc_bits`` to the sum of products, multiplies by a 31-bit
number, shifts right and clamps.  Most channels take the reference's integers as they are.  The
others (dead channels with biases near 2^30, multipliers of 1 and more, large shifts) get
equivalent ones (:mod:`sw.compiler.exact.equivalents`).
"""

from __future__ import annotations

import numpy as np

from common.errors import UnsupportedError
from hw.contract.requantiser import MULTIPLIER_BITS
from sw.compiler.exact.equivalents import with_close_multipliers, with_smaller_shifts
from sw.compiler.exact.reference import ChannelSums, Reference
from sw.compiler.exact.requantiser import Codes, RequantiserSpec
from sw.golden import primitives

__all__ = ["encode", "nominal_codes"]

CONSTANT_MULTIPLIER = 1 << 30
"""One half: with a shift of 0, a bias of 2v is the output v, whichever way is rounded."""


def nominal_codes(reference: Reference, sums: ChannelSums, where: str) -> Codes:
    """Return the codes that follow from the reference's integers, without any proof.

    Their factors and output ranges are those that :func:`encode` will return.

    Parameters
    ----------
    reference : Reference
    sums : ChannelSums
    where : str
        Names the operator in errors.

    Raises
    ------
    UnsupportedError
        If sums overflow; other reasons to refuse a channel are left to :func:`encode`.
    """
    low, high, offset = sums.bounds.low, sums.bounds.high, sums.bounds.offset
    dead = reference.requantisation.ignores(reference.multiplier, reference.shift)
    if np.any(sums.wraps & ~dead):
        raise UnsupportedError(f"{where}: sums overflow int32; the reference is undefined there")
    value = reference.output(low)
    # Left shifts wrap in the reference, which would break the order that proofs rely on.
    left = np.maximum(reference.shift, 0)
    if np.any((left > 0) & (np.maximum(np.abs(low), high) << left > primitives.INT32_MAX)):
        raise UnsupportedError(f"{where}: a multiplier of 1 or more overflows int32")
    last = reference.output(high)
    constant = value == last
    # With a single rounding the shift has to round, so it is 1 at least: weights grow instead.
    grown = left + ((reference.shift >= 0) & reference.requantisation.single_rounding)
    zero_point = reference.requantisation.zero_point
    return Codes(
        multiplier=np.where(constant, CONSTANT_MULTIPLIER, reference.multiplier),
        shift=np.where(constant, 0, np.maximum(grown - reference.shift, 0)),
        bias=np.where(constant, 2 * (value - zero_point), offset << grown),
        factor=np.where(constant, 0, np.int64(1) << grown),
        output_range=np.stack([value, last]),
    )


def encode(
    reference: Reference,
    sums: ChannelSums,
    spec: RequantiserSpec,
    where: str,
    nominal: Codes | None = None,
) -> Codes:
    """Find parameters that make the hardware equal to the reference, and prove it.

    Parameters
    ----------
    reference : Reference
    sums : ChannelSums
    spec : RequantiserSpec
        Of the core.
    where : str
        Names the operator in errors.
    nominal : Codes, optional
        What :func:`nominal_codes` returns, if it is known already.

    Raises
    ------
    UnsupportedError
        If a channel has no equivalent within the hardware's widths.
    """
    codes = nominal or nominal_codes(reference, sums, where)
    codes = with_smaller_shifts(reference, codes, sums.bounds, spec, where)
    if spec.fraction_bits < MULTIPLIER_BITS:
        codes = with_close_multipliers(reference, codes, sums.bounds, spec, where)
    _check_widths(reference, codes, sums, spec, where)
    return codes


def _check_widths(
    reference: Reference, codes: Codes, sums: ChannelSums, spec: RequantiserSpec, where: str
) -> None:
    """Check that sums of raw products, in any order, and with the bias, fit the accumulator."""
    products, bounds = sums.raw_products(), sums.bounds
    partial_low = codes.factor * np.minimum.reduce(products).sum(axis=1)
    partial_high = codes.factor * np.maximum.reduce(products).sum(axis=1)
    limit = (1 << (spec.acc_bits - 1)) - 1
    low = codes.factor * (bounds.low - bounds.offset) + codes.bias
    high = codes.factor * (bounds.high - bounds.offset) + codes.bias
    for least, greatest, most, what in (
        (low, high, spec.limit, "sums with bias"),
        (partial_low, partial_high, limit, "partial sums"),
        (codes.bias, codes.bias, limit, "biases"),
    ):
        bad = (least < -most) | (greatest > most)
        if bad.any():
            channel = int(np.argmax(bad))
            extreme = max(int(greatest[channel]), -int(least[channel]))
            raise UnsupportedError(
                f"{where}: {what} of output channel {reference.name(channel)} reach {extreme}, "
                f"and {spec.acc_bits}-bit accumulators hold {int(most)}; use fewer input channels "
                "or smaller weights"
            )
