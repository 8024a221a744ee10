"""The way out of the array: accumulators, one lane per cycle, through the requantisers."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.common.delay import taps
from hw.common.select import select
from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.records import PARAMETER_FIELDS
from hw.contract.words import HALFWORD_BITS
from hw.requantise.requantiser import Requantiser

PARAMETER_DELAY = latency.ARRAY + 1 - latency.PARAMETERS
"""Cycles from the last step of an output to ``output`` of the parameter memory."""

LATENCY = latency.DRAIN
"""Cycles from the last step of an output to ``done``, when lane 0's result is in place."""


class Layer(data.Struct):
    """Constants of a layer that the requantisers need."""

    zero_point: signed(8)
    act_min: signed(8)
    act_max: signed(8)
    single_rounding: 1


class Drain(wiring.Component):
    """Requantises the accumulators of one lane per cycle and holds the results for the memory.

    ``rows`` requantisers work side by side, one per column of a lane: an output of all columns
    takes ``lanes`` cycles, in the wavefront's order, so nothing has to be stored on the way.
    Outputs must be at least ``lanes`` cycles apart.

    Members
    -------
    output : In(1)
        This cycle's step is the last one of an output.
    acc : In(columns × signed(acc_bits))
    fields : In
        From the parameter memory.
    layer : In(Layer)
        Constant while outputs are on their way.
    results : Out(lanes × 16)
        Lane g's result is in place ``LATENCY + g`` cycles after ``output``, until the next one.
    done : Out(1)
        Pulse, ``LATENCY`` cycles after ``output``.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        fields = data.ArrayLayout(data.ArrayLayout(HALFWORD_BITS, PARAMETER_FIELDS), config.rows)
        super().__init__({
            "output": In(1),
            "acc": In(data.ArrayLayout(signed(config.acc_bits), config.columns)),
            "fields": In(fields),
            "layer": In(Layer),
            "results": Out(data.ArrayLayout(HALFWORD_BITS, config.lanes)),
            "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        output = taps(m, self.output, LATENCY + config.lanes - 2, name="output")
        m.d.sync += self.done.eq(output[LATENCY - 1])

        lane = Signal(range(config.lanes))
        m.d.sync += lane.eq(lane + 1)
        with m.If(output[latency.ARRAY - 1]):
            m.d.sync += lane.eq(0)

        values = []
        for column in range(config.rows):
            m.submodules[f"requantise_{column}"] = unit = Requantiser(
                acc_bits=config.acc_bits, fraction_bits=config.fraction_bits
            )
            acc = Signal(signed(config.acc_bits), name=f"acc_{column}")
            of_lane = [self.acc[g * config.rows + column] for g in range(config.lanes)]
            m.d.sync += acc.eq(select(m, lane, of_lane, name=f"acc_of_lane_{column}"))
            m.d.comb += [
                unit.acc.eq(acc),
                unit.zero_point.eq(self.layer.zero_point),
                unit.act_min.eq(self.layer.act_min),
                unit.act_max.eq(self.layer.act_max),
                unit.single_rounding.eq(self.layer.single_rounding),
            ]
            for field in range(PARAMETER_FIELDS):
                m.d.comb += getattr(unit, f"field_{field}").eq(self.fields[column][field])
            values.append(unit.value)

        for g in range(config.lanes):
            with m.If(output[LATENCY - 1 + g]):
                m.d.sync += self.results[g].eq(Cat(*values))
        return m
