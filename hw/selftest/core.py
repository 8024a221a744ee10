"""The self-test in the place of the core: registers, memories and multipliers under test."""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw import technology
from hw.common.block_memory import block_memory
from hw.contract.config import CoreConfig
from hw.contract.selftest import (
    BLOCK_DEPTH,
    BLOCK_MEMORIES,
    IDENTITY,
    KIND,
    Test,
    TestRegister,
)
from hw.interfaces import HostBus, ProgramSource
from hw.selftest.testers import FlashTester, March, Multiplication, Result
from hw.technology.base import Technology

__all__ = ["TAP_BITS", "SelfTest"]

TAP_BITS = 3

STORED = {
    TestRegister.TAP: TAP_BITS,
    TestRegister.SCRATCH: 16,
    TestRegister.UNIT: 6,
    TestRegister.ELEMENT: 5,
    TestRegister.BACKGROUND: 16,
    TestRegister.FLASH_LOW: 16,
    TestRegister.FLASH_HIGH: 8,
    TestRegister.COUNT: 16,
}
"""Registers that keep what is written, and their bits."""


class SelfTest(wiring.Component):
    """Self-test, with the interface of :class:`hw.core.Core`.

    The host's bus has the registers of :class:`hw.contract.selftest.TestRegister` and the
    halfwords of the single-port memories, where the core has its own: word × lanes + lane.  Those
    may be accessed while no test is under way.  A read is answered three cycles after its request
    was taken.

    Parameters
    ----------
    config : CoreConfig
        Of the board's core: its lanes, memories and multipliers are what is tested.
    tap : int
        The capture clock that is chosen at first.
    family : Technology, optional
        Instead of the configuration's.

    Members
    -------
    host : In(HostBus)
    program : In(ProgramSource)
        The flash reader.
    busy : Out(1)
        A test is under way; from three cycles after its START was taken.
    layer_done : Out(1)
        Low.
    tap : Out(TAP_BITS)
        The capture clock that is chosen.
    """

    def __init__(self, config: CoreConfig, *, tap: int, family: Technology | None = None):
        self.config = config
        self.first_tap = tap
        self.family = family or technology.get(config.technology)
        super().__init__({
            "host": In(HostBus()),
            "program": In(ProgramSource()),
            "busy": Out(1),
            "layer_done": Out(1),
            "tap": Out(TAP_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        memories = [self.family.single_port_memory(depth=self.config.memory_depth)
                    for _ in range(self.config.lanes)]
        blocks = [self.family.dual_multiplier() for _ in range(self.config.multipliers // 2)]
        # A word reaches the register behind the choice of a memory, products that of a block.
        m.submodules.march = march = March(latency=memories[0].LATENCY + 1)
        m.submodules.products = products = Multiplication(latency=blocks[0].LATENCY + 1)
        m.submodules.flash = flash = FlashTester()
        stored = {
            place: Signal(bits, name=place.name.lower(),
                          init=self.first_tap if place == TestRegister.TAP else 0)
            for place, bits in STORED.items()
        }
        unit = stored[TestRegister.UNIT]
        access = Signal(2)              # of the host: read, write
        self._memories(m, memories, march, unit, access)
        self._multipliers(m, blocks, products, unit)
        testers = {Test.FLASH: flash, Test.MARCH: march, Test.PRODUCTS: products}
        values = self._values(m, testers, stored)
        started = self._host(m, stored, access, values, [each.read_data for each in memories])
        # Registered: what the host writes has come a long way.
        m.d.sync += [
            tester.go.eq(started & (self.host.request.payload.data == number))
            for number, tester in testers.items()
        ]
        m.d.sync += self.busy.eq(Cat(tester.busy for tester in testers.values()).any())
        wiring.connect(m, wiring.flipped(self.program), flash.program)
        m.d.comb += [
            self.tap.eq(stored[TestRegister.TAP]),
            flash.address.eq(Cat(stored[TestRegister.FLASH_LOW], stored[TestRegister.FLASH_HIGH])),
            flash.count.eq(stored[TestRegister.COUNT]),
            products.count.eq(stored[TestRegister.COUNT]),
            march.element.eq(stored[TestRegister.ELEMENT]),
            march.background.eq(stored[TestRegister.BACKGROUND]),
        ]
        return m

    def _memories(self, m, memories, march, unit, access):
        """Connect the memories with the march, and the single-port ones with the host."""
        lanes = len(memories)
        lane_bits = lanes.bit_length() - 1
        payload = self.host.request.payload
        m.d.comb += march.last.eq(
            Mux(unit < lanes, self.config.memory_depth - 1, BLOCK_DEPTH - 1))
        words = []
        for k, memory in enumerate(memories):
            m.submodules[f"memory_{k}"] = memory
            mine = payload.address[:lane_bits] == k
            m.d.comb += [
                memory.enable.eq(Mux(march.busy, march.enable & (unit == k), access.any() & mine)),
                memory.write_enable.eq(Mux(march.busy, march.write_enable, access[1])),
                memory.address.eq(Mux(march.busy, march.address, payload.address[lane_bits:])),
                memory.write_data.eq(Mux(march.busy, march.write_data, payload.data)),
            ]
            words.append(memory.read_data)
        for k in range(BLOCK_MEMORIES):
            m.submodules[f"block_{k}"] = block = self.block_memory(k)
            write = block.write_port()
            read = block.read_port()
            mine = march.enable & (unit == lanes + k)
            m.d.comb += [
                write.addr.eq(march.address),
                write.data.eq(march.write_data),
                write.en.eq(mine & march.write_enable),
                read.addr.eq(march.address),
                read.en.eq(mine & ~march.write_enable),
            ]
            words.append(read.data)
        m.d.sync += march.read_data.eq(Array(words)[unit])

    def block_memory(self, number: int):
        """Return a block RAM to be tested."""
        return block_memory(16, BLOCK_DEPTH)

    def _multipliers(self, m, blocks, products, unit):
        """Give all multipliers the same operands, and take the products of one block."""
        for k, block in enumerate(blocks):
            m.submodules[f"multiplier_{k}"] = block
            m.d.comb += [block.a.eq(products.a), block.b.eq(products.b)]
        m.d.sync += products.products.eq(
            Array(block.p.as_value() for block in blocks)[unit[:(len(blocks) - 1).bit_length()]])

    def _values(self, m, testers, stored):
        """Return what each register reads as."""
        latest = Signal(2)
        for number, tester in testers.items():
            with m.If(tester.busy):
                m.d.sync += latest.eq(number)
        results = [testers[number].result.as_value() for number in Test]
        result = Result(Array(results)[latest])
        status = Cat(self.busy, self.program.ready, C(0, 6), C(IDENTITY, 8))
        values = {
            TestRegister.KIND: C(KIND, 16),
            TestRegister.STATUS: status,
            TestRegister.RESULT_LOW: result.value[:16],
            TestRegister.RESULT_HIGH: result.value[16:],
            TestRegister.BAD: result.bad,
            TestRegister.MASK: result.mask,
            TestRegister.FIRST: result.first,
            **stored,
        }
        return Array(values.get(TestRegister(place), C(0, 16)) for place in range(1 << 4))

    def _host(self, m, stored, access, values, words):
        """Serve the host's bus; return the pulse with which a test is begun."""
        request, response = self.host.request, self.host.response
        payload = request.payload
        started = Signal()
        place = Signal(16)
        register = Signal()
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += request.ready.eq(1)
                m.d.sync += [place.eq(payload.address), register.eq(payload.register)]
                with m.If(request.valid):
                    with m.If(~payload.register):
                        m.d.comb += access.eq(Cat(~payload.write, payload.write))
                    with m.If(~payload.write):
                        m.next = "FETCH"
                    with m.Elif(payload.register):
                        m.d.comb += started.eq(payload.address == TestRegister.START)
                        for number, signal in stored.items():
                            with m.If(payload.address == number):
                                m.d.sync += signal.eq(payload.data)
            with m.State("FETCH"):
                word = Array(words)[place[:len(words).bit_length() - 1]]
                m.d.sync += response.payload.eq(Mux(register, values[place[:4]], word))
                m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += response.valid.eq(1)
                with m.If(response.ready):
                    m.next = "IDLE"
        return started
