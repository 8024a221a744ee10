"""Constants of output channels, as the requantiser is handed them, and its truncated products.

All functions take arrays, an element for each channel, or integers for a single one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.arrays import Ints

__all__ = [
    "ACC_BITS",
    "DIGITS",
    "FRACTION_BITS",
    "MAX_SHIFT",
    "MULTIPLIER_BITS",
    "decode_channels",
    "digits",
    "encode_channel",
    "encode_channels",
    "truncated_product",
    "u_limit",
]

IntLike = int | Ints

MULTIPLIER_BITS = 31
ACC_BITS = range(18, 25)
"""Widths of the accumulators that a requantiser can be generated for."""

FRACTION_BITS = range(9, MULTIPLIER_BITS + 1, 2)
"""Bits of its products below the unit that a requantiser can be generated with."""

DIGITS = 16
"""Digits of a multiplier."""

BIAS_BITS = 24
"""Of what is added to an accumulator, signed."""

MAX_SHIFT = 15
"""Greatest right shift of a requantiser, unless it is generated with another."""


def u_limit(acc_bits: int) -> int:
    """Return the greatest magnitude of accumulator + bias that the requantiser scales rightly.

    It is a quarter less than ``acc_bits`` hold: another bit would cost a logic cell in every one
    of the adders.
    """
    # The sum of four digits' products, at most 170 2/3 u, and the rounding constant have
    # acc_bits + 7 bits.
    room = (1 << acc_bits + 6) - (1 << 22)
    return room * 3 // 512


def digits(multiplier: IntLike) -> Ints:
    """Return the radix-4 digits of multipliers, the least first, from {−1, 0, 1, 2}.

    A multiple of an accumulator by such a digit needs no adder, and one LUT4 selects it.

    Parameters
    ----------
    multiplier : int or ndarray of int64
        In [0, 2^31).

    Returns
    -------
    (DIGITS, …) int64
    """
    rest = np.array(multiplier, np.int64)
    _check("multiplier", rest, (rest >= 0) & (rest < 1 << MULTIPLIER_BITS), "in [0, 2^31)")
    result = np.empty((DIGITS, *rest.shape), np.int64)
    for number in range(DIGITS):
        digit = ((rest + 1) & 3) - 1
        result[number] = digit
        rest = (rest - digit) >> 2
    return result


def _check(name: str, values: Ints, good: npt.NDArray[np.bool_], rule: str) -> None:
    """Refuse the first value that is not good, if there is one."""
    if not good.all():
        raise ValueError(f"{name} must be {rule}, not {int(values[~good].flat[0])!r}")


def encode_channels(multiplier: IntLike, shift: IntLike, bias: IntLike) -> Ints:
    """Return the four 16-bit fields of output channels.

    Parameters
    ----------
    multiplier : int or ndarray of int64
        In [0, 2^31).
    shift : int or ndarray of int64
        To the right, from 0 to 31; the requantiser ignores what is beyond its ``max_shift``.
    bias : int or ndarray of int64
        Added to the accumulator; 24 bits, signed.

    Returns
    -------
    (…, 4) int64
        For the ports ``field_0`` to ``field_3`` of :class:`hw.requantise.requantiser.Requantiser`.

    Raises
    ------
    ValueError
        If one is out of range.

    Notes
    -----
    Digit i of the multiplier is code bits 2i + 1 and 2i, as a two's complement: 3 is −1 (and 2
    is 2).

    ===== ==============================================================
    field bits
    ===== ==============================================================
    0     code bits 23:8
    1     7:0 code bits 31:24; 8 the shift is 0; 14:10 shift
    2     bias bits 15:0
    3     7:0 bias bits 23:16; 15:8 code bits 7:0
    ===== ==============================================================
    """
    shift = np.asarray(shift, np.int64)
    bias = np.asarray(bias, np.int64)
    _check("shift", shift, (shift >= 0) & (shift < 32), "from 0 to 31")
    limit = 1 << BIAS_BITS - 1
    _check("bias", bias, (bias >= -limit) & (bias < limit), f"a signed {BIAS_BITS}-bit integer")
    code = np.zeros(np.shape(multiplier), np.int64)
    for number, digit in enumerate(digits(multiplier)):
        code |= (digit & 3) << 2 * number
    fields = (
        code >> 8 & 0xFFFF,
        code >> 24 | (shift == 0).astype(np.int64) << 8 | shift << 10,
        bias & 0xFFFF,
        bias >> 16 & 0xFF | (code & 0xFF) << 8,
    )
    return np.stack(fields, axis=-1)


def encode_channel(*, multiplier: int, shift: int, bias: int) -> tuple[int, ...]:
    """Return the four 16-bit fields of one output channel; see :func:`encode_channels`."""
    return tuple(encode_channels(multiplier, shift, bias).tolist())


def decode_channels(fields: Ints) -> tuple[Ints, Ints, Ints]:
    """Return what :func:`encode_channels` made fields of.

    Parameters
    ----------
    fields : (…, 4) int64

    Returns
    -------
    multiplier, shift, bias : (…) int64
    """
    f0, f1, f2, f3 = np.moveaxis(fields, -1, 0)
    code = (f3 >> 8) | f0 << 8 | (f1 & 0xFF) << 24
    multiplier = np.zeros_like(code)
    for number in range(DIGITS):
        value = code >> 2 * number & 3
        multiplier += np.where(value == 3, -1, value) << 2 * number
    bias = f2 | (f3 & 0xFF) << 16
    return multiplier, f1 >> 10 & 31, np.where(bias >> BIAS_BITS - 1, bias - (1 << BIAS_BITS), bias)


def truncated_product(u: Ints, multiplier: IntLike, *, fraction_bits: int) -> Ints:
    """Return products as a requantiser with fewer than 31 ``fraction_bits`` computes them.

    Parameters
    ----------
    u : ndarray of int64
        Accumulator and bias.
    multiplier : int or ndarray of int64
        In [0, 2^31), broadcast against ``u``.
    fraction_bits : int
        Odd, below 31.

    Returns
    -------
    ndarray of int64
        The product less an error from 0 to D / 2 · 2^D, where D = 31 − ``fraction_bits``.

    Notes
    -----
    If the multiplier is above that error, a wrong output is next to a step of the outputs: it is
    enough to compare, for every step, the first u that is after it in the reference and the one
    before.  Where an output is wrong, a multiplier close by gives the right ones:
    ``docs/requantiser.md`` has how often and how close.
    """
    drop = MULTIPLIER_BITS - fraction_bits
    u = np.asarray(u)
    product = np.zeros(np.broadcast_shapes(u.shape, np.shape(multiplier)), np.int64)
    for number, digit in enumerate(digits(multiplier)):
        cut = max(0, drop - 2 * number)
        # Where bits are cut off, −u is taken as its complement.
        multiple = np.where((digit < 0) & (cut > 0), ~u, digit * u)
        product += multiple >> cut << cut + 2 * number
    return product
