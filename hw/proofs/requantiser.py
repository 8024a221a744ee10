"""Requantiser: equal to its specification, over all accumulators and clamps, a multiplier a proof.

What it is compared with is written down here once more, in whole products: the registers of the
pipeline are wires, and it is one question without time.
"""

from amaranth.hdl import C, Mux, Signal, signed

from hw.contract.requantiser import encode_channel, u_limit
from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault

MODULE = "hw.requantise.requantiser"
ACC_BITS = 24


def equal(bench: Bench, *, multiplier: int, shift: int, single: int):
    """Compare one multiplier and shift, for every accumulator, zero point and clamp."""
    m = bench.m
    unit = bench.block("unit", MODULE, lambda source: source.Requantiser(
        acc_bits=ACC_BITS, fraction_bits=31))
    u = bench.free("acc", signed(ACC_BITS))
    zero, low, high = (bench.free(n, signed(8)) for n in ("zero_point", "act_min", "act_max"))
    fields = encode_channel(multiplier=multiplier, shift=shift, bias=0)
    m.d.comb += [
        *(getattr(unit, f"field_{k}").eq(fields[k]) for k in range(4)),
        unit.acc.eq(u), unit.zero_point.eq(zero), unit.act_min.eq(low), unit.act_max.eq(high),
        unit.single_rounding.eq(single),
    ]
    limit = u_limit(ACC_BITS)
    bench.assume((u <= limit) & (u >= -limit) & (low <= high))

    x = Signal(signed(ACC_BITS + 2))
    y = Signal(signed(ACC_BITS + 2))
    m.d.comb += x.eq((u * C(multiplier, 32) + (1 << 30)) >> 31)
    if not shift:
        m.d.comb += y.eq(x)
    elif single:
        m.d.comb += y.eq((u * C(multiplier, 32) + (1 << 30 + shift)) >> (31 + shift))
    else:
        half = 1 << shift - 1
        m.d.comb += y.eq(Mux(x < 0, -((half - x) >> shift), (x + half) >> shift))
    moved = y + zero
    value = Signal(signed(8))
    m.d.comb += value.eq(Mux(moved < low, low, Mux(moved > high, high, moved)))
    bench.show("expected", value)
    bench.show("value", unit.value)
    bench.claim("equal", unit.value == value)
    bench.cover("inside", (unit.value > low) & (unit.value < high) & (u < 0))


PROOFS = tuple(
    Proof(
        f"requantiser-{name}",
        f"multiplier {multiplier:#x}, shift {shift}{', one rounding' * single}, all accumulators",
        lambda bench, multiplier=multiplier, shift=shift, single=single: equal(
            bench, multiplier=multiplier, shift=shift, single=single),
        steps=1, cover_steps=1, feed_forward=True, long=long,
        faults=(
            Fault("halves are rounded down", MODULE,
                  "Cat(Const(1, 1), value[1:])", "Cat(Const(0, 1), value[1:])")
            if shift else
            Fault("no rounding constant", MODULE,
                  "rounds = unshifted | ~self.single_rounding", "rounds = Const(0, 1)"),
        ),
    )
    for name, multiplier, shift, single, long in (
        ("half", 1 << 30, 0, 0, False),
        ("half-shifted", 1 << 30, 7, 0, False),
        ("half-once", 1 << 30, 7, 1, False),
        ("greatest", (1 << 31) - 1, 0, 0, True),
        ("alternating", 0x55555555, 0, 0, True),
        ("root", 1518500250, 5, 0, True),
        ("odd-once", 0x55555555, 3, 1, True),
        # First channels of vww_96_int8 and mobilenet_v1_0.25_128_quant.
        ("vww", 1179182713, 7, 0, True),
        ("mobilenet", 1621424953, 8, 0, True),
    )
)
