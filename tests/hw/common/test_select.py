"""Multiplexers: every index, and bits that only the chosen one has."""

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from support.block_bench import BlockBench

from hw.common.select import select


class Select(wiring.Component):
    def __init__(self, shape, count):
        self.count = count
        super().__init__({
            "index": In(range(count)),
            "choices": In(data.ArrayLayout(shape, count)),
            "result": Out(shape),
        })

    def elaborate(self, platform):
        m = Module()
        choices = [self.choices[k] for k in range(self.count)]
        m.d.comb += self.result.eq(select(m, self.index, choices, name="choice"))
        return m


@pytest.mark.parametrize("shape", [1, 16, signed(24)])
@pytest.mark.parametrize("count", [2, 4])
def test_select(count, shape):
    low, high = (-(1 << 23), (1 << 23) - 1) if shape == signed(24) else (0, (1 << shape) - 1)
    patterns = [
        [low] * count, [high] * count,
        *([high if k == j else low for k in range(count)] for j in range(count)),
        *([low if k == j else high for k in range(count)] for j in range(count)),
        [(k * 0x1234567 ^ 0x55AA55) % (high + 1) for k in range(count)],
    ]

    async def scenario(bench):
        for choices in patterns:
            for index in range(count):
                bench.set(index=index, choices=choices)
                assert bench.get("result") == choices[index]

    BlockBench(Select(shape, count)).run(scenario)
