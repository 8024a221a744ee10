"""Orders in which a SYSTOLIC layer reads consecutive words, some of them twice.

A weight beyond int8 is split over two visits of its channel.  The two inner levels of the address
generator make turns of words; which turns read everything once, and what is wanted again twice, in
the fewest steps, is searched here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hw.contract.config import CoreConfig
from hw.contract.modes import Mode, minimum_steps
from sw.compiler.exact.budget import Budget
from sw.compiler.input.reads import SystolicRead
from sw.compiler.lowering.turns import MAX_COUNT, MAX_STEPS, Turns, wanted_of, ways_of

__all__ = ["contiguous_read", "fits", "plain_read", "read_in_parts", "step_limit"]

CHUNK = 4096
"""Ways of reading that are looked at together."""

SEARCH_WORK, CHUNK_WORK, PLACE_WORK = 200, 100, 12
"""Budget of a search, of a chunk besides some for each way, of a place for each word wanted."""


def step_limit(config: CoreConfig) -> int:
    """Return the most steps of a window: as many as a descriptor and the weight memory hold."""
    return min(MAX_STEPS, config.weight_depth)


def fits(read: SystolicRead, config: CoreConfig) -> bool:
    """Whether a descriptor and the weight memory have room for a window."""
    return read.steps <= step_limit(config) and max(read.inner, read.middle) <= MAX_COUNT


def plain_read(words: int, columns: int) -> SystolicRead:
    """Return how to read consecutive words once."""
    turns = Turns(first=0, inner=words, step=1, turns=1, hop=0, pairs=columns // 2)
    return turns.read(words, columns)


def contiguous_read(
    words: int, again: Mapping[int, int], columns: int, work: Budget | None = None
) -> SystolicRead:
    """Return how to read consecutive words, some of them twice, in the fewest steps.

    Turns take neighbouring words, and overlap; or every n-th word; or one word and its first pairs
    of channels again.

    Parameters
    ----------
    words : int
        All words are read at least once.
    again : mapping
        Words that are read at least twice, and how many of their first pairs of channels that is
        for; not empty.
    columns : int
        Channels in a word.
    work : Budget, optional
        From which the search is taken, whether or not its result was known already.

    Returns
    -------
    SystolicRead
        For windows that follow each other directly, with one tap per byte: K = words × columns.
        If none :func:`fits`, one that does not.
    """
    found, taken = _search(words, tuple(sorted(again.items())), columns // 2)
    if work is not None:
        work.left -= taken
    return found.read(words, columns)


@lru_cache(maxsize=1 << 16)
def _search(words: int, again: tuple[tuple[int, int], ...], lanes: int) -> tuple[Turns, int]:
    """Return the turns of the fewest steps, and the work of finding them."""
    work = SEARCH_WORK
    fewest = minimum_steps(Mode.SYSTOLIC)
    most = max(pairs for _, pairs in again)
    # Two lanes and one word: a window has to take four steps.
    taken = max(most, fewest - lanes) if words == 1 else most
    one_by_one = Turns(first=0, inner=2, step=0, turns=words, hop=1, pairs=taken)
    # Every step visits one pair of channels.
    least = max(words * lanes + sum(pairs for _, pairs in again), fewest)
    limit = min(words * (lanes + taken), MAX_STEPS + 1)
    if least >= limit:
        return one_by_one, work
    ways = ways_of(words, lanes)
    wanted = wanted_of(words, again, lanes)
    begin, end = np.searchsorted(ways.steps, [least, limit]).tolist()
    while begin < end:
        part = slice(begin, min(end, begin + CHUNK))
        work += CHUNK_WORK + (part.stop - begin) // 30
        for row in (begin + np.flatnonzero(ways.promising(part, words, wanted))).tolist():
            work += PLACE_WORK * (8 + len(again))
            found = _first_place(words, again, lanes, ways.turns(row))
            if found is not None:
                return found, work
        begin += CHUNK
    return one_by_one, work


def _first_place(
    words: int,
    again: tuple[tuple[int, int], ...],
    lanes: int,
    ways: Iterator[tuple[int, int, int, int, int]],
) -> Turns | None:
    """Return the first of some turns that visit what is wanted, wherever they have to begin."""
    for turns in ways:
        first = _place(words, again, lanes, turns)
        if first is not None:
            inner, step, count, hop, pairs = turns
            return Turns(first=first, inner=inner, step=step, turns=count, hop=hop, pairs=pairs)
    return None


def _place(
    words: int,
    again: tuple[tuple[int, int], ...],
    lanes: int,
    turns: tuple[int, int, int, int, int],
) -> int | None:
    """Return where turns have to begin so that they visit what is wanted, if there is a place."""
    inner, step, count, hop, pairs = turns
    starts = hop * np.arange(count)
    whole = inner - (pairs < lanes)
    complete = (starts[:, None] + step * np.arange(whole)).ravel()
    low, size = int(complete.min()), int(np.ptp(complete)) + 1
    if size < words:
        return None
    visits = np.bincount(complete - low, minlength=size)
    partly = np.zeros(size, np.int64)
    if whole < inner:
        last = starts + step * whole - low
        np.add.at(partly, last[(last >= 0) & (last < size)], 1)
    # Word 0 at position i, for all of these.
    positions = np.arange(size - words + 1)
    gaps: npt.NDArray[np.int64] = np.concatenate([[0], np.cumsum(visits == 0)])
    good = gaps[positions + words] == gaps[positions]
    for word, wanted in again:
        seen = visits[positions + word]
        if wanted <= pairs:
            seen = seen + partly[positions + word]
        good &= seen >= 2
    found = np.flatnonzero(good)
    return -low - int(found[0]) if len(found) else None


def read_in_parts(
    words: int, again: Mapping[int, int], config: CoreConfig, work: Budget | None = None
) -> SystolicRead | None:
    """Return how to read consecutive words, some of them twice, in as few parts as fit.

    The parts are alike, so each reads twice what one of them has to; what is behind the last word
    is read, but nothing is made of it.  Arguments as for :func:`contiguous_read`; ``None`` if
    there is no way.
    """
    columns = config.columns
    for parts in range(2, min(words, MAX_COUNT) + 1):
        size = -(-words // parts)
        of_part: dict[int, int] = {}
        for word, pairs in again.items():
            of_part[word % size] = max(pairs, of_part.get(word % size, 0))
        part = (
            contiguous_read(size, of_part, columns, work) if again else plain_read(size, columns)
        )
        if not fits(part, config):
            continue
        begin = np.arange(parts)[:, None, None] * size * columns
        slots = np.where(part.slots >= 0, part.slots + begin, -1).reshape(-1, 2)
        slots[slots >= words * columns] = -1
        return replace(part, slots=slots, parts=parts)
    return None
