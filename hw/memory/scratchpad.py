"""Activation memory: one slice per lane, accesses travel across the lanes as a wavefront."""

from amaranth.hdl import Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw import technology
from hw.common.delay import delayed
from hw.contract.config import CoreConfig
from hw.contract.words import ADDRESS_BITS, HALFWORD_BITS


class Access(data.Struct):
    """One access to a word.

    Members
    -------
    write : 1
        It writes; otherwise it reads, wanted or not.
    result : 1
        The data to write are ``results`` (else ``stream``).
    address : ADDRESS_BITS
        Word address.
    """

    write: 1
    result: 1
    address: ADDRESS_BITS


class Scratchpad(wiring.Component):
    """Activation memory of ``config.memory_depth`` words.

    An access presented in cycle t reaches lane g's slice in cycle t + g.  Data to write are taken
    in that cycle; data read are on ``read_data[g]`` in the cycle after it.

    Members
    -------
    access : In(Access)
        The access to make, one per cycle.
    mask : In(lanes)
        Lanes that a write touches.
    results : In(lanes × 16)
        Result halfword of each lane.
    stream : In(16)
        Halfword for whichever lane the access has reached: halfword g of a word belongs g cycles
        behind halfword 0.
    read_data : Out(lanes × 16)
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        halfwords = data.ArrayLayout(HALFWORD_BITS, config.lanes)
        super().__init__({
            "access": In(Access),
            "mask": In(config.lanes),
            "results": In(halfwords),
            "stream": In(HALFWORD_BITS),
            "read_data": Out(halfwords),
        })

    def elaborate(self, platform):
        m = Module()
        access, mask = self.access, self.mask
        family = technology.get(self.config.technology)
        for g in range(self.config.lanes):
            m.submodules[f"slice_{g}"] = memory = family.single_port_memory(
                depth=self.config.memory_depth, width=HALFWORD_BITS)
            if g:
                access = delayed(m, access, 1, name=f"access_{g}")
                mask = delayed(m, mask[1:], 1, name=f"mask_{g}")
            m.d.comb += [
                memory.enable.eq(1),
                memory.address.eq(access.address),
                memory.write_enable.eq(access.write & mask[0]),
                memory.write_data.eq(Mux(access.result, self.results[g], self.stream)),
                self.read_data[g].eq(memory.read_data),
            ]
        return m
