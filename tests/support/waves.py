"""Waves that were recorded, read back."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

import pywellen

__all__ = ["Waveform"]

CYCLE_NS = 10


class Waveform:
    """A file of waves.

    Attributes
    ----------
    names : list of str
        Of all signals, whole.
    first, end : int
        The cycles in it, ``end`` not included.
    """

    def __init__(self, path: Path) -> None:
        wave = pywellen.Waveform(str(path))
        self._changes = {var.full_name: list(var.tv) for var in wave.all_vars()}
        self.names = list(self._changes)
        times = [time for changes in self._changes.values() for time, _ in changes]
        self.first = min(times) // CYCLE_NS
        self.end = max(times) // CYCLE_NS + 1

    def at(self, name: str, cycle: int) -> int:
        """Return a signal in the first half of a cycle; its name's end is enough."""
        (whole,) = (n for n in self.names if n.endswith(f".{name}"))
        changes = self._changes[whole]
        place = bisect_right(changes, cycle * CYCLE_NS, key=lambda change: change[0])
        return int(changes[place - 1][1])
