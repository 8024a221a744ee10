"""Loader: takes the records of the program out of the ring."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.common.delay import delayed
from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS
from hw.contract.latency import SPARE_SLOTS
from hw.contract.records import COUNT_BITS, PARAMETER_FIELDS, Record
from hw.contract.words import HALFWORD_BITS
from hw.interfaces import Load
from hw.memory.word_reader import Tag, Target


class Loader(wiring.Component):
    """Takes records out of the ring and brings their words to where they belong.

    Descriptors and parameters are read serially, a word in ``lanes`` cycles; weights a word per
    granted cycle.  A record is taken when its destination has room.  Starts with a header after
    reset, stops at the end record.

    Members
    -------
    empty : In(1)
        The ring has no word to read.
    request : Out(1), grant : In(1)
        Read a word of the ring; at most every other cycle.
    serial : Out(1)
        The requested word is to be read by the word reader.
    serial_ready : In(1)
        The word reader can start in the next cycle.
    tag : Out(Tag)
        For the word reader.
    header : In(16)
        Lane 0's read data, in the cycle after a grant.
    load : Out(Load)
        Weights for lane 0, in the cycle after the grant of their word.
    block_loaded, descriptor_loaded : Out(1)
        Pulses, in the cycle after the last word's grant: a block can start, a descriptor can be
        read soon (its last word comes within ``lanes`` cycles).
    block_freed : In(1)
        The array has finished a block of ``freed_steps`` steps.
    freed_steps : In
    descriptor_freed : In(1)
    stopped : Out(1)
        The end record has been read.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "empty": In(1),
            "request": Out(1),
            "grant": In(1),
            "serial": Out(1),
            "serial_ready": In(1),
            "tag": Out(Tag),
            "header": In(HALFWORD_BITS),
            "load": Out(Load(config)),
            "block_loaded": Out(1),
            "descriptor_loaded": Out(1),
            "block_freed": In(1),
            "freed_steps": In(config.weight_depth.bit_length()),
            "descriptor_freed": In(1),
            "stopped": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        words = {
            Target.DESCRIPTOR: DESCRIPTOR_HALFWORDS // self.config.lanes,
            Target.PARAMETERS: PARAMETER_FIELDS * self.config.rows,
        }
        count = Signal(COUNT_BITS)
        index = Signal(4)
        weights_taken = Signal()
        weight_room = self.weight_room(m, weights_taken)
        records = (
            (Target.DESCRIPTOR, "HEADER", self.descriptor_room(m)),
            (Target.PARAMETERS, "WEIGHTS", self.parameter_room(m)),
        )
        wanted = Signal()
        m.d.sync += [self.block_loaded.eq(0), self.descriptor_loaded.eq(0)]
        # A register before the memory's arbiter; it costs every other cycle.
        m.d.sync += self.request.eq(wanted & ~self.empty & ~self.grant)
        m.d.comb += self.tag.index.eq(index)

        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += wanted.eq(1)
                with m.If(self.grant):
                    m.next = "HEADER-READ"
            with m.State("HEADER-READ"):
                m.d.sync += [count.eq(self.header), index.eq(0)]
                with m.Switch(self.header[COUNT_BITS:]):
                    with m.Case(Record.DESCRIPTOR):
                        m.next = "DESCRIPTOR"
                    with m.Case(Record.BLOCK):
                        m.next = "PARAMETERS"
                    with m.Default():
                        m.next = "STOP"
            for target, following, room in records:
                with m.State(target.name):
                    m.d.comb += [
                        wanted.eq(self.serial_ready & room),
                        self.serial.eq(1),
                        self.tag.target.eq(target),
                    ]
                    with m.If(self.grant):
                        m.d.sync += index.eq(index + 1)
                        with m.If(index == words[target] - 1):
                            if target is Target.DESCRIPTOR:
                                m.d.sync += self.descriptor_loaded.eq(1)
                            m.next = following
            with m.State("WEIGHTS"):
                m.d.comb += [wanted.eq(weight_room), weights_taken.eq(self.grant)]
                with m.If(self.grant):
                    m.d.sync += count.eq(count - 1)
                    with m.If(count == 1):
                        m.d.sync += self.block_loaded.eq(1)
                        m.next = "HEADER"
            with m.State("STOP"):
                m.d.comb += self.stopped.eq(1)
        return m

    def descriptor_room(self, m: Module):
        """Count queued descriptors; return whether one more may come."""
        queued = Signal(range(self.config.descriptor_slots + 1))
        m.d.sync += queued.eq(queued + self.descriptor_loaded - self.descriptor_freed)
        return queued < self.config.descriptor_slots - 1

    def parameter_room(self, m: Module):
        """Count blocks with parameters; return whether one more may come."""
        blocks = Signal(range(self.config.parameter_slots + 1))
        m.d.sync += blocks.eq(blocks + self.block_loaded - self.block_freed)
        return blocks < self.config.parameter_slots - SPARE_SLOTS

    def weight_room(self, m: Module, taken):
        """Count steps of weights and lead words to their rows; return whether one more fits."""
        depth = self.config.weight_depth
        row = Signal()
        address = Signal(range(depth))
        steps = Signal(range(depth + 1))
        new = Signal()
        m.d.comb += new.eq(taken & ~row)
        freed = Signal.like(self.freed_steps)
        with m.If(self.block_freed):
            m.d.comb += freed.eq(self.freed_steps)
        m.d.sync += steps.eq(steps + new - freed)
        with m.If(taken):
            m.d.sync += row.eq(~row)
            with m.If(row):
                m.d.sync += address.eq(address + 1)
        now = Signal.like(self.load)
        m.d.comb += [now.address.eq(address), now.row.eq((taken & ~row) | (taken & row) << 1)]
        m.d.comb += self.load.eq(delayed(m, now, 1, name="load"))
        # A step begins with row 0; the depth is a power of two, so full is one bit.
        return row | ~steps[-1]
