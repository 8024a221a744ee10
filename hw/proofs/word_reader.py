"""Word reader: each word comes whole, in order and with its tag; ``ready_next`` is true."""

from amaranth.hdl import Cat, Mux, Signal, Value

from hw.contract.config import CoreConfig
from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault

MODULE = "hw.memory.word_reader"


def harness(bench: Bench):
    """Start whenever it says that it is ready."""
    m = bench.m
    config = CoreConfig()
    reader = bench.block("reader", MODULE, lambda source: source.WordReader(config))
    start = bench.free("start")
    tag = bench.free("start_tag", len(Value.cast(reader.start_tag)))
    data = [bench.free(f"read_data_{g}", 16) for g in range(config.lanes)]
    m.d.comb += [
        reader.start.eq(start), Value.cast(reader.start_tag).eq(tag),
        Value.cast(reader.read_data).eq(Cat(data)),
    ]
    ready = bench.show("ready", reader.ready)
    ready_next = bench.show("ready_next", reader.ready_next)
    bench.assume(~start | ready)

    # The specification: starts of the last cycles, one-hot if any, and the tag of the last.
    begun = Signal(config.lanes)
    m.d.sync += begun.eq(begun << 1 | start)
    kept = Signal.like(tag)
    with m.If(start):
        m.d.sync += kept.eq(tag)
    valid = bench.show("valid", reader.valid)
    lane = Mux(begun[0], 0, Mux(begun[1], 1, Mux(begun[2], 2, 3)))
    bench.claim("whole_words", valid == begun.any())
    bench.claim("one_at_a_time", begun.matches(0, *(1 << g for g in range(config.lanes))))
    bench.claim("lanes", ~valid | (reader.lane == lane))
    bench.claim("tags", ~valid | (Value.cast(reader.tag) == kept))
    bench.claim("halfwords", ~valid | Cat(
        (reader.halfword == data[g]) | (lane != g) for g in range(config.lanes)).all())
    bench.claim("ready", ready == ~begun[:-1].any())
    known = Signal()
    m.d.sync += known.eq(1)
    bench.claim("ready_next", ~known | (bench.past(ready_next) == ready))
    bench.cover("back_to_back", start & begun[-1] & (kept != 0) & (tag != kept))


PROOFS = (
    Proof(
        "word-reader", "whole words, in order, with their tags", harness,
        steps=6, cover_steps=12,
        faults=(
            Fault("ready_next forgets a start", MODULE, ") & ~self.start),", ")),"),
            Fault("a word is a halfword short", MODULE,
                  "last = self.config.lanes - 1", "last = self.config.lanes - 2"),
        ),
    ),
)
