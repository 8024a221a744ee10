"""Host port: an item has to stay for four cycles, and what is written is that item."""

from amaranth.hdl import Mux, Signal

from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.proofs.bench import Bench
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault
from hw.proofs.streams import claim_stream

MODULE = "hw.control.registers"

KEPT = latency.HOST_ITEM
"""Cycles, from that of the request on, in which a link leaves ``data`` as it is; the other side
is proven of the link."""


def harness(bench: Bench, *, kept: int = KEPT):
    """A link that shifts its data on after some cycles, before a core that grants at any time."""
    m = bench.m
    config = CoreConfig()
    port = bench.block("port", MODULE, lambda source: source.HostPort(config))
    new, write, register = (bench.free(n) for n in ("new", "write", "register"))
    fresh = bench.free("item", 16)
    address = bench.free("address", 16)
    noise = bench.free("noise", 16)
    read = bench.free("read_halfword", 16)
    grant = bench.free("grant")
    read_valid = bench.free("read_valid")

    # The link: an item, then others before it was taken.
    valid = Signal()
    age = Signal(4)
    item = Signal(16)
    its_write = Signal()
    its_register = Signal()
    its_address = Signal(16)
    ask = port.bus.request
    m.d.comb += [
        ask.valid.eq(valid), ask.payload.write.eq(its_write),
        ask.payload.register.eq(its_register), ask.payload.address.eq(its_address),
        ask.payload.data.eq(Mux(age < kept, item, noise)),
        port.bus.response.ready.eq(bench.free("response_ready")),
        port.memory.grant.eq(grant),
        port.read_valid.eq(read_valid), port.read_halfword.eq(read),
    ]
    with m.If(valid & (age != 15)):
        m.d.sync += age.eq(age + 1)
    with m.If(valid & ask.ready):
        m.d.sync += valid.eq(0)
    with m.If(~valid & new):
        m.d.sync += [
            valid.eq(1), age.eq(0), item.eq(fresh), its_write.eq(write),
            its_register.eq(register), its_address.eq(address),
        ]

    # The core: a write is on its way to its lane for lanes - 1 cycles.
    left = Signal(range(config.lanes))
    with m.If(grant & port.memory.write):
        m.d.sync += left.eq(config.lanes - 1)
    with m.Elif(left != 0):
        m.d.sync += left.eq(left - 1)
    settled = bench.show("settled", left == 0)
    m.d.comb += port.memory.settled.eq(settled)
    bench.assume(~grant | port.memory.request)
    reading = Signal()
    with m.If(grant & ~port.memory.write):
        m.d.sync += reading.eq(1)
    with m.Elif(read_valid):
        m.d.sync += reading.eq(0)
    bench.assume(~read_valid | reading)
    # A link asks again when a read was answered.
    answer = port.bus.response
    asked = Signal()
    with m.If(valid & ask.ready & ~its_write):
        m.d.sync += asked.eq(1)
    with m.Elif(answer.valid & answer.ready):
        m.d.sync += asked.eq(0)
    bench.assume(~new | ~asked & ~(valid & ask.ready & ~its_write))

    written = bench.show("written", grant & port.memory.write)
    bench.show("age", age)
    bench.claim("item_is_written", ~written | (port.memory.halfword == item))
    bench.claim("place", ~grant | ((port.memory.word == its_address[port.lane_bits:])
                                   & (port.memory.lane == its_address[:port.lane_bits])))
    bench.claim("halfword_is_held",
                settled | (port.memory.halfword == bench.past(port.memory.halfword)))
    bench.claim("no_access_of_itself", ~port.memory.request | valid & ~its_register)
    bench.claim("start_is_a_write", ~port.start | valid & its_write & its_register)
    bench.claim("answer_is_read", ~bench.past(read_valid)
                | answer.valid & (answer.payload == bench.past(read)))
    claim_stream(bench, "response", answer)

    # What holds between the registers, so that induction can begin anywhere.
    bench.claim("states", (~port.state("ACCESS") | valid & ~its_register & settled)
                & (settled | port.state("SETTLE")) & (reading == port.state("READ"))
                & (~port.state("READ") | asked & ~answer.valid & ~valid)
                & (~answer.valid | asked) & (~asked | ~valid)
                & (~asked | port.state("READ") | answer.valid))
    bench.claim("in_time", ~port.state("ACCESS") | ~its_write | (port.memory.halfword == item))
    bench.claim("new_in_time", ~(valid & port.state("SETTLE")) | (age + left < config.lanes - 1))
    bench.claim("at_once", ~(valid & port.state("IDLE")) | (age < kept))
    bench.cover("late_and_settling", written & (age > kept) & (item != noise) & bench.past(
        bench.past(bench.past(bench.past(~settled & valid)))))


PROOFS = (
    Proof(
        "host-port", f"an item that is there for {KEPT} cycles is what is written", harness,
        steps=12, cover_steps=20,
        faults=(
            Fault("a cycle more, for which the link would have to keep its item", MODULE,
                  'with m.If(self.memory.settled):\n                    m.next = "IDLE"\n',
                  'with m.If(self.memory.settled):\n                    m.next = "LATE"\n'
                  '            with m.State("LATE"):\n                m.next = "IDLE"\n'),
            Fault("a write is not waited for", MODULE,
                  "with m.If(self.memory.settled):", "with m.If(1):"),
        ),
    ),
)
