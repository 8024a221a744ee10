"""Overlap of two inferences: when the next input may be written while the core still runs.

If nothing but the host writes to an input's place, the next input may come as soon as what it
replaces has been read for the last time.  A link is slower than the core: a host that writes in
ascending order stays behind the first layer if it begins behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.arrays import Ints
from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode
from sw.compiler.placement.descriptors import ScheduledCommand
from sw.compiler.placement.early_rows import WORD_PACE
from sw.compiler.program.accesses import block_reads
from sw.compiler.program.layout import InputLayout
from sw.compiler.program.overlap import Overlap
from sw.compiler.program.work import Work
from sw.compiler.timing.cycles import work_timings

__all__ = ["find_overlap"]

MARGIN = 64
"""Cycles from the decision on a step to its read's being done, and some more."""


def find_overlap(
    items: Sequence[ScheduledCommand],
    work: Sequence[Work],
    inputs: Sequence[tuple[int, InputLayout]],
    outputs: Sequence[int],
    ring_words: int,
    config: CoreConfig,
) -> Overlap | None:
    """Return from when on the next input may be written.

    Parameters
    ----------
    items, work : sequence
        Descriptors, in the order of execution.
    inputs : sequence of (address, InputLayout)
        In places that nothing but the host writes to, for the whole program.
    outputs : sequence of int
        Tensors in places that nothing but their layers write to.
    ring_words : int
    config : CoreConfig

    Returns
    -------
    Overlap or None
        ``None`` if it is not before the program's end.
    """
    timings = work_timings(work, ring_words, config)
    last_read = np.zeros(config.memory_depth, np.int64)
    tensors = {layout.tensor: (address, layout) for address, layout in inputs}
    ends = []
    for item, one, timing in zip(items, work, timings, strict=True):
        # No later than this its last step was decided on.
        end = timing.end - timing.requantise
        ends.append(end)
        command, d = item.command, one.descriptor
        if d.mode == Mode.SYSTOLIC and command.input in tensors:
            addresses, ages = _systolic_reads(d, config)
            np.maximum.at(last_read, addresses, end - ages)
        else:
            for tensor in (command.input, command.second):
                if tensor in tensors:
                    address, layout = tensors[tensor]
                    last_read[address : address + layout.words] = end
    sent = np.concatenate(
        [address + first + np.arange(n) for address, x in inputs for first, n in x.runs]
    )
    cycle = int(np.max(last_read[sent] - WORD_PACE * np.arange(len(sent))))
    descriptors = int(np.searchsorted(ends, cycle)) + 1
    if descriptors >= len(work):
        return None
    writer = next(n for n, item in enumerate(items) if item.command.output in outputs)
    return Overlap(
        cycle=cycle + MARGIN,
        pace=WORD_PACE,
        descriptors=descriptors,
        results=timings[writer - 1].end if writer else 0,
    )


def _systolic_reads(d: Descriptor, config: CoreConfig) -> tuple[Ints, Ints]:
    """Return what addresses a descriptor's last block reads, and how long before its end.

    Returns
    -------
    addresses, ages : (N,) int64
        Cycles from the last step of the window to the last step of all, which is less than from
        the read.
    """
    windows = np.arange(d.height * d.width)[::-1] * d.steps
    # Parts of a sum wait for their weights in between.
    ages = np.zeros_like(windows) if d.partial else windows
    return block_reads(d, config).ravel(), ages.repeat(d.middle * d.inner)
