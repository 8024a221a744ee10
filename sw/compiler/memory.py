"""Addresses of tensors in activation memory; what they leave is the ring of the program's words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sw.errors import UnsupportedError

__all__ = ["Buffer", "MemoryPlan", "check", "plan"]

TRIES = 400
"""Orders of placement tried when the obvious ones leave gaps."""


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
        Layers during which it must be kept, both included.
    """

    tensor: int
    name: str
    words: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Whether both are needed at the same time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Where everything is.

    Attributes
    ----------
    addresses : dict
        Word address of every tensor.
    ring : (first, last)
        Word addresses of the program's ring, both included.
    """

    addresses: dict[int, int]
    ring: tuple[int, int]

    @property
    def ring_words(self) -> int:
        """Size of the ring."""
        return self.ring[1] - self.ring[0] + 1


def _crowd(buffers: Sequence[Buffer]) -> tuple[int, list[Buffer]]:
    """Return the most words needed at once, and by which tensors."""
    moments = [[b for b in buffers if b.first <= t <= b.last] for t in {b.first for b in buffers}]
    crowd = max(moments, key=lambda present: sum(b.words for b in present))
    return sum(b.words for b in crowd), crowd


def _place(order: Sequence[Buffer]) -> tuple[int, dict[int, int]]:
    """Put each buffer at the lowest address that is free while it lives."""
    placed: list[tuple[int, Buffer]] = []
    for buffer in order:
        address = 0
        for start, other in sorted(
            ((s, o) for s, o in placed if o.meets(buffer)), key=lambda entry: entry[0]
        ):
            if address + buffer.words <= start:
                break
            address = max(address, start + other.words)
        placed.append((address, buffer))
    top = max(start + buffer.words for start, buffer in placed)
    return top, {buffer.tensor: start for start, buffer in placed}


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
        raise UnsupportedError(
            f"{names} must be in memory at the same time: the network needs at least "
            f"{(bound + ring_minimum) * kilobytes:.0f} KB of activation memory and the core has "
            f"{depth * kilobytes:.0f} KB; use smaller images or a smaller width multiplier"
        )
    return bound


def plan(buffers: Sequence[Buffer], depth: int, ring_minimum: int, word_bytes: int) -> MemoryPlan:
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

    Raises
    ------
    UnsupportedError
        If the tensors do not fit, with what they would need.
    """
    bound = check(buffers, depth, ring_minimum, word_bytes)
    top, addresses = _search(buffers, bound)
    if top + ring_minimum > depth:
        kilobytes = word_bytes / 1024
        raise UnsupportedError(
            f"no arrangement of the tensors was found in {depth * kilobytes:.0f} KB of activation "
            f"memory; the best takes {(top + ring_minimum) * kilobytes:.0f} KB"
        )
    return MemoryPlan(addresses=addresses, ring=(top, depth - 1))


def _search(buffers: Sequence[Buffer], bound: int) -> tuple[int, dict[int, int]]:
    """Try orders of placement until one reaches the lower bound."""
    orders = [
        sorted(buffers, key=lambda b: (-b.words, b.first)),
        sorted(buffers, key=lambda b: b.first),
        sorted(buffers, key=lambda b: (-(b.last - b.first), -b.words)),
        sorted(buffers, key=lambda b: (-b.words * (b.last - b.first + 1), b.first)),
    ]
    best = min((_place(order) for order in orders), key=lambda result: result[0])
    rng = random.Random(0)
    order = list(orders[0])
    for _ in range(TRIES):
        if best[0] == bound:
            break
        trial = list(order)
        i, j = rng.randrange(len(trial)), rng.randrange(len(trial))
        trial.insert(j, trial.pop(i))
        result = _place(trial)
        if result[0] <= best[0]:
            best, order = result, trial
    return best
