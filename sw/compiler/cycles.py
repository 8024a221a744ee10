"""How many cycles a program takes, layer by layer.

What runs in a core at the same time, and how each waits for the others:

- the flash delivers a word every ``FLASH_CYCLES``, in order, as long as the ring has room;
- the loader moves records from the ring to weight memory as long as that has room;
- the array runs block after block, each as soon as its weights are there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from hw.command import DESCRIPTOR_HALFWORDS, Descriptor, Mode
from hw.config import CoreConfig

__all__ = ["Work", "compute_cycles", "predict"]

FLASH_START = 100
"""Cycles from START to the first word out of the flash."""
LAYER_START = 24
"""Cycles from one layer's last result to the next layer's first step."""
BLOCK_START = 0
"""Cycles between two blocks of a layer."""
NIBBLE_BITS = 4
"""Bits that the flash delivers per cycle."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One descriptor and the sizes of its blocks.

    Attributes
    ----------
    layer : int
        Number of the layer it belongs to.
    descriptor : Descriptor
    block_words : tuple of int
        Words of every BLOCK record, header included.
    """

    layer: int
    descriptor: Descriptor
    block_words: tuple[int, ...]


def compute_cycles(descriptor: Descriptor) -> int:
    """Return the cycles of one block when nothing has to be waited for."""
    d = descriptor
    cycles = d.steps * d.width * d.height
    if d.mode in (Mode.DEPTHWISE, Mode.DEPTHWISE2):
        # The first column is read before the first window.
        cycles += 3
    return cycles + BLOCK_START


@dataclass
class _Timeline:
    """Blocks in order, as they arrive, are loaded and run."""

    flash_cycles: float
    ring_words: int
    weight_depth: int

    def __post_init__(self) -> None:
        self.arrived = float(FLASH_START)
        self.words: list[int] = [0]
        self.loaded: list[float] = [0.0]
        self.ended: list[float] = [0.0]
        self.steps: list[int] = [0]

    def record(self, words: int, steps: int, cycles: float) -> float:
        """Add a record and return when its work is done."""
        total = self.words[-1] + words
        # Words wait for room in the ring: what is that far ahead must have been loaded.
        blocker = bisect_left(self.words, total - self.ring_words)
        room = self.loaded[min(blocker, len(self.loaded) - 1)] if total > self.ring_words else 0.0
        self.arrived = max(self.arrived + self.flash_cycles * words, room + self.flash_cycles)
        total_steps = self.steps[-1] + steps
        before = bisect_left(self.steps, total_steps - self.weight_depth)
        free = self.ended[min(before, len(self.ended) - 1)] if before else 0.0
        loaded = max(self.loaded[-1], self.arrived, free + words)
        ended = max(self.ended[-1], loaded) + cycles
        self.words.append(total)
        self.loaded.append(loaded)
        self.ended.append(ended)
        self.steps.append(total_steps)
        return ended


def predict(work: Sequence[Work], ring_words: int, config: CoreConfig) -> list[int]:
    """Predict the cycles of every layer.

    Parameters
    ----------
    work : sequence of Work
        In order.
    ring_words : int
    config : CoreConfig

    Returns
    -------
    list of int
        By layer; their sum is the time from START to the end of the last layer.
    """
    timeline = _Timeline(config.word_bytes * 8 / NIBBLE_BITS, ring_words, config.weight_depth)
    descriptor_words = 1 + DESCRIPTOR_HALFWORDS // config.lanes
    ends = [0.0] * (work[-1].layer + 1)
    for item in work:
        timeline.record(descriptor_words, 0, LAYER_START)
        d = item.descriptor
        cycles = compute_cycles(d) * (d.blocks if d.shared else 1)
        for words in item.block_words:
            ends[item.layer] = timeline.record(words, d.steps, cycles)
    starts = [0.0, *ends[:-1]]
    return [round(end) - round(start) for start, end in zip(starts, ends, strict=True)]
