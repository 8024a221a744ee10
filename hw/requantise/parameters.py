"""Memory of the requantisation parameters."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.common.block_memory import block_memory
from hw.common.delay import delayed
from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.records import PARAMETER_FIELDS
from hw.contract.words import HALFWORD_BITS
from hw.requantise.requantiser import Requantiser


class ParameterMemory(wiring.Component):
    """Requantisation parameters of queued blocks, read in step with the requantisers.

    One memory per field and column of a lane.  A field is read for the cycle in which the
    requantiser samples it, so no bits have to travel beside the accumulator.

    Members
    -------
    write_enable : In(1)
        One halfword of the word reader is for this memory.
    write_word : In
        Number of the parameter word: field + PARAMETER_FIELDS × column of the lane.
    write_lane : In
    write_data : In(16)
    output : In(1), next_block : In(1)
        An output of lane 0 is on its way (the others follow a cycle apart); it is the first one
        that uses the next block's parameters.  Without ``output`` these are left out.  Fields with
        stage s belong to cycles 2 + s (lane 0)
        to 1 + s + lanes after it.
    fields : Out(rows × PARAMETER_FIELDS × 16)
    """

    LEAD = latency.PARAMETERS
    """Cycles from ``output`` to the data of a field of stage 0."""

    def __init__(self, config: CoreConfig):
        self.config = config
        self.lane_bits = config.lanes.bit_length() - 1
        self.slot_bits = config.parameter_slots.bit_length() - 1
        fields = data.ArrayLayout(data.ArrayLayout(HALFWORD_BITS, PARAMETER_FIELDS), config.rows)
        super().__init__({
            "write_enable": In(1),
            "write_word": In(range(config.rows * PARAMETER_FIELDS)),
            "write_lane": In(self.lane_bits),
            "write_data": In(HALFWORD_BITS),
            "output": In(1),
            "next_block": In(1),
            "fields": Out(fields),
        })

    def elaborate(self, platform):
        m = Module()
        address = self.addresses(m)
        stages = Requantiser.FIELD_STAGE
        last_word = self.config.rows * PARAMETER_FIELDS - 1
        slot = Signal(self.slot_bits)
        with m.If(self.write_enable & (self.write_word == last_word) & self.write_lane.all()):
            m.d.sync += slot.eq(slot + 1)

        for column in range(self.config.rows):
            for field in range(PARAMETER_FIELDS):
                memory = block_memory(HALFWORD_BITS, 1 << self.slot_bits + self.lane_bits)
                m.submodules[f"column_{column}_field_{field}"] = memory
                write = memory.write_port()
                read = memory.read_port()
                word = field + PARAMETER_FIELDS * column
                m.d.comb += [
                    write.addr[: self.lane_bits].eq(self.write_lane),
                    write.addr[self.lane_bits :].eq(slot),
                    write.data.eq(self.write_data),
                    write.en.eq(self.write_enable & (self.write_word == word)),
                    read.addr.eq(address[stages[field]]),
                    self.fields[column][field].eq(read.data),
                ]
        return m

    def addresses(self, m: Module) -> dict:
        """Return the read address for each stage at which fields are sampled."""
        address = {}
        output, next_block = self.output, self.next_block
        for stage in range(max(Requantiser.FIELD_STAGE) + 1):
            if stage:
                output = delayed(m, output, 1, name=f"output_{stage}")
                next_block = delayed(m, next_block, 1, name=f"next_{stage}")
            if stage in Requantiser.FIELD_STAGE:
                # Starts one before slot 0: the first block's first output moves on to it.
                slot = Signal(self.slot_bits, init=(1 << self.slot_bits) - 1, name=f"slot_{stage}")
                lane = Signal(self.lane_bits, name=f"lane_{stage}")
                m.d.sync += lane.eq(lane + 1)
                with m.If(output):
                    m.d.sync += lane.eq(0)
                with m.If(next_block):
                    m.d.sync += slot.eq(slot + 1)
                address[stage] = Signal(self.slot_bits + self.lane_bits, name=f"address_{stage}")
                m.d.comb += [
                    address[stage][: self.lane_bits].eq(lane),
                    address[stage][self.lane_bits :].eq(slot),
                ]
        return address
