"""Serial line: every byte, at any phase, with jitter; and what the link engine builds upon."""

from functools import partial

from amaranth.hdl import C, Const, Mux, Signal

from hw.proofs.bench import Bench
from hw.proofs.link_engine import GAP
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault

MODULE = "hw.link.uart"
MHZ = 39.0
BAUD = 12_000_000
UNITS = 32
"""Time is counted in this part of half a cycle, the distance of samples."""

IDLE = 8
"""Cycles before the start bit."""


def _make(source):
    return source.SerialLine(clock_mhz=MHZ, baud=BAUD)


def receives(bench: Bench, *, ratio: float = 1.0, jitter: float = 16.0):
    """Receive one byte of a host.

    Parameters
    ----------
    bench : Bench
    ratio : float
        Length of the host's bits by the line's own.
    jitter : float
        Nanoseconds that each edge is early or late, freely.
    """
    m = bench.m
    line = bench.block("line", MODULE, _make)
    start = bench.fixed("start", range(2 * UNITS))
    byte = bench.fixed("data", 8)
    free = bench.free("free", 2)
    bench.assume(start < 2 * UNITS)
    length = round(2 * MHZ * 1e6 / BAUD * UNITS * ratio)
    margin = round(jitter * 2 * MHZ / 1000 * UNITS)
    time = Signal(14)
    m.d.sync += time.eq(time + 2 * UNITS)

    begin = start + IDLE * 2 * UNITS
    levels = [Const(0, 1), *byte, Const(1, 1)]
    for half in range(2):
        now = time + half * UNITS
        value = C(1, 1)
        before = C(1, 1)
        either = C(0, 1)
        for number, level in enumerate(levels):
            edge = begin + number * length
            value = Mux(now >= edge, level, value)
            if margin:
                near = (now + margin > edge) & (now < edge + margin)
                either = either | near & (level != before)
            before = level
        m.d.comb += line.samples[half].eq(Mux(either, free[half], value))

    bench.show("samples", line.samples)
    received = Signal(8)
    bits = Signal(4)
    count = Signal(2)
    with m.If(line.bit_valid):
        m.d.sync += [received.eq(received >> 1 | line.bit << 7), bits.eq(bits + 1)]
    with m.If(line.byte):
        m.d.sync += count.eq(count + 1)
    end = (IDLE + 1) * 2 * UNITS + 10 * length + 8 * UNITS
    bench.claim("no_break", ~line.failed)
    bench.claim("what_was_sent", ~line.byte | ((received == byte) & (bits == 8)))
    bench.claim("once", (count <= 1) & ((time < end) | (count == 1)))
    bench.cover("alternating", line.byte & (byte == 0x55) & (start > UNITS))


def frames(bench: Bench):
    """Claim, whatever comes and whoever sends, that bytes have eight bits and bits are apart."""
    m = bench.m
    line = bench.block("line", MODULE, _make)
    samples = bench.free("samples", 2)
    sending = Signal()
    ends = bench.free("ends")
    begins = bench.free("begins")
    go = bench.free("go")
    begin = bench.show("begin", begins & ~sending)
    with m.If(begin):
        m.d.sync += sending.eq(1)
    with m.If(sending & ends):
        m.d.sync += sending.eq(0)
    rate = bench.fixed("rate", 2)
    m.d.comb += [
        line.samples.eq(samples), line.begin.eq(begin), line.sending.eq(sending),
        line.go.eq(go), line.rate.eq(rate), line.outgoing.eq(bench.free("outgoing")),
    ]
    count = line.local("count")
    # The engine ends where a byte has just ended, and waits for its first bit else.
    bench.assume(~ends | (count == 15))
    bits = Signal(4)
    since = Signal(4, init=15)
    was_sent = Signal()
    over = line.byte | line.failed
    with m.If(begin | over):
        m.d.sync += bits.eq(0)
    with m.Elif(line.bit_valid):
        m.d.sync += bits.eq(bits + 1)
    with m.If(over | begin):
        m.d.sync += [since.eq(1), was_sent.eq(sending | begin)]
    with m.Elif(since != 15):
        m.d.sync += since.eq(since + 1)
    bench.show("since", since)
    bit_valid = bench.show("bit_valid", line.bit_valid)
    bench.show("byte", line.byte)
    bench.claim("eight_bits", ~over | (bits == 8))
    bench.claim("place", ~bit_valid | (line.place == bits[:3]) & (bits < 8))
    bench.claim("one_at_a_time", ~(bit_valid & over) & ~(line.byte & line.failed))
    bench.claim("gap", ~bit_valid | sending | was_sent | (since >= GAP))
    bench.claim("no_break_of_ours", ~(line.failed & sending))
    bench.claim("count", Mux(count == 15, bits == 0, (count == bits) & (count <= 8)))
    bench.cover("next_bit", bit_valid & ~sending & ~was_sent & (since < 10))


PROOFS = (
    Proof(
        "uart-jitter", "any byte and phase, edges ±16 ns", receives,
        steps=52, cover_steps=52, bounded=True,
        faults=(
            Fault("a sample half a bit late", MODULE,
                  "(1 << PHASE_BITS - 1) - cycles * step", "- cycles * step"),
            Fault("phases do not see which half of the cycle", MODULE,
                  "Mux(self.samples[0], seen_high, seen_low)", "seen_high"),
        ),
    ),
    *(
        Proof(
            f"uart-{name}", f"the same of a host whose clock is 2.5 % {name}, edges ±4 ns",
            partial(receives, ratio=ratio, jitter=4.0),
            steps=52, cover_steps=52, bounded=True,
            faults=(
                Fault("a sample half a bit late", MODULE,
                      "(1 << PHASE_BITS - 1) - cycles * step", "- cycles * step"),
            ),
        )
        for name, ratio in (("fast", 0.975), ("slow", 1.025))
    ),
    Proof(
        "uart-frames", f"eight bits a byte, {GAP} cycles from byte to bit, any line", frames,
        steps=12, cover_steps=60,
        faults=(
            Fault("the stop bit is a ninth", MODULE,
                  "self.bit_valid.eq(strobe & ~count[3])", "self.bit_valid.eq(strobe & ~starting)"),
        ),
    ),
)
