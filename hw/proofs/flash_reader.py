"""Flash reader: what its pins do, whatever the flash, the host and the core do.

The pins are those of :class:`hw.interfaces.FlashPins`: outputs change at a cycle's beginning, SCK
there (bit 0) and in its middle (bit 1).
"""

from amaranth.hdl import Module, Mux, Signal

from hw.contract.sections import CRC_LAST, CRC_MARK, CRC_START, crc_residue
from hw.proofs.bench import Bench, Block
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault

MODULE = "hw.program.flash_reader"

POLYNOMIAL = 0x1021
"""Of the sections' checksum: CRC-16, high bit first (docs/flash.md)."""

HIGH = 4
"""Cycles that /CS is high at least behind a command of single bits: tSHSL2 is 50 ns."""


def harness(bench: Bench):
    """A reader between a flash, a host and a core that do anything at any time."""
    m = bench.m
    reader = bench.block("reader", MODULE, lambda source: source.FlashReader())
    m.d.comb += [
        reader.pins.i.eq(bench.free("i", 8)),
        reader.program.start.eq(bench.free("start")),
        reader.program.stop.eq(bench.free("stop")),
        reader.program.address.eq(bench.free("address", 24)),
        reader.program.words.ready.eq(bench.free("words_ready")),
        reader.raw.start.eq(bench.free("raw_start")),
        reader.raw.select.eq(bench.free("raw_select")),
        reader.raw.tx.eq(bench.free("raw_tx", 8)),
    ]
    exchanging = reader.local("exchanging")
    resting = reader.local("resting")
    waiting = reader.local("waiting")
    turning = reader.local("turning")
    data_phase = reader.local("data_phase")
    count = reader.local("count")
    busy = reader.busy
    cs_n = bench.show("cs_n", reader.pins.cs_n)
    sck = bench.show("sck", reader.pins.sck)
    o = bench.show("o", reader.pins.o)
    oe = bench.show("oe", reader.pins.oe)
    quad = bench.show("quad", busy & count[3] & ~turning)

    first = Signal(init=1)
    m.d.sync += first.eq(0)
    bench.claim("at_rest_after_reset", ~first | cs_n & ~sck.any())
    bench.claim("clocks_are_of_a_command", ~sck.any() | ~cs_n)
    falls = bench.past(cs_n, init=1) & ~cs_n
    bench.claim("no_clock_when_cs_falls", ~falls | ~sck[0])
    # The flash's own outputs: IO1 in answers of single bits, all lines from the dummy clocks on,
    # and for a cycle (tSHQZ) behind a stream.
    bench.claim("io1_is_the_flashs", ~oe[1] | quad)
    bench.claim("all_lines_are_the_flashs", ~data_phase | (oe == 0))
    bench.claim("lets_go_later", ~bench.past(data_phase) | (oe == 0))
    # /WP and /HOLD.
    bench.claim("held_high", quad | (oe[2:] == 0) | (oe[2:] == 3) & (o[2:] == 3))
    # Both edges of SCK take address and mode bits: none of them is where the lines change.
    bench.claim("edges_in_the_middle", ~(quad & bench.past(quad)) | (sck[0] == bench.past(sck[1])))
    # How long /CS was high, and whether a command of single bits was before it.
    high = Signal(range(HIGH + 1), init=HIGH)
    single = Signal()
    with m.If(~cs_n):
        m.d.sync += [high.eq(0), single.eq(exchanging & ~reader.program.ready)]
    with m.Elif(high != HIGH):
        m.d.sync += high.eq(high + 1)
    bench.claim("high_between_commands", ~(falls & single) | (high == HIGH))

    # What holds between the registers, so that induction can begin anywhere.
    bench.claim("one_at_a_time", exchanging + resting + waiting + busy == 1)
    bench.claim("count_rests", ~(resting | waiting) | (count == 0))
    bench.claim("data_phase", ~data_phase | busy & turning)
    bench.claim("turning", ~turning | busy | resting)
    # A host takes the flash over as soon as it may, and the core begins at once.
    bench.guide(reader.raw.select | turning)
    bench.guide(reader.program.start & ~reader.raw.start & (reader.pins.i == 0))
    bench.guide(~reader.program.stop | data_phase)
    bench.cover("data", data_phase & bench.past(data_phase))


def checksum(bench: Bench):
    """Compare the checksum, which takes eight bits at once, with its definition, bit by bit."""
    m = bench.m
    reader = bench.sources.get(MODULE).FlashReader()
    # This part alone: the rest of the reader has nothing to do with it.
    reader._MustUse__used = True
    inner = Module()
    m.submodules.checks = inner
    byte = bench.free("byte", 8)
    first = bench.free("first")
    flush = bench.free("flush")
    reader._check(inner, byte, first, bench.free("arrived"), bench.free("drop"), flush)
    checks = Block(reader, inner)

    expected = Signal(16, init=CRC_START)
    folded = expected
    for bit in reversed(range(8)):
        folded = (folded << 1)[:16] ^ Mux(folded[15] ^ byte[bit], POLYNOMIAL, 0)
    with m.If(first | checks.local("second")):
        m.d.sync += expected.eq(folded)
    with m.If(flush):
        m.d.sync += expected.eq(CRC_START)
    bench.show("crc", checks.local("crc"))
    bench.claim("as_defined", checks.local("crc") == expected)
    verified = reader.program.verified
    corrupt = reader.program.corrupt
    begins = {name: signal & ~bench.past(signal)
              for name, signal in (("verified", verified), ("corrupt", corrupt))}
    before = bench.past(expected)
    last = crc_residue(CRC_LAST)
    bench.claim("verified_is_the_end", ~begins["verified"] | (before == last))
    bench.claim("corrupt_is_wrong", ~begins["corrupt"] | (before != last) & (
        before != crc_residue(CRC_MARK)))
    bench.cover("verified", begins["verified"])
    bench.cover("corrupt", begins["corrupt"])


PROOFS = (
    Proof(
        "flash-pins", "clocks in commands, no line is driven twice, /CS rests", harness,
        steps=12, cover_steps=320, long=True,
        faults=(
            Fault("outputs come back as soon as /CS rises", MODULE,
                  "with m.If(~reading):\n            m.d.sync += turning.eq(0)",
                  "with m.If(~reading | self.program.stop):\n            "
                  "m.d.sync += turning.eq(0)"),
            Fault("IO1 is driven in commands", MODULE,
                  "Cat(C(1, 1), quad, C(0b11, 2))", "Cat(C(1, 1), reading, C(0b11, 2))"),
            Fault("SCK runs on behind a stream", MODULE,
                  "(reading & ~hold & ~fall)", "((reading | turning) & ~hold & ~fall)"),
        ),
    ),
    Proof(
        "flash-crc", "the checksum is the CRC by its definition, and so is its verdict", checksum,
        steps=4, cover_steps=12,
        faults=(
            Fault("a term is a place off", MODULE, "(top << 5)", "(top << 6)"),
            Fault("any residue but a wrong one ends well", MODULE,
                  "self.program.verified.eq(crc == last)", "self.program.verified.eq(crc != last)"),
        ),
    ),
)
