"""Window memory of a lane: the columns of the input that the windows under way still need."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.common.block_memory import block_memory
from hw.contract.config import CoreConfig
from hw.contract.words import HALFWORD_BITS
from hw.interfaces import WINDOW_BITS

__all__ = ["WindowMemory"]


class WindowMemory(wiring.Component):
    """Four columns of three words, and the word that came last.

    A word that arrives from the activation memory can go to the window memory, where it serves
    this window and the next ones (array row 0 reads it there, a word a step), and to the newest
    word, a register that array row 1 sees.  So a step sees two taps with one read of the activation
    memory and one of the window.

    Latency: ``words`` are those of the controls in the cycle before.  A word must not be read in
    the cycle in which it is written.

    Members
    -------
    data : In(16)
        The lane's halfword from the activation memory: one channel for each of its columns.
    read : In(WINDOW_BITS)
        Address of the word that row 0 sees: kernel row (bits 1:0) and column modulo 4.
    write, write_enable : In(WINDOW_BITS), In(1)
        Put ``data`` there.
    keep : In(1)
        ``data`` is the newest word.
    words : Out(rows × 16)
        What each row of the array sees.
    """

    LATENCY = 1

    def __init__(self, config: CoreConfig):
        super().__init__({
            "data": In(HALFWORD_BITS),
            "read": In(WINDOW_BITS),
            "write": In(WINDOW_BITS),
            "write_enable": In(1),
            "keep": In(1),
            "words": Out(data.ArrayLayout(HALFWORD_BITS, config.rows)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = block_memory(HALFWORD_BITS, 1 << WINDOW_BITS)
        write = memory.write_port()
        read = memory.read_port()
        newest = Signal(HALFWORD_BITS)
        with m.If(self.keep):
            m.d.sync += newest.eq(self.data)
        m.d.comb += [
            write.addr.eq(self.write),
            write.data.eq(self.data),
            write.en.eq(self.write_enable),
            read.addr.eq(self.read),
            self.words[0].eq(read.data),
            self.words[1].eq(newest),
        ]
        return m
