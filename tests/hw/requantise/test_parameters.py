"""Parameter memory: fields arrive in the cycles in which the requantisers sample them."""

import random

import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.contract.records import PARAMETER_FIELDS
from hw.requantise.parameters import ParameterMemory
from hw.requantise.requantiser import Requantiser

ROWS = 2


def follow(lanes, slots, outputs_per_block, gap, rng):
    """Queue blocks and make outputs of each, at least ``lanes`` cycles apart, at the same time.

    The contract: two slots stay free of blocks whose outputs are not complete.
    """
    config = CoreConfig(technology="portable", lanes=lanes, parameter_slots=slots)
    blocks = len(outputs_per_block)
    words = [[[rng.randrange(1 << 16) for _ in range(lanes)]
              for _ in range(ROWS * PARAMETER_FIELDS)] for _ in range(blocks)]
    # A block without outputs is a part of the sums of the one after it.
    outputs = [(b, n == 0, count) for b, count in enumerate(outputs_per_block)
               for n in range(max(count, 1))]
    expected = {}
    written = []
    finished = []

    async def scenario(bench):
        halfwords = [(b, k, g) for b in range(blocks) for k in range(ROWS * PARAMETER_FIELDS)
                     for g in range(lanes)]
        next_output = 0
        last = None
        while halfwords or outputs or bench.cycle < last + lanes + 5:
            now = bench.cycle
            bench.set(write_enable=0, output=0, next_block=0)
            # Junk that is not to be written.
            bench.set(write_word=rng.randrange(8), write_lane=rng.randrange(lanes),
                      write_data=rng.randrange(1 << 16))
            if halfwords and halfwords[0][0] - len(finished) < slots - 2 and rng.random() < 0.9:
                block, word, lane = halfwords.pop(0)
                bench.set(write_enable=1, write_word=word, write_lane=lane,
                          write_data=words[block][word][lane])
                if word == ROWS * PARAMETER_FIELDS - 1 and lane == lanes - 1:
                    written.append(now)
            if outputs and now >= next_output and outputs[0][0] < len(written) \
                    and now > written[outputs[0][0]]:
                block, first, count = outputs.pop(0)
                bench.set(output=int(count > 0), next_block=int(first))
                last = now
                next_output = now + lanes + gap()
                if not outputs or outputs[0][0] != block:
                    finished.append(block)
                for column in range(ROWS if count else 0):
                    for field, stage in enumerate(Requantiser.FIELD_STAGE):
                        for g in range(lanes):
                            at = now + ParameterMemory.LEAD + stage + g
                            value = words[block][field + PARAMETER_FIELDS * column][g]
                            expected.setdefault(at, []).append((column, field, value))
            fields = bench.get("fields")
            for column, field, value in expected.pop(now, ()):
                assert fields[column][field] == value
            await bench.tick()
        assert not expected

    BlockBench(ParameterMemory(config)).run(scenario)


@pytest.mark.parametrize("lanes", [2, 4])
def test_outputs_follow_each_other(lanes):
    follow(lanes, 8, [3, 1, 2], lambda: 0, random.Random(lanes))


@pytest.mark.parametrize("lanes", [2, 4])
def test_parts_leave_their_parameters_out(lanes):
    follow(lanes, 8, [0, 1, 2, 0, 0, 1, 0, 1, 1], lambda: 0, random.Random(lanes))


@pytest.mark.parametrize("lanes", [2, 4])
@pytest.mark.parametrize("slots", [4, 8])
def test_random_blocks(lanes, slots):
    """The slots are used several times."""
    rng = random.Random(slots)
    counts = [rng.choice((1, 1, 2, 5)) for _ in range(5 * slots)]
    follow(lanes, slots, counts, lambda: rng.choice((0, 0, 1, 7)), rng)


def test_published_lead():
    assert ParameterMemory.LEAD == 2
