"""Portable forms, which also define interface and timing of the others.

Every form of a block has the same interface and timing.  Amaranth's simulator ignores vendor cells,
so the portable form is the one to simulate in Python; tests compare the two in Verilator.
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.technology.base import Technology

__all__ = ["POISON", "TECHNOLOGY", "DualMultiplier", "Portable", "SinglePortMemory"]

POISON = 0xDEAD_DEAD_DEAD_DEAD
"""Read where nothing is defined: not zero, so that nobody relies on it."""


class DualMultiplier(wiring.Component):
    """Two signed 8×8 multipliers.

    Members
    -------
    a, b : In(16)
        Two int8 each, bits 7:0 and 15:8.
    p : Out(2 × signed(16))
        ``p[i]`` = a_i · b_i, ``LATENCY`` cycles later: operands are registered, then products.
    """

    LATENCY = 2

    a: In(16)
    b: In(16)
    p: Out(data.ArrayLayout(signed(16), 2))

    def elaborate(self, platform):
        m = Module()
        for i in range(2):
            a = Signal(signed(8), name=f"a_{i}")
            b = Signal(signed(8), name=f"b_{i}")
            m.d.sync += [
                a.eq(self.a.word_select(i, 8)),
                b.eq(self.b.word_select(i, 8)),
                self.p[i].eq(a * b),
            ]
        return m


class SinglePortMemory(wiring.Component):
    """Memory with one port.

    Parameters
    ----------
    depth : int
        Words, a power of two of at least 2.
    width : int
        Bits of a word, up to 64.

    Members
    -------
    enable : In(1)
        Read or write this cycle.
    write_enable : In(1)
        Write ``write_data`` rather than read.
    address : In(log2(depth))
    write_data : In(width)
    read_data : Out(width)
        The word in the cycle after a read, whatever the inputs are then.  Undefined in any other
        cycle, and for words that were never written: this form shows ``POISON``.
    """

    LATENCY = 1

    def __init__(self, *, depth: int = 16384, width: int = 16):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two of at least 2, not {depth!r}")
        if not 1 <= width <= 64:
            raise ValueError(f"width must be from 1 to 64, not {width!r}")
        self.depth = depth
        self.width = width
        super().__init__({
            "enable": In(1),
            "write_enable": In(1),
            "address": In(range(depth)),
            "write_data": In(width),
            "read_data": Out(width),
        })

    @property
    def poison(self) -> int:
        """What this form shows where nothing is defined."""
        return POISON & (1 << self.width) - 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=self.width, depth=self.depth, init=[self.poison] * self.depth
        )
        write = memory.write_port()
        read = memory.read_port()
        defined = Signal()
        m.d.sync += defined.eq(self.enable & ~self.write_enable)
        m.d.comb += [
            write.addr.eq(self.address),
            write.data.eq(self.write_data),
            write.en.eq(self.enable & self.write_enable),
            read.addr.eq(self.address),
            self.read_data.eq(Mux(defined, read.data, self.poison)),
        ]
        return m


class Portable(Technology):
    """Any chip, and the simulator: blocks as synthesis infers them."""

    name = "portable"

    def single_port_memory(self, *, depth: int = 16384, width: int = 16) -> wiring.Component:
        return SinglePortMemory(depth=depth, width=width)

    def dual_multiplier(self) -> wiring.Component:
        return DualMultiplier()


TECHNOLOGY = Portable()
