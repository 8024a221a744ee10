"""Arbiter: who has the one access to the activation memory that there is in a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.words import ADDRESS_BITS, HALFWORD_BITS
from hw.interfaces import HostMemory, MemoryRequest
from hw.memory.scratchpad import Access
from hw.memory.word_reader import Tag, Target

__all__ = ["Arbiter"]


class Arbiter(wiring.Component):
    """Grants one access per cycle; the priorities are those of the members, from the first on,
    but that a write of the host comes before words of the program.

    Every wish is a register, so that the arbiter is all there is between those registers and the
    memory.

    Members
    -------
    read, read_address : In(1), In(ADDRESS_BITS)
        The sequencer reads this word in the next cycle; it never waits.
    result : In(MemoryRequest)
        Write a word of results.
    words, word_ready : In(stream of 16), In(1)
        Halfwords of the program; a whole word of them can be taken.
    push, push_address, full : Out(1), In(ADDRESS_BITS), In(1)
        A word of the program is being written to the ring, which must have room.
    host : In(HostMemory)
        Writes come here, reads last.  A line does not wait for memory, and brings hardly anything;
        so the program waits for the host's writes.
    pop, pop_serial, pop_tag : In(MemoryRequest), In(1), In(Tag)
        The loader reads a word of the ring; for the word reader, if ``pop_serial``.
    reader_ready : In(1)
        The word reader can start in the next cycle.
    reader_start, reader_tag : Out(1), Out(Tag)
        The word read is for the word reader.
    access, mask, stream : Out(Access), Out(lanes), Out(16)
        To the scratchpad.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "read": In(1),
            "read_address": In(ADDRESS_BITS),
            "result": In(MemoryRequest()),
            "words": In(stream.Signature(HALFWORD_BITS)),
            "word_ready": In(1),
            "push": Out(1),
            "push_address": In(ADDRESS_BITS),
            "full": In(1),
            "host": In(HostMemory(config)),
            "pop": In(MemoryRequest()),
            "pop_serial": In(1),
            "pop_tag": In(Tag),
            "reader_ready": In(1),
            "reader_start": Out(1),
            "reader_tag": Out(Tag),
            "access": Out(Access),
            "mask": Out(config.lanes),
            "stream": Out(HALFWORD_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        host, access = self.host, self.access
        read = Signal()
        read_address = Signal(ADDRESS_BITS)
        m.d.sync += [read.eq(self.read), read_address.eq(self.read_address)]
        give = Signal()
        push_wanted, host_writes, host_reads = self.streams(m, give)
        m.d.comb += [self.mask.eq(-1), self.reader_tag.eq(self.pop_tag)]
        with m.If(read):
            m.d.comb += access.address.eq(read_address)
        with m.Elif(self.result.request):
            m.d.comb += [
                access.address.eq(self.result.address),
                access.write.eq(1),
                access.result.eq(1),
                self.result.grant.eq(1),
            ]
        with m.Elif(push_wanted):
            m.d.comb += [
                self.push.eq(1), access.address.eq(self.push_address), access.write.eq(1),
            ]
        with m.Elif(host_writes):
            m.d.comb += [
                host.grant.eq(1),
                give.eq(1),
                access.address.eq(host.word),
                access.write.eq(1),
                self.mask.eq(1 << host.lane),
            ]
        with m.Elif(self.pop.request):
            m.d.comb += [
                self.pop.grant.eq(1),
                access.address.eq(self.pop.address),
                self.reader_start.eq(self.pop_serial),
            ]
        with m.Elif(host_reads):
            m.d.comb += [
                host.grant.eq(1),
                access.address.eq(host.word),
                self.reader_start.eq(1),
                self.reader_tag.target.eq(Target.HOST),
            ]
        return m

    def streams(self, m: Module, give):
        """Follow halfwords on their way across the lanes; return which wishes can be granted.

        Halfwords follow the wavefront of their access: no other stream write may run into it.
        """
        host, lanes = self.host, self.config.lanes
        taking = Signal(lanes - 1)
        giving = Signal(lanes - 1)
        # Whether any bit of `taking` is set: a register, as much hangs on it.
        running = Signal()
        push_wanted = Signal()
        host_writes = Signal()
        host_reads = Signal()
        # At least one cycle, in which the flash reader has not yet seen that a word is being taken.
        stream_free = ~self.push & ~taking[: max(lanes - 2, 1)].any()
        m.d.sync += [
            taking.eq(taking << 1 | self.push),
            running.eq(self.push | taking[: lanes - 2].any()),
            giving.eq(giving << 1 | give),
            push_wanted.eq(
                self.word_ready & ~self.full & stream_free
                & ~give & ~giving[: lanes - 2].any()
                & ~(host.request & host.write)
            ),
            host_writes.eq(host.request & ~host.grant & host.write & stream_free),
            host_reads.eq(host.request & ~host.grant & ~host.write & self.reader_ready),
        ]
        m.d.comb += [
            host.settled.eq(~giving.any()),
            self.words.ready.eq(self.push | running),
            self.stream.eq(Mux(self.words.ready, self.words.payload, host.halfword)),
        ]
        return push_wanted, host_writes, host_reads
