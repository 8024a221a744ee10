"""Bench that runs a flash reader against the flash model, cycle by cycle."""

import random

import pytest
from amaranth.sim import Simulator

from hw.contract.flash import DOUBLE_RATE, SINGLE_RATE
from hw.contract.sections import seal
from hw.program.flash_reader import FlashReader
from hw.technology.ice40.capture import SAME_CLOCK
from sim.board.flash_model import FlashModel
from sim.board.flash_part import FlashTiming

RATES = pytest.mark.parametrize("read", [DOUBLE_RATE, SINGLE_RATE], ids=["EDh", "EBh"])
"""With either command."""

WATCHDOG = 100_000
PAYLOAD = random.Random(1).randbytes(1 << 13)
"""What is streamed."""


class FlashBench:
    """A reader, a flash, and a count of cycles; every wait has a limit."""

    def __init__(self, contents=b"", *, read=DOUBLE_RATE, sample_latency=2, **options):
        self.reader = FlashReader(read=read, sample_latency=sample_latency)
        if read == SINGLE_RATE:
            # As on a board without the other one, and without a late clock.
            options = {"dtr": False, "timing": FlashTiming(capture=SAME_CLOCK), **options}
        self.flash = FlashModel(contents, **options)
        self.cycle = 0

    def run(self, scenario):
        async def testbench(ctx):
            self.ctx = ctx
            await scenario(self)

        simulator = Simulator(self.reader)
        simulator.add_clock(1e-6)
        simulator.add_testbench(testbench)
        simulator.run()

    def get(self, signal):
        return self.ctx.get(signal)

    def set(self, signal, value):
        self.ctx.set(signal, value)

    async def tick(self, cycles=1):
        pins = self.reader.pins
        for _ in range(cycles):
            value = self.flash.step(self.get(pins.cs_n), self.get(pins.sck), self.get(pins.o),
                                    self.get(pins.oe))
            await self.ctx.tick()
            self.set(pins.i, value)
            self.cycle += 1
            assert self.cycle < WATCHDOG, "the bench does not come to an end"

    async def until(self, signal, value=1):
        while self.get(signal) != value:
            await self.tick()

    def store(self, address, payload=PAYLOAD):
        """Put a stream into the flash."""
        data = seal(payload)
        self.flash.array[address : address + len(data)] = data

    async def start(self, address, *, payload=PAYLOAD):
        """Pulse ``start``; return the cycle in which it was high.  Stores ``payload`` before."""
        if payload is not None:
            self.store(address, payload)
        self.set(self.reader.program.address, address)
        self.set(self.reader.program.start, 1)
        await self.tick()
        self.set(self.reader.program.start, 0)
        self.set(self.reader.program.address, 0x5A5A5A)
        return self.cycle - 1

    async def stop(self):
        self.set(self.reader.program.stop, 1)
        await self.tick()
        self.set(self.reader.program.stop, 0)

    async def take(self, count, ready=lambda cycle: True):
        """Take halfwords; ``ready`` says per cycle whether the consumer takes one."""
        data = self.reader.program.words
        taken, times = [], []
        while len(taken) < count:
            willing = ready(self.cycle)
            self.set(data.ready, int(willing))
            if willing and self.get(data.valid):
                taken.append(self.get(data.payload))
                times.append(self.cycle)
            await self.tick()
        self.set(data.ready, 0)
        return taken, times

    async def exchange(self, *values):
        """One command of raw bytes, /CS low around it; return the bytes received."""
        reader, received = self.reader, []
        self.set(reader.raw.select, 1)
        for value in values:
            self.set(reader.raw.tx, value)
            self.set(reader.raw.start, 1)
            await self.tick()
            self.set(reader.raw.start, 0)
            await self.until(reader.raw.busy, 0)
            received.append(self.get(reader.raw.rx))
        self.set(reader.raw.select, 0)
        await self.tick(4)
        return received


def halfwords(count, payload=PAYLOAD):
    """Return what a stream delivers first."""
    return [payload[2 * k] | payload[2 * k + 1] << 8 for k in range(count)]


def flipped(data, bit):
    data = bytearray(data)
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)
