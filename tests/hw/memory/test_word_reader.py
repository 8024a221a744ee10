"""Serial reader: words on the wavefront, one halfword a cycle."""

import random
from itertools import pairwise

import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.memory.word_reader import Target, WordReader


def follow(lanes, pauses, rng):
    """Read words, the next one so many cycles after the reader is ready again."""
    words = []
    starts = []

    async def scenario(bench):
        expected = {}
        pending = list(pauses)
        promised = None
        wait = pending.pop(0)
        while pending or bench.cycle <= starts[-1] + lanes + 2:
            now = bench.cycle
            # Lane g's halfword is there g + 1 cycles after the access to lane 0; no longer.
            data = rng.choices(range(1 << 16), k=lanes)
            for start, word in zip(starts, words, strict=True):
                if 1 <= now - start <= lanes:
                    data[now - start - 1] = word[1][now - start - 1]
            bench.set(read_data=data, start=0)
            ready = bench.get("ready")
            assert promised in (None, ready)
            if ready and pending:
                if not wait:
                    tag = {"target": rng.choice(list(Target)), "index": rng.randrange(16)}
                    word = rng.choices(range(1 << 16), k=lanes)
                    words.append((tag, word))
                    starts.append(now)
                    for g in range(lanes):
                        expected[now + 1 + g] = (tag, g, word[g])
                    bench.set(start=1, start_tag=tag)
                    wait = pending.pop(0)
                else:
                    wait -= 1
            promised = bench.get("ready_next")
            assert bench.get("valid") == (now in expected)
            if now in expected:
                tag, lane, halfword = expected[now]
                assert bench.get("lane") == lane
                assert bench.get("tag").target == tag["target"]
                assert bench.get("tag").index == tag["index"]
                assert bench.get("halfword") == halfword
            await bench.tick()
            # The tag is only looked at with ``start``.
            bench.set(start_tag={"target": Target.HOST, "index": rng.randrange(16)})

    config = CoreConfig(technology="portable", lanes=lanes)
    BlockBench(WordReader(config)).run(scenario)
    return starts


@pytest.mark.parametrize("lanes", [2, 4])
def test_words_follow_each_other(lanes):
    """A word takes ``lanes`` cycles, without a bubble."""
    starts = follow(lanes, [0] * 20, random.Random(lanes))
    assert {b - a for a, b in pairwise(starts)} == {lanes}


@pytest.mark.parametrize("lanes", [2, 4])
def test_random_pauses(lanes):
    rng = random.Random(lanes)
    follow(lanes, rng.choices(range(4), k=200), rng)
