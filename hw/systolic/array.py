"""The systolic array: lanes side by side, steps and serial activations move across them."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.common.delay import delayed
from hw.common.select import select
from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.words import HALFWORD_BITS
from hw.systolic.lane import ACC_DELAY, WINDOW_BITS, Lane

LATENCY = latency.ARRAY
"""Cycles from a step to the accumulators of lane 0 that include it."""


class Step(data.StructLayout):
    """What lane 0 does in one cycle; see :class:`hw.systolic.lane.Lane` for the members.

    ``serial`` selects lane ``word_phase``'s halfword of the activation memory for all columns,
    otherwise the serial path carries the zero point, for the padding.
    """

    def __init__(self, config: CoreConfig):
        super().__init__({
            "weight_address": (config.weight_depth - 1).bit_length(),
            "window_read": WINDOW_BITS,
            "window_write": WINDOW_BITS,
            "window_write_enable": 1,
            "x_load": 1,
            "pick": config.rows,
            "first": 1,
            "serial": 1,
            "word_phase": (config.lanes - 1).bit_length(),
        })


class Load(data.StructLayout):
    """Weights to take from the activation memory's read data: one-hot row, and address."""

    def __init__(self, config: CoreConfig):
        super().__init__({
            "row": config.rows,
            "address": (config.weight_depth - 1).bit_length(),
        })


class SystolicArray(wiring.Component):
    """``rows`` × ``columns`` multiply-accumulate cells.

    Two dataflows (see ``docs/architecture.md``): serial, where a pair of input channels enters
    lane 0 and moves a lane to the right per cycle; and window, where each column sees its own
    channel.  Partial sums go down the columns.  One step per cycle; the accumulators of lane g
    include a step ``LATENCY + g`` cycles after it.

    Members
    -------
    step : In(Step)
        The step of lane 0, in the cycle in which the activation memory's read data for it are
        valid at lane 0.
    load : In(Load)
    zero_point : In(signed(8))
        Of the layer's input.
    memory_data : In(lanes × 16)
        Read data of the activation memory (lane g a cycle behind lane g - 1).
    acc : Out(columns × signed(acc_bits))
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "step": In(Step(config)),
            "load": In(Load(config)),
            "zero_point": In(signed(8)),
            "memory_data": In(data.ArrayLayout(HALFWORD_BITS, config.lanes)),
            "acc": Out(data.ArrayLayout(signed(config.acc_bits), config.columns)),
        })

    def elaborate(self, platform):
        m = Module()
        config, step, load = self.config, self.step, self.load

        serial = Signal(HALFWORD_BITS)
        with m.If(step.serial):
            of_lane = [self.memory_data[g] for g in range(config.lanes)]
            m.d.sync += serial.eq(select(m, step.word_phase, of_lane, name="of_lane"))
        with m.Else():
            m.d.sync += [half.eq(self.zero_point) for half in (serial[:8], serial[8:])]

        pick = delayed(m, step.pick, 1, name="pick")
        first = delayed(m, step.first, ACC_DELAY, name="first")
        for g in range(config.lanes):
            m.submodules[f"lane_{g}"] = lane = Lane(config)
            if g:
                serial, pick, first, step, load = (
                    delayed(m, value, 1, name=f"{name}_{g}")
                    for name, value in (
                        ("serial", serial), ("pick", pick), ("first", first),
                        ("step", step), ("load", load),
                    )
                )
            m.d.comb += [
                lane.memory_data.eq(self.memory_data[g]),
                lane.load_row.eq(load.row),
                lane.load_address.eq(load.address),
                lane.serial.eq(serial),
                lane.pick.eq(pick),
                lane.first.eq(first),
            ]
            for name in ("weight_address", "window_read", "window_write", "window_write_enable",
                         "x_load"):
                m.d.comb += getattr(lane, name).eq(getattr(step, name))
            for column in range(config.rows):
                m.d.comb += self.acc[g * config.rows + column].eq(lane.acc[column])
        return m
