"""Address generator of activation reads."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.words import ADDRESS_BITS


class AddressGenerator(wiring.Component):
    """Four nested levels of words, with an increment after each (``docs/architecture.md``).

    Counts are given less one.  ``address`` is the word to read now; ``advance`` moves on, so a
    read can be made every cycle, but the last words of the inner level must be at least two cycles
    apart.

    Members
    -------
    load : In(1)
        Begin a layer at ``base``.
    base : In(ADDRESS_BITS)
    inner, middle, width, height : In(8)
        Turns of the four levels, less one.
    windows : In(1)
        A 3×3 window mode: the middle level counts columns.  Turns after column ``middle`` are
        empty, up to the one that ends the row; ``width`` is not a level.
    double : In(1)
        Two columns per window (stride 2): a row is ``2 * (width + 1)`` columns, else ``width + 1``.
    next_block : In(1)
        A block's addresses are one word further than those of the block before (else the same).
    step_inner, step_middle, step_column, step_row : In(ADDRESS_BITS)
        Increments, modulo ``2**ADDRESS_BITS``.
    advance : In(1)
    address : Out(ADDRESS_BITS)
    filled : Out(1)
        The word is one of the tensor's (not of an empty column).
    inner_last : Out(1)
        The word is the last of the inner level.
    inner_index : Out(2)
        Low bits of the inner level's count: the kernel row in window modes.
    """

    load: In(1)
    base: In(ADDRESS_BITS)
    inner: In(8)
    middle: In(8)
    width: In(8)
    height: In(8)
    windows: In(1)
    double: In(1)
    next_block: In(1)
    step_inner: In(ADDRESS_BITS)
    step_middle: In(ADDRESS_BITS)
    step_column: In(ADDRESS_BITS)
    step_row: In(ADDRESS_BITS)
    advance: In(1)
    address: Out(ADDRESS_BITS)
    filled: Out(1)
    inner_last: Out(1)
    inner_index: Out(2)

    def elaborate(self, platform):
        m = Module()
        turn = Signal()
        m.d.comb += turn.eq(self.advance & self.inner_last)
        self.count_inner(m)
        middle_end, column_end, row_end, more = self.count_outer(m, turn)
        block_base = Signal(ADDRESS_BITS)
        next_base = Signal(ADDRESS_BITS)
        increment = Signal(ADDRESS_BITS)
        m.d.comb += next_base.eq(block_base + self.next_block)

        with m.If(~self.inner_last):
            m.d.comb += increment.eq(self.step_inner)
        with m.Elif(~middle_end):
            # On the last column and on empty ones the address waits for the row to end.
            with m.If(more):
                m.d.comb += increment.eq(self.step_middle)
        with m.Elif(~column_end):
            m.d.comb += increment.eq(self.step_column)
        with m.Else():
            m.d.comb += increment.eq(self.step_row)

        with m.If(self.load):
            m.d.sync += [self.address.eq(self.base), block_base.eq(self.base)]
        with m.Elif(turn & middle_end & column_end & row_end):
            m.d.sync += [self.address.eq(next_base), block_base.eq(next_base)]
        # An empty column's three turns move nothing but the count.
        with m.Elif(self.advance & (self.filled | self.inner_last)):
            m.d.sync += self.address.eq(self.address + increment)

        # Whether the column after this one is the tensor's.
        with m.If(self.load):
            m.d.sync += self.filled.eq(1)
        with m.Elif(turn):
            m.d.sync += self.filled.eq(middle_end | more)
        return m

    def count_inner(self, m: Module):
        """Count the inner level down; it may move every cycle, so its end is a register."""
        left = Signal(8)
        with m.If(self.load | self.advance & self.inner_last):
            m.d.sync += [
                left.eq(self.inner), self.inner_last.eq(self.inner == 0), self.inner_index.eq(0),
            ]
        with m.Elif(self.advance):
            m.d.sync += [
                left.eq(left - 1), self.inner_last.eq(left == 1),
                self.inner_index.eq(self.inner_index + 1),
            ]

    def count_outer(self, m: Module, turn: Value):
        """Count the other levels; return whether each is at its end, and if columns follow.

        What is returned is a cycle old: the inner level's ends are at least two cycles apart.
        """
        column = Signal(8)
        row = Signal(8)
        # Columns of a row of double windows: one bit more than the width.
        middle = Signal(9)
        middle_end = Signal()
        column_end = Signal()
        row_end = Signal()
        more = Signal()
        row_columns = Mux(self.double, (self.width << 1) | 1, self.width)
        m.d.sync += [
            middle_end.eq(middle == Mux(self.windows, row_columns, self.middle)),
            column_end.eq(self.windows | (column == self.width)),
            row_end.eq(row == self.height),
            more.eq(~self.windows | (middle < self.middle)),
        ]
        with m.If(self.load):
            m.d.sync += [middle.eq(0), column.eq(0), row.eq(0)]
        with m.Elif(turn):
            m.d.sync += middle.eq(middle + 1)
            with m.If(middle_end):
                m.d.sync += [middle.eq(0), column.eq(column + 1)]
                with m.If(column_end):
                    m.d.sync += [column.eq(0), row.eq(row + 1)]
                    with m.If(row_end):
                        m.d.sync += row.eq(0)
        return middle_end, column_end, row_end, more
