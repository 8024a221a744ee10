"""Addresses of tensors in activation memory; what they leave is the ring of the program's words."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from common.errors import UnsupportedError
from sw.compiler.exact.budget import Budget
from sw.compiler.graph.refusals import Rule
from sw.compiler.lowering.layers import Trail

__all__ = ["MEMORY", "WORK", "Buffer", "MemoryPlan", "NoArrangement", "plan_memory"]

TRIES = 400
"""Orders of placement tried when the obvious ones leave gaps."""

WORK = 1_000_000
"""What looking for addresses may do; the trials for a network of 60 tensors take a sixth."""


MEMORY = Rule(
    "The tensors that are needed at one time, or their rows, must fit the activation memory",
    "use smaller images or a smaller width multiplier",
)


class NoArrangement(UnsupportedError):
    """Tensors would fit together, but no arrangement without gaps was found.

    Attributes
    ----------
    excess : int
        Words that are missing.
    broken : str
        The rule, with what was found.
    """

    def __init__(self, words: int, depth: int, word_bytes: int) -> None:
        kilobytes = word_bytes / 1024
        self.broken = MEMORY.broken(
            f"no arrangement of the tensors was found in {depth * kilobytes:.0f} KB of activation "
            f"memory, the best takes {words * kilobytes:.0f} KB"
        )
        super().__init__(self.broken)
        self.excess = words - depth


@dataclass(frozen=True, kw_only=True)
class Buffer:
    """A tensor in memory.

    Attributes
    ----------
    tensor : int
        Number of the tensor.
    name : str
        For messages, such as ``"tensor 3 (output of 'conv_2d_1')"``.
    words : int
    first, last : int
        Segments during which it must be kept, both included.
    trails : mapping
        Tensors over which it may lie although both are needed, and how.
    pinned : bool
        It has its place for itself, from the first segment to the last.
    """

    tensor: int
    name: str
    words: int
    first: int
    last: int
    trails: Mapping[int, Trail] = field(default_factory=dict)
    pinned: bool = False

    def meets(self, other: Buffer) -> bool:
        """Whether both are needed at the same time."""
        return self.first <= other.last and other.first <= self.last

    def clear(self, address: int, other: Buffer, start: int) -> bool:
        """Whether it can be at ``address`` while another one that it meets is at ``start``."""
        if address + self.words <= start or start + other.words <= address:
            return True
        if (trail := self.trails.get(other.tensor)) is not None and trail.allows(start - address):
            return True
        trail = other.trails.get(self.tensor)
        return trail is not None and trail.allows(address - start)

    def together(self, other: Buffer) -> int:
        """Return the least words that both take at the same time."""
        apart = self.words + other.words
        for front, back in ((self, other), (other, self)):
            if (trail := front.trails.get(back.tensor)) is not None:
                apart = min(apart, max(front.words, trail.gap + back.words))
        return apart


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Addresses of everything in memory.

    Attributes
    ----------
    addresses : dict
        Word address of every tensor.
    tops : tuple of int
        For each segment: where the memory begins that neither it nor a later one needs.
    depth : int
        Words of memory.
    """

    addresses: dict[int, int]
    tops: tuple[int, ...]
    depth: int

    @property
    def ring(self) -> tuple[int, int]:
        """Word addresses of the program's ring at the beginning, both included."""
        return self.tops[0], self.depth - 1

    @property
    def ring_words(self) -> int:
        """Size of the ring."""
        return self.ring[1] - self.ring[0] + 1


def _crowd(buffers: Sequence[Buffer]) -> tuple[int, list[Buffer]]:
    """Return the least words that are needed at the worst moment, and by which tensors."""

    def least(present: Sequence[Buffer]) -> int:
        total = sum(b.words for b in present)
        pairs = [(a, b) for a in present for b in present if b.tensor in a.trails]
        return total - max((a.words + b.words - a.together(b) for a, b in pairs), default=0)

    moments = [[b for b in buffers if b.first <= t <= b.last] for t in {b.first for b in buffers}]
    crowd = max(moments, key=least)
    return least(crowd), crowd


def _place(order: Sequence[Buffer]) -> tuple[int, dict[int, int]]:
    """Put each buffer at the lowest address that is free while it lives."""
    placed: list[tuple[int, Buffer]] = []
    for buffer in order:
        meeting = [(start, other) for start, other in placed if other.meets(buffer)]
        trials = {0}
        for start, other in meeting:
            trials.add(start + other.words)
            if (trail := buffer.trails.get(other.tensor)) is not None:
                trials.add(start - trail.gap)
            if (trail := other.trails.get(buffer.tensor)) is not None:
                trials.add(start + trail.gap)
        address = min(
            trial
            for trial in trials
            if trial >= 0 and all(buffer.clear(trial, other, start) for start, other in meeting)
        )
        placed.append((address, buffer))
    top = max(start + buffer.words for start, buffer in placed)
    return top, {buffer.tensor: start for start, buffer in placed}


def _tops(buffers: Sequence[Buffer], addresses: Mapping[int, int]) -> tuple[int, ...]:
    """Return, for each segment, where the memory begins that is not needed from then on."""
    count = max(b.last for b in buffers) + 1
    return tuple(
        max((addresses[b.tensor] + b.words for b in buffers if b.last >= moment), default=0)
        for moment in range(count)
    )


def check(buffers: Sequence[Buffer], depth: int, ring_minimum: int, word_bytes: int) -> int:
    """Return the most words needed at once.

    Raises
    ------
    UnsupportedError
        If they are more than the memory has, naming the two largest tensors.
    """
    bound, crowd = _crowd(buffers)
    if bound + ring_minimum > depth:
        kilobytes = word_bytes / 1024
        names = " and ".join(
            f"{b.name} ({b.words * kilobytes:.0f} KB)"
            for b in sorted(crowd, key=lambda b: -b.words)[:2]
        )
        raise UnsupportedError(MEMORY.broken(
            f"{names} must be in memory at the same time: the network needs at least "
            f"{(bound + ring_minimum) * kilobytes:.0f} KB of activation memory and the core has "
            f"{depth * kilobytes:.0f} KB"
        ))
    return bound


def plan_memory(
    buffers: Sequence[Buffer],
    depth: int,
    ring_minimum: int,
    word_bytes: int,
    work: Budget | None = None,
) -> MemoryPlan:
    """Choose addresses so that as much as possible is left in one piece for the ring.

    Parameters
    ----------
    buffers : sequence of Buffer
        At least one.
    depth : int
        Words of memory.
    ring_minimum : int
        Words that the ring needs at least.
    word_bytes : int
        For messages.
    work : Budget, optional
        Trials take at most half of what is left; without it, of :data:`WORK`.

    Raises
    ------
    UnsupportedError
        If the tensors do not fit, with what they would need.
    """
    bound = check(buffers, depth, ring_minimum, word_bytes)
    top, addresses = _search(buffers, bound, work or Budget(left=WORK))
    if top + ring_minimum > depth:
        raise NoArrangement(top + ring_minimum, depth, word_bytes)
    return MemoryPlan(addresses=addresses, tops=_tops(buffers, addresses), depth=depth)


def _search(buffers: Sequence[Buffer], bound: int, work: Budget) -> tuple[int, dict[int, int]]:
    """Try orders of placement until one reaches the lower bound."""
    orders = [
        # What is written over something goes in front of it, hence first.
        sorted(buffers, key=lambda b: (-b.words, -b.first)),
        sorted(buffers, key=lambda b: -b.first),
        sorted(buffers, key=lambda b: (-b.words, b.first)),
        sorted(buffers, key=lambda b: b.first),
        sorted(buffers, key=lambda b: (-(b.last - b.first), -b.words)),
        sorted(buffers, key=lambda b: (-b.words * (b.last - b.first + 1), b.first)),
    ]
    # What is pinned meets everything: where it is makes no difference to the others, and at the
    # bottom it does not keep the ring from growing.
    orders = [sorted(order, key=lambda b: not b.pinned) for order in orders]
    pinned = sum(b.pinned for b in buffers)
    best = min((_place(order) for order in orders), key=lambda result: result[0])
    rng = random.Random(0)
    order = list(orders[0])
    # Each looks at all pairs of tensors.
    each = len(order) ** 2 // 10 + 1
    work.left -= each * len(orders)
    for _ in range(min(TRIES, work.left // 2 // each)):
        if best[0] == bound or pinned == len(order):
            break
        work.left -= each
        trial = list(order)
        i, j = rng.randrange(pinned, len(trial)), rng.randrange(pinned, len(trial))
        trial.insert(j, trial.pop(i))
        result = _place(trial)
        if result[0] <= best[0]:
            best, order = result, trial
    return best
