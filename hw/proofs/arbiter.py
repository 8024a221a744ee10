"""Arbiter: one access a cycle, its priorities, and halfwords that meet their access."""

from amaranth.hdl import Cat, Mux, Signal, Value

from hw.contract.config import CoreConfig
from hw.contract.words import ADDRESS_BITS, HALFWORD_BITS
from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault

MODULE = "hw.memory.arbiter"


def drive(bench: Bench, arbiter, names: dict[str, int]) -> dict[str, Signal]:
    """Make inputs of the arbiter free; names of members of members have a dot."""
    signals = {}
    for name, width in names.items():
        target = arbiter.component
        for part in name.split("."):
            target = getattr(target, part)
        signals[name] = bench.free(name.replace(".", "_"), width)
        bench.m.d.comb += Value.cast(target).eq(signals[name])
    return signals


def harness(bench: Bench):
    """Let everybody wish for whatever they like, as long as they keep to a wish."""
    lanes = CoreConfig().lanes
    arbiter = bench.block("arbiter", MODULE, lambda source: source.Arbiter(CoreConfig()))
    inputs = drive(bench, arbiter, {
        "read": 1, "read_address": ADDRESS_BITS, "result.request": 1,
        "result.address": ADDRESS_BITS, "words.payload": HALFWORD_BITS, "word_ready": 1,
        "push_address": ADDRESS_BITS, "full": 1, "host.request": 1, "host.write": 1,
        "host.word": ADDRESS_BITS, "host.lane": 2, "host.halfword": HALFWORD_BITS,
        "pop.request": 1, "pop.address": ADDRESS_BITS, "pop_serial": 1, "reader_ready": 1,
    })
    host = arbiter.host
    # A wish of the host stays until it is granted, its halfword until it has settled.
    waits = bench.past(host.request & ~host.grant)
    wish = Cat(host.write, host.word, host.lane)
    bench.assume(~waits | (host.request & (wish == bench.past(wish))))
    held = bench.past(host.request | ~host.settled)
    bench.assume(~held | (host.halfword == bench.past(host.halfword)))
    # After a grant the host makes no other access before that has settled.
    bench.assume(host.settled | ~host.request)
    bench.assume(~bench.past(host.grant) | ~host.request)

    read = bench.past(inputs["read"])
    read_address = bench.past(inputs["read_address"])
    result = bench.show("result_grant", arbiter.result.grant)
    push = bench.show("push", arbiter.push)
    host_grant = bench.show("host_grant", host.grant)
    pop = bench.show("pop_grant", arbiter.pop.grant)
    grants = Cat(read, result, push, host_grant, pop)
    access = arbiter.access
    writes = host_grant & host.write
    bench.claim("one_access", grants.matches(0, 1, 2, 4, 8, 16))
    bench.claim("address", ~grants.any() | (access.address == Mux(
        read, read_address, Mux(result, arbiter.result.address, Mux(
            push, arbiter.push_address, Mux(pop, arbiter.pop.address, host.word))))))
    bench.claim("writes", (access.write == (result | push | writes))
                & (~access.write | (access.result == result)))
    bench.claim("mask", ~access.write | (arbiter.mask == Mux(writes, 1 << host.lane, -1)[:lanes]))
    bench.claim("reader", arbiter.reader_start == (
        pop & arbiter.pop_serial | host_grant & ~host.write))

    bench.claim("read_never_waits", ~result | ~read)
    bench.claim("result_waits_for_reads", result == (arbiter.result.request & ~read))
    busy = read | result
    bench.claim("pop_waits_for_those_above",
                pop == (arbiter.pop.request & ~busy & ~push & ~writes))
    _streams(bench, arbiter, busy, push, writes)
    bench.cover("all_in_turn", pop & bench.past(push) & bench.past(bench.past(result)))
    bench.cover("host_after_word", writes & (host.lane == lanes - 1)
                & bench.past(arbiter.words.ready))


def _streams(bench: Bench, arbiter, busy, push, writes):
    """Claim that a halfword is on the stream when its access reaches its lane."""
    m = bench.m
    lanes, host = CoreConfig().lanes, arbiter.host
    pushes = Signal(lanes - 1)
    gives = Signal(lanes - 1)
    m.d.sync += [pushes.eq(pushes << 1 | push), gives.eq(gives << 1 | writes)]
    taken = Cat(push, pushes)
    due = Cat(
        (Cat(writes, gives)[g]) & (lane_then == g)
        for g, lane_then in enumerate(_lanes(bench, host.lane, lanes))
    ).any()
    bench.claim("whole_words", arbiter.words.ready == taken.any())
    bench.claim("one_word", taken.matches(0, *(1 << g for g in range(lanes))))
    bench.claim("words_to_lanes",
                ~arbiter.words.ready | (arbiter.stream == arbiter.words.payload))
    bench.claim("host_to_its_lane", ~due | (
        ~arbiter.words.ready & (arbiter.stream == host.halfword)))
    bench.claim("settled", host.settled == ~gives.any())
    bench.claim("no_run_in", ~(taken.any() & Cat(writes, gives).any()))

    # What must not wait for ever: with nothing above, a host's write is granted in so many cycles.
    quiet = Signal(range(16))
    with m.If(host.request & host.write & ~host.grant & ~busy):
        m.d.sync += quiet.eq(quiet + 1)
    with m.Else():
        m.d.sync += quiet.eq(0)
    bench.claim("host_write_soon", quiet <= lanes + 1)
    word = Signal(range(16))
    idle = arbiter.word_ready & ~arbiter.full & ~busy & ~host.request & ~push
    with m.If(idle):
        m.d.sync += word.eq(word + 1)
    with m.Else():
        m.d.sync += word.eq(0)
    bench.claim("word_soon", word <= lanes)
    bench.claim("registers", (arbiter.local("taking") == pushes)
                & (arbiter.local("giving") == gives)
                & (arbiter.local("running") == pushes.any())
                & ~(arbiter.local("push_wanted") & (pushes[:-1].any() | gives[:-1].any()))
                & ~(arbiter.local("host_writes") & pushes.any()))


def _lanes(bench: Bench, lane, count: int):
    """Return the lane now and in the cycles before."""
    values = [lane]
    for _ in range(count - 1):
        values.append(bench.past(values[-1]))
    return values


PROOFS = (
    Proof(
        "arbiter", "one access a cycle, priorities, halfwords meet lanes", harness,
        steps=10, cover_steps=20,
        faults=(
            Fault("a write of the host runs into a word", MODULE,
                  "host.write & stream_free),", "host.write),"),
            Fault("a word runs into the host's halfword", MODULE,
                  "& ~give & ~giving[: lanes - 2].any()", ""),
            Fault("results come before the sequencer's reads", MODULE,
                  "with m.If(read):\n", "with m.If(read & ~self.result.request):\n"),
        ),
    ),
)
