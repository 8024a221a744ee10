"""Overlap of one inference with the next: when the host may write and read during a run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Overlap"]


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """From when on the next input may be written while the core runs, and the last result be read.

    Word *k* of those that have to be sent, counted from 0 in ascending order, must not be written
    before ``cycle + k * pace`` cycles have passed since START, or ``k * pace`` cycles since
    DESCRIPTORS was ``descriptors`` or more.

    Attributes
    ----------
    cycle : int
    pace : int
        Cycles per word.
    descriptors : int
    results : int
        For so many cycles after START the outputs of the run before can still be read.
    """

    cycle: int
    pace: int
    descriptors: int
    results: int
