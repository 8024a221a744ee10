"""Write-back: addresses of results, and the request to write them."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract import latency
from hw.contract.words import ADDRESS_BITS
from hw.interfaces import MemoryRequest


class Writeback(wiring.Component):
    """Asks for one write per output.

    Outputs of a block are ``step`` words apart; the first output of block b goes to
    ``base + b``.

    Members
    -------
    load : In(1)
        ``base`` is that of the next layer.
    base, step : In(ADDRESS_BITS)
    done : In(1)
        Lane 0's result is in place.
    next_block : In(1)
        With ``done``: it is the first output of a block (nothing without ``done``).
    write : Out(MemoryRequest)
        Write the result there.
    """

    DELAY = latency.DRAIN
    """Cycles from an output's last step to ``done``."""

    load: In(1)
    base: In(ADDRESS_BITS)
    step: In(ADDRESS_BITS)
    done: In(1)
    next_block: In(1)
    write: Out(MemoryRequest())

    def elaborate(self, platform):
        m = Module()
        base = Signal(ADDRESS_BITS)
        write = self.write
        with m.If(self.done):
            m.d.sync += [write.request.eq(1), write.address.eq(write.address + self.step)]
            with m.If(self.next_block):
                m.d.sync += [write.address.eq(base), base.eq(base + 1)]
        with m.Elif(write.grant):
            m.d.sync += write.request.eq(0)
        with m.If(self.load):
            m.d.sync += base.eq(self.base)
        return m
