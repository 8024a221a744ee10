"""Lane of the array: its weights, multipliers and accumulators."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw import technology
from hw.common.block_memory import block_memory
from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.words import HALFWORD_BITS
from hw.interfaces import Load, Operands

__all__ = ["ACC_DELAY", "Lane"]

ACC_DELAY = latency.ACCUMULATE
"""Cycles from ``weight_address`` to ``first`` of the same step."""


class Lane(wiring.Component):
    """``rows`` × ``rows`` cells of the array, with operands for both dataflows.

    Every input belongs to the step that this lane makes; the array delays the controls of lane g
    by g cycles.  Relative to the cycle of ``weight_address``, cycle 0:

    ===== ====================================================================================
    0     weights are addressed; ``memory_data`` is written to the weights
    1     ``operands`` and ``serial``; the multipliers take what they choose
    3     products are summed over the rows
    4     ``first``: the accumulators start anew or add the sum
    5     ``acc`` includes the step
    ===== ====================================================================================

    Members
    -------
    memory_data : In(16)
        The lane's halfword from the activation memory: weights of its columns.
    weight_address : In(log2(weight_depth))
        Weights of this step.
    load : In(Load)
        Write ``memory_data`` to the weights of a row.
    operands : In(Operands)
        Words of the window; rows that see ``serial`` instead.
    serial : In(16)
        One byte per row, seen by all columns.
    first : In(1)
        First step of an output.
    acc : Out(rows × signed(acc_bits))
        Accumulators of the lane's columns.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__({
            "memory_data": In(HALFWORD_BITS),
            "weight_address": In((config.weight_depth - 1).bit_length()),
            "load": In(Load(config)),
            "operands": In(Operands(config)),
            "serial": In(HALFWORD_BITS),
            "first": In(1),
            "acc": Out(data.ArrayLayout(signed(config.acc_bits), config.rows)),
        })

    def elaborate(self, platform):
        m = Module()
        family = technology.get(self.config.technology)
        products = []
        for row in range(self.config.rows):
            m.submodules[f"cells_{row}"] = cells = family.dual_multiplier()
            byte = self.serial.word_select(row, 8)
            m.d.comb += [
                cells.a.eq(Mux(self.operands.bypass[row], Cat(byte, byte),
                               self.operands.words[row])),
                cells.b.eq(self.weights(m, row)),
            ]
            products.append(cells.p)

        for column in range(self.config.rows):
            partial_sum = Signal(signed(17), name=f"partial_sum_{column}")
            acc = self.acc[column]
            m.d.sync += [
                partial_sum.eq(products[0][column] + products[1][column]),
                # In this form the multiplexer and the adder share one logic cell a bit.
                acc.eq(Mux(self.first, partial_sum, acc + partial_sum)),
            ]
        return m

    def weights(self, m: Module, row: int):
        """Add the weight memory of one row; return the weights of its columns."""
        memory = block_memory(HALFWORD_BITS, self.config.weight_depth)
        m.submodules[f"weights_{row}"] = memory
        write = memory.write_port()
        read = memory.read_port()
        m.d.comb += [
            write.addr.eq(self.load.address),
            write.data.eq(self.memory_data),
            write.en.eq(self.load.row[row]),
            read.addr.eq(self.weight_address),
        ]
        return read.data
