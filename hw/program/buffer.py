"""First-in first-out buffer of halfwords that costs one block RAM and no output register."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.contract import latency

__all__ = ["HalfwordBuffer"]


class HalfwordBuffer(wiring.Component):
    """Buffer of 256 halfwords: 255 in the RAM and one in the RAM's own output latch.

    The writer must not overflow it: there is no back-pressure on the input.

    Latency: a halfword written in cycle 0 is on ``output`` in cycle 2 if the buffer was empty.
    Halfwords are delivered without bubbles.

    Parameters
    ----------
    word : int
        Halfwords of a word, a power of two, 2 to 64.  With ``word_ready`` in use no more than
        ``DEPTH - word`` halfwords may be in the buffer.

    Members
    -------
    write, halfword : In(1), In(16)
        Store a halfword.
    section_end : Out(1)
        The halfword being written is the last of ``DEPTH`` since the flush.
    flush : In(1)
        Forget everything; ``output.valid`` is low from the next cycle on.
    output : Out(stream.Signature(16))
        Halfwords in order.
    word_ready : Out(1)
        The next whole word (counted from the flush) is in the buffer: its halfwords can be taken
        in consecutive cycles, from the next cycle on.  Goes high two cycles after the write of
        its last halfword; speaks of the following word from two cycles after its first halfword
        was taken.
    """

    DEPTH = latency.FLASH_BUFFER

    def __init__(self, *, word=4):
        if word not in (2, 4, 8, 16, 32, 64):
            raise ValueError(f"word must be a power of two from 2 to 64, not {word!r}")
        self.word = word
        super().__init__({
            "write": In(1),
            "halfword": In(16),
            "section_end": Out(1),
            "flush": In(1),
            "output": Out(stream.Signature(16)),
            "word_ready": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        # A halfword is never read while it is written; see hw.flow.rtlil.
        m.submodules.memory = memory = Memory(shape=16, depth=self.DEPTH, init=[],
                                              attrs={"no_rw_check": 1})
        write_port = memory.write_port()
        read_port = memory.read_port(transparent_for=())
        m.d.comb += [
            write_port.data.eq(self.halfword),
            write_port.en.eq(self.write),
            self.section_end.eq(write_port.addr.all()),
            # The RAM's output latch keeps its halfword until the next read.
            self.output.payload.eq(read_port.data),
            read_port.en.eq((write_port.addr != read_port.addr)
                            & (~self.output.valid | self.output.ready)),
        ]
        with m.If(self.write):
            m.d.sync += write_port.addr.eq(write_port.addr + 1)
        with m.If(read_port.en):
            m.d.sync += [
                read_port.addr.eq(read_port.addr + 1),
                self.output.valid.eq(1),
            ]
        with m.Elif(self.output.ready):
            m.d.sync += self.output.valid.eq(0)

        # Words of which the first halfword was taken; the latch holds the one before read_port.
        index = self.word.bit_length() - 1
        taken_words = Signal(len(read_port.addr) - index)
        with m.If(self.output.valid & self.output.ready & (read_port.addr[:index] == 1)):
            m.d.sync += taken_words.eq(taken_words + 1)
        m.d.sync += self.word_ready.eq(write_port.addr[index:] != taken_words)

        with m.If(self.flush):
            m.d.sync += [
                taken_words.eq(0),
                self.word_ready.eq(0),
                write_port.addr.eq(0),
                read_port.addr.eq(0),
                self.output.valid.eq(0),
            ]
        return m
