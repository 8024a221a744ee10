"""Step decoder: from the sequencer's counters to the controls of the array's lane 0."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from hw.contract.taps import window_steps
from hw.systolic.array import Step


class Edges(data.Struct):
    """Where a window is in its layer."""

    first_column: 1
    last_column: 1
    first_row: 1
    last_row: 1


class StepRequest(data.StructLayout):
    """A step, as the sequencer counts it.

    Members
    -------
    running : a step is made
    phase : step within the window (saturating)
    prologue : no step, only a word for the window memory
    read, read_row : a word arrives with this step; its kernel row
    slot : column of the window memory for the newest column
    edges : Edges
    word_phase : lane whose halfword is due (SYSTOLIC)
    weight_address
    """

    def __init__(self, config: CoreConfig):
        super().__init__({
            "running": 1,
            "phase": 5,
            "prologue": 1,
            "read": 1,
            "read_row": 2,
            "slot": 2,
            "edges": Edges,
            "word_phase": config.lanes.bit_length() - 1,
            "weight_address": (config.weight_depth - 1).bit_length(),
        })


class StepDecoder(wiring.Component):
    """Decodes a step.  Latency: 1 cycle.

    Members
    -------
    request : In(StepRequest)
    layer : In
        The layer in force (:data:`hw.program.descriptor_queue.LayerLayout`).
    step : Out(Step)
    """

    LATENCY = 1

    def __init__(self, config: CoreConfig, layer_layout):
        super().__init__({
            "request": In(StepRequest(config)),
            "layer": In(layer_layout),
            "step": Out(Step(config)),
        })

    def elaborate(self, platform):
        m = Module()
        ask, layer = self.request, self.layer
        double = layer.mode == Mode.DEPTHWISE_STRIDE2
        adding = layer.mode == Mode.ADD
        serial = layer.mode == Mode.SYSTOLIC

        # ADD: the word of tensor 1 is for the window, that of tensor 2 for X.
        to_window = Mux(adding, ask.prologue | (ask.phase == 1), layer.mode != Mode.POOL)
        second_column = double & ~ask.prologue & (ask.phase >= 3)
        taps = self.taps(m)
        step = Signal.like(self.step)
        m.d.comb += [
            step.weight_address.eq(ask.weight_address),
            step.window_read.eq(Cat(taps[0].row, (ask.slot - taps[0].age)[:2])),
            step.window_write.eq(Cat(ask.read_row, (ask.slot + second_column)[:2])),
            step.window_write_enable.eq(ask.read & ~serial & to_window),
            step.x_load.eq(ask.read & ~(adding & to_window)),
            step.pick.eq(Cat(*(serial | self.padding(m, tap) for tap in taps))),
            step.first.eq((ask.phase == 0) & ~(layer.partial & ~ask.edges.first_column)),
            # Between the parts of a sum the array goes on with the zero point, which is 0 then.
            step.serial.eq(serial & ask.running),
            step.word_phase.eq(ask.word_phase),
        ]
        m.d.sync += self.step.eq(step)
        return m

    def taps(self, m: Module):
        """Return the (age, row) that each row of the array sees."""
        layout = data.StructLayout({"age": 2, "row": 2})
        taps = [Signal(layout, name=f"tap_{row}") for row in range(2)]
        # ADD: tensor 1's word is the window's newest column.  POOL: any word, the weights are 0.
        m.d.comb += [taps[0].age.eq(1), taps[0].row.eq(0), taps[1].row.eq(1)]
        for mode in (Mode.DEPTHWISE, Mode.DEPTHWISE_STRIDE2):
            with m.If(self.layer.mode == mode), m.Switch(self.request.phase):
                for phase, step in enumerate(window_steps(mode)):
                    with m.Case(phase):
                        for tap, (age, row) in zip(taps, step, strict=True):
                            m.d.comb += [tap.age.eq(age), tap.row.eq(row)]
        return taps

    def padding(self, m: Module, tap):
        """Return whether a tap of the current window is in the padding."""
        layer, edges = self.layer, self.request.edges
        windows = (layer.mode == Mode.DEPTHWISE) | (layer.mode == Mode.DEPTHWISE_STRIDE2)
        even = (layer.mode == Mode.DEPTHWISE_STRIDE2) & ~layer.odd
        left = tap.age == Mux(even, 1, 2)
        right = tap.age == Mux(even, 3, 0)
        return windows & (
            left & layer.pad_left & edges.first_column
            | right & layer.pad_right & edges.last_column
            | (tap.row == 0) & layer.pad_top & edges.first_row
            | (tap.row == 2) & layer.pad_bottom & edges.last_row
        )
