"""Descriptors of a program in the order of execution, beside the words in the flash."""

from __future__ import annotations

from dataclasses import dataclass

from hw.contract.descriptors import Descriptor

__all__ = ["Work"]


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
