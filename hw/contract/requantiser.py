"""How the constants of an output channel are handed to the requantiser.

Nothing here imports Amaranth: the compiler uses it.
"""

import numpy as np
import numpy.typing as npt

__all__ = [
    "ACC_BITS",
    "DIGITS",
    "FRACTION_BITS",
    "MAX_SHIFT",
    "MULTIPLIER_BITS",
    "digits",
    "encode_channel",
    "truncated_product",
    "u_limit",
]

MULTIPLIER_BITS = 31
ACC_BITS = range(18, 25)
"""Widths of the accumulators that a requantiser can be generated for."""

FRACTION_BITS = range(9, MULTIPLIER_BITS + 1, 2)
"""Bits of its products below the unit that a requantiser can be generated with."""

DIGITS = 16
"""Digits of a multiplier."""

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


def digits(multiplier: int) -> list[int]:
    """Return the radix-4 digits of a multiplier, the least first, from {−1, 0, 1, 2}.

    A multiple of an accumulator by such a digit needs no adder, and one LUT4 selects it.
    """
    if not 0 <= multiplier < 1 << MULTIPLIER_BITS:
        raise ValueError(f"multiplier must be in [0, 2^31), not {multiplier!r}")
    result = []
    for _ in range(DIGITS):
        digit = (multiplier + 1) % 4 - 1
        result.append(digit)
        multiplier = (multiplier - digit) // 4
    return result


def encode_channel(*, multiplier: int, shift: int, bias: int) -> tuple[int, int, int, int]:
    """Return the four 16-bit fields of an output channel.

    Parameters
    ----------
    multiplier : int
        In [0, 2^31).
    shift : int
        To the right, from 0 to 31; the requantiser ignores what is beyond its ``max_shift``.
    bias : int
        Added to the accumulator; 24 bits, signed.

    Returns
    -------
    tuple of 4 ints
        For the ports ``field_0`` to ``field_3`` of :class:`hw.requantise.requantiser.Requantiser`.

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
    if not 0 <= shift < 32:
        raise ValueError(f"shift must be from 0 to 31, not {shift!r}")
    if not -(1 << 23) <= bias < 1 << 23:
        raise ValueError(f"bias must be a signed 24-bit integer, not {bias!r}")
    code = sum((digit & 3) << 2 * i for i, digit in enumerate(digits(multiplier)))
    return (
        code >> 8 & 0xFFFF,
        code >> 24 | (shift == 0) << 8 | shift << 10,
        bias & 0xFFFF,
        bias >> 16 & 0xFF | (code & 0xFF) << 8,
    )


def truncated_product(
    u: npt.NDArray[np.int64], multiplier: int, *, fraction_bits: int
) -> npt.NDArray[np.int64]:
    """Return the product as a requantiser with fewer than 31 ``fraction_bits`` computes it.

    Parameters
    ----------
    u : ndarray of int64
        Accumulator and bias.
    multiplier : int
        In [0, 2^31).
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
    product = np.zeros_like(u)
    for i, digit in enumerate(digits(multiplier)):
        cut = max(0, drop - 2 * i)
        # Where bits are cut off, −u is taken as its complement.
        multiple = ~u if digit < 0 and cut else digit * u
        product = product + (multiple >> cut << cut + 2 * i)
    return product
