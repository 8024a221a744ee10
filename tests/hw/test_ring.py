"""Pointers of the ring against a queue of addresses."""

import random
from collections import deque

import pytest
from block_bench import BlockBench

from hw.config import CoreConfig
from hw.memory.ring import Ring

CONFIG = CoreConfig(technology="portable", memory_depth=64)


def follow(first, moves, config=CONFIG):
    """Make moves ("push", "pop" or ""); impossible ones are left out.  One a cycle at most."""
    size = config.memory_depth - first
    write, stored = first, deque()
    counts = {"push": 0, "pop": 0}

    async def scenario(bench):
        nonlocal write
        bench.set(first=first)
        await bench.pulse(clear=1)
        for move in moves:
            assert bench.get("empty") == (not stored)
            assert bench.get("full") == (len(stored) == size)
            assert bench.get("write_address") == write
            if stored:
                assert bench.get("read_address") == stored[0]
            if move == "push" and len(stored) < size:
                stored.append(write)
                write = first if write == config.memory_depth - 1 else write + 1
            elif move == "pop" and stored:
                stored.popleft()
            else:
                await bench.tick()
                continue
            counts[move] += 1
            await bench.pulse(**{move: 1})

    BlockBench(Ring(config)).run(scenario)
    return counts


@pytest.mark.parametrize("first", [63, 62, 60, 0])
def test_fill_and_drain(first):
    size = 64 - first
    moves = (["push"] * (size + 1) + ["pop"] * (size + 1)) * 3
    assert follow(first, moves) == {"push": 3 * size, "pop": 3 * size}


@pytest.mark.parametrize("first", [63, 61, 50])
def test_random_moves(first):
    rng = random.Random(first)
    moves = []
    for _ in range(30):
        kinds = rng.choice([["push"], ["pop"], ["push", "pop"], ["push", "push", "pop", ""]])
        moves += rng.choices(kinds, k=20)
    assert min(follow(first, moves).values()) > 30


def test_end_of_the_whole_memory():
    config = CoreConfig(technology="portable")
    follow(config.memory_depth - 3, ["push", "pop"] * 10, config)


@pytest.mark.parametrize("words", [0, 1, 3, 4])
def test_clear(words):
    """Clearing moves to the new first word, even while a word is pushed."""
    async def scenario(bench):
        bench.set(first=60)
        await bench.pulse(clear=1)
        for _ in range(words):
            await bench.pulse(push=1)
        bench.set(first=20)
        await bench.pulse(clear=1, push=int(words < 4))
        assert bench.get("empty") and not bench.get("full")
        assert bench.get("write_address") == bench.get("read_address") == 20

    BlockBench(Ring(CONFIG)).run(scenario)
