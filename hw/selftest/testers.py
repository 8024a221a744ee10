"""Testers: small machines that run a test at the full clock, whatever the link is like."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.contract.sections import SECTION_BYTES
from hw.contract.selftest import PATTERN_START, PIECE_BYTES
from hw.interfaces import FLASH_ADDRESS_BITS, ProgramSource

__all__ = ["ElementLayout", "FlashTester", "March", "Multiplication", "Result"]

HALFWORDS = SECTION_BYTES // 2


class Result(data.Struct):
    """Result of a test; :class:`hw.contract.selftest.TestRegister` says what is what."""

    value: 32
    bad: 16
    mask: 16
    first: 16


ElementLayout = data.StructLayout({
    "down": 1, "read": 1, "expect_inverse": 1, "write": 1, "write_inverse": 1})
""":class:`hw.contract.selftest.Element`."""


def _compare(m, result, valid, difference, place):
    """Count a halfword's wrong bits in a cycle in which ``valid`` is high; two cycles later."""
    later = Signal()
    wrong = Signal(16)
    where = Signal(16)
    m.d.sync += [later.eq(valid), wrong.eq(difference), where.eq(place)]
    with m.If(later & wrong.any()):
        m.d.sync += [result.value.eq(result.value + 1), result.mask.eq(result.mask | wrong)]
        with m.If(~result.mask.any()):
            m.d.sync += result.first.eq(where)


class FlashTester(wiring.Component):
    """Reader of sealed sections: each is a stream of its own, so that a wrong one ends only itself.

    The sections hold :func:`hw.contract.selftest.pattern`, which goes on from one to the next.

    Members
    -------
    go : In(1)
        Pulse, while not ``busy`` and the flash is ready.
    address, count : In(24), In(16)
        Of the first section; sections less one.  Held while ``busy``.
    busy : Out(1)
    result : Out(Result)
        ``value``: wrong halfwords; ``bad``: wrong checksums; ``mask``: bits that were wrong, the
        first byte's in 7:0; ``first``: number of the first section with a wrong halfword.
    program : In(ProgramSource)
        The flash reader.
    """

    def __init__(self):
        super().__init__({
            "go": In(1),
            "address": In(FLASH_ADDRESS_BITS),
            "count": In(16),
            "busy": Out(1),
            "result": Out(Result),
            "program": In(ProgramSource()),
        })

    def elaborate(self, platform):
        m = Module()
        program, result = self.program, self.result
        address = Signal(FLASH_ADDRESS_BITS)
        section = Signal(16)
        taken = Signal(range(HALFWORDS + 1))
        expected = Signal(16, init=PATTERN_START)
        valid = Signal()
        once = expected ^ (expected << 7)[:16]
        twice = once ^ (once >> 9)
        m.d.comb += [
            program.address.eq(address),
            program.words.ready.eq(1),
            # A wrong checksum may pass for one that more is to follow: what does is not looked at.
            valid.eq(program.words.valid & (taken != HALFWORDS)),
        ]
        with m.If(valid):
            m.d.sync += [taken.eq(taken + 1), expected.eq(twice ^ (twice << 8)[:16])]
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                with m.If(self.go):
                    m.d.sync += [address.eq(self.address), section.eq(0), result.eq(0),
                                 expected.eq(PATTERN_START)]
                    m.next = "STOP"
            with m.State("STOP"):
                m.d.comb += program.stop.eq(1)
                m.d.sync += taken.eq(0)
                m.next = "START"
            with m.State("START"):
                m.d.comb += program.start.eq(1)
                m.next = "READ"
            with m.State("READ"):
                with m.If((program.verified | program.corrupt) & (taken == HALFWORDS)):
                    m.d.sync += [address.eq(address + PIECE_BYTES), section.eq(section + 1),
                                 result.bad.eq(result.bad + program.corrupt)]
                    m.next = "STOP"
                    with m.If(section == self.count):
                        m.next = "END"
            with m.State("END"):
                # The last halfword has been compared.
                m.next = "IDLE"
        _compare(m, result, valid, program.words.payload ^ expected, section)
        return m


class March(wiring.Component):
    """One element of a march through a memory: at each address, a read, and then a write.

    Parameters
    ----------
    latency : int
        Cycles from a read to its word on ``read_data``.

    Members
    -------
    go : In(1)
        Pulse, while not ``busy``.
    element, background : In(ElementLayout), In(16)
        Held while ``busy``.
    last : In(14)
        The memory's last address.
    busy : Out(1)
    result : Out(Result)
        ``value``: wrong words; ``mask``: bits that were wrong; ``first``: address of the first.
    enable, write_enable, address, write_data, read_data : Out, Out, Out(14), Out(16), In(16)
        The memory.
    """

    def __init__(self, *, latency):
        self.latency = latency
        super().__init__({
            "go": In(1),
            "element": In(ElementLayout),
            "background": In(16),
            "last": In(14),
            "busy": Out(1),
            "result": Out(Result),
            "enable": Out(1),
            "write_enable": Out(1),
            "address": Out(14),
            "write_data": Out(16),
            "read_data": In(16),
        })

    def elaborate(self, platform):
        m = Module()
        element, address = self.element, self.address
        left = Signal(14)           # addresses to go
        waited = Signal(range(self.latency + 3))
        read = Signal()
        m.d.comb += self.write_data.eq(self.background ^ element.write_inverse.replicate(16))
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                with m.If(self.go):
                    m.d.sync += [address.eq(Mux(element.down, self.last, 0)), left.eq(self.last),
                                 waited.eq(0), self.result.eq(0)]
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += [read.eq(element.read), self.enable.eq(element.read)]
                m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += [self.enable.eq(element.write), self.write_enable.eq(element.write)]
                m.d.sync += [address.eq(Mux(element.down, address - 1, address + 1)),
                             left.eq(left - 1)]
                m.next = "READ"
                with m.If(left == 0):
                    m.next = "END"
            with m.State("END"):
                # Until the last word has been compared.
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited == self.latency + 2):
                    m.next = "IDLE"
        valid, place = read, address
        for stage in range(self.latency):
            valid_later = Signal(name=f"valid_{stage}")
            place_later = Signal(14, name=f"place_{stage}")
            m.d.sync += [valid_later.eq(valid), place_later.eq(place)]
            valid, place = valid_later, place_later
        expected = self.background ^ element.expect_inverse.replicate(16)
        _compare(m, self.result, valid, self.read_data ^ expected, place)
        return m


class Multiplication(wiring.Component):
    """Products of all pairs of operands, and their signature.

    Parameters
    ----------
    latency : int
        Cycles from operands to their products on ``products``.

    Members
    -------
    go : In(1)
        Pulse, while not ``busy``.
    count : In(16)
        Pairs less one, held while ``busy``: :func:`hw.contract.selftest.operands` of 0 and up.
    busy : Out(1)
    result : Out(Result)
        ``value``: :func:`hw.contract.selftest.signature` of all, from 0 on.
    a, b, products : Out(16), Out(16), In(32)
        The multipliers.
    """

    def __init__(self, *, latency):
        self.latency = latency
        super().__init__({
            "go": In(1),
            "count": In(16),
            "busy": Out(1),
            "result": Out(Result),
            "a": Out(16),
            "b": Out(16),
            "products": In(32),
        })

    def elaborate(self, platform):
        m = Module()
        number = Signal(16)
        running = Signal()
        value = self.result.value
        x, y = number[:8], number[8:]
        m.d.comb += [self.a.eq(Cat(x, ~x)), self.b.eq(Cat(y, y))]
        with m.If(running):
            m.d.sync += number.eq(number + 1)
            with m.If(number == self.count):
                m.d.sync += running.eq(0)
        valid = running
        under_way = [running]
        for stage in range(self.latency):
            later = Signal(name=f"valid_{stage}")
            m.d.sync += later.eq(valid)
            valid = later
            under_way.append(later)
        m.d.comb += self.busy.eq(Cat(under_way).any())
        with m.If(valid):
            m.d.sync += value.eq(Cat(value[31], value[:31]) ^ self.products)
        with m.If(self.go):
            m.d.sync += [number.eq(C(0, 16)), running.eq(1), value.eq(0)]
        return m
