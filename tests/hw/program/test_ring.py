"""Pointers of the ring against a queue of addresses."""

import random
from collections import deque

import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.program.ring import Ring

CONFIG = CoreConfig(technology="portable", memory_depth=64)


async def clear(bench, first, **inputs):
    """Empty the ring, as the core does it."""
    bench.set(initial=first, load=1, next=5)
    # Whatever a descriptor of the program before says.
    await bench.pulse(move=1)
    await bench.pulse(move=1)
    await bench.pulse(clear=1, move=1, **inputs)
    bench.set(initial=3, load=0)


def follow(first, moves, config=CONFIG):
    """Make moves ("push", "pop" or ""); impossible ones are left out.  One a cycle at most.

    A number is the ring's new first word.
    """
    write, stored = first, deque()
    counts = {"push": 0, "pop": 0}

    async def scenario(bench):
        nonlocal write, first
        await clear(bench, first)
        for move in moves:
            full = bool(stored) and stored[0] == write
            assert bench.get("empty") == (not stored)
            assert bench.get("full") == full
            assert bench.get("write_address") == write
            if stored:
                assert bench.get("read_address") == stored[0]
            if isinstance(move, int):
                first = min(first, move)
                bench.set(next=first)
                await bench.pulse(move=1)
                bench.set(next=7)
                continue
            if move == "push" and not full:
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


@pytest.mark.parametrize("seed", range(8))
def test_the_ring_grows(seed):
    """Its first word moves at any time; nothing is lost, nothing is overwritten."""
    rng = random.Random(seed)
    moves = []
    for first in sorted(rng.choices(range(64), k=12), reverse=True):
        kinds = rng.choice([["push"], ["push", "push", "pop", ""], ["push", "pop"]])
        moves += [*rng.choices(kinds, k=rng.choice((3, 40))), first]
    moves += ["push"] * 70 + ["pop"] * 70
    counts = follow(rng.choice((63, 62, 50)), moves)
    assert counts["push"] == counts["pop"] > 64


def test_the_ring_is_larger_after_the_writer_has_wrapped():
    fill = ["push"] * 99
    # Words 60 to 63, and again 60.
    before = [*fill, 40, *fill, "pop", *fill]
    assert follow(60, before) == {"push": 5, "pop": 1}
    # The reader wraps to 60, where the writer did; the writer's next lap begins at 40.
    assert follow(60, [*before, *["pop"] * 2, *fill]) == {"push": 7, "pop": 3}
    assert follow(60, [*before, *["pop"] * 3, *fill]) == {"push": 8 + 20, "pop": 4}
    # Moved in time.
    assert follow(60, ["push", 40, *fill]) == {"push": 24, "pop": 0}


def test_end_of_the_whole_memory():
    config = CoreConfig(technology="portable")
    follow(config.memory_depth - 3, ["push", "pop"] * 10, config)


@pytest.mark.parametrize("words", [0, 1, 3, 4])
def test_clear(words):
    """Clearing moves to the new first word, even while a word is pushed."""
    async def scenario(bench):
        await clear(bench, 60)
        for _ in range(words):
            await bench.pulse(push=1)
        await clear(bench, 20, push=int(words < 4))
        assert bench.get("empty") and not bench.get("full")
        assert bench.get("write_address") == bench.get("read_address") == 20

    BlockBench(Ring(CONFIG)).run(scenario)
