"""Cycles that a program takes, layer by layer, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from common import progress
from hw.contract.config import CoreConfig
from hw.contract.records import PARAMETER_FIELDS
from sw.compiler.program.plan import Plan
from sw.compiler.program.program import Program
from sw.compiler.program.work import Work
from sw.compiler.timing.arrivals import Arrivals, arrivals
from sw.compiler.timing.core import DescriptorTiming, Task, Traffic, simulate

__all__ = [
    "by_layer",
    "descriptor_timings",
    "layer_cycles",
    "predict",
    "predict_plan",
    "tasks_of",
    "traffic",
    "work_timings",
]


def predict(program: Program, pace: int | None = None) -> list[int]:
    """Predict the cycles of every layer of a program, as the core counts them.

    Parameters
    ----------
    program : Program
    pace : int, optional
        Cycles from one halfword to the next when the host brings input while the core runs, on its
        bus; without it, as if all of the input were on the chip at the start.

    Returns
    -------
    list of int
        By layer; their sum is what the core's cycle counter shows at the end.
    """
    host = None if pace is None else arrivals(program.chunks, pace, program.config)
    return layer_cycles(program.work, program.ring_words, program.config, host)


def predict_plan(plan: Plan) -> list[int]:
    """Predict the cycles of every layer of all programs, with all inputs on the chip."""
    return [cycles for program in plan.programs for cycles in predict(program)]


def descriptor_timings(program: Program) -> list[DescriptorTiming]:
    """Return the timing of every descriptor of a program, with all of its input on the chip."""
    return work_timings(program.work, program.ring_words, program.config)


def traffic(program: Program) -> list[Traffic]:
    """Return the accesses to memory up to the end of every descriptor, all input on the chip."""
    seen: list[Traffic] = []
    simulate(tasks_of(program.work, program.config), program.ring_words, program.config,
             traffic=seen)
    return seen


def work_timings(
    work: Sequence[Work], ring_words: int, config: CoreConfig, host: Arrivals | None = None
) -> list[DescriptorTiming]:
    """Return the timing of every descriptor; see :func:`sw.compiler.timing.core.simulate`."""
    return list(_timings(tuple(work), ring_words, config, host))


# A program is asked for its cycles when it is chosen, and then again for every report.
@lru_cache(maxsize=64)
def _timings(
    work: tuple[Work, ...], ring_words: int, config: CoreConfig, host: Arrivals | None
) -> tuple[DescriptorTiming, ...]:
    with progress.stage("predicting cycles"):
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


def layer_cycles(
    work: Sequence[Work], ring_words: int, config: CoreConfig, host: Arrivals | None = None
) -> list[int]:
    """Return the cycles of every layer of descriptors and their blocks.

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
    found = work_timings(work, ring_words, config, host)
    # The counter runs on for one cycle after the end.
    return by_layer(work, [timing.end + 1 for timing in found])


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
