"""The host that brings the input while the core runs: when its writes come, and what they delay.

A host on the core's bus makes one access after the other, as :mod:`hw.control.registers` serves
them.  They take what reads and results leave of the memory's port, and come before the loader; the
flash waits while one is under way.  Nothing else is delayed by them, but the core is held (HOLD)
where what they bring is not there yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from hw.contract.config import CoreConfig
from hw.contract.registers import HOLD_NEVER
from sw.compiler.program.chunks import InputChunk
from sw.compiler.timing.feeder import NEVER, Feeder, Task
from sw.compiler.timing.port import FREE, Port

__all__ = ["BUS_PACE", "Arrivals", "HostedFeeder", "arrivals"]

BUS_PACE = 1
"""Cycles between the writes of the simulated board's host: as fast as the core's bus takes them."""

SEEN = 3
"""Cycles from a descriptor's last one to the one in which the core sees the write behind it."""

HELD = 2
"""Cycles from a write of HOLD to the fetch that it lets happen."""


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Plan of what a host does while the core runs.

    Attributes
    ----------
    pace : int
        Cycles from one write on the core's bus to the next, at least.
    hold : int
        Descriptor before which the core is held at first.
    feeds : tuple of (int, int, int)
        For each chunk: the descriptors that have to be done, the halfwords that are written then,
        and what HOLD is set to after them.
    """

    pace: int
    hold: int
    feeds: tuple[tuple[int, int, int], ...]


def arrivals(chunks: Sequence[InputChunk], pace: int, config: CoreConfig) -> Arrivals | None:
    """Return what a host does with chunks, or ``None`` if all of them are there at the start."""
    during = [chunk for chunk in chunks if chunk.after_descriptor]
    if not during:
        return None
    holds = [*(chunk.before_descriptor for chunk in during), HOLD_NEVER]
    return Arrivals(
        pace=pace,
        hold=holds[0],
        feeds=tuple(
            (chunk.after_descriptor, chunk.words * config.lanes, hold)
            for chunk, hold in zip(during, holds[1:], strict=True)
        ),
    )


class Host:
    """The host's accesses, one after the other.

    Parameters
    ----------
    what : Arrivals
    lanes : int

    Attributes
    ----------
    access : int
        From when on the next write of memory is under way; NEVER if none is known.
    """

    def __init__(self, what: Arrivals, lanes: int) -> None:
        self.lanes = lanes
        self.access = NEVER
        self._pace = what.pace
        self._feeds = deque(what.feeds)
        self._left = self._feeds[0][1]
        self._done = 0
        self._ends: list[int] = []
        self._seen = self._next = self._idle = 0
        self._holds = deque([(-NEVER, what.hold)])
        """Writes of HOLD and their cycles."""

    def descriptor_done(self, end: int) -> None:
        """The next descriptor is done."""
        self._ends.append(end)
        if self.access == NEVER:
            self._go_on()

    def granted(self, cycle: int) -> bool:
        """The write under way is made; return whether HOLD follows."""
        self._next, self._idle = cycle + 2, cycle + self.lanes + 1
        self._left -= 1
        self._go_on()
        return self._done_with_chunk

    def _go_on(self) -> None:
        self.access, self._done_with_chunk = NEVER, False
        while self._feeds:
            after, _, hold = self._feeds[0]
            if len(self._ends) < after:
                return
            seen = max(self._next, self._seen + self._pace, self._ends[after - 1] + SEEN)
            now = max(seen, self._idle)
            self._seen = seen
            if self._left:
                self.access = now + 1
                return
            self._holds.append((now, hold))
            self._next = now + 2
            self._done_with_chunk = True
            self._feeds.popleft()
            self._left = self._feeds[0][1] if self._feeds else 0

    def released(self, descriptor: int, cycle: int) -> int | None:
        """Return when a descriptor can be fetched, not before a cycle; ``None``: not known yet."""
        holds = self._holds
        while True:
            while len(holds) > 1 and holds[1][0] + HELD <= cycle:
                holds.popleft()
            if holds[0][1] != descriptor:
                return cycle
            if len(holds) == 1:
                return None
            cycle = holds[1][0] + HELD

    @property
    def stuck(self) -> bool:
        """Whether it waits for a descriptor."""
        return self.access == NEVER


class HostedFeeder(Feeder):
    """Flash, ring and loader beside a host's writes; see :class:`sw.compiler.timing.feeder.Feeder`.

    Parameters
    ----------
    host : Arrivals
    """

    def __init__(
        self, tasks: Sequence[Task], ring_words: int, config: CoreConfig, port: Port, host: Arrivals
    ) -> None:
        super().__init__(tasks, ring_words, config, port)
        self.host = Host(host, config.lanes)

    def advance(
        self, until: int, *, until_record: bool = False, until_hold: bool = False
    ) -> bool:
        """Do all accesses up to a cycle; with ``until_hold``, up to the next write of HOLD."""
        host, port = self.host, self.port
        while host.access <= until:
            if super().advance(host.access, until_record=until_record):
                return True
            # While the write is under way the flash does not begin; one that has begun goes on.
            first = max(host.access + 1, self.flash.taken[-1] + self.push_spacing, self.cycle)
            at = port.cells.find(FREE, first - port.origin) if first <= until else -1
            granted = at + port.origin if at >= 0 else NEVER
            self._no_push_before(min(granted - 1, until) + 1)
            if super().advance(min(granted - 1, until), until_record=until_record):
                return True
            if granted > until:
                return False
            self.cycle = granted + 1
            self._no_push_before(granted + host.lanes)
            if host.granted(granted) and until_hold:
                return False
        return super().advance(until, until_record=until_record)

    def _no_push_before(self, cycle: int) -> None:
        self.push_wanted = max(self.push_wanted, cycle)
        if self.push < NEVER:
            self.push = max(self.push, cycle)
