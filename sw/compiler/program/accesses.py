"""Accesses of a descriptor to activation memory: which words it reads, and which it writes."""

from __future__ import annotations

import numpy as np

from common.arrays import Ints
from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode
from hw.contract.words import ADDRESS_BITS

__all__ = ["block_reads", "words_read", "words_written"]


def block_reads(d: Descriptor, config: CoreConfig) -> Ints:
    """Return the addresses that a descriptor's first block reads.

    Returns
    -------
    (height, width, middle, inner) int64
        In the order in which they are read; depthwise modes read columns for a row of windows, so
        ``width`` is 1.
    """
    width = 1 if d.mode.is_depthwise else d.width
    steps = np.full((d.height, width, d.middle, d.inner), d.step_inner, np.int64)
    steps[..., -1] = d.step_middle
    steps[..., -1, -1] = d.step_column
    steps[:, -1, -1, -1] = d.step_row
    offsets = np.cumsum(steps.ravel()) - steps.ravel()
    addresses: Ints = (d.input_base + offsets.reshape(steps.shape)) % _depth(config)
    return addresses


def words_read(d: Descriptor, config: CoreConfig) -> Ints:
    """Return the addresses of all words that results are made of, each once, in ascending order."""
    reads = block_reads(d, config)
    if d.mode.is_depthwise:
        # What is read for a row of padding is replaced.
        real = np.ones(reads.shape, np.bool_)
        real[0, ..., 0] = not d.pad_top
        real[-1, ..., -1] &= not d.pad_bottom
        reads = reads[real]
    first = np.unique(reads)
    if d.mode == Mode.SYSTOLIC:
        return first
    blocks = np.arange(d.blocks)[:, None]
    found: Ints = np.unique((first + blocks) % _depth(config))
    return found


def words_written(d: Descriptor, config: CoreConfig) -> Ints:
    """Return the addresses of a descriptor's results, each once, in ascending order."""
    columns = 1 if d.partial else d.width - d.skip_first - d.skip_last
    outputs = d.height * columns
    if d.shared:
        offsets = d.output_step * np.arange(outputs * d.blocks)
    else:
        offsets = np.arange(d.blocks)[:, None] + d.output_step * np.arange(outputs)
    found: Ints = np.unique((d.output_base + offsets) % _depth(config))
    return found


def _depth(config: CoreConfig) -> int:
    """Return where addresses begin again: a smaller memory has fewer address bits."""
    return min(1 << ADDRESS_BITS, config.memory_depth)
