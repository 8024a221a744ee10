"""Pointers of the ring in activation memory that the program stream passes through."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.command import ADDRESS_BITS
from hw.config import CoreConfig


class Ring(wiring.Component):
    """Read and write pointers of the ring in activation memory.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    clear : In(1)
        Empty the ring.
    first : In(ADDRESS_BITS)
        Its first word; the last one is the memory's.
    push, pop : In(1)
        A word is written, read.
    write_address, read_address : Out(ADDRESS_BITS)
    full, empty : Out(1)
    """

    def __init__(self, config: CoreConfig):
        self.last = config.memory_depth - 1
        super().__init__({
            "clear": In(1),
            "first": In(ADDRESS_BITS),
            "push": In(1),
            "pop": In(1),
            "write_address": Out(ADDRESS_BITS),
            "read_address": Out(ADDRESS_BITS),
            "full": Out(1),
            "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        same = Signal()
        wrapped = Signal()
        m.d.comb += [
            same.eq(self.write_address == self.read_address),
            self.full.eq(same & wrapped),
            self.empty.eq(same & ~wrapped),
        ]
        for move, address in ((self.push, self.write_address), (self.pop, self.read_address)):
            with m.If(move):
                m.d.sync += address.eq(Mux(address == self.last, self.first, address + 1))
        # Equal pointers mean full after a push, empty after a pop (never both in one cycle:
        # the memory makes one access a cycle).
        with m.If(self.push):
            m.d.sync += wrapped.eq(1)
        with m.If(self.pop):
            m.d.sync += wrapped.eq(0)
        with m.If(self.clear):
            m.d.sync += [
                self.write_address.eq(self.first), self.read_address.eq(self.first),
                wrapped.eq(0),
            ]
        return m

