"""Ring in activation memory: order, nothing overwritten, full and empty, also when it moves."""

from amaranth.hdl import Mux, Signal

from hw.contract.config import CoreConfig
from hw.contract.words import ADDRESS_BITS
from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault

MODULE = "hw.program.ring"


def harness(bench: Bench):
    """Push and pop at will, begin as the core does, move the first word downwards."""
    m = bench.m
    ring = bench.block("ring", MODULE, lambda source: source.Ring(CoreConfig()))
    last = ring.last
    push, pop, move, mark = (bench.free(n) for n in ("push", "pop", "move", "mark"))
    initial = bench.fixed("initial", ADDRESS_BITS)
    following = bench.free("next", ADDRESS_BITS)

    # The core loads for three cycles, and clears in the third.
    age = Signal(2)
    with m.If(age != 3):
        m.d.sync += age.eq(age + 1)
    running = bench.show("running", age == 3)
    m.d.comb += [
        ring.load.eq(~running), ring.clear.eq(age == 2), ring.initial.eq(initial),
        ring.push.eq(push), ring.pop.eq(pop), ring.move.eq(move & running),
        ring.next.eq(following),
    ]
    first = ring.local("first")
    write_first = ring.local("write_first")
    bench.assume(initial <= last)
    # The memory makes one access a cycle; who pushes has looked at `full`, who pops at `empty`.
    bench.assume(~(push & pop) & (running | ~(push | pop)))
    bench.assume((~push | ~ring.full) & (~pop | ~ring.empty))
    bench.assume(~ring.move | (following <= first))
    write, read = ring.write_address, ring.read_address

    # The specification: how many words there are, and where one marked word is.
    held = bench.show("held", count := Signal(ADDRESS_BITS + 1))
    m.d.sync += count.eq(count + push - pop)
    marked = Signal()
    place = Signal(ADDRESS_BITS)
    ahead = Signal(ADDRESS_BITS + 1)
    with m.If(~marked & mark & push):
        m.d.sync += [marked.eq(1), place.eq(write), ahead.eq(held)]
    with m.If(marked & pop):
        m.d.sync += ahead.eq(ahead - 1)
        with m.If(ahead == 0):
            m.d.sync += marked.eq(0)

    bench.claim("empty", ~running | (ring.empty == (held == 0)))
    bench.claim("full", ~running | ~ring.full | (held != 0))
    bench.claim("not_overwritten", ~(marked & push) | (write != place))
    bench.claim("in_order", ~(marked & pop) | ((ahead == 0) == (read == place)))

    # What holds between the registers, so that induction can begin anywhere.
    lap = (write < read) | ring.full
    behind = Mux(place >= read, place - read, (last + 1 - read) + (place - write_first))
    bench.claim("bounds", ~running | (
        (write <= last) & (read <= last) & (first <= write_first) & (write_first <= last)
        & (write >= write_first) & (lap | (read >= write_first))))
    bench.claim("count", Mux(running, held == Mux(
        lap, (last + 1 - read) + (write - write_first), write - read), (held == 0) & ~marked))
    bench.claim("mark", ~marked | (
        (place <= last) & (ahead == behind) & (ahead < held)
        & Mux(lap, (place >= read) | (place >= write_first) & (place < write),
              (place >= read) & (place < write))))
    bench.claim("begin", running | (
        ((age == 0) | (first == initial)) & ((age < 2) | (write_first == initial))))

    bench.cover("wrapped_and_moved", marked & pop & (ahead == 0) & (read == first)
                & (first != initial))


PROOFS = (
    Proof(
        "ring", "order, nothing overwritten, full and empty, moves", harness,
        steps=4, cover_steps=16,
        faults=(
            Fault("the reader wraps to the new first word", MODULE,
                  "self.last, write_first, self.read_address + 1",
                  "self.last, first, self.read_address + 1"),
            Fault("the writer wraps a word early", MODULE,
                  "wraps = self.write_address == self.last",
                  "wraps = self.write_address == self.last - 1"),
            Fault("a pop does not forget the push", MODULE,
                  "m.d.sync += wrapped.eq(0)", "pass"),
        ),
    ),
)
