"""Tap decoder: which words the rows of the array see in a step, and which of them are padding."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.modes import DEPTHWISE_MODES, Mode
from hw.contract.taps import FETCH_STEPS, window_ages, window_steps
from hw.interfaces import WINDOW_BITS, LayerLayout, StepRequest

__all__ = ["TapDecoder", "WindowStep"]


class WindowStep(data.StructLayout):
    """Step of lane 0's window memory: what it does in one cycle.

    Members
    -------
    read, write : addresses of the window memory
    write_enable : the word that arrives goes to the window memory
    keep : the word that arrives is the newest
    bypass : rows that see the serial path, a cycle later, instead of a word of the window
    """

    def __init__(self, config: CoreConfig):
        super().__init__({
            "read": WINDOW_BITS,
            "write": WINDOW_BITS,
            "write_enable": 1,
            "keep": 1,
            "bypass": config.rows,
        })


class TapDecoder(wiring.Component):
    """Decodes a step into accesses of the window.  Latency: 1 cycle.

    In depthwise modes the taps are those of :func:`hw.contract.taps.window_steps`; a tap in the
    padding is replaced by the input's zero point, which the serial path carries then.

    Members
    -------
    request : In(StepRequest)
    layer : In(LayerLayout)
        The layer in force.
    step : Out(WindowStep)
    """

    LATENCY = 1

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "request": In(StepRequest(config)),
            "layer": In(LayerLayout),
            "step": Out(WindowStep(config)),
        })

    def elaborate(self, platform):
        m = Module()
        ask, mode = self.request, self.layer.mode
        systolic, adding = mode == Mode.SYSTOLIC, mode == Mode.ADD

        # ADD: the word of tensor 1 is for the window, that of tensor 2 for row 1.
        to_window = Mux(adding, ask.prologue | (ask.phase == FETCH_STEPS[Mode.ADD][-1]),
                        mode != Mode.POOL)
        second_column = (mode == Mode.DEPTHWISE_STRIDE2) & ~ask.prologue & (ask.phase >= 3)
        taps = self.taps(m)
        step = Signal.like(self.step)
        m.d.comb += [
            step.read.eq(Cat(taps[0].row, (ask.slot - taps[0].age)[:2])),
            step.write.eq(Cat(ask.read_row, (ask.slot + second_column)[:2])),
            step.write_enable.eq(ask.read & ~systolic & to_window),
            step.keep.eq(ask.read & ~(adding & to_window)),
            step.bypass.eq(Cat(*(systolic | self.padding(tap) for tap in taps))),
        ]
        m.d.sync += self.step.eq(step)
        return m

    def taps(self, m: Module):
        """Return the (age, row) that each row of the array sees."""
        layout = data.StructLayout({"age": 2, "row": 2})
        taps = [Signal(layout, name=f"tap_{row}") for row in range(self.config.rows)]
        # ADD: tensor 1's word is the window's newest column.  POOL: any word, the weights are 0.
        m.d.comb += [taps[0].age.eq(1), taps[0].row.eq(0), taps[1].row.eq(1)]
        for mode in DEPTHWISE_MODES:
            with m.If(self.layer.mode == mode), m.Switch(self.request.phase):
                for phase, step in enumerate(window_steps(mode)):
                    with m.Case(phase):
                        for tap, (age, row) in zip(taps, step, strict=True):
                            m.d.comb += [tap.age.eq(age), tap.row.eq(row)]
        return taps

    def padding(self, tap):
        """Return whether a tap of the current window is in the padding."""
        layer, edges = self.layer, self.request.edges
        even = (layer.mode == Mode.DEPTHWISE_STRIDE2) & ~layer.odd
        # An age of −1 is 3 in two bits.
        left, _, right = (
            tap.age == Mux(even, first & 3, second & 3)
            for first, second in zip(window_ages(Mode.DEPTHWISE_STRIDE2, odd=False),
                                     window_ages(Mode.DEPTHWISE_STRIDE2, odd=True), strict=True)
        )
        return layer.mode.matches(*DEPTHWISE_MODES) & (
            left & layer.pad_left & edges.first_column
            | right & layer.pad_right & edges.last_column
            | (tap.row == 0) & layer.pad_top & edges.first_row
            | (tap.row == 2) & layer.pad_bottom & edges.last_row
        )
