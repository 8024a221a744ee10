"""Fixed-point ReLU6 requantiser: from accumulators to int8, one a cycle, without a multiplier.

The function is what TensorFlow Lite's reference kernels do to an accumulator: scale it
(``MultiplyByQuantizedMultiplier``, that is gemmlowp's ``SaturatingRoundingDoublingHighMul`` and
``RoundingDivideByPOT``), add the output's zero point, and clamp.  :class:`Requantiser` states it
exactly.

The clamp is the activation.  An output's int8 value q stands for the real number
``scale * (q - zero_point)``, so a ReLU6, which cuts real numbers at 0 and 6, cuts q at::

    act_min = max(-128, zero_point)                          (the q of 0)
    act_max = min(127, zero_point + round(6 / scale))        (the q of 6)

ReLU has ``act_max = 127``, no activation −128 and 127.  The compiler puts both bounds into the
layer's descriptor; the hardware knows no activation but this clamp, and it costs two comparisons
on the way out.  (A quantiser that gives 0 to 6 all of int8 chooses zero point −128 and scale
6 / 255: the bounds are then the ends of int8.)

All multipliers of a small FPGA are in the array, so this one is made of logic cells, and it is made
for the iCE40's: a four-input LUT with a carry that adds two of the LUT's raw inputs.

* The multiplier comes as 16 digits from {−1, 0, 1, 2} (:mod:`hw.contract.requantiser`).  A LUT
  selects a bit of a digit's multiple of u, another cell adds it: 2 cells for each bit of u and 2
  bits of the multiplier.  Sixteen multiples are summed as a tree of pairs and quads, with one adder
  per pipeline stage.  Low bits are dropped as soon as nothing is added to them any more: the floor
  of a floor is exact.
* The least multiple may be one too small (the complement of u instead of −u, digit −1) without a
  consequence: it matters only if the product with the rounding constant is a multiple of 2^31.
  With that digit the multiplier is odd, so u would be a multiple of 2^30; and for u = 0 the
  result is 0 either way.
* The first rounding constant, 2^30, is less 2^31 for negative u: x − 1 with halves rounded up in
  the second rounding equals x with halves rounded away from zero.  (Where u < 0 but x = 0 it
  makes no difference: −1 and 0 both round to 0.)  The constant is added where 2^30 is the top bit
  of a partial sum, which takes two LUTs.  The second rounding needs no constant: the first bit
  that is shifted out is a carry.
* Bits that the shift loses are compared with the sign, to saturate.

See ``docs/requantiser.md`` for what was measured of this and other forms.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract import latency
from hw.contract.requantiser import ACC_BITS, FRACTION_BITS, MAX_SHIFT, MULTIPLIER_BITS

__all__ = ["FIELD_STAGE", "LATENCY", "Requantiser"]

LATENCY = latency.REQUANTISE
"""Cycles from ``acc`` to ``value``."""

FIELD_STAGE = (1, 1, 0, 0)
"""Cycle in which each field is sampled, counted from that of its ``acc``."""

PRODUCT_DROP = MULTIPLIER_BITS
"""Bits of the product below the unit of x."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """Part of the product of accumulator and multiplier.

    Attributes
    ----------
    value : Value
        Signed, in units of 2^position.
    position, end : int
        Of its least bit, and of the first one that it has no more.
    carry : Value, optional
        2^position that is still to be added.
    """

    value: Value
    position: int
    end: int
    carry: Value | None = None

    def drop(self, position: int) -> "Term":
        """Return the term without the bits below a position."""
        assert self.carry is None
        dropped = max(0, position - self.position)
        value = self.value.shift_right(dropped)
        return Term(value=value, position=self.position + dropped, end=self.end)


def register(m: Module, value, name: str) -> Signal:
    """Return a value as it was one cycle ago."""
    signal = Signal(Value.cast(value).shape(), name=name, reset_less=True)
    m.d.sync += signal.eq(value)
    return signal


def wire(m: Module, shape, value, name: str) -> Signal:
    """Return a value as a signal of the given shape."""
    signal = Signal(shape, name=name)
    m.d.comb += signal.eq(value)
    return signal


class Requantiser(wiring.Component):
    """Fixed-point ReLU6 requantiser: scales, rounds and clamps accumulators.

    With u = acc + bias, the multiplier M and the shift s of the channel::

        x = (u * M + 2**30) >> 31
        y = x / 2**s, rounded to nearest, halves away from zero
        value = clamp(y + zero_point, act_min, act_max)

    With ``single_rounding`` and s > 0, y is (u * M + 2**(30 + s)) >> (31 + s) instead.
    \\|u\\| must be at most :func:`hw.contract.requantiser.u_limit`; the compiler proves that.

    Parameters
    ----------
    acc_bits : int
        Width of the accumulator, 18 to 24.
    max_shift : int
        Greatest s: 15 or 31.
    fraction_bits : int
        Bits of the product kept below the unit of x, odd, 9 to 31.  With 31 the result is exact.
        Less saves cells, but then equality with the reference has to be proven per channel
        (:func:`hw.contract.requantiser.truncated_product`).

    Members
    -------
    acc : In(signed(acc_bits))
    field_0, field_1, field_2, field_3 : In(16)
        Constants of the accumulator's channel (:func:`hw.contract.requantiser.encode_channel`),
        each ``FIELD_STAGE`` cycles after ``acc``.
    zero_point, act_min, act_max : In(signed(8))
        Constants of the layer.  They must not change from the cycle before a layer's first
        ``acc`` until its last ``value``.
    single_rounding : In(1)
        Constant of the layer.
    value : Out(signed(8))
        ``LATENCY`` cycles after ``acc``.
    """

    LATENCY = LATENCY
    FIELD_STAGE = FIELD_STAGE

    def __init__(
        self, *, acc_bits: int = 24, max_shift: int = MAX_SHIFT, fraction_bits: int = PRODUCT_DROP
    ):
        if acc_bits not in ACC_BITS:
            raise ValueError(f"acc_bits must be from 18 to 24, not {acc_bits!r}")
        if max_shift not in (15, 31):
            raise ValueError(f"max_shift must be 15 or 31, not {max_shift!r}")
        if fraction_bits not in FRACTION_BITS:
            raise ValueError(f"fraction_bits must be odd and from 9 to 31, not {fraction_bits!r}")
        self.acc_bits = acc_bits
        self.max_shift = max_shift
        self.lowest = PRODUCT_DROP - fraction_bits
        super().__init__({
            "acc": In(signed(acc_bits)),
            **{f"field_{k}": In(16) for k in range(4)},
            "zero_point": In(signed(8)),
            "act_min": In(signed(8)),
            "act_max": In(signed(8)),
            "single_rounding": In(1),
            "value": Out(signed(8)),
        })

    def elaborate(self, platform):
        m = Module()
        bias = Cat(self.field_2, self.field_3[:8]).as_signed()
        u = register(m, (self.acc + bias)[: self.acc_bits].as_signed(), "u")

        code = Cat(register(m, self.field_3[8:], "code"), self.field_0, self.field_1[:8])
        unshifted, shift = self.field_1[8], self.field_1[10 : 10 + self.max_shift.bit_length()]
        negative = u[-1]
        for stage in (2, 3):
            unshifted = register(m, unshifted, f"unshifted_{stage}")
            negative = register(m, negative, f"negative_{stage}")
        for stage in (2, 3, 4, 5):
            shift = register(m, shift, f"shift_{stage}")

        pairs = [self.pair(m, u, code[4 * k : 4 * k + 4], 2 * k) for k in range(8)]
        quads = [self.add(m, *pairs[k : k + 2], f"quad_{k // 2}") for k in (0, 2, 4, 6)]
        quads[0] = self.nudge(m, quads[0].drop(8), unshifted=unshifted, negative=negative)
        octets = [self.add(m, *quads[k : k + 2], f"octet_{k // 2}") for k in (0, 2)]
        product = self.add(m, octets[0].drop(16), octets[1], "product")
        x = product.drop(PRODUCT_DROP).value[: self.acc_bits].as_signed()
        self.finish(m, x, shift)
        return m

    def multiple(self, m: Module, u: Value, code: Value, digit: int) -> Term:
        """Return the multiple of u that a digit of the multiplier stands for."""
        position = max(2 * digit, self.lowest)
        end = 2 * digit + self.acc_bits + 1
        double = Cat(Const(0, 1), u).as_signed()
        value = Mux(code[1], Mux(code[0], ~u, double), Mux(code[0], u, 0))
        value = value.shift_right(position - 2 * digit)
        # The carry makes −u of ~u.  The module's introduction says why digit 0 needs none; where
        # bits of u are dropped there is an error anyway.
        exact = digit > 0 and position == 2 * digit
        return Term(
            value=wire(m, signed(end - position), value, f"multiple_{digit}"),
            position=position,
            end=end,
            carry=code.all() if exact else None,
        )

    def pair(self, m: Module, u: Value, codes: Value, digit: int) -> Term:
        """Return u times two digits of the multiplier, a cycle later."""
        low = self.multiple(m, u, codes[:2], digit)
        high = self.multiple(m, u, codes[2:], digit + 1)
        return self.add(m, low, high, f"pair_{digit // 2}")

    def add(self, m: Module, low: Term, high: Term, name: str) -> Term:
        """Return the sum of two terms, a cycle later."""
        overlap = high.position - low.position
        width = high.end - high.position
        if high.carry is None:
            top = low.value.shift_right(overlap) + high.value
        else:
            # The carry enters through a cell below the sum: as a third summand it would get an
            # adder of its own.
            top = Cat(Const(1, 1), low.value.shift_right(overlap)).as_signed()
            top = (top + Cat(high.carry, high.value).as_signed()).shift_right(1)
        value = Cat(low.value[:overlap], top[:width]).as_signed()
        return Term(
            value=register(m, value, name),
            position=low.position,
            end=high.end,
            carry=None if low.carry is None else register(m, low.carry, f"{name}_carry"),
        )

    def nudge(self, m: Module, term: Term, *, unshifted: Value, negative: Value) -> Term:
        """Add the rounding constant: 2^30, −2^30 if there is a second rounding, or nothing."""
        top = 30 - term.position
        low = wire(m, signed(top + 1), term.value, "unrounded")
        sign = low[top]
        rounds = unshifted | ~self.single_rounding
        subtract = ~unshifted & negative
        # The term fits in the bits up to `top`, which is its sign: adding there always changes
        # the bit, and leaves a sign that is known.
        value = Cat(low[:top], sign ^ rounds, Mux(rounds, subtract, sign))
        value = wire(m, signed(top + 2), value.as_signed(), "nudged")
        return Term(value=value, position=term.position, end=term.end)

    def finish(self, m: Module, x: Value, shift: Value):
        """Shift, round, add the zero point and clamp, in four cycles."""
        offset = register(m, self.zero_point - self.act_min, "offset")
        span = register(m, (self.act_max - self.act_min)[:8], "span")

        value = Cat(Const(0, 1), x).as_signed()
        lost = Const(0, 1)
        for k in reversed(range(2, len(shift))):
            value, lost = self.shift_right(m, value, lost, shift[k], 1 << k)
        sign = register(m, x[-1], "sign")
        value = register(m, value, "shifted")
        lost = register(m, lost, "lost")
        shift = register(m, shift[:2], "shift_6")
        value, lost = self.shift_right(m, value, lost, shift[1], 2)
        value, lost = self.shift_right(m, value, lost, shift[0], 1)

        # Bit 0 is the first one that was shifted out: the carry that rounds halves up.
        rounded = Cat(Const(1, 1), value[1:]).as_signed() + Cat(value[0], offset).as_signed()
        rounded = register(m, rounded[1:11], "rounded")
        under = register(m, lost & sign, "under")
        over = register(m, lost & ~sign, "over")

        is_low = under | (rounded[9] & ~over)
        is_high = over | rounded[8] | (rounded[:8] > span)
        clamped = register(m, Mux(is_low, 0, Mux(is_high, span, rounded[:8])), "clamped")
        m.d.sync += self.value.eq(clamped + self.act_min)

    def shift_right(self, m: Module, value: Value, lost: Value, enable: Value, amount: int):
        """Shift by a power of two if enabled; keep the bits that can still get into a result.

        ``lost`` tells whether the bits that were not kept differed from the sign.
        """
        # A result of 10 bits, shifted left by all the smaller amounts.
        width = min(9 + amount, len(value))
        rest = value[width - 1 :]
        lost = lost | (~enable & (rest != value[-1].replicate(len(rest))))
        shifted = Mux(enable, value.shift_right(amount), value)
        return wire(m, signed(width), shifted, f"shifted_by_{amount}"), lost
