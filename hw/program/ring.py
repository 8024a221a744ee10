"""Pointers of the ring in activation memory that the program stream passes through."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.words import ADDRESS_BITS


class Ring(wiring.Component):
    """Read and write pointers of the ring in activation memory.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    load, initial : In(1), In(ADDRESS_BITS)
        The ring begins at ``initial`` (its last word is the memory's).
    clear : In(1)
        Empty the ring.  ``load`` must have been high in the two cycles before, and still be.
    move, next : In(1), In(ADDRESS_BITS)
        The ring begins at ``next`` as soon as the writer wraps the next time, and then the reader
        where the writer did.  ``next`` is no greater than the first word before: what has not been
        read would be overwritten.
    push, pop : In(1)
        A word is written, read.
    write_address, read_address : Out(ADDRESS_BITS)
    full, empty : Out(1)
    """

    def __init__(self, config: CoreConfig):
        self.last = config.memory_depth - 1
        super().__init__({
            "clear": In(1),
            "load": In(1),
            "initial": In(ADDRESS_BITS),
            "move": In(1),
            "next": In(ADDRESS_BITS),
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
        # Where the writer wraps to, and where it last did: the reader is less than a lap behind.
        first = Signal(ADDRESS_BITS)
        write_first = Signal(ADDRESS_BITS)
        with m.If(self.load | self.move):
            m.d.sync += first.eq(Mux(self.load, self.initial, self.next))
        wraps = self.write_address == self.last
        with m.If(self.load | self.push & wraps):
            m.d.sync += write_first.eq(first)
        with m.If(self.push):
            m.d.sync += self.write_address.eq(Mux(wraps, first, self.write_address + 1))
        with m.If(self.pop):
            m.d.sync += self.read_address.eq(
                Mux(self.read_address == self.last, write_first, self.read_address + 1))
        # Equal pointers mean full after a push, empty after a pop (never both in one cycle:
        # the memory makes one access a cycle).
        with m.If(self.push):
            m.d.sync += wrapped.eq(1)
        with m.If(self.pop):
            m.d.sync += wrapped.eq(0)
        with m.If(self.clear):
            m.d.sync += [
                self.write_address.eq(first), self.read_address.eq(write_first),
                wrapped.eq(0),
            ]
        return m

