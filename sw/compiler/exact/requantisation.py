"""Requantisation parameters of the hardware, each proven equal to the reference.

The hardware adds a bias of ``CoreConfig.acc_bits`` to the sum of products, multiplies by a 31-bit
number, shifts right and clamps.  Most channels take the reference's integers as they are.  The
others (dead channels with biases near 2^30, multipliers of 1 and more, large shifts) get
equivalent ones (:mod:`sw.compiler.exact.equivalents`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hw.contract.requantiser import MAX_SHIFT, MULTIPLIER_BITS
from sw.compiler.exact.equivalents import with_close_multipliers, with_smaller_shifts
from sw.compiler.exact.guards import Guard, find_guard
from sw.compiler.exact.pieces import Piece, find_pieces
from sw.compiler.exact.reference import Bounds, ChannelSums, Reference
from sw.compiler.exact.requantiser import Codes, RequantiserSpec
from sw.compiler.graph.refusals import Rule
from sw.golden import primitives

__all__ = [
    "MULTIPLIERS_FOUND",
    "SHIFTS_DEFINED",
    "SUMS_DEFINED",
    "WITHIN_REACH",
    "Encoded",
    "encode",
    "nominal_codes",
    "reach_of",
]

ROOM = 64
"""Of sums beyond the limit, those within a part of it less are taken to be right."""

CONSTANT_MULTIPLIER = 1 << 30
"""One half: with a shift of 0, a bias of 2v is the output v, whichever way is rounded."""


SUMS_DEFINED = Rule(
    "Sums with bias must not overflow int32, since the reference is undefined there",
    "use fewer input channels, or smaller weights and biases",
)
SHIFTS_DEFINED = Rule(
    "A multiplier of 1 or more must not make sums overflow int32, since they wrap in the reference",
    "use a larger output scale",
)
WITHIN_REACH = Rule(
    "Sums with bias must be within what the requantiser scales, or saturated where they are not",
    "use fewer input channels or smaller weights",
)
MULTIPLIERS_FOUND = Rule(
    "The requantiser must have multipliers that give the reference's output for every sum, in each "
    "channel",
    "use a larger output scale",
)


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
        channel = int(np.flatnonzero(sums.wraps & ~dead)[0])
        raise SUMS_DEFINED.error(where, f"those of output channel {reference.name(channel)} do")
    value = reference.output(low)
    # Left shifts wrap in the reference, which would break the order that proofs rely on.
    left = np.maximum(reference.shift, 0)
    beyond = (left > 0) & (np.maximum(np.abs(low), high) << left > primitives.INT32_MAX)
    if np.any(beyond):
        channel = int(np.flatnonzero(beyond)[0])
        raise SHIFTS_DEFINED.error(
            where,
            f"output channel {reference.name(channel)} is shifted by {left[channel]}",
        )
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoded:
    """Constants of a layer's channels, proven, with what some need besides.

    Attributes
    ----------
    codes : Codes
        Right for all channels that have no pieces.
    guards : dict
        By channel: what the outputs need of channels with sums beyond the requantiser's limit.
    pieces : dict
        By channel: constants of ranges of its outputs, where none are right for all of them.
    """

    codes: Codes
    guards: dict[int, Guard]
    pieces: dict[int, tuple[Piece, ...]]

    @property
    def tops(self) -> tuple[int, ...]:
        """The greatest outputs of ranges in which all channels are right, but for the last."""
        return tuple(sorted({p.top for pieces in self.pieces.values() for p in pieces[:-1]}))

    def of_range(self, top: int) -> Codes:
        """Return the codes that are right for outputs from the top before to this one."""
        codes = self.codes
        constants = codes.multiplier.copy(), codes.shift.copy(), codes.bias.copy()
        for channel, pieces in self.pieces.items():
            piece = next((p for p in pieces if p.top >= top), pieces[-1])
            for values, value in zip(
                constants, (piece.multiplier, piece.shift, piece.bias), strict=True
            ):
                values[channel] = value
        multiplier, shift, bias = constants
        return replace(codes, multiplier=multiplier, shift=shift, bias=bias)


def encode(
    reference: Reference,
    sums: ChannelSums,
    spec: RequantiserSpec,
    where: str,
    nominal: Codes | None = None,
) -> Encoded:
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
    near, beyond = _within_reach(codes, sums.bounds, spec)
    codes, left = with_smaller_shifts(reference, codes, near, spec)
    if spec.fraction_bits < MULTIPLIER_BITS:
        codes, more = with_close_multipliers(reference, codes, near, spec)
        left = sorted({*left, *more})
    codes, pieces = _in_pieces(reference, codes, near, spec, left, where)
    limits = codes.factor * (np.stack([near.low, near.high]) - near.offset) + codes.bias
    for channel in np.flatnonzero(np.abs(limits).max(axis=0) > spec.limit):
        reach = reach_of(codes, sums, channel, spec, reference.name(channel))
        raise WITHIN_REACH.error(where, reach)
    guards = {}
    for channel in np.flatnonzero(beyond):
        at = np.array([channel])
        guard = find_guard(reference.at(at), codes.at(at), sums.at(at), near.at(at), spec)
        if guard is None:
            reach = reach_of(codes, sums, channel, spec, reference.name(channel))
            raise WITHIN_REACH.error(
                where, f"{reach}, and not all outputs of sums about there are saturated"
            )
        guards[int(channel)] = guard
    return Encoded(codes=codes, guards=guards, pieces=pieces)


def _in_pieces(
    reference: Reference,
    codes: Codes,
    bounds: Bounds,
    spec: RequantiserSpec,
    channels: Sequence[int],
    where: str,
) -> tuple[Codes, dict[int, tuple[Piece, ...]]]:
    """Return codes with those of some channels, and the pieces of those that have none.

    The biases of pieces are for raw inputs.
    """
    constants = codes.multiplier.copy(), codes.shift.copy(), codes.bias.copy()
    result = {}
    for channel in channels:
        at = np.array([channel])
        found = find_pieces(reference.at(at), codes.at(at), bounds.at(at), spec)
        if found is None:
            raise MULTIPLIERS_FOUND.error(
                where,
                f"there are none for output channel {reference.name(channel)} with "
                f"{spec.fraction_bits} fraction bits and shifts of up to {MAX_SHIFT}",
            )
        raw = int(codes.factor[channel] * bounds.offset[channel])
        pieces = tuple(replace(piece, bias=piece.bias + raw) for piece in found)
        first = pieces[0]
        for values, value in zip(
            constants, (first.multiplier, first.shift, first.bias), strict=True
        ):
            values[channel] = value
        if len(pieces) > 1:
            result[channel] = pieces
    multiplier, shift, bias = constants
    return replace(codes, multiplier=multiplier, shift=shift, bias=bias), result


def reach_of(
    codes: Codes, sums: ChannelSums, channel: int | np.intp, spec: RequantiserSpec, name: int
) -> str:
    """Return a clause that says which sums of a channel are beyond the requantiser's limit."""
    bounds, factor = sums.bounds, int(codes.factor[channel])
    extreme = max(abs(factor * int(end[channel])) for end in (bounds.low, bounds.high))
    return (
        f"sums with bias of output channel {name} reach {extreme}, the requantiser scales up to "
        f"{spec.limit}"
    )


def _within_reach(
    codes: Codes, bounds: Bounds, spec: RequantiserSpec
) -> tuple[Bounds, npt.NDArray[np.bool_]]:
    """Return the sums that the requantiser scales rightly, and which channels have others."""
    beyond = codes.factor * np.maximum(np.abs(bounds.low), np.abs(bounds.high)) > spec.limit
    # Other codes may have other biases, by a few outputs' sums.
    reach = (spec.limit - spec.limit // ROOM) // np.maximum(codes.factor, 1)
    near = Bounds(
        low=np.where(beyond, np.maximum(bounds.low, -reach), bounds.low),
        high=np.where(beyond, np.minimum(bounds.high, reach), bounds.high),
        offset=bounds.offset,
    )
    return near, np.asarray(beyond, np.bool_)
