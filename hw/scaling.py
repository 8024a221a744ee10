"""Requantisation constants of an output channel, as the requantiser wants them.

Everything that can be computed once a network is compiled is encoded here, so that it costs no
logic.  Imports nothing of Amaranth: the compiler uses it.
"""

DIGITS = 16
"""Digits of a multiplier, radix 4."""


def _recode(multiplier: int) -> list[int]:
    """Return the radix-4 digits of a multiplier, least significant first, from {−1, 0, 1, 2}."""
    digits = []
    for _ in range(DIGITS):
        digit = (multiplier + 1) % 4 - 1
        digits.append(digit)
        multiplier = (multiplier - digit) // 4
    assert multiplier == 0
    return digits


def encode_channel(
    *, multiplier: int, shift: int, bias: int, single_rounding: bool = False
) -> tuple[int, int, int, int]:
    """Return the four 16-bit fields of an output channel.

    Parameters
    ----------
    multiplier : int
        In [0, 2^31).
    shift : int
        How far the product's upper half is shifted right, from 0.
    bias : int
        Added to the accumulator.
    single_rounding : bool
        Round the product once, as :func:`sw.golden.primitives.multiply_rounding_once` does.

    Returns
    -------
    tuple of 4 ints
        For the ports ``field_0`` to ``field_3`` of :class:`Requantiser`.
    """
    if not 0 <= multiplier < 1 << 31:
        raise ValueError(f"multiplier must be in [0, 2^31), not {multiplier!r}")
    if not 0 <= shift < 32:
        raise ValueError(f"shift must be from 0 to 31, not {shift!r}")
    if not -(1 << 23) <= bias < 1 << 23:
        raise ValueError(f"bias must be a signed 24-bit integer, not {bias!r}")
    # What is added to the product before its lower 31 bits are dropped, in units of 2^30: bit 0
    # says that there is something, bit 1 that negative accumulators subtract it.  Half a unit up
    # is the first rounding; a whole unit less for negative numbers turns the second one, which
    # rounds halves up, into one that rounds them away from zero.  Without a shift there is no
    # second rounding, and with a single one there is no first.
    nudge = 1 if shift == 0 else 0 if single_rounding else 3
    code = 0
    for position, digit in enumerate(_recode(multiplier)):
        code |= (digit % 4) << 2 * position
    return (
        code >> 8 & 0xFFFF,
        code >> 24 | nudge << 8 | shift << 10,
        bias & 0xFFFF,
        (bias >> 16 & 0xFF) | (code & 0xFF) << 8,
    )


def decode_channel(fields: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return (multiplier, shift, bias, nudge) of encoded fields.

    ``nudge`` says how the product's lower 31 bits are rounded: 0 cut off, 1 half a unit is added,
    3 half a unit is added and, for negative accumulators, a whole one subtracted.
    """
    code = fields[3] >> 8 | fields[0] << 8 | (fields[1] & 0xFF) << 24
    digits = ((code >> 2 * k & 3 ^ 3) for k in range(DIGITS))
    multiplier = sum((-1 if digit == 0 else 3 - digit) << 2 * k for k, digit in enumerate(digits))
    bias = fields[2] | (fields[3] & 0xFF) << 16
    return (multiplier, fields[1] >> 10 & 31, bias - (bias >> 23 << 24), fields[1] >> 8 & 3)
