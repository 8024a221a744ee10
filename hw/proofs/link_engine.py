"""Link engine: what is not whole changes nothing, and an item stays for as long as the port needs.

The line before it is any line that gives eight bits and then a byte (or a break), and five cycles
between a byte and the next bit: that is proven of the line.
"""

from amaranth.hdl import C, Mux, Signal

from hw.contract.config import CoreConfig
from hw.contract.link import ONES, POLYNOMIAL, Space, header, payload
from hw.proofs.bench import Bench
from hw.proofs.host_port import KEPT
from hw.proofs.proof import Proof
from hw.proofs.sources import Fault

MODULE = "hw.link.engine"
GAP = 5
"""Cycles from a byte that is received to the next bit, at least."""

LISTENING = ("SEQUENCE", "FIELDS", "HEADER CHECKSUM", "RECEIVE", "ITEMS CHECKSUM")


def line(bench: Bench, engine, *, gap: int):
    """Drive the engine by any line; return the number of bits of the byte under way."""
    m = bench.m
    bit = bench.free("bit")
    bit_valid = bench.free("bit_valid")
    byte = bench.free("byte")
    failed = bench.free("failed")
    m.d.comb += [
        engine.bit.eq(bit), engine.bit_valid.eq(bit_valid), engine.byte.eq(byte),
        engine.failed.eq(failed), engine.bit_place.eq(bench.free("bit_place", 3)),
        engine.busy.eq(bench.free("busy")),
        engine.bus.request.ready.eq(bench.free("request_ready")),
        engine.bus.response.valid.eq(bench.free("response_valid")),
        engine.bus.response.payload.eq(bench.free("response", 16)),
        engine.raw.busy.eq(bench.free("raw_busy")), engine.raw.rx.eq(bench.free("raw_rx", 8)),
    ]
    # What was asked for is answered after it was taken.
    bench.assume(~engine.bus.response.valid | ~engine.bus.request.valid)
    bits = Signal(4)
    since = Signal(range(16), init=15)
    with m.If(engine.begin | byte | failed):
        m.d.sync += bits.eq(0)
    with m.Elif(bit_valid):
        m.d.sync += bits.eq(bits + 1)
    with m.If(byte):
        m.d.sync += since.eq(1)
    with m.Elif(since != 15):
        m.d.sync += since.eq(since + 1)
    bench.assume(~bit_valid | (bits < 8) & ~byte & ~failed & ~engine.begin)
    bench.assume(~(byte | failed) | (bits == 8))
    bench.assume(~failed | ~byte & ~engine.sending)
    bench.assume(~bit_valid | engine.sending | (since >= gap))
    bench.assume(~bit_valid | (engine.bit_place == bits[:3]))
    _guide(bench, engine, bits, since >= gap)
    return bits, since


def _guide(bench: Bench, engine, bits, may_come):
    """Let covers and faults be looked for in two packets, with or without a wrong bit."""
    m = bench.m
    packets = [
        int.from_bytes(header(sequence=0, write=True, space=space, address=address, count=1)
                       + payload(items), "little")
        for space, address, items in (
            (Space.MEMORY, 0x1234, b"\xA9\x87"), (Space.CONTROL, 0, b"\x65"))
    ]
    which = bench.fixed("which")
    error = bench.fixed("error", 8)
    place = Signal(8)
    with m.If(engine.bit_valid):
        m.d.sync += place.eq(place + 1)
    packet = Mux(which, C(packets[1], 256), C(packets[0], 256))
    bench.guide(engine.bit == packet.bit_select(place, 1) ^ (place == error))
    bench.guide(~engine.failed)
    bench.guide(engine.byte == (bits == 8))
    bench.guide(engine.bit_valid == ((bits < 8) & may_come & ~engine.sending & ~engine.begin))


def kept(bench: Bench):
    """Claim that an item stays, once its access is asked for."""
    m = bench.m
    engine = bench.block("engine", MODULE, lambda source: source.LinkEngine(CoreConfig(), seed=1))
    bits, since = line(bench, engine, gap=GAP)
    ask = engine.bus.request
    # A control's data mean nothing.
    asks = bench.show("asks", ask.valid & ask.payload.write & ~engine.header[13])
    age = Signal(4)
    item = Signal(16)
    with m.If(~ask.valid):
        m.d.sync += age.eq(0)
    with m.Elif(age != 15):
        m.d.sync += age.eq(age + 1)
    with m.If(age == 0):
        m.d.sync += item.eq(ask.payload.data)
    bench.show("age", age)
    bench.claim("item_stays", ~asks | (age == 0) | (age >= KEPT) | (ask.payload.data == item))
    waits = bench.past(ask.valid & ~ask.ready)
    place = ask.payload.as_value()[:18]
    bench.claim("request_valid_stays", ~waits | ask.valid)
    bench.claim("request_place_stays", ~waits | (place == bench.past(place)))
    # What holds between the registers, so that induction can begin anywhere.
    listening = engine.state(*LISTENING, "HUNT", "CHECK", "ITEM")
    bench.claim("listens", ~listening | ~engine.sending)
    bench.claim("sends", ~engine.state("SEND", "FETCH", "WAIT", "STATUS", "EXPECTED", "CHECKSUM")
                | engine.sending)
    _direction(bench, engine)
    bench.claim("item", ~engine.state("ITEM") | (since == 1) & (bits == 0))
    bench.claim("young", ~(asks & (age < KEPT)) | (
        (since == age + 2) & (bits == 0) & engine.state("RECEIVE", "ITEMS CHECKSUM")))
    bench.claim("unasked", ~ask.valid | ~engine.state(
        "HUNT", "SEQUENCE", "FIELDS", "HEADER CHECKSUM", "CHECK"))
    bench.cover("taken_late", asks & (age > KEPT) & (ask.payload.data != item) & ask.ready)


def _direction(bench: Bench, engine):
    """Claim that the engine is only where its packet's direction leads to."""
    write = engine.header[11]
    bench.claim("reads", ~engine.state("FETCH", "WAIT", "SEND") | ~write & engine.ok)
    bench.claim("reads_later", ~engine.bus.request.valid | ~(
        engine.state("FETCH", "SEND") | engine.state("WAIT") & engine.header[13]
        | engine.state("ANSWER", "STATUS", "EXPECTED") & ~write))
    bench.claim("writes", ~engine.state("RECEIVE", "ITEM", "ITEMS CHECKSUM") | write)


def _advance(crc, bit):
    """Return a CRC after one more bit: its definition, low bit first."""
    return (crc >> 1) ^ Mux(crc[0] ^ bit, POLYNOMIAL, 0)


def whole(bench: Bench):
    """Claim that nothing is asked for before a header was right, and no control before all was."""
    m = bench.m
    engine = bench.block("engine", MODULE, lambda source: source.LinkEngine(CoreConfig(), seed=1))
    bits, _ = line(bench, engine, gap=0)
    bit, received = engine.bit, engine.bit_valid & ~engine.sending
    of_items = engine.state("RECEIVE", "ITEM", "ITEMS CHECKSUM", "ANSWER")
    in_checksum = engine.state("HEADER CHECKSUM", "ITEMS CHECKSUM")

    # The specification: a CRC by its definition, against which the one that comes is compared.
    crc = Signal(32, init=ONES)
    good = Signal(init=1)
    with m.If(engine.state("HUNT", "CHECK")):
        m.d.sync += [crc.eq(ONES), good.eq(1)]
    with m.Elif(received & in_checksum):
        m.d.sync += crc.eq(crc >> 1)
        with m.If(bit != crc[0]):
            m.d.sync += good.eq(0)
    with m.Elif(received):
        m.d.sync += crc.eq(_advance(crc, bit))
    # How far the packet is: eight bits are a byte, and its checksum is four bytes.
    count = Signal(7)
    with m.If(engine.state("HUNT")):
        m.d.sync += count.eq(0)
    with m.Elif(received & engine.state("SEQUENCE", "FIELDS", "HEADER CHECKSUM")):
        m.d.sync += count.eq(count + 1)
    header_good = Signal()
    expected = Signal(8)
    number = Signal(8)
    same = Signal(init=1)
    with m.If(engine.state("HUNT")):
        m.d.sync += [
            header_good.eq(0), same.eq(1), number.eq(engine.local("expected")),
            expected.eq(engine.local("expected"))]
    with m.If(engine.state("SEQUENCE") & received):
        m.d.sync += [number.eq(number >> 1), same.eq(same & (bit == number[0]))]
    with m.If(engine.state("CHECK")):
        m.d.sync += header_good.eq(good & same & (count == 72))
    control = bench.show("control", engine.header[12:14] == Space.CONTROL)
    asks = bench.show("asks", engine.bus.request.valid)
    bench.show("header_good", header_good)
    bench.show("good", good)
    selects = engine.raw.select & ~bench.past(engine.raw.select)
    bench.claim("no_access_before_header", ~asks | header_good)
    bench.claim("no_flash_before_header", ~(engine.raw.start | selects) | header_good)
    bench.claim("no_control_before_all", ~(asks & control) | good)
    # A break changes the rate, to the slowest; nothing else does but a whole packet.
    changes = engine.rate != bench.past(engine.rate, init=3)
    bench.claim("rate", ~changes | (engine.rate == 3) | bench.past(
        engine.state("END") & good & header_good & control))

    # What holds between the registers, so that induction can begin anywhere.
    wrong = engine.wrong | engine.mismatch
    after = engine.state("STATUS", "EXPECTED", "FETCH", "WAIT", "SEND", "CHECKSUM")
    received_number = engine.state("FIELDS", "HEADER CHECKSUM", "CHECK")
    _direction(bench, engine)
    bench.claim("crc", ~(engine.state(*LISTENING, "ITEM") & ~engine.wrong)
                | (crc == engine.local("crc")) & good)
    bench.claim("good", engine.wrong | good)
    bench.claim("listens", ~engine.state(*LISTENING, "HUNT", "CHECK", "ITEM") | ~engine.sending)
    bench.claim("sends", ~after | engine.sending)
    bench.claim("header", wrong | header_good | ~(of_items | after))
    bench.claim("overrun", engine.state("HUNT", "SEQUENCE", "FIELDS", "HEADER CHECKSUM", "CHECK",
                                        "END") | engine.mismatch | header_good)
    bench.claim("ended", ~engine.state("END") | wrong | engine.overrun | header_good)
    bench.claim("asked", ~asks | (header_good & ~engine.state(
        "HUNT", "SEQUENCE", "FIELDS", "HEADER CHECKSUM", "CHECK")))
    bench.claim("control", ~(asks & control) | after | engine.state("END"))
    bench.claim("number", ~received_number | engine.mismatch | same)
    bench.claim("carry", ~engine.state("SEQUENCE", "FIELDS", "HEADER CHECKSUM", "CHECK")
                | ~engine.carry)
    bench.claim("sequence", ~engine.state("SEQUENCE") | (
        (engine.mismatch | same)
        & (engine.local("expected") == ((expected | expected << 8) >> count[:4])[:8])
        & (number == expected >> count[:4]) & (count == bits)))
    bench.claim("fields", ~engine.state("FIELDS")
                | (count == 8 + (engine.number << 3) + bits))
    bench.claim("checksum", ~engine.state("HEADER CHECKSUM")
                | (count == 40 + (engine.number << 3) + bits))
    bench.claim("check", ~engine.state("CHECK") | (count == 72))
    bench.claim("bits", bits <= 8)
    bench.cover("write", asks & engine.bus.request.payload.write & ~control)
    bench.cover("start", asks & control & (engine.header[:11].any()))


PROOFS = (
    Proof(
        "link-item", f"an item stays for {KEPT} cycles once it is asked for", kept,
        steps=4, cover_steps=165,
        faults=(
            Fault("the next bit comes into the item", MODULE,
                  "with m.If(self.bit_valid):\n            m.d.sync += self.data.eq(",
                  "with m.If(self.bit_valid | self.pending):\n            m.d.sync += "
                  "self.data.eq("),
        ),
    ),
    Proof(
        "link-packet", "a packet with an error asks for nothing, CRC as defined", whole,
        steps=4, cover_steps=140, long=True,
        faults=(
            Fault("a wrong header is taken", MODULE,
                  'with m.If(self.wrong):\n                m.next = "HUNT"',
                  'with m.If(self.wrong & self.mismatch):\n                m.next = "HUNT"'),
            Fault("the checksum's last bit is not looked at", MODULE,
                  "self.bit_valid & self.is_checksum & feedback",
                  "self.bit_valid & self.is_checksum & feedback & ~self.bit_place.all()"),
            Fault("control does not wait for the checksum", MODULE,
                  "self.ok & write & (space == Space.CONTROL)):\n                m.d.sync += "
                  "self.pending",
                  "write & (space == Space.CONTROL)):\n                m.d.sync += self.pending"),
        ),
    ),
)
