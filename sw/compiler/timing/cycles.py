"""How many cycles a program takes, layer by layer, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.records import PARAMETER_FIELDS
from sw.compiler.timing.arrivals import Arrivals
from sw.compiler.timing.core import DescriptorTiming, Task, simulate

__all__ = ["Work", "by_layer", "descriptor_timings", "predict", "tasks_of"]


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
    first_row, rows : int
        Rows of the layer's output that are complete in memory when the descriptor is done; none
        if others have to follow.
    address : int
        Word address of the first of them.
    """

    layer: int
    descriptor: Descriptor
    block_words: tuple[int, ...]
    first_row: int = 0
    rows: int = 0
    address: int = 0


def descriptor_timings(
    work: Sequence[Work], ring_words: int, config: CoreConfig, host: Arrivals | None = None
) -> list[DescriptorTiming]:
    """Return the timing of every descriptor; see :func:`sw.compiler.timing.core.simulate`."""
    return list(_timings(tuple(work), ring_words, config, host))


# A program is asked for its cycles when it is chosen, and then again for every report.
@lru_cache(maxsize=8)
def _timings(
    work: tuple[Work, ...], ring_words: int, config: CoreConfig, host: Arrivals | None
) -> tuple[DescriptorTiming, ...]:
    return tuple(simulate(tasks_of(work, config), ring_words, config, host))


def tasks_of(work: Sequence[Work], config: CoreConfig) -> list[Task]:
    """Return what the model of the core is told of descriptors."""
    beside_weights = 1 + PARAMETER_FIELDS * config.rows
    return [
        Task(
            descriptor=item.descriptor,
            weight_words=tuple(words - beside_weights for words in item.block_words),
        )
        for item in work
    ]


def predict(
    work: Sequence[Work], ring_words: int, config: CoreConfig, host: Arrivals | None = None
) -> list[int]:
    """Predict the cycles of every layer, as the core counts them.

    Parameters
    ----------
    work : sequence of Work
        In order.
    ring_words : int
    config : CoreConfig
    host : Arrivals, optional
        What the host brings while the core runs; without it all of the input is there.

    Returns
    -------
    list of int
        By layer; their sum is what the core's cycle counter shows at the end.
    """
    timings = descriptor_timings(work, ring_words, config, host)
    # The counter runs on for one cycle after the end.
    return by_layer(work, [timing.end + 1 for timing in timings])


def by_layer(work: Sequence[Work], ends: Sequence[int]) -> list[int]:
    """Return the cycles of every layer, given in which cycle each descriptor was done.

    Layers that run row by row take turns; each descriptor's time is its own layer's.
    """
    cycles = [0] * (max(item.layer for item in work) + 1)
    before = 0
    for item, end in zip(work, ends, strict=True):
        cycles[item.layer] += end - before
        before = end
    return cycles
