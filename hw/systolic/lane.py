"""One lane of the array: its operands, multipliers and accumulators."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.common.block_memory import block_memory
from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.words import HALFWORD_BITS
from hw.technology import dual_multiplier

WINDOW_BITS = 4
"""Bits of an address of the window memory: two of the column's age, two of the kernel row."""

ACC_DELAY = latency.ACCUMULATE
"""Cycles from ``weight_address`` to ``first`` of the same step."""


class Lane(wiring.Component):
    """``rows`` × ``rows`` cells of the array, with operands for both dataflows.

    Every input belongs to the step that this lane makes; the array delays the controls of lane g
    by g cycles.  Relative to the cycle of ``weight_address``, cycle 0:

    ===== ====================================================================================
    0     weights and window are addressed; ``memory_data`` is written to the window, to X or
          to the weights
    1     ``pick`` and ``serial``; the multipliers take their operands
    3     products are summed over the rows
    4     ``first``: the accumulators start anew or add the sum
    5     ``acc`` includes the step
    ===== ====================================================================================

    Members
    -------
    memory_data : In(16)
        The lane's halfword from the activation memory: two channels.
    weight_address : In(log2(weight_depth))
        Weights of this step.
    load_row : In(rows)
        One-hot: write ``memory_data`` to the weights of that row, at ``load_address``.
    load_address : In(log2(weight_depth))
    window_read : In(WINDOW_BITS)
        The word that row 0 sees in window modes.
    window_write : In(WINDOW_BITS)
    window_write_enable : In(1)
        Write ``memory_data`` to the window memory.
    x_load : In(1)
        Keep ``memory_data`` as the word that row 1 sees in window modes.
    serial : In(16)
        One byte per row, seen by all columns.
    pick : In(rows)
        The row sees ``serial`` instead of the window's word.
    first : In(1)
        First step of an output.
    acc : Out(rows × signed(acc_bits))
        Accumulators of the lane's columns.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        weight_bits = (config.weight_depth - 1).bit_length()
        super().__init__({
            "memory_data": In(HALFWORD_BITS),
            "weight_address": In(weight_bits),
            "load_row": In(config.rows),
            "load_address": In(weight_bits),
            "window_read": In(WINDOW_BITS),
            "window_write": In(WINDOW_BITS),
            "window_write_enable": In(1),
            "x_load": In(1),
            "serial": In(HALFWORD_BITS),
            "pick": In(config.rows),
            "first": In(1),
            "acc": Out(data.ArrayLayout(signed(config.acc_bits), config.rows)),
        })

    def elaborate(self, platform):
        m = Module()
        window = self.window(m)
        x = Signal(HALFWORD_BITS)
        with m.If(self.x_load):
            m.d.sync += x.eq(self.memory_data)

        products = []
        for row, word in enumerate((window, x)):
            m.submodules[f"cells_{row}"] = cells = dual_multiplier(
                technology=self.config.technology
            )
            byte = self.serial.word_select(row, 8)
            m.d.comb += [
                cells.a.eq(Mux(self.pick[row], Cat(byte, byte), word)),
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

    def window(self, m: Module):
        """Add the window memory; return the word that row 0 sees."""
        m.submodules.window = memory = block_memory(HALFWORD_BITS, 1 << WINDOW_BITS)
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.addr.eq(self.window_write),
            write.data.eq(self.memory_data),
            write.en.eq(self.window_write_enable),
            read.addr.eq(self.window_read),
        ]
        return read.data

    def weights(self, m: Module, row: int):
        """Add the weight memory of one row; return the weights of its columns."""
        memory = block_memory(HALFWORD_BITS, self.config.weight_depth)
        m.submodules[f"weights_{row}"] = memory
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.addr.eq(self.load_address),
            write.data.eq(self.memory_data),
            write.en.eq(self.load_row[row]),
            read.addr.eq(self.weight_address),
        ]
        return read.data
