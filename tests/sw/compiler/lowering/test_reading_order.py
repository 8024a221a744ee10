"""Orders of reading words: everything once, what is wanted again twice, as the hardware walks."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from hw.contract.config import CoreConfig
from hw.contract.modes import Mode, minimum_steps
from sw.compiler.input.reads import SystolicRead
from sw.compiler.lowering import reading_order
from sw.compiler.lowering.reading_order import contiguous_read, fits, plain_read, read_in_parts


def walk(read: SystolicRead, windows: int) -> list[list[tuple[int, int]]]:
    """Return the (word, pair of channels) of every step of windows that follow each other."""
    address, lanes = read.first, 4
    result = []
    for _ in range(windows):
        steps = []
        for turn in range(read.middle):
            for i in range(read.inner):
                last = i == read.inner - 1
                pairs = read.last_steps if last else lanes
                steps += [(address, pair) for pair in range(pairs)]
                if not last:
                    address += read.step_inner
                elif turn < read.middle - 1:
                    address += read.step_middle
                else:
                    address += read.step_column
        result.append(steps)
    return result


def check(read: SystolicRead, words: int, again: dict[int, int], columns: int = 8) -> None:
    steps, following = walk(read, 2)
    assert len(steps) == read.steps >= minimum_steps(Mode.SYSTOLIC)
    assert following == [(word + words, pair) for word, pair in steps]
    assert read.inner > 1 or read.last_steps > 1 or read.middle == 1
    for (word, pair), taps in zip(steps, read.slots.tolist(), strict=True):
        first = word * columns + 2 * pair
        assert taps == ([first, first + 1] if 0 <= word < words else [-1, -1])
    visits = Counter(steps)
    for word in range(words):
        for pair in range(columns // 2):
            assert visits[word, pair] >= (2 if pair < again.get(word, 0) else 1)


@pytest.mark.parametrize("words", [1, 2, 3, 4, 8, 13, 32, 128])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_wanted_visit(words: int, count: int) -> None:
    rng = random.Random(words * count)
    for _ in range(10):
        again = {rng.randrange(words): rng.randint(1, 4) for _ in range(count)}
        read = contiguous_read(words, again, 8)
        assert read is not None
        check(read, words, again)
        # Never worse than reading all of it twice, or the first pairs of every word again.
        assert read.steps <= words * (4 + max(again.values()))


@pytest.mark.parametrize(
    ("words", "again", "steps"),
    [
        (1, {0: 1}, 5),
        (1, {0: 4}, 8),
        (2, {0: 2}, 12),
        (4, {0: 1, 3: 1}, 20),
        (4, {2: 1}, 18),
        (4, dict.fromkeys(range(4), 4), 32),
        (32, {16: 1}, 130),
    ],
)
def test_the_fewest_steps(words: int, again: dict[int, int], steps: int) -> None:
    read = contiguous_read(words, again, 8)
    assert read is not None
    assert read.steps == steps


def test_two_lanes_and_one_word() -> None:
    """A window takes four steps at least."""
    read = contiguous_read(1, {0: 1}, 4)
    assert read is not None
    assert (read.inner, read.last_steps, read.steps) == (2, 2, 4)


def test_once() -> None:
    check(plain_read(7, 8), 7, {})


def test_more_words_than_a_turn_can_have() -> None:
    read = contiguous_read(300, {5: 2}, 8)
    assert read is not None
    assert read.inner <= 256
    check(read, 300, {5: 2})


@pytest.mark.parametrize("words", [129, 160, 300])
@pytest.mark.parametrize("again", [{}, {0: 1}, {100: 4, 128: 3}])
def test_parts(words: int, again: dict[int, int]) -> None:
    config = CoreConfig()
    read = read_in_parts(words, again, config)
    assert read is not None
    assert fits(read, config)
    size = -(-words // read.parts)
    visits: Counter[int] = Counter()
    steps = [step for window in walk(read, read.parts) for step in window]
    for (word, pair), taps in zip(steps, read.slots.tolist(), strict=True):
        for k, tap in enumerate(taps):
            assert tap in (-1, 8 * word + 2 * pair + k)
            visits[tap] += 1
    assert all(visits[tap] >= 1 for tap in range(8 * words))
    assert all(visits[8 * word + k] >= 2 for word, pairs in again.items() for k in range(2 * pairs))
    assert max(visits) < 8 * words
    assert (read.parts - 1) * size < words


def test_parts_that_do_not_fit() -> None:
    """A weight memory that is too small for a single word."""
    assert read_in_parts(3, {}, CoreConfig(weight_depth=4, lanes=4)) is not None
    assert read_in_parts(3, {0: 1}, CoreConfig(weight_depth=4, lanes=4)) is None


@pytest.mark.parametrize("words", [64, 96, 128])
def test_little_work_whatever_is_wanted(words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ways of reading are tried one by one only if they can do."""
    tried = []
    place = reading_order._place
    monkeypatch.setattr(reading_order, "_place", lambda *args: tried.append(args) or place(*args))
    rng = random.Random(words)
    for count in (1, 2, 3, 5, 8, 13, 21, 34, 55):
        again = {word: rng.randint(1, 4) for word in rng.sample(range(words), count)}
        check(contiguous_read(words, again, 8), words, again)
    assert len(tried) < 2000
