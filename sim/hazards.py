"""Hazards: outputs where the program comes, or where something is still to be read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from hw.contract.blocks import Block
from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode
from hw.contract.taps import STRIDES
from hw.contract.words import ADDRESS_BITS
from sim.records import ProgramError

__all__ = ["Reads", "check_outputs"]


class Reads(NamedTuple):
    """Reads of a block: (height, width, middle, inner) addresses, and the block itself."""

    addresses: Ints
    block: Block


def check_outputs(
    d: Descriptor, target: Ints, reads: Reads, ring: tuple[int, int], config: CoreConfig
) -> None:
    """Check where the outputs of a block go.

    Parameters
    ----------
    d : Descriptor
    target : (N,) int64
        Addresses of the outputs, in the order of windows.
    reads : Reads
    ring : (first, last)
        Addresses of the program's words, both included.
    config : CoreConfig

    Raises
    ------
    ProgramError
        If an output leaves memory, comes into the ring, or over a word that is still to be read.
    """
    if target.size == 0:
        return
    if target.min() < 0 or target.max() >= config.memory_depth:
        raise ProgramError(f"outputs reach word {int(target.max())}")
    if np.any((target >= ring[0]) & (target <= ring[1])):
        raise ProgramError("a descriptor writes into the ring")
    if not np.intersect1d(target, reads.addresses).size:
        return
    last_read = np.full(1 << ADDRESS_BITS, -1, np.int64)
    np.maximum.at(last_read, reads.addresses.ravel(), _windows(d, reads, config).ravel())
    turn = np.arange(d.height * d.width).reshape(d.height, d.width)
    written = turn[:, d.width - 1 if d.partial else d.skip_first : d.width - d.skip_last].ravel()
    if np.any(last_read[target] > written):
        raise ProgramError("a descriptor overwrites words that it still has to read")


def _windows(d: Descriptor, reads: Reads, config: CoreConfig) -> Ints:
    """Return the last window that each read is for, −1 if nothing is made of it."""
    height, width = d.height, d.width
    turn = np.arange(height * width).reshape(height, width)
    if d.mode.is_depthwise:
        column = np.minimum(np.arange(d.middle) // STRIDES[d.mode], width - 1)
        read = np.repeat(turn[:, column][:, None, :, None], 3, axis=3)
        # Rows of padding are read, but nothing is made of them.
        if d.pad_top:
            read[0, :, :, 0] = -1
        if d.pad_bottom:
            read[-1, :, :, 2] = -1
        return read
    every = np.broadcast_to(turn[:, :, None, None], reads.addresses.shape)
    if d.mode != Mode.SYSTOLIC:
        return np.asarray(every, np.int64)
    return np.where(_used_words(d, reads.block, config), every, -1)


def _used_words(d: Descriptor, block: Block, config: CoreConfig) -> npt.NDArray[np.bool_]:
    """Return which words of a window meet weights other than 0: (parts, middle, inner) bool."""
    row_steps = config.lanes * (d.inner - 1) + d.last_steps
    parts = d.width if d.partial else 1
    steps = np.zeros((parts, d.middle, d.inner * config.lanes), np.bool_)
    steps[:, :, :row_steps] = block.weights.any(axis=(1, 2)).reshape(parts, d.middle, row_steps)
    return np.asarray(steps.reshape(parts, d.middle, d.inner, -1).any(axis=3), np.bool_)
