"""A self-test's chip with one fault in each kind of block."""

from amaranth.hdl import Elaboratable, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.common.block_memory import block_memory
from hw.contract.selftest import BLOCK_DEPTH
from hw.selftest.core import SelfTest
from hw.technology import portable

STUCK_MEMORY, STUCK_ADDRESS, STUCK_BIT = 2, 12345, 5
"""A bit of a single-port memory that reads as 1."""

STUCK_BLOCK, STUCK_BLOCK_ADDRESS, STUCK_BLOCK_BIT = 7, 77, 3
"""The same of a block RAM."""

WRONG_BLOCK, WRONG_OPERANDS = 5, (17, -5)
"""A product of a block's first multiplier that is one too much."""


class StuckMemory(portable.SinglePortMemory):
    """Memory with a stuck bit."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = portable.SinglePortMemory(depth=self.depth)
        hit = Signal()
        m.d.sync += hit.eq(self.address == STUCK_ADDRESS)
        m.d.comb += [
            memory.enable.eq(self.enable),
            memory.write_enable.eq(self.write_enable),
            memory.address.eq(self.address),
            memory.write_data.eq(self.write_data),
            self.read_data.eq(memory.read_data | Mux(hit, 1 << STUCK_BIT, 0)),
        ]
        return m


class WrongMultiplier(wiring.Component):
    """Multipliers with a wrong product."""

    LATENCY = portable.DualMultiplier.LATENCY

    a: In(16)
    b: In(16)
    p: Out(data.ArrayLayout(16, 2))

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = block = portable.DualMultiplier()
        a, b = (value & 0xFF for value in WRONG_OPERANDS)
        hit = (self.a[:8] == a) & (self.b[:8] == b)
        for _ in range(self.LATENCY):
            later = Signal()
            m.d.sync += later.eq(hit)
            hit = later
        m.d.comb += [block.a.eq(self.a), block.b.eq(self.b), self.p[0].eq(block.p[0] + hit),
                     self.p[1].eq(block.p[1])]
        return m


class Port:
    """Port of a memory, as a user sees it."""

    def __init__(self):
        self.addr, self.data, self.en = Signal(8), Signal(16), Signal()


class StuckBlock(Elaboratable):
    """Block RAM with a stuck bit."""

    def __init__(self):
        self._write, self._read = Port(), Port()

    def write_port(self):
        """Return the only one."""
        return self._write

    def read_port(self):
        """Return the only one."""
        return self._read

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = block_memory(16, BLOCK_DEPTH)
        write, read = memory.write_port(), memory.read_port()
        hit = self._write.addr == STUCK_BLOCK_ADDRESS
        m.d.comb += [
            write.addr.eq(self._write.addr),
            write.data.eq(self._write.data | Mux(hit, 1 << STUCK_BLOCK_BIT, 0)),
            write.en.eq(self._write.en),
            read.addr.eq(self._read.addr),
            read.en.eq(self._read.en),
            self._read.data.eq(read.data),
        ]
        return m


class Faulty(portable.Portable):
    """Technology whose third memory and sixth block of multipliers are faulty."""

    def __init__(self):
        self._memories = self._blocks = 0

    def single_port_memory(self, *, depth=16384, width=16):
        self._memories += 1
        kind = StuckMemory if self._memories == STUCK_MEMORY + 1 else portable.SinglePortMemory
        return kind(depth=depth, width=width)

    def dual_multiplier(self):
        self._blocks += 1
        return WrongMultiplier() if self._blocks == WRONG_BLOCK + 1 else portable.DualMultiplier()


class FaultySelfTest(SelfTest):
    """Self-test of such a chip."""

    def __init__(self, config):
        super().__init__(config, tap=1, family=Faulty())

    def block_memory(self, number):
        return StuckBlock() if number == STUCK_BLOCK else super().block_memory(number)
