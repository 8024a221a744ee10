"""Orders in which a SERIAL layer reads consecutive words, some of them twice.

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

from hw.command import Mode, minimum_steps
from hw.config import CoreConfig
from sw.compiler.inputs import SerialRead

__all__ = ["contiguous_read", "fits", "plain_read", "read_in_parts", "step_limit"]

MAX_COUNT = 256
"""Words in a turn, and turns, that a descriptor can have."""


def step_limit(config: CoreConfig) -> int:
    """Return the most steps of a window: as many as a descriptor and the weight memory hold."""
    return min(1024, config.weight_depth)


def fits(read: SerialRead, config: CoreConfig) -> bool:
    """Whether a descriptor and the weight memory have room for a window."""
    return read.steps <= step_limit(config) and read.inner <= MAX_COUNT


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

    def read(self, words: int, columns: int) -> SerialRead:
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
        return SerialRead(
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


def plain_read(words: int, columns: int) -> SerialRead:
    """Return how to read consecutive words once."""
    turns = _Turns(first=0, inner=words, step=1, turns=1, hop=0, pairs=columns // 2)
    return turns.read(words, columns)


def contiguous_read(words: int, again: Mapping[int, int], columns: int) -> SerialRead | None:
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

    Returns
    -------
    SerialRead or None
        For windows that follow each other directly, with one tap per byte: K = words × columns.
    """
    turns = _search(words, tuple(sorted(again.items())), columns // 2)
    return None if turns is None else turns.read(words, columns)


@lru_cache(maxsize=1024)
def _search(words: int, again: tuple[tuple[int, int], ...], lanes: int) -> _Turns | None:
    fewest = minimum_steps(Mode.SERIAL)
    most = max(pairs for _, pairs in again)
    best = None
    limit = 2 * words * lanes + 1
    if words <= MAX_COUNT:
        # Two lanes and one word: a window has to take four steps.
        taken = max(most, fewest - lanes) if words == 1 else most
        best = _Turns(first=0, inner=2, step=0, turns=words, hop=1, pairs=taken)
        limit = words * (lanes + taken)
    least = max(words * lanes + most, fewest)
    for _, inner, count, pairs in sorted(_sizes(words, lanes, least, limit)):
        for step, hop in _strides(words, inner - (pairs < lanes), count):
            first = _place(words, again, lanes, (inner, step, count, hop, pairs))
            if first is not None:
                return _Turns(
                    first=first, inner=inner, step=step, turns=count, hop=hop, pairs=pairs
                )
    return best


def _sizes(
    words: int, lanes: int, least: int, limit: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (steps, words in a turn, turns, pairs of the last word), of less than so many steps."""
    for pairs in range(1, lanes + 1):
        for inner in range(1, min(words + 1, MAX_COUNT) + 1):
            # Complete words; a turn of a single step is none.
            whole, steps = inner - (pairs < lanes), lanes * (inner - 1) + pairs
            if not whole or steps < 2:
                continue
            fewest = max(-(-words // whole), -(-least // steps), 2)
            for count in range(fewest, min((limit - 1) // steps, MAX_COUNT) + 1):
                yield count * steps, inner, count, pairs


def _strides(words: int, whole: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield (step, hop) with which so many turns of whole words can cover all words."""
    # Neighbouring words: turns must not leave gaps.
    for hop in range(max(1, -(-(words - whole) // (count - 1))), whole + 1):
        for step in (1, -1):
            yield step, hop
            yield step, -hop
    # Every n-th word: so many turns must fill the gaps.
    if whole > 1:
        for step in range(max(2, -(-(words - count) // (whole - 1))), count + 1):
            for hop in (1, -1):
                yield step, hop
                yield -step, hop


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


def read_in_parts(words: int, again: Mapping[int, int], config: CoreConfig) -> SerialRead | None:
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
        part = contiguous_read(size, of_part, columns) if again else plain_read(size, columns)
        if part is None or not fits(part, config):
            continue
        begin = np.arange(parts)[:, None, None] * size * columns
        slots = np.where(part.slots >= 0, part.slots + begin, -1).reshape(-1, 2)
        slots[slots >= words * columns] = -1
        return replace(part, slots=slots, parts=parts)
    return None
