"""What searches may do: counted, as clocks differ from machine to machine and programs must not."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Work"]


@dataclass(kw_only=True)
class Work:
    """What has been done in searching: about a microsecond each, but the same everywhere.

    Attributes
    ----------
    left : int
        What may still be done; below zero by the last thing that was.
    """

    left: int
