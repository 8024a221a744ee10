"""Requantisation parameters of the hardware, each proven equal to the reference.

The hardware adds a bias of ``CoreConfig.acc_bits`` to the sum of products, multiplies by a 31-bit
number, shifts right and clamps.  Most channels take the reference's integers as they are.  The
others (dead channels with biases near 2^30, multipliers of 1 and more, large shifts) get
equivalent ones.  Both sides never fall as the sum grows, so they are equal if they step at the
same sums: that is at most 255 comparisons a channel, and no sampling.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from common.errors import UnsupportedError
from hw.contract.requantiser import MAX_SHIFT, MULTIPLIER_BITS, truncated_product, u_limit
from sw.compiler.exact.lines import scalings, separating_line, step_positions
from sw.golden import primitives

__all__ = ["Codes", "Reference", "encode", "equal_steps", "hardware_requantize", "preview"]

Ints = npt.NDArray[np.int64]

CONSTANT_MULTIPLIER = 1 << 30
"""One half: with a shift of 0, a bias of 2v is the output v, whichever way is rounded."""


def hardware_requantize(
    u: Ints,
    multiplier: Ints,
    shift: Ints,
    *,
    single_rounding: bool,
    zero_point: int,
    act_min: int,
    act_max: int,
    fraction_bits: int = MULTIPLIER_BITS,
) -> Ints:
    """Compute what the hardware's requantiser does.

    Parameters
    ----------
    u : ndarray of int64
        Sum of products plus bias, in the range of int32.
    multiplier, shift : ndarray of int64
        0 to 2^31 − 1 and 0 to 31, broadcast against ``u``.

    Returns
    -------
    ndarray of int64
        In [act_min, act_max].
    """
    if fraction_bits < MULTIPLIER_BITS:
        # The circuit, constant by constant: hw.requantise.requantiser.Requantiser.
        shift = np.asarray(shift, np.int64)
        second = np.where(single_rounding, 0, np.where(u < 0, -(1 << 30), 1 << 30))
        first = np.where(shift == 0, 1 << 30, second)
        x = truncated_product(u, multiplier, fraction_bits=fraction_bits) + first >> 31
        scaled = x + ((np.int64(1) << shift) >> 1) >> shift
    elif single_rounding:
        half = (np.int64(1) << np.asarray(shift, np.int64)) >> 1
        scaled = ((u * multiplier >> 31) + half) >> shift
    else:
        high = primitives.saturating_rounding_doubling_high_mul(u, multiplier)
        scaled = primitives.rounding_divide_by_pot(high, shift)
    return cast(Ints, np.clip(scaled + zero_point, act_min, act_max))


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The reference's requantisation of one layer; arrays have one element per channel.

    Attributes
    ----------
    multiplier, shift : (C,) int64
        As :func:`sw.golden.requantize_params` gives them; positive shifts go left.
    single_rounding : bool
        They are for :func:`sw.golden.primitives.multiply_rounding_once`.
    zero_point, act_min, act_max : int
        Of the output as the device stores it, int8.
    names : tuple of int or None
        The channels' numbers in the network, for errors; ``None`` if they are in order.
    """

    multiplier: Ints
    shift: Ints
    single_rounding: bool
    zero_point: int
    act_min: int
    act_max: int
    names: tuple[int, ...] | None = None

    def name(self, channel: int | np.intp) -> int:
        """Return the number of a channel in the network."""
        return int(channel) if self.names is None else self.names[channel]

    def output(self, u: Ints, channel: npt.NDArray[np.intp] | slice = slice(None)) -> Ints:
        """Return the outputs of sums ``u`` (bias included) of the given channels."""
        scale = (
            primitives.multiply_rounding_once
            if self.single_rounding
            else primitives.multiply_by_quantized_multiplier
        )
        multiplier, shift = self.multiplier[channel], self.shift[channel]
        extra = (1,) * (np.ndim(u) - 1)
        scaled = scale(u, multiplier.reshape(-1, *extra), shift.reshape(-1, *extra))
        return cast(Ints, np.clip(scaled + self.zero_point, self.act_min, self.act_max))


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """What the hardware is given per channel.

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


def equal_steps(
    reference: Reference,
    codes: Codes,
    low: Ints,
    high: Ints,
    offset: Ints,
    fraction_bits: int = MULTIPLIER_BITS,
) -> npt.NDArray[np.bool_]:
    """Prove per channel that hardware and reference agree on every sum in a range.

    Parameters
    ----------
    reference, codes
        The hardware's u is ``factor × (sum − offset) + bias``, all with their own channel.
    low, high : (C,) int64
        The range of the reference's sums, bias included.
    offset : (C,) int64
        What the reference's sums contain besides products of raw inputs.

    Returns
    -------
    (C,) bool
    """

    def hardware(sums: Ints) -> Ints:
        u = codes.factor[:, None] * (sums - offset[:, None]) + codes.bias[:, None]
        return hardware_requantize(
            u,
            codes.multiplier[:, None],
            codes.shift[:, None],
            single_rounding=reference.single_rounding,
            zero_point=reference.zero_point,
            act_min=reference.act_min,
            act_max=reference.act_max,
            fraction_bits=fraction_bits,
        )

    levels = np.arange(reference.act_min + 1, reference.act_max + 1, dtype=np.int64)
    above = _first_sums(reference, levels, low, high)
    inside = above <= high[:, None]
    after = hardware(np.minimum(above, high[:, None])) >= levels
    before = hardware(np.maximum(above - 1, low[:, None])) < levels
    # A level reached at `low` has no sum before it.
    steps = np.where(inside, after, True) & np.where(above > low[:, None], before, True)
    return cast(npt.NDArray[np.bool_], steps.all(axis=1))


def _within_shifts(
    reference: Reference,
    codes: Codes,
    low: Ints,
    high: Ints,
    offset: Ints,
    fraction_bits: int,
    where: str,
) -> Codes:
    """Give channels with too large a shift a smaller one, with a smaller multiplier.

    Rounding happens elsewhere then: bias and multiplier are chosen so that all steps stay where
    they are.
    """
    multiplier, shift, bias = codes.multiplier.copy(), codes.shift.copy(), codes.bias.copy()
    for channel in np.flatnonzero(codes.shift > MAX_SHIFT):
        at = slice(channel, channel + 1)
        alone = replace(reference, multiplier=reference.multiplier[at], shift=reference.shift[at])
        for trial in _smaller_shifts(alone, codes, int(channel), low[at], high[at]):
            if equal_steps(alone, trial, low[at], high[at], offset[at], fraction_bits)[0]:
                multiplier[at], shift[at], bias[at] = trial.multiplier, trial.shift, trial.bias
                break
        else:
            raise UnsupportedError(
                f"{where}: output channel {reference.name(channel)} is scaled by less than "
                f"2^-{MAX_SHIFT} and no multiplier with a smaller shift gives the same outputs; "
                "use larger scales"
            )
    return replace(codes, multiplier=multiplier, shift=shift, bias=bias)


def _smaller_shifts(
    alone: Reference, codes: Codes, channel: int, low: Ints, high: Ints
) -> Iterator[Codes]:
    """Yield codes of one channel whose steps fall between the right sums."""
    levels = np.arange(int(alone.output(low)[0]) + 1, int(alone.output(high)[0]) + 1)
    above = _first_sums(alone, levels, low, high)[0]
    nominal = 2.0 ** (31 + int(codes.shift[channel])) / float(codes.multiplier[channel])
    for shift in range(MAX_SHIFT, MAX_SHIFT - 4, -1):
        positions = step_positions(levels - alone.zero_point, shift)
        line = separating_line(above - 1, above, positions, nominal)
        if line is None:
            continue
        at = slice(channel, channel + 1)
        for multiplier, bias in scalings(above - 1, above, positions, shift, line):
            yield Codes(
                multiplier=np.array([multiplier]),
                shift=np.array([shift]),
                bias=codes.bias[at] + bias,
                factor=codes.factor[at],
                output_range=codes.output_range[:, at],
            )


def _first_sums(reference: Reference, levels: Ints, low: Ints, high: Ints) -> Ints:
    """Return the least sum at which each level is reached; ``high + 1`` if it never is.

    Parameters
    ----------
    levels : (L,) int64
    low, high : (C,) int64

    Returns
    -------
    (C, L) int64
    """
    channels = np.arange(len(low))
    below = np.repeat(low[:, None] - 1, len(levels), axis=1)
    above = np.repeat(high[:, None] + 1, len(levels), axis=1)
    while np.any(above - below > 1):
        middle = (below + above) >> 1
        reached = (reference.output(middle, channels) >= levels) & (above - below > 1)
        above = np.where(reached, middle, above)
        below = np.where(reached | (above - below <= 1), below, middle)
    return above


NEIGHBOURS = 400
"""How far from the reference's a multiplier is looked for when products are cut off."""


def _with_fraction(
    reference: Reference,
    codes: Codes,
    low: Ints,
    high: Ints,
    offset: Ints,
    fraction_bits: int,
    where: str,
) -> Codes:
    """Prove every channel for products that are cut off; give the others a close multiplier."""
    multiplier = codes.multiplier.copy()
    right = equal_steps(reference, codes, low, high, offset, fraction_bits)
    for channel in np.flatnonzero(~right):
        nearby = np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
        trials = multiplier[channel] + nearby[np.argsort(np.abs(nearby), kind="stable")]
        trials = trials[(trials > 0) & (trials < 1 << MULTIPLIER_BITS)]
        for at in range(0, len(trials), 100):
            some = trials[at : at + 100]
            same = np.full(len(some), channel)
            alone = replace(
                reference, multiplier=reference.multiplier[same], shift=reference.shift[same]
            )
            trial = replace(
                codes,
                multiplier=some,
                shift=codes.shift[same],
                bias=codes.bias[same],
                factor=codes.factor[same],
                output_range=codes.output_range[:, same],
            )
            fits = equal_steps(alone, trial, low[same], high[same], offset[same], fraction_bits)
            if fits.any():
                multiplier[channel] = some[np.argmax(fits)]
                break
        else:
            raise UnsupportedError(
                f"{where}: no multiplier gives the right outputs of output channel "
                f"{reference.name(channel)} with {fraction_bits} fraction bits in the "
                "requantiser; use a core with more"
            )
    return replace(codes, multiplier=multiplier)


def _nominal(
    reference: Reference,
    weights: Ints,
    bias: Ints,
    input_zero_point: int,
    input_range: Ints,
    where: str,
) -> tuple[Codes, Ints, Ints, Ints]:
    """Return the codes that follow from the reference's, and ranges and offsets of its sums."""
    ends = [weights * (end - input_zero_point) for end in input_range]
    low = np.minimum(np.minimum(*ends), 0).sum(axis=1) + bias
    high = np.maximum(np.maximum(*ends), 0).sum(axis=1) + bias
    if low.min() < primitives.INT32_MIN or high.max() > primitives.INT32_MAX:
        raise UnsupportedError(f"{where}: sums overflow int32; the reference is undefined there")
    offset = bias - input_zero_point * weights.sum(axis=1)
    value = reference.output(low)
    # Left shifts wrap in the reference, which would break the order that proofs rely on.
    left = np.maximum(reference.shift, 0)
    if np.any((np.maximum(np.abs(low), np.abs(high)) << left) > primitives.INT32_MAX):
        raise UnsupportedError(f"{where}: a multiplier of 1 or more overflows int32")
    last = reference.output(high)
    constant = value == last
    # With a single rounding the shift has to round, so it is 1 at least: weights grow instead.
    grown = left + ((reference.shift >= 0) & reference.single_rounding)
    codes = Codes(
        multiplier=np.where(constant, CONSTANT_MULTIPLIER, reference.multiplier),
        shift=np.where(constant, 0, np.maximum(grown - reference.shift, 0)),
        bias=np.where(constant, 2 * (value - reference.zero_point), offset << grown),
        factor=np.where(constant, 0, np.int64(1) << grown),
        output_range=np.stack([value, last]),
    )
    return codes, low, high, offset


def preview(
    reference: Reference,
    weights: Ints,
    bias: Ints,
    *,
    input_zero_point: int,
    input_range: Ints,
    where: str,
) -> tuple[Ints, Ints]:
    """Return what :func:`encode` will say of factors and output ranges, without any proof.

    Parameters are those of :func:`encode`; the results those of :class:`Codes`.

    Raises
    ------
    UnsupportedError
        If sums overflow; other reasons to refuse a channel are left to :func:`encode`.
    """
    codes, *_ = _nominal(reference, weights, bias, input_zero_point, input_range, where)
    return codes.factor, codes.output_range


def encode(
    reference: Reference,
    weights: Ints,
    bias: Ints,
    *,
    input_zero_point: int,
    input_range: Ints,
    acc_bits: int,
    where: str,
    fraction_bits: int = MULTIPLIER_BITS,
) -> Codes:
    """Find parameters that make the hardware equal to the reference, and prove it.

    Parameters
    ----------
    reference : Reference
    weights : (C, K) int64
        Every weight that meets an input in the sum of a channel, zero point subtracted.
    bias : (C,) int64
    input_zero_point : int
        int8.
    input_range : (2, C or 1, K) int64
        Least and greatest int8 that each weight can meet, besides the zero point (padding).
    acc_bits : int
        Width of the hardware's accumulators.
    where : str
        Names the operator in errors.
    fraction_bits : int
        Of the hardware's products (``CoreConfig.fraction_bits``).

    Raises
    ------
    UnsupportedError
        If a channel has no equivalent within the hardware's widths.
    """
    codes, low, high, offset = _nominal(
        reference, weights, bias, input_zero_point, input_range, where
    )
    codes = _within_shifts(reference, codes, low, high, offset, fraction_bits, where)
    if fraction_bits < MULTIPLIER_BITS:
        codes = _with_fraction(reference, codes, low, high, offset, fraction_bits, where)
    raw = [weights * end for end in (*input_range, input_zero_point, 0)]
    _check_widths(reference, codes, raw, low - offset, high - offset, acc_bits, where)
    return codes


def _check_widths(
    reference: Reference,
    codes: Codes,
    products: list[Ints],
    low: Ints,
    high: Ints,
    acc_bits: int,
    where: str,
) -> None:
    """Check that sums of raw products, in any order, and with the bias, fit the accumulator."""
    partial_low = codes.factor * np.minimum.reduce(products).sum(axis=1)
    partial_high = codes.factor * np.maximum.reduce(products).sum(axis=1)
    limit = (1 << (acc_bits - 1)) - 1
    low, high = codes.factor * low + codes.bias, codes.factor * high + codes.bias
    for least, greatest, most, what in (
        (low, high, u_limit(acc_bits), "sums with bias"),
        (partial_low, partial_high, limit, "partial sums"),
        (codes.bias, codes.bias, limit, "biases"),
    ):
        bad = (least < -most) | (greatest > most)
        if bad.any():
            channel = int(np.argmax(bad))
            extreme = max(int(greatest[channel]), -int(least[channel]))
            raise UnsupportedError(
                f"{where}: {what} of output channel {reference.name(channel)} reach {extreme}, "
                f"and {acc_bits}-bit accumulators hold {int(most)}; use fewer input channels or "
                "smaller weights"
            )
