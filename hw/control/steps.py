"""Step decoder: from the sequencer's counters to the controls of the array's lane 0."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from hw.interfaces import LayerLayout, Step, StepRequest

__all__ = ["StepDecoder"]


class StepDecoder(wiring.Component):
    """Decodes a step for the array; :class:`hw.depthwise.decoder.TapDecoder` does for the window.

    Latency: 1 cycle.

    Members
    -------
    request : In(StepRequest)
    layer : In(LayerLayout)
        The layer in force.
    step : Out(Step)
    """

    LATENCY = 1

    def __init__(self, config: CoreConfig):
        super().__init__({
            "request": In(StepRequest(config)),
            "layer": In(LayerLayout),
            "step": Out(Step(config)),
        })

    def elaborate(self, platform):
        m = Module()
        ask, layer, step = self.request, self.layer, self.step
        m.d.sync += [
            step.weight_address.eq(ask.weight_address),
            step.first.eq((ask.phase == 0) & ~(layer.partial & ~ask.edges.first_column)),
            # Between the parts of a sum the array goes on with the zero point, which is 0 then.
            step.serial.eq((layer.mode == Mode.SYSTOLIC) & ask.running),
            step.word_phase.eq(ask.word_phase),
        ]
        return m
