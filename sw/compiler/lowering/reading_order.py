"""Orders in which a SYSTOLIC layer reads consecutive words, some of them twice.

A weight beyond int8 is split over two visits of its channel.  The two inner levels of the address
generator make turns of words; which turns read everything once, and what is wanted again twice, in
the fewest steps, is searched here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hw.contract.config import CoreConfig
from hw.contract.modes import Mode, minimum_steps
from sw.compiler.exact.budget import Budget
from sw.compiler.input.reads import SystolicRead

__all__ = ["contiguous_read", "fits", "plain_read", "read_in_parts", "step_limit"]

Numbers = npt.NDArray[np.int32]

MAX_COUNT = 256
"""Words in a turn, and turns, that a descriptor can have."""

MAX_STEPS = 1024
"""Steps of a window that a descriptor can have."""

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


@dataclass(frozen=True, kw_only=True)
class _Turns:
    """Words ``first + t * hop + i * step`` in turn ``t``; of the last only some pairs of channels.

    Attributes
    ----------
    inner, turns : int
        Words in a turn, and turns.
    pairs : int
        Pairs of channels taken of a turn's last word.
    """

    first: int
    inner: int
    step: int
    turns: int
    hop: int
    pairs: int

    def read(self, words: int, columns: int) -> SystolicRead:
        order = (
            self.first
            + self.hop * np.arange(self.turns)[:, None]
            + self.step * np.arange(self.inner)
        )
        taps = order[:, :, None] * columns + np.arange(columns)
        # What lies outside is read, but nothing is made of it.
        taps[(order < 0) | (order >= words)] = -1
        used = columns * (self.inner - 1) + 2 * self.pairs
        slots = taps.reshape(self.turns, -1)[:, :used].reshape(-1, 2)
        back = words + int(order[0, 0] - order[-1, -1])
        return SystolicRead(
            inner=self.inner,
            middle=self.turns,
            last_steps=self.pairs,
            step_inner=self.step,
            step_middle=self.hop - self.step * (self.inner - 1),
            step_column=back,
            step_row=back,
            slots=slots.astype(np.intp),
            first=self.first,
        )


def plain_read(words: int, columns: int) -> SystolicRead:
    """Return how to read consecutive words once."""
    turns = _Turns(first=0, inner=words, step=1, turns=1, hop=0, pairs=columns // 2)
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
def _search(words: int, again: tuple[tuple[int, int], ...], lanes: int) -> tuple[_Turns, int]:
    """Return the turns of the fewest steps, and the work of finding them."""
    work = SEARCH_WORK
    fewest = minimum_steps(Mode.SYSTOLIC)
    most = max(pairs for _, pairs in again)
    # Two lanes and one word: a window has to take four steps.
    taken = max(most, fewest - lanes) if words == 1 else most
    one_by_one = _Turns(first=0, inner=2, step=0, turns=words, hop=1, pairs=taken)
    # Every step visits one pair of channels.
    least = max(words * lanes + sum(pairs for _, pairs in again), fewest)
    limit = min(words * (lanes + taken), MAX_STEPS + 1)
    if least >= limit:
        return one_by_one, work
    ways = _ways(words, lanes)
    wanted = _wanted(words, again, lanes)
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


@dataclass(frozen=True, kw_only=True)
class _Ways:
    """Ways to make turns that cover all words, those of the fewest steps first.

    Attributes
    ----------
    steps, inner, count, pairs : (N,) int32
        Steps of a window; words in a turn, turns, and pairs of channels of a turn's last word.
    period : (N,) int32
        Words between two turns that take neighbouring words, or between the words of a turn.
    nearby : (N,) bool
        Whether turns take neighbouring words; otherwise every ``period``-th one.
    lanes : int
    """

    steps: Numbers
    inner: Numbers
    count: Numbers
    pairs: Numbers
    period: Numbers
    nearby: npt.NDArray[np.bool_]
    lanes: int

    def promising(self, part: slice, words: int, wanted: _Wanted) -> npt.NDArray[np.bool_]:
        """Return which ways of a part can visit what is wanted twice, as far as is known at once.

        What two turns visit lies ``period`` apart: of neighbouring words, where turns overlap; of
        every ``period``-th word, those of the first turns, which others visit again.
        """
        inner, pairs, period = self.inner[part], self.pairs[part], self.period[part]
        nearby, count = self.nearby[part], self.count[part]
        cut = pairs < self.lanes
        whole = inner - cut
        overlap = np.where(nearby, whole, count) - period
        size = np.where(nearby, (count - 1) * period + whole, count + (whole - 1) * period)
        # Word 0 is where nothing is left out; what is visited twice, a period from both ends.
        low, high = np.zeros_like(size), size - words
        good = np.ones(len(size), np.bool_)
        # A turn's last word is visited for some pairs only.
        for group, more in ((np.zeros_like(pairs), cut), (pairs, np.zeros_like(cut))):
            beyond = more * np.where(nearby, 1, period)
            good &= wanted.arc[group, period] <= overlap + (more & nearby)
            low = np.maximum(low, period - beyond - wanted.first[group])
            high = np.minimum(high, size - 1 - period + beyond - wanted.last[group])
        return np.asarray(good & (low <= high), np.bool_)

    def turns(self, row: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield (words in a turn, step, turns, hop, pairs): both ways round."""
        inner, count, pairs, period = (
            int(numbers[row]) for numbers in (self.inner, self.count, self.pairs, self.period)
        )
        if self.nearby[row]:
            strides = [(1, period), (1, -period), (-1, period), (-1, -period)]
        else:
            strides = [(period, 1), (-period, 1), (period, -1), (-period, -1)]
        for step, hop in strides:
            yield inner, step, count, hop, pairs


# A network has few sizes; the largest tables take some megabytes.
@lru_cache(maxsize=16)
def _ways(words: int, lanes: int) -> _Ways:
    """Return the ways to cover so many words in less steps than for reading all of them twice."""
    rows = [
        (steps, inner, count, pairs, period, nearby)
        for steps, inner, count, pairs in sorted(_sizes(words, lanes))
        for nearby, periods in _periods(words, inner - (pairs < lanes), count)
        for period in periods
    ]
    table = np.array(rows, np.int32).reshape(-1, 6)
    steps, inner, count, pairs, period, nearby = np.ascontiguousarray(table.T)
    return _Ways(
        steps=steps,
        inner=inner,
        count=count,
        pairs=pairs,
        period=period,
        nearby=nearby.astype(np.bool_),
        lanes=lanes,
    )


def _sizes(words: int, lanes: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (steps, words in a turn, turns, pairs of the last word)."""
    least, limit = words * lanes + 1, min(2 * words * lanes, MAX_STEPS)
    for pairs in range(1, lanes + 1):
        for inner in range(1, min(words + 1, MAX_COUNT) + 1):
            # Complete words; a turn of a single step is none.
            whole, steps = inner - (pairs < lanes), lanes * (inner - 1) + pairs
            if not whole or steps < 2:
                continue
            fewest = max(-(-words // whole), -(-least // steps), 2)
            for count in range(fewest, min(limit // steps, MAX_COUNT) + 1):
                yield count * steps, inner, count, pairs


def _periods(words: int, whole: int, count: int) -> Iterator[tuple[bool, range]]:
    """Yield the periods with which so many turns of whole words can cover all words."""
    # Neighbouring words: turns must not leave gaps.
    yield True, range(max(1, -(-(words - whole) // (count - 1))), whole + 1)
    # Every n-th word: so many turns must fill the gaps.
    if whole > 1:
        yield False, range(max(2, -(-(words - count) // (whole - 1))), count + 1)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """Words that are wanted again for more than some pairs: a row for each number of pairs.

    Attributes
    ----------
    first, last : (lanes + 1,) int32
        If there are none, they lie anywhere.
    arc : (lanes + 1, words + 1) int32
        In circles of each size: the least length of an arc that has all of them.
    """

    first: Numbers
    last: Numbers
    arc: Numbers


def _wanted(words: int, again: tuple[tuple[int, int], ...], lanes: int) -> _Wanted:
    first = np.full(lanes + 1, words, np.int32)
    last = np.full(lanes + 1, -1, np.int32)
    arc = np.zeros((lanes + 1, words + 1), np.int32)
    numbers, wanted = np.array(again, np.int32).T
    sizes = np.arange(1, words + 1, dtype=np.int32)
    for pairs in range(lanes):
        chosen = numbers[wanted > pairs]
        if not len(chosen):
            break
        first[pairs], last[pairs] = chosen[0], chosen[-1]
        if pairs and len(chosen) == len(numbers):
            arc[pairs] = arc[0]
            continue
        places = np.sort(chosen % sizes[:, None], axis=1)
        gaps = np.diff(places, append=places[:, :1] + sizes[:, None])
        arc[pairs, 1:] = sizes - gaps.max(axis=1) + 1
    return _Wanted(first=first, last=last, arc=arc)


def _first_place(
    words: int,
    again: tuple[tuple[int, int], ...],
    lanes: int,
    ways: Iterator[tuple[int, int, int, int, int]],
) -> _Turns | None:
    """Return the first of some turns that visit what is wanted, wherever they have to begin."""
    for turns in ways:
        first = _place(words, again, lanes, turns)
        if first is not None:
            inner, step, count, hop, pairs = turns
            return _Turns(first=first, inner=inner, step=step, turns=count, hop=hop, pairs=pairs)
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
