"""Activation memory: accesses travel across the lanes."""

import random

import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.memory.scratchpad import Scratchpad

DEPTH = 16


def config(lanes):
    return CoreConfig(technology="portable", lanes=lanes, memory_depth=DEPTH)


def follow(lanes, accesses, rng):
    """Make accesses (write, result, address, mask), one a cycle; return the words at the end.

    Whatever is not to be looked at is random: data before and after their cycle, the mask of
    reads.
    """
    memory = [[None] * DEPTH for _ in range(lanes)]
    stale = [None] * lanes

    async def scenario(bench):
        for now in range(len(accesses) + lanes):
            stream = rng.randrange(1 << 16)
            results = rng.choices(range(1 << 16), k=lanes)
            bench.set(stream=stream, results=results)
            if now < len(accesses):
                write, result, address, mask = accesses[now]
                bench.set(access={"write": write, "result": result, "address": address}, mask=mask)
            else:
                bench.set(access={"write": 0, "result": 0, "address": 0}, mask=0)
            for g in range(lanes):
                # The read of the cycle before, as far as anything was ever written there.
                if stale[g] is not None:
                    assert bench.get("read_data")[g] == stale[g]
                stale[g] = None
                if not 0 <= now - g < len(accesses):
                    continue
                write, result, address, mask = accesses[now - g]
                if not write:
                    stale[g] = memory[g][address]
                elif mask >> g & 1:
                    memory[g][address] = results[g] if result else stream
            await bench.tick()

    BlockBench(Scratchpad(config(lanes))).run(scenario)
    return memory


@pytest.mark.parametrize("lanes", [2, 4])
def test_write_and_read_back(lanes):
    """A read right after the write of the same word sees it, in every lane; masks hold."""
    accesses = []
    every = (1 << lanes) - 1
    for result in (0, 1):
        for address in (0, DEPTH - 1):
            accesses += [(1, result, address, every), (0, 0, address, 0)]
    for g in range(lanes):
        accesses += [(1, 0, 5, 1 << g), (0, 0, 5, 0), (1, 1, 5, every ^ 1 << g), (0, 0, 5, every)]
    accesses += [(1, 1, 0, 0), (0, 0, 0, 0)]
    memory = follow(lanes, accesses, random.Random(0))
    assert all(lane[address] is not None for lane in memory for address in (0, 5, DEPTH - 1))


@pytest.mark.parametrize("lanes", [2, 4])
def test_random_accesses(lanes):
    rng = random.Random(lanes)
    accesses = [
        (rng.randint(0, 1), rng.randint(0, 1), rng.randrange(DEPTH), rng.randrange(1 << lanes))
        for _ in range(1500)
    ]
    follow(lanes, accesses, rng)


def test_skew():
    """Lane g's halfword is written g cycles after the access, and read g + 1 cycles after it."""
    async def scenario(bench):
        bench.set(mask=-1, access={"write": 1, "result": 0, "address": 3})
        for g in range(4):
            bench.set(stream=100 + g)
            await bench.tick()
            bench.set(access={"write": 0, "result": 0, "address": 3})
        # The read that followed the write at once has reached lane g in cycle g + 1.
        assert bench.get("read_data")[2] == 102
        await bench.tick()
        assert [bench.get("read_data")[g] for g in range(4)] == [100, 101, 102, 103]

    BlockBench(Scratchpad(config(4))).run(scenario)
