"""Exact timing of a program: the core's state machines, from access to access.

Four things happen at the same time and share one memory access per cycle: the sequencer's reads
(never wait), write-back of results, the flash's words into the ring, and the loader.  This model
follows the registers of ``hw`` cycle by cycle, but leaves out cycles in which nothing changes: the
sequencer goes from block to block, and marks what it reads and writes in the port's timeline
(:mod:`sw.compiler.timing.port`); the words of the program (:mod:`sw.compiler.timing.feeder`) go
where that is free.  Cycle 0 is the one in which the core's parts are reset by START.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.taps import PROLOGUE_WORDS
from sw.compiler.timing.arrivals import Arrivals, HostedFeeder
from sw.compiler.timing.feeder import NEVER, Feeder, Task
from sw.compiler.timing.port import Port, read_pattern

__all__ = ["DescriptorTiming", "Task", "Traffic", "simulate"]

RESULT_DELAY = latency.STEP + latency.DRAIN + 1
"""Cycles from the decision on an output's last step to the request to write the result."""

READ_DELAY = 4
"""Cycles at least from a record's being complete to the first access that follows from it."""

PATIENCE = 4096
"""Cycles of idleness that are looked at together."""


@dataclass(frozen=True, kw_only=True)
class DescriptorTiming:
    """Cycles of a descriptor, by what they went into.

    Attributes
    ----------
    end : int
        Cycle in which it is done.
    steps : int
        Cycles in which the array made steps.
    weights : int
        Cycles in which the array waited for a block's weights.
    input : int
        Cycles in which words were read before the first step.
    requantise : int
        Cycles from the last step to the last result's being written.
    fill : int
        Cycles in which the descriptor was waited for and read, or held back because of its input,
        or a block began; at the end of a program, those until its last checksum has been seen.

    The cycles of a descriptor begin with the second one after the end of the descriptor before (the
    first one's with cycle 1) and end with the one after ``end``; each has one of these causes, the
    same as :class:`hw.contract.registers.Cause`.
    """

    end: int
    steps: int
    weights: int
    input: int
    requantise: int
    fill: int

    @property
    def cycles(self) -> int:
        """All cycles."""
        return self.steps + self.weights + self.input + self.requantise + self.fill


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Accesses to activation memory, from the start to the end of a descriptor's cycles.

    Attributes
    ----------
    reads : int
        Of activations.
    results : int
        Words of results that were written.
    flash : int
        Words of the program that the flash wrote into the ring.
    loader : int
        Words of the program that the loader read.
    """

    reads: int = 0
    results: int = 0
    flash: int = 0
    loader: int = 0


class _Sequencer:
    """The sequencer's states, one descriptor after another."""

    def __init__(
        self, port: Port, feeder: Feeder, lanes: int, hosted: HostedFeeder | None
    ) -> None:
        self.port = port
        self.feeder = feeder
        self.lanes = lanes
        self.hosted = hosted
        """The feeder, if the host brings inputs meanwhile."""
        self.number = 0
        """Of the descriptor."""

    def run(self, d: Descriptor, free: int) -> DescriptorTiming:
        """Run a descriptor, the cycle ``free`` being the first in which it can be fetched."""
        port, feeder = self.port, self.feeder
        loaded = self._fetch(d, free)
        words = PROLOGUE_WORDS.get(d.mode, 0)
        read_ahead = max(words, 1)
        # The access is in the cycle after a read's.
        port.read(b"\1", words)
        last = loaded + read_ahead
        port.idle(last + 2)
        fill = loaded - free + 1
        steps = waited = 0
        for number in range(1 if d.shared else d.blocks * (d.width if d.partial else 1)):
            start = last + 1
            if not number or not feeder.loader.blocks or feeder.loader.blocks[0] > last:
                ready = max(last + 1, self._wait(feeder.loader.blocks))
                waited += ready - last - 1
                fill += 1
                start = ready + 1
            feeder.loader.blocks.popleft()
            last = self._block(d, number, start)
            steps += last + 1 - start
            feeder.advance(last)
            feeder.free(last, blocks=1, steps=d.steps)
        while port.writing:
            port.idle(port.end + RESULT_DELAY)
        end = max(last, port.written) + 1
        self.number += 1
        if self.hosted:
            self.hosted.host.descriptor_done(end)
        return DescriptorTiming(end=end, steps=steps, weights=waited, input=read_ahead,
                                requantise=end - last, fill=fill)

    def traffic(self, cycle: int) -> Traffic:
        """Return what has been done up to a cycle, in which nothing more is read."""
        self.port.idle(max(self.port.end, cycle + 1))
        self.feeder.advance(cycle)
        return Traffic(reads=self.port.reads, results=self.port.results,
                       flash=self.feeder.pushed, loader=self.feeder.loaded)

    def _fetch(self, d: Descriptor, free: int) -> int:
        """Wait for a descriptor and read it; return the cycle in which that is done."""
        port, feeder = self.port, self.feeder
        fetched = max(free, self._wait(feeder.loader.descriptors))
        feeder.loader.descriptors.popleft()
        if self.hosted:
            fetched = self._held(self.hosted, fetched)
        loaded = fetched + latency.DESCRIPTOR
        port.idle(loaded + 2)
        if d.ring_moves:
            feeder.advance(fetched)
            feeder.ring.move(d.ring_first, fetched + latency.DESCRIPTOR_RING + 1)
        feeder.advance(loaded)
        feeder.free(loaded, descriptors=1)
        return loaded

    def _held(self, feeder: HostedFeeder, cycle: int) -> int:
        """Wait, from a cycle on, until the host lets the descriptor be fetched; return when."""
        port, host = self.port, feeder.host
        while (released := host.released(self.number, cycle)) is None:
            if host.stuck:
                raise RuntimeError("the program never ends: what is waited for is not read before")
            port.idle(max(port.end, cycle) + PATIENCE)
            feeder.advance(port.end - 1, until_hold=True)
        return released

    def _wait(self, records: deque[int]) -> int:
        """Return when the next descriptor or block is there; up to then nothing is read."""
        port, feeder = self.port, self.feeder
        while not records:
            feeder.advance(port.end - 1, until_record=True)
            if not records:
                if feeder.stuck:
                    raise RuntimeError(
                        "the program never ends: a block does not fit weight memory")
                # Results must not be written where reads may still come.
                port.idle(port.end + (READ_DELAY if port.writing else PATIENCE))
        return records[0]

    def _block(self, d: Descriptor, number: int, start: int) -> int:
        """Run a block (or all blocks that share their weights); return the last step's cycle."""
        port = self.port
        windows = 1 if d.partial else d.width * d.height * (d.blocks if d.shared else 1)
        length = windows * d.steps
        first = start + d.steps - 1 + RESULT_DELAY
        if d.partial:
            if (number + 1) % d.width == 0:
                port.write(range(first, first + 1, d.steps))
        elif d.skip_first or d.skip_last:
            for window in range(0, windows, d.width):
                ends = window + d.skip_first, window + d.width - d.skip_last
                port.write(range(first + ends[0] * d.steps, first + ends[1] * d.steps, d.steps))
        else:
            port.write(range(first, first + length, d.steps))
        pattern = read_pattern(d, self.lanes)
        port.forget(self.feeder.cycle)
        port.idle(start + 1)
        port.read(pattern, length // len(pattern))
        return start + length - 1


def simulate(
    tasks: Sequence[Task],
    ring_words: int,
    config: CoreConfig,
    host: Arrivals | None = None,
    traffic: list[Traffic] | None = None,
) -> list[DescriptorTiming]:
    """Return the timing of every descriptor of a program.

    Parameters
    ----------
    tasks : sequence of Task
    ring_words : int
        At the start; descriptors may move the ring's first word.
    config : CoreConfig
    host : Arrivals, optional
        What the host brings while the core runs; without it all of the input is there.
    traffic : list, optional
        Gets what has been done at the end of each descriptor; not with ``host``.

    Returns
    -------
    list of DescriptorTiming
        The core's cycle counter shows the last ``end`` plus 1.

    Raises
    ------
    ValueError
        If a descriptor makes the ring smaller.
    """
    port = Port()
    hosted = None if host is None else HostedFeeder(tasks, ring_words, config, port, host)
    feeder = hosted or Feeder(tasks, ring_words, config, port)
    sequencer = _Sequencer(port, feeder, config.lanes, hosted)
    done: list[DescriptorTiming] = []
    for task in tasks:
        done.append(sequencer.run(task.descriptor, done[-1].end + 1 if done else 0))
        if traffic is not None:
            traffic.append(sequencer.traffic(done[-1].end + 1))
    # What is left of the last section fits the buffer, if the ring is full.
    while feeder.flash.verified == NEVER and not feeder.stuck:
        port.idle(port.end + PATIENCE)
        feeder.advance(port.end - 1)
    feeder.flash.finish()
    # The last descriptor is done when the program is verified, too.
    *before, last = done
    late = max(0, feeder.flash.verified - 1 - last.end)
    if traffic and late:
        traffic[-1] = sequencer.traffic(last.end + late + 1)
    return [*before, replace(last, end=last.end + late, fill=last.fill + late)]
