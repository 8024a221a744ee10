"""Loader, behind the arbiter and before the word reader: nothing is loaded without room for it."""

from amaranth.hdl import Mux, Signal, Value

from hw.contract.config import CoreConfig
from hw.contract.latency import SPARE_SLOTS
from hw.contract.words import HALFWORD_BITS
from hw.memory.arbiter import Arbiter
from hw.memory.word_reader import WordReader
from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault

MODULE = "hw.program.loader"


def harness(bench: Bench):
    """Let the ring run empty, others have the memory, and what is loaded be freed, at any time."""
    m = bench.m
    config = CoreConfig()
    loader = bench.block("loader", MODULE, lambda source: source.Loader(config))
    arbiter = bench.block("arbiter", Arbiter.__module__, lambda source: source.Arbiter(config))
    reader = bench.block("reader", WordReader.__module__, lambda source: source.WordReader(config))
    empty = bench.free("empty")
    header = bench.free("header", HALFWORD_BITS)
    asks = bench.free("host_request")
    writes = bench.free("host_write")
    m.d.comb += [
        loader.empty.eq(empty), loader.serial_ready.eq(reader.ready_next),
        loader.header.eq(header), loader.grant.eq(arbiter.pop.grant),
        arbiter.read.eq(bench.free("read")),
        arbiter.result.request.eq(bench.free("result_request")),
        arbiter.word_ready.eq(bench.free("word_ready")), arbiter.full.eq(bench.free("full")),
        arbiter.host.request.eq(asks), arbiter.host.write.eq(writes),
        arbiter.pop.request.eq(loader.request), arbiter.pop_serial.eq(loader.serial),
        Value.cast(arbiter.pop_tag).eq(Value.cast(loader.tag)),
        arbiter.reader_ready.eq(reader.ready_next),
        reader.start.eq(arbiter.reader_start),
        Value.cast(reader.start_tag).eq(Value.cast(arbiter.reader_tag)),
    ]
    grant = bench.show("grant", loader.grant)
    host = arbiter.host
    bench.assume(~bench.past(asks & ~host.grant) | (asks & (writes == bench.past(writes))))
    bench.assume(~bench.past(host.grant) | ~asks)
    # Only a pop empties the ring.
    bench.assume(~empty | bench.past(empty, init=1) | bench.past(grant))

    bench.claim("reader_is_ready", ~reader.start | reader.ready)
    bench.claim("ring_has_a_word", ~grant | ~empty)
    bench.claim("every_other_cycle", ~(grant & bench.past(grant)))
    request = bench.show("request", loader.request)
    bench.claim("request_stays", ~bench.past(request & ~grant) | request)
    bench.claim("requests", (~request | ~bench.past(grant)) & (~request | ~empty)
                & (~(request & loader.serial) | reader.ready)
                & (~arbiter.local("host_reads") | reader.ready))
    _rooms(bench, config, loader, grant)


def _rooms(bench: Bench, config: CoreConfig, loader, grant):
    """Count what is loaded and not freed, and claim that there was room."""
    m = bench.m
    block_freed = bench.free("block_freed")
    freed_steps = bench.free("freed_steps", len(loader.freed_steps))
    descriptor_freed = bench.free("descriptor_freed")
    m.d.comb += [
        loader.block_freed.eq(block_freed), loader.freed_steps.eq(freed_steps),
        loader.descriptor_freed.eq(descriptor_freed),
    ]
    blocks = bench.show("blocks", its_blocks := Signal(8))
    descriptors = bench.show("descriptors", its_descriptors := Signal(5))
    steps = bench.show("steps", its_steps := Signal(12))
    row = Signal()
    taken = grant & loader.state("WEIGHTS")
    with m.If(taken):
        m.d.sync += row.eq(~row)
    m.d.sync += [
        its_blocks.eq(blocks + loader.block_loaded - block_freed),
        its_descriptors.eq(descriptors + loader.descriptor_loaded - descriptor_freed),
        its_steps.eq(steps + (taken & ~row) - Mux(block_freed, freed_steps, 0)),
    ]
    # Nothing is freed that was not loaded.
    bench.assume(~block_freed | (blocks != 0) & (freed_steps <= steps))
    bench.assume(~descriptor_freed | (descriptors != 0))

    of_descriptor = grant & loader.state("DESCRIPTOR")
    of_parameters = grant & loader.state("PARAMETERS")
    block_room = config.parameter_slots - SPARE_SLOTS
    bench.claim("descriptor_room", ~of_descriptor | (descriptors < config.descriptor_slots - 1))
    bench.claim("parameter_room", ~of_parameters | (blocks < block_room))
    bench.claim("weight_room", ~taken | row | (steps < config.weight_depth))
    bench.claim("descriptors", descriptors <= config.descriptor_slots - 1)
    bench.claim("blocks", blocks <= block_room)
    bench.claim("steps", steps <= config.weight_depth)
    bench.claim("stop_is_final", ~bench.past(loader.state("STOP")) | loader.state("STOP"))

    # What holds between the registers, so that induction can begin anywhere.
    waiting = loader.request
    pulses = loader.block_loaded | loader.descriptor_loaded
    bench.claim("counters", (loader.local("queued") == descriptors)
                & (loader.local("blocks") == blocks) & (loader.local("steps") == steps)
                & (loader.local("row") == row))
    bench.claim("pulses", ~pulses | (loader.state("HEADER") & ~waiting))
    bench.claim("header_read", ~loader.state("HEADER-READ", "STOP") | ~waiting)
    bench.claim("complete", ~(loader.state("DESCRIPTOR") & waiting)
                | (descriptors < config.descriptor_slots - 1))
    bench.claim("begun", ~(loader.state("PARAMETERS") & waiting) | (blocks < block_room))
    bench.claim("weights", ~(loader.state("WEIGHTS") & waiting)
                | row | (steps < config.weight_depth))
    bench.claim("space", ~loader.state("WEIGHTS") | (blocks < block_room))
    bench.cover("block", loader.block_loaded & (descriptors != 0))


PROOFS = (
    Proof(
        "loader", "room for all it loads, the reader is ready, no empty pop", harness,
        steps=6, cover_steps=60,
        faults=(
            Fault("requests do not wait for a grant", MODULE,
                  "wanted & ~self.empty & ~self.grant)", "wanted & ~self.empty)"),
            Fault("the word reader is not asked", MODULE,
                  "wanted.eq(self.serial_ready & room)", "wanted.eq(room)"),
        ),
    ),
)
