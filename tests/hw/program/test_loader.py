"""Loader: records reach their destinations, and wait for room there."""

import random

import pytest
from support.block_bench import BlockBench
from support.marks import slow

from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS
from hw.contract.records import PARAMETER_FIELDS, Record, header
from hw.memory.word_reader import Target
from hw.program.loader import SPARE_SLOTS, Loader

ROWS = 2


class Surroundings:
    """Ring, arbiter, serial reader and array as far as the loader sees them.

    Parameters
    ----------
    records : list of (Record, words of weights)
    grant : callable
        Whether the arbiter gives the memory to the loader in a cycle.
    filled : callable
        Whether the ring has a word.
    finish : callable
        Whether the array finishes a loaded block, and the sequencer takes a descriptor, in a
        cycle.
    """

    def __init__(self, config, records, *, grant=lambda: True, filled=lambda: True,
                 finish=lambda: True):
        self.config = config
        self.grant, self.filled, self.finish = grant, filled, finish
        self.stream = []
        self.steps = []
        for kind, count in records:
            self.stream.append((kind, count, None))
            if kind == Record.DESCRIPTOR:
                words = DESCRIPTOR_HALFWORDS // config.lanes
                self.stream += [(kind, k, k == words - 1) for k in range(words)]
            elif kind == Record.BLOCK:
                words = ROWS * PARAMETER_FIELDS
                self.stream += [("parameters", k, False) for k in range(words)]
                self.stream += [("weights", k, k == count - 1) for k in range(count)]
                self.steps.append(count // ROWS)
        self.grants = []
        self.most_steps = self.most_blocks = self.most_descriptors = 0

    def run(self, *, patience=400):
        """Run until nothing was requested for so many cycles; return the words that are left."""
        async def scenario(bench):
            await self.scenario(bench, patience)

        BlockBench(Loader(self.config), limit=100_000).run(scenario)
        return self.stream

    async def scenario(self, bench, patience):
        config, rng = self.config, random.Random(1)
        address = 0
        descriptors = blocks = steps = 0
        # What was taken in the cycle before, and when the serial reader is free again.
        before, serial_free, loaded = None, 0, []
        empty = was_ready = True
        idle = 0
        weights_seen = 0
        while idle < patience:
            now = bench.cycle
            # In the cycle after a grant: lane 0's data, weights and pulses.
            kind, value, last = before or (None, None, None)
            if isinstance(kind, Record) and last is None:
                bench.set(header=header(kind, value))
            else:
                bench.set(header=rng.randrange(1 << 16))
            load = bench.get("load")
            if kind == "weights":
                assert load.row == (2 if weights_seen % 2 else 1)
                assert load.address == address
                address = (address + weights_seen % 2) % config.weight_depth
                weights_seen += 1
            else:
                assert load.row == 0
            block_loaded = kind == "weights" and last
            descriptor_loaded = kind == Record.DESCRIPTOR and bool(last)
            assert bench.get("block_loaded") == block_loaded
            assert bench.get("descriptor_loaded") == descriptor_loaded
            if block_loaded:
                blocks += 1
                loaded.append(self.steps.pop(0))
            descriptors += descriptor_loaded
            self.most_blocks = max(self.most_blocks, blocks)
            self.most_descriptors = max(self.most_descriptors, descriptors)

            # Destinations become free.
            free_block = bool(loaded) and not block_loaded and self.finish()
            bench.set(block_freed=int(free_block), freed_steps=rng.randrange(config.weight_depth))
            if free_block:
                bench.set(freed_steps=loaded[0])
                steps -= loaded.pop(0)
                blocks -= 1
            free_descriptor = descriptors > 0 and not descriptor_loaded and self.finish()
            bench.set(descriptor_freed=int(free_descriptor))
            descriptors -= free_descriptor

            # The ring: the arbiter's word is gone in the cycle after the grant.  It fills, but
            # only the loader takes words.
            requested = bench.get("request")
            if requested:
                assert self.stream, "nothing is left"
                assert not empty, "the ring was empty"
            serial_ready = now + 1 >= serial_free
            granted = bool(requested and self.grant())
            bench.set(grant=int(granted), serial_ready=int(serial_ready and not granted))
            if granted:
                assert before is None, "a grant every other cycle at most"
                before = kind, value, last = self.stream.pop(0)
                serial = kind == "parameters" or (kind == Record.DESCRIPTOR and last is not None)
                assert bench.get("serial") == serial
                if serial:
                    assert was_ready, "the serial reader was busy"
                    target = Target.PARAMETERS if kind == "parameters" else Target.DESCRIPTOR
                    assert bench.get("tag").target == target
                    assert bench.get("tag").index == value
                    serial_free = now + config.lanes
                if kind == "weights" and value % 2 == 0:
                    steps += 1
                    self.most_steps = max(self.most_steps, steps)
                self.grants.append(now)
            else:
                before = None
            idle = 0 if granted else idle + 1
            # A ring that is not empty stays so until a word is taken.
            if granted or empty:
                empty = not (self.stream and self.filled())
            bench.set(empty=int(empty))
            was_ready = serial_ready
            assert bench.get("stopped") == (not self.stream and idle >= 2)
            await bench.tick()


def config(lanes=4, **changes):
    return CoreConfig(technology="portable", lanes=lanes, **changes)


PROGRAM = [
    (Record.DESCRIPTOR, 0), (Record.BLOCK, 8), (Record.BLOCK, 16), (Record.DESCRIPTOR, 0),
    (Record.BLOCK, 10), (Record.END, 0),
]


@pytest.mark.parametrize("lanes", [2, 4])
def test_program(lanes):
    bench = Surroundings(config(lanes), PROGRAM)
    assert not bench.run()


def test_pace():
    """Weights are taken every other cycle, parameters every ``lanes`` cycles."""
    bench = Surroundings(config(), [(Record.BLOCK, 40), (Record.END, 0)])
    assert not bench.run()
    parameters, weights = bench.grants[1:9], bench.grants[9:49]
    assert parameters[-1] - parameters[0] == 7 * 4
    assert weights[-1] - weights[0] == 39 * 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*map(slow, range(5)), 5])
def test_random_stalls(seed):
    rng = random.Random(seed)
    records = []
    for _ in range(12):
        records.append((Record.DESCRIPTOR, 0))
        records += [(Record.BLOCK, 2 * rng.randint(1, 16)) for _ in range(rng.randint(1, 4))]
    records.append((Record.END, 0))
    grants, words, done = (rng.choice((0.1, 0.5, 1)) for _ in range(3))
    bench = Surroundings(
        config(rng.choice((2, 4)), weight_depth=16, parameter_slots=4, descriptor_slots=4), records,
        grant=lambda: rng.random() < grants, filled=lambda: rng.random() < words,
        finish=lambda: rng.random() < done * 0.2,
    )
    assert not bench.run()
    assert bench.most_steps <= 16


def test_weight_memory_full():
    """Exactly ``weight_depth`` steps are taken, the last one with both its rows."""
    bench = Surroundings(
        config(weight_depth=16), [(Record.BLOCK, 20), (Record.BLOCK, 20), (Record.END, 0)],
        finish=lambda: False)
    left = bench.run()
    assert bench.most_steps == 16
    assert [word for word in left if word[0] == "weights"] == [
        ("weights", k, k == 19) for k in range(12, 20)]


def test_block_that_fills_weight_memory():
    bench = Surroundings(
        config(weight_depth=16), [(Record.BLOCK, 32)] * 3 + [(Record.END, 0)])
    assert not bench.run()
    assert bench.most_steps == 16


def test_parameter_slots_full():
    """Some slots stay free for outputs that are still on their way."""
    blocks = [(Record.BLOCK, 2)] * 10
    bench = Surroundings(config(parameter_slots=8), blocks, finish=lambda: False)
    left = bench.run()
    assert bench.most_blocks == 8 - SPARE_SLOTS
    # The next block's header is read already.
    assert left[0] == ("parameters", 0, False)


def test_descriptor_slots_full():
    """One slot stays free for the descriptor that is being read."""
    bench = Surroundings(
        config(descriptor_slots=4), [(Record.DESCRIPTOR, 0)] * 6, finish=lambda: False)
    left = bench.run()
    assert bench.most_descriptors == 3
    assert left[0] == (Record.DESCRIPTOR, 0, False)


def test_end_is_the_end():
    """What follows in the ring belongs to nobody."""
    bench = Surroundings(config(), [(Record.END, 0), (Record.BLOCK, 2)])

    async def scenario(inner):
        inner.set(header=header(Record.END), serial_ready=1)
        while not inner.get("request"):
            await inner.tick()
        await inner.pulse(grant=1)
        await inner.tick()
        for _ in range(30):
            assert inner.get("stopped") and not inner.get("request")
            await inner.tick()

    BlockBench(Loader(bench.config)).run(scenario)
