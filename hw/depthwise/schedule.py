"""Schedule of a window's words: in which step one is fetched, and which column it belongs to."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.modes import Mode
from hw.contract.taps import FETCH_STEPS, STRIDES

__all__ = ["WindowSchedule"]


class WindowSchedule(wiring.Component):
    """Counts the steps of a window, and says when its words are due.

    It works at the sequencer's time, two cycles before the array makes the step: a word that is
    asked for with a step arrives with it.

    Members
    -------
    stride_1, stride_2, adding : In(1)
        The layer's mode is DEPTHWISE, DEPTHWISE_STRIDE2, ADD.
    run : In(1)
        A step is made in this cycle.
    window_end : In(1)
        It is a window's last.
    column_read : In(1)
        Pulse, before the first step of a layer: the column read ahead is complete.
    phase : Out(5)
        Step within the window, 0 first; stays at 31.
    due : Out(1)
        If a step is made in the next cycle, it fetches a word of the window
        (:data:`hw.contract.taps.FETCH_STEPS`).
    slot : Out(2)
        Column of the window memory, modulo 4, for the newest column of the input.
    """

    stride_1: In(1)
    stride_2: In(1)
    adding: In(1)
    run: In(1)
    window_end: In(1)
    column_read: In(1)
    phase: Out(5)
    due: Out(1)
    slot: Out(2)

    def elaborate(self, platform):
        m = Module()
        modes = {Mode.DEPTHWISE: self.stride_1, Mode.DEPTHWISE_STRIDE2: self.stride_2,
                 Mode.ADD: self.adding}
        following = Signal.like(self.phase)
        m.d.comb += following.eq(
            Mux(self.window_end, 0, self.phase + (self.run & ~self.phase.all())))
        m.d.sync += self.phase.eq(following)
        for mode, active in modes.items():
            with m.If(active & following.matches(*FETCH_STEPS[mode])):
                m.d.comb += self.due.eq(1)
        with m.If(self.window_end):
            m.d.sync += self.slot.eq(
                self.slot + Mux(self.stride_2, STRIDES[Mode.DEPTHWISE_STRIDE2], 1))
        with m.Elif(self.column_read):
            m.d.sync += self.slot.eq(self.slot + 1)
        return m
