"""The serial line at every rate: where bits are sampled, and where edges come out."""

import gc
import random

import pytest
from amaranth.sim import Simulator
from support.link_bench import HalfCycles, bits
from support.marks import slow

from hw.link.uart import SerialLine, increment

pytestmark = pytest.mark.slow

LENGTH = 2 * 39.75 / 12     # half cycles per bit at the highest rate


def receive(message, *, rate=0, length=LENGTH, offset=0.0, tail=60, bent=0.0, levels=None):
    """Return what a line hears: bytes, failures, single bits.

    ``bent``: rising edges come so many half cycles later.
    """
    dut = SerialLine(clock_mhz=39.75, baud=12_000_000)
    line = levels if levels is not None else samples(message, length * 2**rate, offset, bent)
    line = [1] * 30 + line + [1] * tail * 2**rate
    heard, failures, single = bytearray(), 0, []

    async def testbench(ctx):
        nonlocal failures
        ctx.set(dut.rate, rate)
        value = 0
        for k in range(0, len(line) - 1, 2):
            ctx.set(dut.samples, line[k] | line[k + 1] << 1)
            await ctx.tick()
            if ctx.get(dut.bit_valid):
                value = value >> 1 | ctx.get(dut.bit) << 7
                single.append((ctx.get(dut.place), ctx.get(dut.bit)))
            if ctx.get(dut.byte):
                heard.append(value)
            failures += ctx.get(dut.failed)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return bytes(heard), failures, single


def samples(message, length, offset, bent=0.0):
    levels = bits(message)
    line = []
    for k in range(int(len(levels) * length + offset) + 1):
        at = k - offset
        level = levels[min(int(at // length), len(levels) - 1)] if at >= 0 else 1
        late = at % length < bent and at >= 0
        before = levels[int(at // length) - 1] if at >= length else 1
        line.append(before if late and level and not before else level)
    return line


MESSAGE = bytes([0, 255, 0x55, 0xAA, *random.Random(1).randbytes(24)])


@pytest.mark.parametrize("rate", range(4))
@pytest.mark.parametrize("offset", [0.0, 0.3, 0.5, 0.9, 1.1, 1.6])
def test_reception(rate, offset):
    heard, failures, single = receive(MESSAGE, rate=rate, offset=offset)
    assert heard == MESSAGE and not failures
    assert single == [(k, byte >> k & 1) for byte in MESSAGE for k in range(8)]


@pytest.mark.parametrize("skew", [0.975, 0.985, 1.015, 1.025])
def test_clocks_of_the_two_sides_may_differ(skew):
    """By 2.5 %, at any moment of the cycle: the error budget says 3.2 %."""
    for offset in (k / 8 for k in range(16)):
        heard, failures, _ = receive(MESSAGE, length=LENGTH * skew, offset=offset)
        assert heard == MESSAGE and not failures, offset


@pytest.mark.parametrize("bent", [-1, 1.5])
def test_edges_may_be_unequal(bent):
    """By 19 ns: rising ones late, or falling ones late."""
    for offset in (k / 8 for k in range(16)):
        if bent > 0:
            line = samples(MESSAGE, LENGTH, offset, bent)
        else:
            line = [1 - level for level in samples(MESSAGE, LENGTH, offset)]
            # Falling edges late, by delaying the complement's rising ones.
            line = [1 - (a & b) for a, b in zip(line, [0, *line[:-1]], strict=True)]
        heard, failures, _ = receive(MESSAGE, levels=line)
        assert heard == MESSAGE and not failures, offset


@pytest.mark.parametrize("rate", range(4))
def test_transmission(rate):
    dut = SerialLine(clock_mhz=39.75, baud=12_000_000)
    host = HalfCycles(LENGTH * 2**rate)
    pending = [byte >> k & 1 for byte in MESSAGE for k in range(8)]

    async def testbench(ctx):
        ctx.set(dut.rate, rate)
        ctx.set(dut.sending, 1)
        for cycle in range(int(len(MESSAGE) * 10.5 * LENGTH / 2 * 2**rate) + 200):
            # Pauses between bytes: the line stays high, stop bits are never short.
            ctx.set(dut.go, cycle % 700 > 60 and bool(pending))
            ctx.set(dut.outgoing, pending[0] if pending else 1)
            taken = ctx.get(dut.bit_valid)
            await ctx.tick()
            levels = ctx.get(dut.levels)
            host.listen(levels & 1)
            host.listen(levels >> 1)
            if taken:
                pending.pop(0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert bytes(host.received) == MESSAGE
    # Every edge is within half a cycle of where it should be.
    for length in host.edges[1:]:
        nearest = max(round(length / host.length), 1) * host.length
        assert abs(length - nearest) <= 1.0, length


def test_a_break_is_one_failure():
    for rate in range(4):
        line = [0] * int(12 * 8 * LENGTH * 2)
        heard, failures, _ = receive(b"", rate=rate, levels=line)
        assert heard == b"" and failures == 1
    # And the line works afterwards.
    heard, failures, _ = receive(
        b"", levels=[0] * 200 + [1] * 10 + samples(MESSAGE, LENGTH, 0.0))
    assert heard == MESSAGE and failures == 1


def test_glitches_are_no_bytes():
    heard, failures, _ = receive(b"", rate=2, levels=[1, 0, 1, 1] * 3 + [1] * 100)
    assert heard == b"" and failures == 0


@pytest.mark.parametrize("rate", [0, *map(slow, range(1, 4))])
def test_fillers_are_understood_from_anywhere(rate):
    line = samples(b"\xff" * 6 + MESSAGE, LENGTH * 2**rate, 0.0)
    for start in range(0, int(60 * LENGTH * 2**rate), int(7 * 2**rate)):
        heard, failures, _ = receive(b"", rate=rate, levels=line[start:])
        assert heard.lstrip(b"\xff") == MESSAGE.lstrip(b"\xff") and not failures


def test_increment():
    assert increment(clock_mhz=39.75, baud=12_000_000) == 309
    assert increment(clock_mhz=48, baud=3_000_000) == 64
    with pytest.raises(ValueError, match="baud must be at most 11250000 at a clock of 36 MHz"):
        increment(clock_mhz=36, baud=12_000_000)
    with pytest.raises(ValueError, match="baud must be higher at a clock of 36 MHz, not 115200"):
        increment(clock_mhz=36, baud=115_200)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_bad_rate():
    with pytest.raises(ValueError, match="baud must be at most"):
        SerialLine(clock_mhz=12, baud=12_000_000)
    gc.collect()
