"""Budget of searches: counted, as clocks differ from machine to machine and programs must not."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Budget"]


@dataclass(kw_only=True)
class Budget:
    """Budget of a search, in steps of about a microsecond that are the same everywhere.

    Attributes
    ----------
    left : int
        What may still be done; below zero by the last thing that was.
    """

    left: int
