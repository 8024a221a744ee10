"""The one access to activation memory that there is in a cycle, and what has a right to it.

The sequencer's reads come first and never wait, then results that are written.  Both follow from
the descriptors and from when their blocks begin, so they stand in a timeline of a byte per cycle
before anybody else asks: what is left is for the program's words.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode
from hw.contract.taps import FETCH_STEPS, STRIDES

__all__ = ["Port", "read_pattern"]

FREE, TAKEN = b"\0", b"\1"
LONGEST = 1 << 20
"""Cycles of the past that may be kept."""


@lru_cache(maxsize=256)
def _pattern(
    mode: Mode, lanes: int, steps: int, inner: int, middle: int, last_steps: int, width: int
) -> bytes:
    """Return :func:`read_pattern` of what matters for it."""
    columns = STRIDES.get(mode, 0)
    if columns:
        alike = columns * width <= middle
        windows = 1 if alike else width
        result = bytearray(steps * windows)
        for column in range(columns * windows):
            # Read one ahead; beyond the input's last column there is nothing to read.
            if alike or (column + 1) % (columns * width) < middle:
                first = column // columns * steps + FETCH_STEPS[mode][3 * (column % columns)]
                result[first : first + 3] = TAKEN * 3
        return bytes(result)
    match mode:
        case Mode.SYSTOLIC:
            row = lanes * (inner - 1) + last_steps
            read = [k * row + lanes * j for k in range(middle) for j in range(inner)]
        case Mode.POOL:
            read = list(range(inner))
        case _:
            read = list(FETCH_STEPS[mode])
    result = bytearray(steps)
    for step in read:
        result[step] = 1
    return bytes(result)


def read_pattern(descriptor: Descriptor, lanes: int) -> bytes:
    """Return which steps read a word: 1 for those that do.

    Returns
    -------
    bytes
        Of a row of windows if these differ, as depthwise ones do at the edges, else of a window.
    """
    d = descriptor
    return _pattern(d.mode, lanes, d.steps, d.inner, d.middle, d.last_steps, d.width)


class Port:
    """Timeline of the memory's accesses, as far as it is known.

    Attributes
    ----------
    cells : bytearray
        Of each cycle from ``origin`` on: 1 if it is a read's or a result's.
    origin : int
    reads, results : int
        So far: those that were announced.
    """

    def __init__(self) -> None:
        self.cells = bytearray()
        self.origin = 0
        self.reads = self.results = 0
        self._results: deque[range] = deque()
        self._written = -1

    @property
    def end(self) -> int:
        """First cycle of which nothing is known."""
        return self.origin + len(self.cells)

    @property
    def writing(self) -> bool:
        """Whether there are results of which it is not known yet when they are written."""
        return bool(self._results)

    @property
    def written(self) -> int:
        """Cycle in which the latest result was written."""
        return self._written

    def forget(self, before: int) -> None:
        """Nobody will ask for cycles before this one."""
        if before - self.origin > LONGEST:
            del self.cells[: before - self.origin]
            self.origin = before

    def idle(self, end: int) -> None:
        """There are no reads up to a cycle; what was known to be idle beyond it no longer is."""
        if end < self.end:
            del self.cells[end - self.origin :]
        else:
            self.cells.extend(bytes(end - self.end))
            self._settle()

    def read(self, pattern: bytes, times: int) -> None:
        """Reads follow: the access is in the cycle after a step's."""
        self.cells.extend(pattern * times)
        self.reads += pattern.count(TAKEN) * times
        self._settle()

    def write(self, results: range) -> None:
        """Results want to be written from these cycles on, as soon as reads are known."""
        self._results.append(results)
        self.results += len(results)

    def _settle(self) -> None:
        """Write results where it is known which cycles have no reads."""
        while self._results:
            wanted = self._results.popleft()
            # Delayed by less than the distance of two results, they do not meet.
            known = wanted[: max(0, (self.end - wanted.start) // wanted.step)]
            done = self._settle_alike(known) if wanted.start > self._written else 0
            for want in wanted[done:]:
                at = self.cells.find(FREE, max(want, self._written + 1) - self.origin)
                if at < 0:
                    break
                self.cells[at] = 1
                self._written = self.origin + at
                done += 1
            if done < len(wanted):
                self._results.appendleft(wanted[done:])
                return

    def _settle_alike(self, wanted: range) -> int:
        """Write results that all wait for the same number of cycles; return how many these are."""
        if not wanted:
            return 0
        for delay in range(wanted.step):
            where = slice(wanted.start - self.origin + delay, wanted[-1] - self.origin + delay + 1,
                          wanted.step)
            cells = self.cells[where]
            if TAKEN not in cells:
                self.cells[where] = TAKEN * len(cells)
                self._written = wanted[-1] + delay
                return len(wanted)
            if FREE in cells:
                return 0
        return 0
