"""Host port of the core: registers, and halfwords of activation memory."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.registers import DESCRIPTORS_BITS, HOLD_NEVER, IDENTITY, Cause, Register
from hw.contract.words import ADDRESS_BITS, HALFWORD_BITS
from hw.interfaces import FLASH_ADDRESS_BITS, HostBus, HostMemory


class HostPort(wiring.Component):
    """Serves the host's accesses one at a time; memory accesses take what the core leaves.

    The data of a write is taken within ``hw.contract.latency.HOST_ITEM`` cycles of the request, and
    may be anything afterwards: one cycle, and those in which the write before it is on its way to
    its lane, ``lanes`` − 1.

    Members
    -------
    bus : In(HostBus)
    start : Out(1)
        Pulse: the program is to start.
    clear_cycles : In(1)
        Pulse: it starts now.
    flash_address : Out(24), ring_first : Out(ADDRESS_BITS)
    busy, flash_ready, corrupt, held : In(1)
    cause : In(Cause)
        What the cycle is spent on, while ``busy``.
    steps_done : In(1)
        Pulse: a layer has made its last step.
    hold : Out(1)
        The next layer must not begin; two cycles after ``steps_done`` it speaks of the layer
        after that.
    memory : Out(HostMemory)
    read_valid : In(1), read_halfword : In(16)
        What was read.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        self.lane_bits = config.lanes.bit_length() - 1
        super().__init__({
            "bus": In(HostBus()),
            "start": Out(1),
            "clear_cycles": In(1),
            "flash_address": Out(FLASH_ADDRESS_BITS),
            "ring_first": Out(ADDRESS_BITS),
            "busy": In(1),
            "flash_ready": In(1),
            "corrupt": In(1),
            "held": In(1),
            "cause": In(Cause),
            "steps_done": In(1),
            "hold": Out(1),
            "memory": Out(HostMemory(config)),
            "read_valid": In(1),
            "read_halfword": In(HALFWORD_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        ask = self.bus.request.payload
        answer = self.bus.response
        m.d.comb += [
            self.memory.lane.eq(ask.address[: self.lane_bits]),
            self.memory.word.eq(ask.address[self.lane_bits :]),
            self.memory.write.eq(ask.write),
        ]
        cycles = self.cycles(m)
        layers = self.layers(m)
        with m.If(answer.ready):
            m.d.sync += answer.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.bus.request.valid & ~answer.valid):
                    with m.If(ask.register):
                        m.d.comb += self.bus.request.ready.eq(1)
                        self.registers(m, ask, cycles, layers)
                    with m.Else():
                        m.d.sync += self.memory.halfword.eq(ask.data)
                        m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.comb += self.memory.request.eq(1)
                with m.If(self.memory.grant):
                    m.d.comb += self.bus.request.ready.eq(1)
                    m.next = "SETTLE"
                    with m.If(~ask.write):
                        m.next = "READ"
            with m.State("SETTLE"):
                # The halfword is held while the access travels to its lane.
                with m.If(self.memory.settled):
                    m.next = "IDLE"
            with m.State("READ"):
                with m.If(self.read_valid):
                    m.d.sync += [answer.payload.eq(self.read_halfword), answer.valid.eq(1)]
                    m.next = "IDLE"
        return m

    def cycles(self, m: Module):
        """Count the cycles that PROFILE selects, each a cycle late; return the counter."""
        cycles = Signal(32)
        counted = Signal()
        self.profile = profile = Signal(Cause)
        m.d.sync += counted.eq(self.busy & ~self.clear_cycles & (
            (profile == self.cause)
            | (profile == Cause.ALL)
            | (profile == Cause.NOT_HELD) & (self.cause != Cause.HELD)
        ))
        with m.If(self.clear_cycles):
            m.d.sync += cycles.eq(0)
        with m.Elif(counted):
            m.d.sync += cycles.eq(cycles + 1)
        return cycles

    def layers(self, m: Module):
        """Count layers, compare with HOLD; return the counter."""
        layers = Signal(DESCRIPTORS_BITS)
        self.hold_before = Signal(DESCRIPTORS_BITS, init=HOLD_NEVER)
        with m.If(self.clear_cycles):
            m.d.sync += [layers.eq(0), self.hold.eq(0)]
        with m.Else():
            m.d.sync += [
                layers.eq(layers + self.steps_done), self.hold.eq(layers == self.hold_before),
            ]
        return layers

    def registers(self, m: Module, ask, cycles, layers):
        """Serve an access to a register."""
        status = Cat(self.busy, self.flash_ready, self.corrupt, self.held)
        with m.If(ask.write), m.Switch(ask.address[:4]):
            with m.Case(Register.START):
                m.d.comb += self.start.eq(1)
            with m.Case(Register.FLASH_LOW):
                m.d.sync += self.flash_address[:16].eq(ask.data)
            with m.Case(Register.FLASH_HIGH):
                m.d.sync += self.flash_address[16:].eq(ask.data)
            with m.Case(Register.RING_FIRST):
                m.d.sync += self.ring_first.eq(ask.data)
            with m.Case(Register.PROFILE):
                m.d.sync += self.profile.eq(ask.data)
            with m.Case(Register.HOLD):
                m.d.sync += self.hold_before.eq(ask.data)
        with m.Else():
            m.d.sync += self.bus.response.valid.eq(1)
            with m.Switch(ask.address[:2]):
                with m.Case(Register.CYCLES_LOW & 3):
                    m.d.sync += self.bus.response.payload.eq(cycles[:16])
                with m.Case(Register.CYCLES_HIGH & 3):
                    m.d.sync += self.bus.response.payload.eq(cycles[16:])
                with m.Case(Register.DESCRIPTORS & 3):
                    m.d.sync += self.bus.response.payload.eq(layers)
                with m.Default():
                    m.d.sync += self.bus.response.payload.eq(status | IDENTITY << 8)
