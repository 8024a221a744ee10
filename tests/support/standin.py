"""A core that copies: the host's bus, the flash and the memory of a real one, and no array.

START reads halfwords from the flash into memory, from word address RING_FIRST on, WORDS words for
each of two "layers", one behind the other.  With RING_FIRST = NEVER it does not come to an end.
"""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.contract.registers import IDENTITY, Register
from hw.interfaces import HostBus, ProgramSource

LAYERS = 2
WORDS = 100
NEVER = 0xFFFF


class StandIn(wiring.Component):
    """See the module."""

    def __init__(self, config):
        self.config = config
        super().__init__({
            "host": In(HostBus()),
            "program": In(ProgramSource()),
            "busy": Out(1),
            "layer_done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        lanes, depth = self.config.lanes, self.config.memory_depth
        reads, writes = [], []
        for g in range(lanes):
            m.submodules[f"slice_{g}"] = memory = Memory(shape=16, depth=depth, init=[])
            reads.append(memory.read_port())
            writes.append(memory.write_port())

        registers = Array(Signal(16, name=f"register_{r.name.lower()}") for r in Register)
        request, response = self.host.request, self.host.response
        lane_bits = (lanes - 1).bit_length()
        lane = request.payload.address[:lane_bits]
        reading = Signal()
        read_lane = Signal(lane_bits)
        value = Signal(16)
        valid = Signal()
        m.d.comb += [
            request.ready.eq(~reading & ~valid),
            response.valid.eq(valid),
            response.payload.eq(value),
        ]
        with m.If(response.ready):
            m.d.sync += valid.eq(0)
        m.d.sync += reading.eq(0)
        with m.If(reading):
            m.d.sync += [
                valid.eq(1),
                value.eq(Array(port.data for port in reads)[read_lane]),
            ]
        accept = Signal()
        start = Signal()
        m.d.comb += accept.eq(request.valid & request.ready)
        with m.If(accept):
            with m.If(request.payload.write):
                with m.If(request.payload.register):
                    with m.If(request.payload.address == Register.START):
                        m.d.comb += start.eq(1)
                    m.d.sync += registers[request.payload.address[:3]].eq(request.payload.data)
            with m.Elif(request.payload.register):
                m.d.sync += [valid.eq(1), value.eq(registers[request.payload.address[:3]])]
                with m.If(request.payload.address == Register.STATUS):
                    m.d.sync += value.eq(Cat(self.busy, self.program.ready) | IDENTITY << 8)
            with m.Else():
                m.d.sync += [reading.eq(1), read_lane.eq(lane)]

        address = Signal(16)
        base = Signal(16)
        layer = Signal(range(LAYERS))
        last = Signal(16)
        cycles = Signal(32)
        m.d.comb += [
            last.eq((WORDS << lane_bits) - 1),
            self.program.words.ready.eq(self.busy),
            self.program.address.eq(Cat(registers[Register.FLASH_LOW],
                                        registers[Register.FLASH_HIGH])),
            self.program.start.eq(start),
        ]
        with m.If(start):
            m.d.sync += [
                self.busy.eq(1),
                address.eq(0),
                base.eq(registers[Register.RING_FIRST]),
                layer.eq(0),
                cycles.eq(1),
            ]
        with m.Elif(self.busy):
            m.d.sync += cycles.eq(cycles + 1)
            with m.If(self.program.words.valid):
                m.d.sync += address.eq(address + 1)
                with m.If((address == last) & (registers[Register.RING_FIRST] != NEVER)):
                    m.d.comb += self.layer_done.eq(1)
                    m.d.sync += [
                        address.eq(0),
                        base.eq(base + WORDS),
                        layer.eq(layer + 1),
                    ]
                    with m.If(layer == LAYERS - 1):
                        m.d.comb += self.program.stop.eq(1)
                        m.d.sync += [
                            self.busy.eq(0),
                            registers[Register.CYCLES_LOW].eq(cycles[:16]),
                            registers[Register.CYCLES_HIGH].eq(cycles[16:]),
                        ]

        bus_write = Signal()
        m.d.comb += bus_write.eq(accept & request.payload.write & ~request.payload.register)
        for g in range(lanes):
            m.d.comb += [
                reads[g].addr.eq(request.payload.address >> lane_bits),
                writes[g].addr.eq((address >> lane_bits) + base),
                writes[g].data.eq(self.program.words.payload),
                writes[g].en.eq(self.busy & self.program.words.valid & (address[:lane_bits] == g)),
            ]
            with m.If(bus_write & (lane == g)):
                m.d.comb += [
                    writes[g].addr.eq(request.payload.address >> lane_bits),
                    writes[g].data.eq(request.payload.data),
                    writes[g].en.eq(1),
                ]
        return m
