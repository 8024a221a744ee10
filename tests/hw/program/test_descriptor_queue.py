"""Descriptor memory: what the compiler encodes is what the core sees."""

import random

import pytest
from support.block_bench import BlockBench
from support.descriptors import stored

from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS, LAYOUT, Descriptor
from hw.contract.modes import Mode
from hw.program.descriptor_queue import DescriptorQueue

CONFIG = CoreConfig(technology="portable", descriptor_slots=4)
BASES = ("input_base", "output_base")
PASSING = (*BASES, "ring_first", "ring_moves")
"""Fields that no register of the layer holds."""


def random_descriptor(rng, pick=None):
    """Return a descriptor; ``pick`` chooses each value from its least and greatest one."""
    pick = pick or (lambda low, high: rng.randint(low, high))
    values = {name: pick(*at.range) for name, at in LAYOUT.items()}
    values["mode"] = rng.choice(list(Mode))
    values["act_min"], values["act_max"] = sorted((values["act_min"], values["act_max"]))
    if values["mode"] == Mode.SYSTOLIC and values["inner"] == 1:
        values["last_steps"] = max(2, values["last_steps"])
    if values["partial"]:
        values |= {"mode": Mode.SYSTOLIC, "height": 1, "shared": 0, "skip_first": 0, "skip_last": 0,
                   "input_zero_point": 0}
        values["last_steps"] = max(2, values["last_steps"])
    return Descriptor(**values)


async def write(bench, descriptor, pause=lambda: 0):
    """Write halfwords, lane after lane; ``loaded`` comes first, as from the loader."""
    await bench.pulse(loaded=1)
    for index, halfword in enumerate(descriptor.halfwords()):
        bench.set(write_index=index, write_data=halfword)
        await bench.pulse(write_enable=1)
        bench.set(write_index=15, write_data=0xFFFF)
        await bench.tick(pause())


async def fetch(bench, descriptor):
    """Fetch the next descriptor, check it and its timing."""
    assert bench.get("available")
    await bench.pulse(fetch=1)
    bases = {}
    for cycle in range(1, DescriptorQueue.LATENCY):
        assert not bench.get("done")
        moves = descriptor.ring_moves and cycle == DescriptorQueue.RING_LATENCY
        assert bench.get("ring_moves") == moves
        assert not moves or bench.get("base") & 0x3FFF == descriptor.ring_first
        for name in BASES:
            if bench.get(name):
                assert name not in bases
                bases[name] = bench.get("base")
        await bench.tick()
    assert bench.get("done")
    assert bases == {name: getattr(descriptor, name) for name in BASES}
    layer = bench.get("layer")
    for name in LAYOUT:
        if name not in PASSING:
            assert layer[name] == stored(descriptor, name), name
    await bench.tick()
    assert not bench.get("done")
    assert not any(bench.get(name) for name in (*BASES, "ring_moves"))


@pytest.mark.parametrize("extreme", [min, max, None])
def test_fields(extreme):
    rng = random.Random(1)
    descriptors = [random_descriptor(rng, extreme) for _ in range(12)]

    async def scenario(bench):
        for descriptor in descriptors:
            assert not bench.get("available")
            await write(bench, descriptor)
            await fetch(bench, descriptor)

    BlockBench(DescriptorQueue(CONFIG)).run(scenario)


def test_queue():
    """As many as there are slots, less the one in force; the slots are used several times."""
    rng = random.Random(2)

    async def scenario(bench):
        queue = []
        for _ in range(40):
            if queue and (len(queue) == 3 or rng.randint(0, 1)):
                await fetch(bench, queue.pop(0))
            else:
                queue.append(random_descriptor(rng))
                await write(bench, queue[-1], lambda: rng.choice((0, 0, 3)))
            assert bench.get("available") == bool(queue)

    BlockBench(DescriptorQueue(CONFIG)).run(scenario)


@pytest.mark.parametrize("lanes", [2, 4])
def test_fetch_as_early_as_possible(lanes):
    """The last word of a descriptor may be on its way when it is fetched."""
    config = CoreConfig(technology="portable", lanes=lanes)
    rng = random.Random(lanes)
    descriptor = random_descriptor(rng)
    halfwords = descriptor.halfwords()

    async def scenario(bench):
        for index in range(DESCRIPTOR_HALFWORDS - lanes):
            bench.set(write_index=index, write_data=halfwords[index])
            await bench.pulse(write_enable=1)
        # From the cycle after the last grant on: the pulse, and the word's halfwords.
        done = None
        for k in range(DescriptorQueue.LATENCY + 2):
            bench.set(loaded=int(k == 0), fetch=int(k == 1), write_enable=int(k < lanes))
            if k < lanes:
                index = DESCRIPTOR_HALFWORDS - lanes + k
                bench.set(write_index=index, write_data=halfwords[index])
            if bench.get("done"):
                done = k
            await bench.tick()
        assert done == 1 + DescriptorQueue.LATENCY
        for name in LAYOUT:
            if name not in PASSING:
                assert bench.get("layer")[name] == stored(descriptor, name), name

    BlockBench(DescriptorQueue(config)).run(scenario)


def test_fetch_while_the_next_one_is_written():
    rng = random.Random(4)
    first, second = random_descriptor(rng), random_descriptor(rng)

    async def scenario(bench):
        await write(bench, first)
        halfwords = second.halfwords()
        done = False
        for k in range(DescriptorQueue.LATENCY + 1):
            written = k < DESCRIPTOR_HALFWORDS
            bench.set(fetch=int(k == 0), write_enable=int(written), loaded=int(k == 15))
            if written:
                bench.set(write_index=k, write_data=halfwords[k])
            done = bool(bench.get("done"))
            assert done == (k == DescriptorQueue.LATENCY)
            await bench.tick()
        for name in LAYOUT:
            if name not in PASSING:
                assert bench.get("layer")[name] == stored(first, name), name
        await fetch(bench, second)

    BlockBench(DescriptorQueue(CONFIG)).run(scenario)
