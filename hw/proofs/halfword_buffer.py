"""Buffer of halfwords: order, nothing lost, ``word_ready`` is kept."""

from amaranth.hdl import Mux, Signal

from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault
from hw.proofs.streams import claim_stream

MODULE = "hw.program.buffer"
WORD = 4


def harness(bench: Bench):
    """Write whenever there may be room; take words as the arbiter does, or wait."""
    m = bench.m
    buffer = bench.block("buffer", MODULE, lambda source: source.HalfwordBuffer(word=WORD))
    depth = buffer.DEPTH
    memory = buffer.submodule("memory")
    write_port, read_port = memory.write_ports[0], memory.read_ports[0]
    bits = len(write_port.addr)
    write, flush, wish, mark = (bench.free(n) for n in ("write", "flush", "wish", "mark"))
    m.d.comb += [
        buffer.write.eq(write), buffer.flush.eq(flush),
        # All bits of a halfword go the same way.
        buffer.halfword.eq(bench.free("halfword")),
    ]

    # The reader: takes a whole word, once it was told that there is one.
    taking = Signal(WORD - 1)
    wanted = Signal()
    push = Signal()
    free = ~push & ~taking[:WORD - 2].any()
    m.d.sync += [
        taking.eq(Mux(flush, 0, taking << 1 | push)),
        wanted.eq(buffer.word_ready & free & ~flush),
    ]
    m.d.comb += [push.eq(wanted & wish), buffer.output.ready.eq(push | taking.any())]
    valid, ready = buffer.output.valid, buffer.output.ready
    take = bench.show("take", valid & ready)
    bench.show("word_ready", buffer.word_ready)

    # The specification: how many there are, and where one marked halfword is.
    held = bench.show("held", count := Signal(range(depth + 2)))
    taken = Signal(bits)
    with m.If(flush):
        m.d.sync += [count.eq(0), taken.eq(0)]
    with m.Else():
        m.d.sync += [count.eq(count + write - take), taken.eq(taken + take)]
    room = depth - WORD
    bench.assume(~write | (held < room))
    bench.assume(~(write & flush))
    marked = Signal()
    latched = Signal()
    place = Signal(bits)
    ahead = Signal(range(depth + 2))
    with m.If(~marked & mark & write):
        m.d.sync += [
            marked.eq(1), latched.eq(0), place.eq(write_port.addr), ahead.eq(held - take)]
    with m.If(marked & read_port.en & (read_port.addr == place)):
        m.d.sync += latched.eq(1)
    with m.If(marked & take):
        m.d.sync += ahead.eq(ahead - 1)
        with m.If(ahead == 0):
            m.d.sync += [marked.eq(0), latched.eq(0)]
    with m.If(flush):
        m.d.sync += [marked.eq(0), latched.eq(0)]

    bench.claim("word_can_be_taken", ~ready | valid)
    claim_stream(bench, "output", buffer.output, dropped=flush)
    bench.claim("not_overwritten", ~(marked & ~latched & write) | (write_port.addr != place))
    bench.claim("in_order", ~(marked & take) | ((ahead == 0) == latched))
    bench.claim("not_read_while_written",
                ~(read_port.en & write) | (read_port.addr != write_port.addr))

    # What holds between the registers, so that induction can begin anywhere.
    phase = taken[:2]
    bench.claim("pointers", (read_port.addr == (taken + valid)[:bits])
                & (write_port.addr == (taken + held)[:bits]) & (held <= room)
                & (~valid | (held != 0)))
    bench.claim("words", buffer.local("taken_words") == ((taken + WORD - 1)[:bits] >> 2))
    bench.claim("one_word", taking.matches(0, 1, 2, 4) & (~wanted | (taking == 0)))
    bench.claim("phase", phase == Mux(taking[0], 1, Mux(taking[1], 2, Mux(taking[2], 3, 0))))
    bench.claim("enough", (~wanted | (valid & (held >= 4))) & (~taking[0] | (valid & (held >= 3)))
                & (~taking[1] | (valid & (held >= 2))) & (~taking[2] | (valid & (held >= 1))))
    bench.claim("promise", (~(buffer.word_ready & (phase == 0)) | (held >= 4))
                & (~(buffer.word_ready & taking[2]) | (held >= 5)))
    bench.claim("mark", (marked | ~latched) & (~marked | (
        (ahead < held) & (place == (taken + ahead)[:bits]) & (latched == ((ahead == 0) & valid)))))

    bench.cover("second_word", (taken == 8) & marked & take)


PROOFS = (
    Proof(
        "halfword-buffer", "order, nothing overwritten, word_ready is kept", harness,
        steps=4, cover_steps=24,
        faults=(
            Fault("word_ready a halfword early", MODULE,
                  "write_port.addr[index:] != taken_words",
                  "(write_port.addr + 1)[index:] != taken_words"),
            Fault("the latch is read over", MODULE,
                  "& (~self.output.valid | self.output.ready)", ""),
        ),
    ),
)
