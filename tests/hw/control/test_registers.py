"""Host port: registers, halfwords of memory, back-pressure."""

import random

import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.contract.registers import HOLD_NEVER, IDENTITY, Cause, Register
from hw.control.registers import HostPort


class HostBench(BlockBench):
    """Also plays the core: grants accesses to memory, and answers reads."""

    def __init__(self, *, lanes=4, wait=lambda: 0, slow=lambda: 0):
        self.config = CoreConfig(technology="portable", lanes=lanes)
        super().__init__(HostPort(self.config))
        self.lanes = lanes
        self.wait, self.slow = wait, slow
        self.memory = {}

    async def request(self, *, write, register, address, data=0):
        """Make an access; return what was read."""
        ask, answer = self.dut.bus.request, self.dut.bus.response
        payload = {"write": write, "register": register, "address": address, "data": data}
        self.ctx.set(ask.payload, payload)
        self.ctx.set(ask.valid, 1)
        if register:
            while not self.ctx.get(ask.ready):
                await self.tick()
            await self.tick()
        else:
            await self.memory_access(address, write, data)
        # Nothing is accepted without valid, and the payload may change.
        self.ctx.set(ask.valid, 0)
        self.ctx.set(ask.payload, {"write": 1, "register": 1, "address": Register.START})
        if write:
            return None
        assert self.ctx.get(answer.valid)
        value = self.ctx.get(answer.payload)
        for _ in range(self.slow()):
            await self.tick()
            assert self.ctx.get(answer.valid) and self.ctx.get(answer.payload) == value
        self.ctx.set(answer.ready, 1)
        await self.tick()
        self.ctx.set(answer.ready, 0)
        assert not self.ctx.get(answer.valid)
        return value

    async def memory_access(self, address, write, data):
        ask = self.dut.bus.request
        while not self.get("memory__request"):
            assert not self.ctx.get(ask.ready)
            await self.tick()
        for _ in range(self.wait()):
            assert self.get("memory__request") and not self.ctx.get(ask.ready)
            await self.tick()
        assert self.get("memory__write") == write
        word, lane = self.get("memory__word"), self.get("memory__lane")
        assert (word, lane) == (address // self.lanes, address % self.lanes)
        self.set(memory__grant=1, memory__settled=0)
        assert self.ctx.get(ask.ready)
        await self.tick()
        self.set(memory__grant=0)
        self.ctx.set(ask.valid, 0)
        assert not self.get("memory__request")
        if write:
            # The access is on its way to its lane.
            for _ in range(lane):
                assert self.get("memory__halfword") == data
                await self.tick()
            self.memory[word, lane] = self.get("memory__halfword")
            self.set(memory__settled=1)
        else:
            await self.tick(lane)
            self.set(read_valid=1, read_halfword=self.memory.get((word, lane), 0xDEAD))
            await self.tick()
            self.set(read_valid=0, read_halfword=0x5555)


def test_registers():
    async def scenario(bench):
        for low, high, first in ((0, 0, 0), (0xFFFF, 0xFF, 0x3FFF), (0x1234, 0x56, 0x789)):
            for register, value in ((Register.FLASH_LOW, low), (Register.FLASH_HIGH, high),
                                    (Register.RING_FIRST, first)):
                await bench.request(write=1, register=1, address=register, data=value)
            assert bench.get("flash_address") == high << 16 | low
            assert bench.get("ring_first") == first
        for flags in range(16):
            bench.set(busy=flags & 1, flash_ready=flags >> 1 & 1, corrupt=flags >> 2 & 1,
                      held=flags >> 3)
            status = await bench.request(write=0, register=1, address=Register.STATUS)
            assert status == IDENTITY << 8 | flags

    HostBench().run(scenario)


def test_start_is_a_pulse():
    async def scenario(bench):
        pulses = 0
        ask = bench.dut.bus.request
        for address in (Register.START, Register.STATUS, Register.START):
            bench.ctx.set(ask.payload, {"write": 1, "register": 1, "address": address})
            bench.ctx.set(ask.valid, 1)
            assert bench.ctx.get(ask.ready)
            assert bench.get("start") == (address == Register.START)
            pulses += bench.get("start")
            await bench.tick()
            bench.ctx.set(ask.valid, 0)
            for _ in range(3):
                assert not bench.get("start")
                await bench.tick()
        # Reading it starts nothing.
        bench.ctx.set(ask.payload, {"write": 0, "register": 1, "address": Register.START})
        bench.ctx.set(ask.valid, 1)
        assert not bench.get("start")
        assert pulses == 2

    HostBench().run(scenario)


@pytest.mark.slow
def test_cycles():
    """Cycles are counted while the core is busy, beyond 16 bits."""
    async def scenario(bench):
        await bench.pulse(clear_cycles=1, busy=1)
        bench.set(busy=1)
        await bench.tick(0x10005)
        bench.set(busy=0)
        await bench.tick(5)
        low = await bench.request(write=0, register=1, address=Register.CYCLES_LOW)
        high = await bench.request(write=0, register=1, address=Register.CYCLES_HIGH)
        assert high << 16 | low == 0x10005
        await bench.pulse(clear_cycles=1)
        assert await bench.request(write=0, register=1, address=Register.CYCLES_LOW) == 0

    bench = HostBench()
    bench.limit = 70_000
    bench.run(scenario)


@pytest.mark.parametrize("selected", list(Cause))
def test_profile(selected):
    """Cycles of one cause, of all, of all but those in which the core is held."""
    async def scenario(bench):
        await bench.request(write=1, register=1, address=Register.PROFILE, data=selected)
        bench.set(busy=1, cause=Cause.STEPS)
        await bench.pulse(clear_cycles=1)
        counts = {cause: 3 * cause + 1 for cause in Cause
                  if cause not in (Cause.ALL, Cause.NOT_HELD)}
        for cause, count in counts.items():
            bench.set(cause=cause)
            await bench.tick(count)
        # Not busy, whatever the cause is.
        bench.set(busy=0, cause=selected)
        await bench.tick(9)
        counts[Cause.ALL] = sum(counts.values())
        counts[Cause.NOT_HELD] = counts[Cause.ALL] - counts[Cause.HELD]
        cycles = await bench.request(write=0, register=1, address=Register.CYCLES_LOW)
        assert cycles == counts[selected]

    HostBench().run(scenario)


@pytest.mark.parametrize("before", [0, 1, 5, 0x123, HOLD_NEVER])
def test_layers_and_hold(before):
    """Held from the second cycle after the step that ends the layer before, and after a start."""
    async def layers(bench):
        return await bench.request(write=0, register=1, address=Register.DESCRIPTORS)

    async def scenario(bench):
        # Until then a core runs to its end.
        await bench.tick(2)
        assert not bench.get("hold")
        await bench.request(write=1, register=1, address=Register.HOLD, data=before)
        for _ in range(2):
            await bench.pulse(clear_cycles=1)
            assert not bench.get("hold")
            for number in range(min(before + 3, 0x130)):
                await bench.tick()
                assert bench.get("hold") == (number == before)
                if number == before:
                    assert await layers(bench) == before
                await bench.pulse(steps_done=1)
        assert await layers(bench) == min(before + 3, 0x130)

    HostBench().run(scenario)


@pytest.mark.parametrize("lanes", [2, 4])
def test_memory_at_the_ends(lanes):
    async def scenario(bench):
        addresses = sorted({0, 1, lanes - 1, lanes, 16384 * lanes - 1})
        for k, address in enumerate(addresses):
            await bench.request(write=1, register=0, address=address, data=0xFF00 + k)
        for k, address in enumerate(addresses):
            assert await bench.request(write=0, register=0, address=address) == 0xFF00 + k

    HostBench(lanes=lanes).run(scenario)


@pytest.mark.parametrize("seed", range(4))
def test_random_accesses(seed):
    """Late grants, late receivers, registers in between."""
    rng = random.Random(seed)
    stalls = rng.choice((0, 1, 8))

    async def scenario(bench):
        expected = {}
        for _ in range(200):
            await bench.tick(rng.choice((0, 0, 1, 3)))
            kind = rng.randrange(4)
            address = rng.randrange(64)
            if kind == 0:
                assert await bench.request(
                    write=0, register=1, address=Register.STATUS) == IDENTITY << 8
            elif kind == 1 and address in expected:
                assert await bench.request(
                    write=0, register=0, address=address) == expected[address]
            else:
                expected[address] = rng.randrange(1 << 16)
                await bench.request(write=1, register=0, address=address, data=expected[address])

    HostBench(
        lanes=rng.choice((2, 4)), wait=lambda: rng.randint(0, stalls),
        slow=lambda: rng.randint(0, stalls),
    ).run(scenario)


def test_an_answer_blocks_the_next_request():
    async def scenario(bench):
        ask, answer = bench.dut.bus.request, bench.dut.bus.response
        bench.ctx.set(ask.payload, {"write": 0, "register": 1, "address": Register.STATUS})
        bench.ctx.set(ask.valid, 1)
        assert bench.ctx.get(ask.ready)
        await bench.tick()
        for _ in range(5):
            assert bench.ctx.get(answer.valid) and not bench.ctx.get(ask.ready)
            await bench.tick()
        bench.ctx.set(answer.ready, 1)
        await bench.tick()
        assert bench.ctx.get(ask.ready)

    HostBench().run(scenario)


def test_a_halfword_is_held_until_it_is_settled():
    """The next access waits, and does not change what is on its way."""
    async def scenario(bench):
        ask = bench.dut.bus.request
        payload = {"write": 1, "register": 0, "address": 3, "data": 0x1234}
        bench.ctx.set(ask.payload, payload)
        bench.ctx.set(ask.valid, 1)
        await bench.tick()
        assert bench.get("memory__request")
        await bench.pulse(memory__grant=1)
        bench.ctx.set(ask.payload, payload | {"address": 0, "data": 0x4321})
        for _ in range(5):
            assert not bench.get("memory__request") and not bench.ctx.get(ask.ready)
            assert bench.get("memory__halfword") == 0x1234
            await bench.tick()
        bench.set(memory__settled=1)
        await bench.tick(2)
        assert bench.get("memory__request") and bench.get("memory__halfword") == 0x4321

    HostBench().run(scenario)
