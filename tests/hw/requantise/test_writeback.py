"""Write-back: one request per output, in the order of blocks and windows."""

import random

import pytest
from support.block_bench import BlockBench

from hw.contract.words import ADDRESS_BITS
from hw.requantise import drain
from hw.requantise.writeback import Writeback

SIZE = 1 << ADDRESS_BITS


def wanted(bench):
    """Return whether a write is requested, and where."""
    return bench.get("write__request"), bench.get("write__address")


def follow(layers, delay, *, lanes=4):
    """Write layers (base, step, blocks, windows); a write is granted after ``delay()`` cycles.

    The contract: a result is written before the next one is there; in the same cycle at the latest.
    """
    async def scenario(bench):
        for base, step, blocks, windows in layers:
            await bench.pulse(load=1, base=base)
            bench.set(step=step % SIZE, base=0x2AAA)
            for block in range(blocks):
                for window in range(windows):
                    assert not bench.get("write__request")
                    await bench.pulse(done=1, next_block=int(window == 0))
                    address = (base + block + window * step) % SIZE
                    waits = min(delay(), lanes)
                    for _ in range(waits):
                        assert wanted(bench) == (1, address)
                        await bench.tick()
                    assert wanted(bench) == (1, address)
                    await bench.pulse(write__grant=1)
                    await bench.tick(max(0, lanes - 2 - waits))

    BlockBench(Writeback()).run(scenario)


def test_published_delay():
    assert Writeback.DELAY == drain.LATENCY


@pytest.mark.parametrize("layer", [
    (100, 3, 3, 4), (0, 0, 2, 2), (SIZE - 2, 1, 3, 5), (5, -4, 2, 6), (7, SIZE - 1, 1, 9),
    (9, 2, 256, 1),
])
def test_addresses(layer):
    follow([layer], lambda: 0)


def test_random_layers():
    rng = random.Random(0)
    layers = [(rng.randrange(SIZE), rng.randrange(-SIZE + 1, SIZE), rng.randint(1, 4),
               rng.randint(1, 6)) for _ in range(30)]
    follow(layers, lambda: rng.randint(0, 4))


def test_result_in_the_cycle_of_a_grant():
    async def scenario(bench):
        await bench.pulse(load=1, base=50)
        bench.set(step=10)
        await bench.pulse(done=1, next_block=1)
        bench.set(next_block=0)
        for address in (50, 60, 70):
            assert wanted(bench) == (1, address)
            await bench.pulse(done=1, write__grant=1)
        await bench.pulse(write__grant=1)
        assert not bench.get("write__request")

    BlockBench(Writeback()).run(scenario)
