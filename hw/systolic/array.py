"""Systolic array: lanes side by side; steps, weights and activations move across them.

The picture
-----------
The array has ``rows`` × ``columns`` cells, each a multiplier: a *row* is an input channel (or a tap
of a window), a *column* an output channel. Columns come in *lanes*, one per slice of the activation
memory. ::

                     lane 0          lane 1          lane 2          lane 3
                  col 0  col 1    col 2  col 3    col 4  col 5    col 6  col 7
    channel 2k  ──▶ ×  ── × ──▶     ×  ── × ──▶     ×  ── × ──▶     ×  ── ×
    channel 2k+1──▶ ×  ── × ──▶     ×  ── × ──▶     ×  ── × ──▶     ×  ── ×
                    │     │         │     │         │     │         │     │
                    Σ     Σ         Σ     Σ         Σ     Σ         Σ     Σ     accumulators
        time          t             t + 1           t + 2           t + 3

*Weights are stationary*: those of 8 output channels (a block) stay in the lanes' weight memories
for all pixels, ``steps`` of them a column, and a step addresses one of each cell. *Activations
move*: a pair of input channels enters lane 0, is seen by its columns, and goes on to lane 1 in the
next cycle. *Partial sums go down*: the products of the two rows are added, and the sum over all
steps stays in the accumulator at the column's foot until the output is complete.

Everything is a *wavefront*: what lane 0 does in cycle t (a weight's address, a pair of channels,
the start of a sum, a weight that is loaded), lane g does in cycle t + g. So a word of the
activation memory, 8 channels, is taken apart without a buffer: lane p's memory slice delivers its
pair just when it is due at the array's entrance.

In window modes the rows do not see the moving pair but words of the window, each column its own
channel (:mod:`hw.depthwise.engine`). ``docs/systolic.md`` draws both, step by step.
"""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.common.delay import delayed
from hw.common.select import select
from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.words import HALFWORD_BITS
from hw.interfaces import Load, Operands, Step
from hw.systolic.lane import ACC_DELAY, Lane

__all__ = ["LATENCY", "SystolicArray"]

LATENCY = latency.ARRAY
"""Cycles from a step to the accumulators of lane 0 that include it."""


class SystolicArray(wiring.Component):
    """``rows`` × ``columns`` multiply-accumulate cells, one step per cycle.

    The accumulators of lane g include a step ``LATENCY + g`` cycles after it.

    Members
    -------
    step : In(Step)
        The step of lane 0, in the cycle in which the activation memory's read data for it are
        valid at lane 0.
    load : In(Load)
        Weights that lane 0 takes from the read data of the same cycle.
    zero_point : In(signed(8))
        Of the layer's input.
    memory_data : In(lanes × 16)
        Read data of the activation memory (lane g a cycle behind lane g - 1).
    operands : In(lanes × Operands)
        Words of the window, lane g's g + 1 cycles after the step.
    acc : Out(columns × signed(acc_bits))
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "step": In(Step(config)),
            "load": In(Load(config)),
            "zero_point": In(signed(8)),
            "memory_data": In(data.ArrayLayout(HALFWORD_BITS, config.lanes)),
            "operands": In(data.ArrayLayout(Operands(config), config.lanes)),
            "acc": Out(data.ArrayLayout(signed(config.acc_bits), config.columns)),
        })

    def elaborate(self, platform):
        m = Module()
        rows = self.config.rows
        address, load = self.step.weight_address, self.load
        serial = self.serial(m)
        first = delayed(m, self.step.first, ACC_DELAY, name="first")
        for g in range(self.config.lanes):
            m.submodules[f"lane_{g}"] = lane = Lane(self.config)
            if g:
                serial, first, address, load = (
                    delayed(m, value, 1, name=f"{name}_{g}")
                    for name, value in (("serial", serial), ("first", first),
                                        ("weight_address", address), ("load", load))
                )
            m.d.comb += [
                lane.memory_data.eq(self.memory_data[g]),
                lane.load.eq(load),
                lane.weight_address.eq(address),
                lane.operands.eq(self.operands[g]),
                lane.serial.eq(serial),
                lane.first.eq(first),
                *(self.acc[g * rows + column].eq(lane.acc[column]) for column in range(rows)),
            ]
        return m

    def serial(self, m: Module):
        """Return what enters the rows at lane 0: a pair of channels, or the zero point twice."""
        step = self.step
        serial = Signal(HALFWORD_BITS)
        with m.If(step.serial):
            of_lane = [self.memory_data[g] for g in range(self.config.lanes)]
            m.d.sync += serial.eq(select(m, step.word_phase, of_lane, name="of_lane"))
        with m.Else():
            m.d.sync += [serial.word_select(row, 8).eq(self.zero_point)
                         for row in range(self.config.rows)]
        return serial
