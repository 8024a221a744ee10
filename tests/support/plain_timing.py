"""The cycle model in its plainest form: every part is asked what it wants, event by event.

The reference for :mod:`sw.compiler.timing.core`, which is many times as fast.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat

from support.plain_parts import NEVER, RESULT_DELAY, Flash, Loader, Reads, Ring

from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS
from hw.contract.modes import Mode
from hw.contract.records import PARAMETER_FIELDS
from sw.compiler.timing.core import DescriptorTiming, Task


class Sequencer:
    """Sequencer: states and when they are left."""

    def __init__(
        self, tasks: Sequence[Task], loader: Loader, reads: Reads, ring: Ring
    ) -> None:
        self.tasks = tasks
        self.loader = loader
        self.reads = reads
        self.state = "fetch"
        self.next = 0
        """Cycle in which the state has something to do, if it does not wait."""
        self.number = 0
        self.queued: deque[int] = deque()
        """Cycles from which descriptors are there."""
        self.ready: deque[int] = deque()
        """Cycles from which blocks are there."""
        self.outputs: deque[int] = deque()
        """Cycles from which results want to be written."""
        self.done: list[DescriptorTiming] = []
        self.steps = self.wait = self.input = self.run_end = self.fill = 0
        self.ring = ring

    @property
    def task(self) -> Task:
        return self.tasks[self.number]

    def turn(self) -> int:
        """Return when the state has something to do, as far as is known."""
        match self.state:
            case "fetch":
                return max(self.next, self.queued[0]) if self.queued else NEVER
            case "wait":
                return max(self.next, self.ready[0]) if self.ready else NEVER
            case "drain":
                return NEVER if self.outputs else self.next
            case _:
                return self.next

    def act(self, cycle: int) -> None:
        """Do what the state does in this cycle; sets state and ``next``."""
        d = self.task.descriptor
        match self.state:
            case "fetch":
                self.queued.popleft()
                # The cycle after the end of the descriptor before belongs to that one.
                self.fill = cycle - self.next + 1 + latency.DESCRIPTOR
                if d.ring_moves:
                    self.ring.move(d.ring_first, cycle + latency.DESCRIPTOR_RING + 1)
                self.state, self.next = "load", cycle + latency.DESCRIPTOR
            case "load":
                self.loader.descriptors -= 1
                words = {Mode.DEPTHWISE: 3, Mode.DEPTHWISE_STRIDE2: 3, Mode.ADD: 1}.get(d.mode, 0)
                self.reads.layer(d, range(cycle + 1, cycle + 1 + words))
                self.block = 0
                self.steps = self.wait = 0
                self.input = max(words, 1)
                self.state, self.next = "wait", cycle + 1 + self.input
            case "wait":
                self.ready.popleft()
                self.wait += cycle - self.next
                self.fill += 1
                self._run(cycle + 1)
            case "run":
                self._block_end(cycle)
            case "drain":
                self.done.append(DescriptorTiming(
                    end=cycle,
                    steps=self.steps,
                    weights=self.wait,
                    input=self.input,
                    requantise=cycle - self.run_end,
                    fill=self.fill,
                ))
                self.number += 1
                self.state, self.next = "fetch", cycle + 1

    def _run(self, start: int) -> None:
        """Plan a block (or all blocks that share their weights) from cycle ``start`` on."""
        d = self.task.descriptor
        blocks = d.blocks if d.shared else 1
        windows = 1 if d.partial else d.width * d.height * blocks
        first = start + d.steps - 1 + RESULT_DELAY
        if d.partial:
            if (self.block + 1) % d.width == 0:
                self.outputs.append(first)
        elif d.skip_first or d.skip_last:
            self.outputs.extend(
                first + k * d.steps for k in range(windows)
                if not ((d.skip_first and k % d.width == 0)
                        or (d.skip_last and k % d.width == d.width - 1)))
        else:
            self.outputs.extend(range(first, first + windows * d.steps, d.steps))
        self.reads.block(start, windows * d.steps)
        self.block += blocks
        self.steps += windows * d.steps
        self.state, self.next = "run", start + windows * d.steps - 1

    def _block_end(self, cycle: int) -> None:
        d = self.task.descriptor
        self.loader.blocks -= 1
        self.loader.steps -= d.steps
        if self.block == d.blocks * (d.width if d.partial else 1):
            self.run_end = cycle
            self.state, self.next = "drain", cycle + 1
        elif self.ready and self.ready[0] <= cycle:
            self.ready.popleft()
            self._run(cycle + 1)
        else:
            self.state, self.next = "wait", cycle + 1


def simulate(tasks: Sequence[Task], ring_words: int, config: CoreConfig) -> list[DescriptorTiming]:
    """Return the timing of every descriptor of a program.

    Parameters
    ----------
    tasks : sequence of Task
    ring_words : int
        At the start; descriptors may move the ring's first word.
    config : CoreConfig

    Returns
    -------
    list of DescriptorTiming
        The core's cycle counter shows the last ``end`` plus 1.

    Raises
    ------
    ValueError
        If a descriptor makes the ring smaller.
    """
    lanes = config.lanes
    reads = Reads(lanes)
    flash = Flash(config, sum(map(_words, tasks, repeat(config))) + 1)
    loader = Loader(tasks, config)
    ring = Ring(ring_words, config.memory_depth)
    sequencer = Sequencer(tasks, loader, reads, ring)
    outputs = sequencer.outputs
    pushed = -lanes
    # Since when the ring has a word, the ring has room, the loader's destination has room.
    filled = emptied = freed = cycle = 0
    while sequencer.number < len(tasks) or flash.verified == NEVER:
        # Who wants to act, and from when on.  Flash and loader ask through a register.
        push = load = NEVER
        if not ring.full:
            push = max(flash.ready + 1, pushed + max(lanes, 3), emptied + 1, cycle)
        if ring.stored and loader.room():
            load = max(loader.earliest() + 1, filled + 1, freed + 1, cycle)
        write = max(outputs[0], cycle) if outputs else NEVER
        turn = max(sequencer.turn(), cycle) if sequencer.number < len(tasks) else NEVER
        now = min(push, load, write, turn)
        if now == NEVER and sequencer.number == len(tasks):
            break   # the ring is full; what is left of the section fits the buffer
        if now == NEVER:
            raise RuntimeError("the program never ends: a block does not fit weight memory")
        free = not (min(push, load, write) == now and reads(now - 1))
        if turn == now:
            room = loader.room()
            sequencer.act(now)
            if not room and loader.room():
                freed = now + 1
        # One access per cycle; who gets none asks again in the next cycle.
        if free and write == now:
            outputs.popleft()
        elif free and push == now:
            flash.take(now)
            pushed = now
            ring.push(now)
            if ring.stored == 1:
                filled = now + 1
        elif free and load == now:
            loader.grant(now)
            if ring.full:
                emptied = now + 1
            ring.pop()
            # Seen through a register.
            if loader.block_loaded:
                sequencer.ready.append(now + 2)
            if loader.descriptor_loaded:
                sequencer.queued.append(now + 2)
        cycle = now + 1
    flash.finish()
    # The last layer is done when the program is verified, too.
    *before, last = sequencer.done
    late = max(0, flash.verified - 1 - last.end)
    return [*before, replace(last, end=last.end + late, fill=last.fill + late)]


def _words(task: Task, config: CoreConfig) -> int:
    """Return the words of a layer's records."""
    beside_weights = 1 + PARAMETER_FIELDS * config.rows
    descriptor = 1 + DESCRIPTOR_HALFWORDS // config.lanes
    return descriptor + sum(beside_weights + words for words in task.weight_words)
