"""Descriptor memory and the registers that hold the current layer."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.common.block_memory import block_memory
from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS, LAYOUT
from hw.contract.words import ADDRESS_BITS, HALFWORD_BITS
from hw.interfaces import LayerLayout

__all__ = ["DescriptorQueue"]


class DescriptorQueue(wiring.Component):
    """Queue of descriptors, and the one that is in force.

    Members
    -------
    write_enable : In(1), write_index : In, write_data : In(16)
        Halfword ``write_index`` of the descriptor being loaded.
    loaded : In(1)
        Pulse: a descriptor can be read from now on (at the latest ``lanes + 2`` cycles after the
        pulse all of it is there; reading is slower than that).
    available : Out(1)
    fetch : In(1)
        Replace the layer in force by the next descriptor; only while ``available``.
    done : Out(1)
        Pulse, ``LATENCY`` cycles after ``fetch``: ``layer`` is in force.
    layer : Out(LayerLayout)
    base : Out(ADDRESS_BITS)
        While the layer is read, its base addresses pass by:
    input_base, output_base, ring_moves : Out(1)
        ``base`` is the one or the other, or the ring's new first word, ``RING_LATENCY`` cycles
        after ``fetch``.
    """

    LATENCY = latency.DESCRIPTOR
    RING_LATENCY = latency.DESCRIPTOR_RING

    def __init__(self, config: CoreConfig):
        self.config = config
        self.index_bits = DESCRIPTOR_HALFWORDS.bit_length() - 1
        super().__init__({
            "write_enable": In(1),
            "write_index": In(self.index_bits),
            "write_data": In(HALFWORD_BITS),
            "loaded": In(1),
            "available": Out(1),
            "fetch": In(1),
            "done": Out(1),
            "layer": Out(LayerLayout),
            "base": Out(ADDRESS_BITS),
            "input_base": Out(1),
            "output_base": Out(1),
            "ring_moves": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        slots = self.config.descriptor_slots
        write_slot = Signal(range(slots))
        read_slot = Signal(range(slots))
        queued = Signal(range(slots + 1))
        m.d.sync += queued.eq(queued + self.loaded - self.fetch)
        m.d.comb += self.available.eq(queued != 0)
        with m.If(self.write_enable & self.write_index.all()):
            m.d.sync += write_slot.eq(write_slot + 1)

        m.submodules.memory = memory = block_memory(HALFWORD_BITS, slots * DESCRIPTOR_HALFWORDS)
        write = memory.write_port()
        read = memory.read_port()
        index = Signal(self.index_bits)
        previous = Signal(self.index_bits)
        busy = Signal()
        late = Signal()
        m.d.comb += [
            write.addr[: self.index_bits].eq(self.write_index),
            write.addr[self.index_bits :].eq(write_slot),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
            read.addr[: self.index_bits].eq(index),
            read.addr[self.index_bits :].eq(read_slot),
        ]
        m.d.sync += [previous.eq(index), late.eq(busy), self.done.eq(late & previous.all())]
        with m.If(self.fetch):
            m.d.sync += [busy.eq(1), index.eq(0)]
        with m.If(busy):
            m.d.sync += index.eq(index + 1)
            with m.If(index.all()):
                m.d.sync += [busy.eq(0), read_slot.eq(read_slot + 1)]
        m.d.comb += self.base.eq(read.data)
        with m.If(late), m.Switch(previous):
            for halfword in range(DESCRIPTOR_HALFWORDS):
                with m.Case(halfword):
                    for name, field in LAYOUT.items():
                        if field.halfword != halfword:
                            continue
                        if name in self.layer.shape().members:
                            value = read.data[field.low : field.low + field.width]
                            m.d.sync += self.layer[name].eq(value)
                        elif name == "ring_moves":
                            m.d.comb += self.ring_moves.eq(read.data[field.low])
                        elif name != "ring_first":
                            m.d.comb += getattr(self, name).eq(1)
        return m
