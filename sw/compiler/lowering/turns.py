"""Turns of words: what the two inner levels of the address generator can read of a window.

A *turn* is the inner level: some words at equal distances.  The level around it makes several of
them, at equal distances too.  Where turns overlap, words are read twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sw.compiler.input.reads import SystolicRead

__all__ = ["MAX_COUNT", "MAX_STEPS", "Turns", "Wanted", "Ways", "wanted_of", "ways_of"]

Numbers = npt.NDArray[np.int32]

MAX_COUNT = 256
"""Words in a turn, and turns, that a descriptor can have."""

MAX_STEPS = 1024
"""Steps of a window that a descriptor can have."""


@dataclass(frozen=True, kw_only=True)
class Turns:
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
        """Return how these turns read so many consecutive words."""
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


@dataclass(frozen=True, kw_only=True)
class Ways:
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

    def promising(self, part: slice, words: int, wanted: Wanted) -> npt.NDArray[np.bool_]:
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
def ways_of(words: int, lanes: int) -> Ways:
    """Return the ways to cover so many words in less steps than for reading all of them twice."""
    rows = [
        (steps, inner, count, pairs, period, nearby)
        for steps, inner, count, pairs in sorted(_sizes(words, lanes))
        for nearby, periods in _periods(words, inner - (pairs < lanes), count)
        for period in periods
    ]
    table = np.array(rows, np.int32).reshape(-1, 6)
    steps, inner, count, pairs, period, nearby = np.ascontiguousarray(table.T)
    return Ways(
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
class Wanted:
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


def wanted_of(words: int, again: tuple[tuple[int, int], ...], lanes: int) -> Wanted:
    """Return where the words lie that are wanted again."""
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
    return Wanted(first=first, last=last, arc=arc)
