"""How many cycles a program takes, layer by layer, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hw.command import PARAMETER_FIELDS, Descriptor
from hw.config import CoreConfig
from sw.compiler.timing import LayerTiming, Task, simulate

__all__ = ["Work", "descriptor_timings", "predict"]


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


def descriptor_timings(
    work: Sequence[Work], ring_words: int, config: CoreConfig
) -> list[LayerTiming]:
    """Return the timing of every descriptor; see :func:`sw.compiler.timing.simulate`."""
    beside_weights = 1 + PARAMETER_FIELDS * config.rows
    tasks = [
        Task(
            descriptor=item.descriptor,
            weight_words=tuple(words - beside_weights for words in item.block_words),
        )
        for item in work
    ]
    return simulate(tasks, ring_words, config)


def predict(work: Sequence[Work], ring_words: int, config: CoreConfig) -> list[int]:
    """Predict the cycles of every layer, as the core counts them.

    Parameters
    ----------
    work : sequence of Work
        In order.
    ring_words : int
    config : CoreConfig

    Returns
    -------
    list of int
        By layer; their sum is what the core's cycle counter shows at the end.
    """
    ends = [0] * (work[-1].layer + 1)
    for item, timing in zip(work, descriptor_timings(work, ring_words, config), strict=True):
        # The counter runs on for one cycle after the end.
        ends[item.layer] = timing.end + 1
    starts = [0, *ends[:-1]]
    return [end - start for start, end in zip(starts, ends, strict=True)]
