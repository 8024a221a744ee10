"""Word reader: a word of activation memory as one halfword per cycle."""

from amaranth.hdl import Module
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from hw.common.select import select
from hw.contract.config import CoreConfig
from hw.contract.words import HALFWORD_BITS


class Target(enum.Enum, shape=2):
    """Destination of a word: who asked for it."""

    DESCRIPTOR = 0
    PARAMETERS = 1
    HOST = 2


class Tag(data.Struct):
    """Travels with a word: who asked for it, and the number of the word (or lane) wanted."""

    target: Target
    index: 4


class WordReader(wiring.Component):
    """A word of activation memory as one halfword per cycle, following the wavefront.

    Members
    -------
    start : In(1)
        A read of a word is granted in this cycle; only while ``ready``.
    start_tag : In(Tag)
    ready : Out(1)
    ready_next : Out(1)
        ``ready`` in the next cycle.
    read_data : In(lanes × 16)
    valid : Out(1)
        High in ``lanes`` cycles, from the cycle after ``start`` on.
    tag : Out(Tag)
    lane : Out
    halfword : Out(16)
        Lane ``lane``'s halfword.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "start": In(1),
            "start_tag": In(Tag),
            "ready": Out(1),
            "ready_next": Out(1),
            "read_data": In(data.ArrayLayout(HALFWORD_BITS, config.lanes)),
            "valid": Out(1),
            "tag": Out(Tag),
            "lane": Out(config.lanes.bit_length() - 1),
            "halfword": Out(HALFWORD_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        last = self.config.lanes - 1
        m.d.comb += [
            self.ready.eq(~self.valid | (self.lane == last)),
            self.ready_next.eq((self.ready | (self.lane == last - 1)) & ~self.start),
        ]
        with m.If(self.start):
            m.d.sync += [self.valid.eq(1), self.lane.eq(0), self.tag.eq(self.start_tag)]
        with m.Elif(self.valid):
            m.d.sync += [self.valid.eq(self.lane != last), self.lane.eq(self.lane + 1)]
        of_lane = [self.read_data[g] for g in range(self.config.lanes)]
        m.d.comb += self.halfword.eq(select(m, self.lane, of_lane, name="of_lane"))
        return m
