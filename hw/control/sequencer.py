"""Sequencer: runs a layer block by block, window by window, one step of the array per cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from hw.contract.registers import Cause
from hw.contract.taps import PROLOGUE_WORDS
from hw.depthwise.schedule import WindowSchedule
from hw.interfaces import LayerLayout, StepRequest

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Leads a layer through the array.

    A cycle that decides on a step may ask for an activation word; the access is made in the
    next cycle, before anybody else's.  The step itself reaches the array two cycles after the
    decision, together with the word.  Nothing stalls within a block; between blocks the sequencer
    waits for weights.

    Members
    -------
    layer : In(LayerLayout)
    descriptor_available : In(1), descriptor_fetch : Out(1), descriptor_done : In(1)
    block_loaded : In(1)
        Pulse of the loader.
    block_freed : Out(1)
        Pulse to the loader.
    address_advance : Out(1)
        To the address generator.
    filled, inner_last, inner_index : In
        Of the address generator.
    read : Out(1)
        Read the word that the address generator points to, in the next cycle.
    written : In(1)
        A result is written to the activation memory.
    request : Out(StepRequest)
        The step decided on, for the decoder; registered.
    output, next_block : Out(1)
        With the step: it is the last one of an output; of the first output of a block with new
        parameters, or of a part of a sum.
    layer_start : Out(1)
        Pulse when a layer has come into force.
    layer_done : Out(1)
        Pulse when the last result of a layer has been written.
    finished : Out(1)
        The last layer is done (until reset).
    hold : In(1)
        Do not begin the next layer; it must be there, or not, from the second cycle after
        ``steps_done`` on.
    held : Out(1)
        A layer is not begun because of ``hold``; from the second cycle of that on.
    steps_done : Out(1)
        Pulse with the last step of a layer.
    cause : Out(Cause)
        What this cycle is spent on.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "layer": In(LayerLayout),
            "descriptor_available": In(1),
            "descriptor_fetch": Out(1),
            "descriptor_done": In(1),
            "block_loaded": In(1),
            "block_freed": Out(1),
            "address_advance": Out(1),
            "filled": In(1),
            "inner_last": In(1),
            "inner_index": In(2),
            "read": Out(1),
            "written": In(1),
            "request": Out(StepRequest(config)),
            "output": Out(1),
            "next_block": Out(1),
            "layer_start": Out(1),
            "layer_done": Out(1),
            "finished": Out(1),
            "hold": In(1),
            "held": Out(1),
            "steps_done": Out(1),
            "cause": Out(Cause),
        })

    def elaborate(self, platform):
        m = Module()
        layer, ask = self.layer, self.request
        run = Signal()
        prologue = Signal()
        window_end = Signal()
        block_end = Signal()
        layer_end = Signal()
        # Registers, since much depends on them; a layer's mode is there long before it is needed.
        mode = {kind: Signal(name=f"mode_{kind.name.lower()}") for kind in Mode}
        m.d.sync += [flag.eq(layer.mode == kind) for kind, flag in mode.items()]

        self.states(m, mode, run, prologue, block_end, layer_end)
        edges = self.windows(m, run, window_end, block_end, layer_end)
        m.submodules.schedule = schedule = WindowSchedule()
        m.d.comb += [
            schedule.stride_1.eq(mode[Mode.DEPTHWISE]),
            schedule.stride_2.eq(mode[Mode.DEPTHWISE_STRIDE2]),
            schedule.adding.eq(mode[Mode.ADD]),
            schedule.run.eq(run),
            schedule.window_end.eq(window_end),
            schedule.column_read.eq(prologue & (self.inner_last | mode[Mode.ADD])),
        ]
        fetch, word_phase = self.fetches(m, mode, run, prologue, schedule.due, window_end)
        self.emit(m, run, window_end, block_end, edges)
        weight_address = self.weights(m, run, window_end, block_end, layer_end)

        m.d.comb += [
            self.block_freed.eq(block_end & (~layer.shared | layer_end)),
            self.steps_done.eq(layer_end),
            self.address_advance.eq(fetch),
            self.read.eq(fetch & self.filled),
        ]
        m.d.sync += [
            ask.running.eq(run),
            ask.phase.eq(schedule.phase),
            ask.prologue.eq(prologue),
            ask.read.eq(self.read),
            ask.read_row.eq(self.inner_index),
            ask.slot.eq(schedule.slot),
            ask.word_phase.eq(word_phase),
            ask.weight_address.eq(weight_address),
        ]
        return m

    def states(self, m: Module, mode, run, prologue, block_end, layer_end):
        """Lead a layer from its descriptor to its last result."""
        layer = self.layer
        take = Signal()
        ahead = Signal()
        m.d.sync += ahead.eq(layer.mode.matches(*PROLOGUE_WORDS))
        ready = Signal(range(self.config.parameter_slots + 1))
        m.d.sync += ready.eq(ready + self.block_loaded - take)
        outstanding = Signal(4)
        m.d.sync += outstanding.eq(outstanding + self.output - self.written)
        m.d.sync += self.held.eq(0)
        with m.FSM() as states:
            with m.State("FETCH"):
                m.d.comb += self.descriptor_fetch.eq(self.descriptor_available & ~self.hold)
                m.d.sync += self.held.eq(self.hold)
                with m.If(self.descriptor_fetch):
                    m.next = "LOAD"
            with m.State("LOAD"):
                with m.If(self.descriptor_done):
                    m.d.comb += self.layer_start.eq(1)
                    m.next = "PROLOGUE"
            with m.State("PROLOGUE"):
                m.d.comb += prologue.eq(ahead)
                with m.If(~ahead | self.inner_last | mode[Mode.ADD]):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += take.eq(ready != 0)
                with m.If(ready != 0):
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += run.eq(1)
                with m.If(layer_end):
                    m.next = "DRAIN"
                with m.Elif(block_end & ~layer.shared):
                    m.d.comb += take.eq(ready != 0)
                    with m.If(ready == 0):
                        m.next = "WAIT"
            with m.State("DRAIN"):
                with m.If(outstanding == 0):
                    m.d.comb += self.layer_done.eq(1)
                    m.next = "FETCH"
                    with m.If(layer.last):
                        m.next = "FINISHED"
            with m.State("FINISHED"):
                m.d.comb += self.finished.eq(1)
        self.causes(m, states, ready)

    def causes(self, m: Module, states, ready):
        """Say what the cycle is spent on."""
        m.d.comb += self.cause.eq(Cause.FILL)
        with m.If(self.held):
            m.d.comb += self.cause.eq(Cause.HELD)
        with m.If(states.ongoing("PROLOGUE")):
            m.d.comb += self.cause.eq(Cause.INPUT)
        with m.If(states.ongoing("WAIT") & (ready == 0)):
            m.d.comb += self.cause.eq(Cause.WEIGHTS)
        with m.If(states.ongoing("RUN")):
            m.d.comb += self.cause.eq(Cause.STEPS)
        with m.If(states.ongoing("DRAIN")):
            m.d.comb += self.cause.eq(Cause.REQUANTISE)

    def windows(self, m: Module, run, window_end, block_end, layer_end):
        """Count windows and blocks; return flags of the current window's place in its row."""
        layer = self.layer
        x = Signal(8)
        y = Signal(8)
        block = Signal(8)
        left = Signal(10)
        last_step = Signal()
        block_edge = Signal()
        layer_edge = Signal()
        # Registers, a cycle old: windows take at least four cycles.
        edges = self.request.edges
        last_column, last_row = x == layer.width, y == layer.height
        m.d.sync += [
            edges.first_column.eq(x == 0),
            edges.last_column.eq(last_column),
            edges.first_row.eq(y == 0),
            edges.last_row.eq(last_row),
            # Every part of a sum has weights of its own.
            block_edge.eq(layer.partial | last_column & last_row),
            layer_edge.eq(last_column & last_row & (block == layer.blocks)),
            last_step.eq(run & (left == 1)),
        ]
        m.d.comb += [
            window_end.eq(last_step),
            block_end.eq(window_end & block_edge),
            layer_end.eq(window_end & layer_edge),
        ]
        with m.If(run):
            m.d.sync += left.eq(left - 1)
        with m.If(window_end | ~run):
            m.d.sync += left.eq(layer.steps)
        with m.If(window_end):
            m.d.sync += x.eq(x + 1)
            with m.If(edges.last_column):
                m.d.sync += [x.eq(0), y.eq(y + 1)]
                with m.If(edges.last_row):
                    m.d.sync += [y.eq(0), block.eq(block + 1)]
                    with m.If(layer_end):
                        m.d.sync += block.eq(0)
        return edges

    def fetches(self, m: Module, mode, run, prologue, window_due, window_end):
        """Return whether a word is due in this cycle, and which lane's turn it is (SYSTOLIC)."""
        layer = self.layer
        lane = Signal(range(self.config.lanes))
        word_start = Signal()
        starts = Signal()
        tail = Signal()
        tail_kept = Signal()
        pooled = Signal()
        pools = Signal()
        due = Signal()
        # The last word of a kernel row may be used in part.
        m.d.comb += tail.eq(Mux(word_start, self.inner_last, tail_kept))
        m.d.sync += tail_kept.eq(tail)
        # Other modes leave the count anywhere.
        m.d.comb += [starts.eq(word_start), pools.eq(pooled)]
        with m.If(self.layer_start | run & tail & (lane == layer.last_steps)):
            m.d.sync += lane.eq(0)
            m.d.comb += starts.eq(1)
        with m.Elif(run):
            m.d.sync += lane.eq(lane + 1)
            m.d.comb += starts.eq(lane == self.config.lanes - 1)
        with m.If(window_end):
            m.d.comb += pools.eq(0)
        with m.Elif(run & self.inner_last):
            m.d.comb += pools.eq(1)
        # Known a cycle ahead: from here it is a long way to the address.
        m.d.sync += [
            word_start.eq(starts),
            pooled.eq(pools),
            due.eq(mode[Mode.SYSTOLIC] & starts | mode[Mode.POOL] & ~pools | window_due),
        ]
        return prologue | run & due, lane

    def emit(self, m: Module, run, window_end, block_end, edges):
        """Mark the last step of an output, and the first output (or part) of a block."""
        layer = self.layer
        fresh = Signal(init=1)
        skipped = Signal()
        m.d.comb += [
            skipped.eq(edges.first_column & layer.skip_first
                       | edges.last_column & layer.skip_last),
            self.output.eq(window_end & ~skipped & ~(layer.partial & ~edges.last_column)),
            self.next_block.eq(window_end & ~skipped & fresh),
        ]
        with m.If(self.layer_start | block_end & ~layer.shared):
            m.d.sync += fresh.eq(1)
        with m.Elif(self.output):
            m.d.sync += fresh.eq(0)

    def weights(self, m: Module, run, window_end, block_end, layer_end):
        """Return the address of the step's weights: every window of a block uses the same."""
        depth = self.config.weight_depth
        address = Signal(range(depth))
        base = Signal(range(depth))
        following = Signal(range(depth))
        m.d.comb += following.eq(address + 1)
        with m.If(run):
            m.d.sync += address.eq(following)
        with m.If(window_end):
            m.d.sync += address.eq(base)
        with m.If(self.block_freed):
            m.d.sync += [address.eq(following), base.eq(following)]
        return address
