"""The cycle model in its plainest form: every part is asked what it wants, event by event.

The reference for :mod:`sw.compiler.timing.core`, which is many times as fast.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import repeat

from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS, Descriptor
from hw.contract.modes import Mode
from hw.contract.records import PARAMETER_FIELDS, Record
from hw.contract.sections import SECTION_BYTES
from sw.compiler.timing.core import DescriptorTiming, Task

NEVER = 1 << 60

RESULT_DELAY = latency.STEP + latency.DRAIN + 1
"""Cycles from the decision on an output's last step to the request to write the result."""


def read_phases(descriptor: Descriptor, lanes: int) -> tuple[frozenset[int], ...]:
    """Return the steps of a window that read a word, by column of the window that they read.

    One set for all modes but DEPTHWISE_STRIDE2, which has one for each of its two columns.
    """
    d = descriptor
    match d.mode:
        case Mode.SYSTOLIC:
            row = lanes * (d.inner - 1) + d.last_steps
            return (frozenset(k * row + lanes * j for k in range(d.middle)
                              for j in range(d.inner)),)
        case Mode.DEPTHWISE:
            return (frozenset((1, 2, 3)),)
        case Mode.DEPTHWISE_STRIDE2:
            return frozenset((0, 1, 2)), frozenset((3, 4, 5))
        case Mode.POOL:
            return (frozenset(range(d.inner)),)
        case Mode.ADD:
            return (frozenset((0, 1)),)


class Reads:
    """In which cycles the sequencer reads."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.prologue: range = range(0)
        self.start = self.length = 0
        self.before: int | None = None

    def layer(self, descriptor: Descriptor, prologue: range) -> None:
        """A layer begins with these cycles of reads."""
        self.descriptor = d = descriptor
        self.prologue = prologue
        self.length = 0
        self.phases = read_phases(d, self.lanes)
        stride = len(self.phases)
        # Columns are read one ahead; those beyond the input's are empty.
        self.row = stride * d.width
        self.gaps = d.mode in (Mode.DEPTHWISE, Mode.DEPTHWISE_STRIDE2) and self.row > d.middle

    def block(self, start: int, length: int) -> None:
        """A block (or more that follow each other) runs in these cycles."""
        # After a wait the cycle before is no step.
        self.before = self.start if self.start + self.length == start else None
        self.start, self.length = start, length

    def __call__(self, cycle: int) -> bool:
        """Return whether there is a read in a cycle of the current layer."""
        at = cycle - self.start
        if at == -1 and self.before is not None:
            # The last step of the block before this one.
            at = cycle - self.before
        elif not 0 <= at < self.length:
            return cycle in self.prologue
        window, phase = divmod(at, self.descriptor.steps)
        for number, phases in enumerate(self.phases):
            if phase in phases:
                if not self.gaps:
                    return True
                stride = len(self.phases)
                column = stride * (window % self.descriptor.width) + number + 1
                return column % self.row < self.descriptor.middle
        return False


class Flash:
    """Flash reader and its buffer: when the next word can be taken.

    Parameters
    ----------
    lanes : int
    words : int
        Of the program.
    """

    SECTION = SECTION_BYTES // 2

    def __init__(self, lanes: int, words: int) -> None:
        self.lanes = lanes
        self.left = -(-words * lanes // self.SECTION) * self.SECTION
        """Halfwords still to come."""
        self.begun = latency.FLASH_FIRST - latency.FLASH_HALFWORD
        """When the latest transfer began."""
        self.counted = 0
        """Transfers begun that count."""
        self.uncounted_from = NEVER
        """From when on a transfer stands for the last checksum, which counted."""
        self.taken: deque[int] = deque()
        """When halfwords were taken that transfers may still wait for."""
        self.ready = 0
        """From when on the next word can be taken."""
        self.verified = NEVER
        """When the whole program is known to have been read correctly."""
        self._transfer_word()

    def _transfer(self) -> None:
        self.begun += latency.FLASH_HALFWORD
        # The buffer keeps one word's place free.
        full = self.counted >= latency.FLASH_BUFFER - self.lanes
        if full:
            self.begun = max(self.begun, self.taken[0] + 1)
        if self.begun >= self.uncounted_from:
            self.uncounted_from = NEVER
            return
        self.counted += 1
        if full:
            self.taken.popleft()

    def _transfer_word(self) -> None:
        for _ in range(self.lanes):
            self._transfer()
            if self.begun >= self.verified:
                self.ready = NEVER
                return
            self.left -= 1
            if self.left % self.SECTION == 0 and self.verified == NEVER:
                last = self.begun
                self._transfer()
                self.uncounted_from = self.begun + latency.FLASH_TRAILER
                if self.left == 0:
                    self.verified = self.begun + latency.FLASH_CHECK
                self.ready = last + latency.FLASH_TRANSFER
                return
        self.ready = self.begun + latency.FLASH_TRANSFER

    def take(self, cycle: int) -> None:
        """The next word is taken, a halfword per cycle."""
        self.taken.extend(range(cycle, cycle + self.lanes))
        self._transfer_word()
        self.ready = max(self.ready, cycle + 2)

    def finish(self) -> None:
        """No more words are taken."""
        while self.verified == NEVER:
            self._transfer_word()


class Loader:
    """Loader: which word it wants next and from when on."""

    def __init__(self, tasks: Sequence[Task], config: CoreConfig) -> None:
        self.config = config
        self.lanes = config.lanes
        self.records = self._records(tasks)
        self.wait = 0
        """First cycle in which the next word could be wanted, as far as the loader knows."""
        self.serial_ready = 0
        self.descriptors = self.blocks = self.steps = 0
        self.left = 1
        self.kind = "header"
        self.odd_word = False
        self.block_loaded = self.descriptor_loaded = False
        self.stopped = False

    def _records(self, tasks: Sequence[Task]) -> Iterator[tuple[Record, int]]:
        for task in tasks:
            yield Record.DESCRIPTOR, 0
            for words in task.weight_words:
                yield Record.BLOCK, words
        yield Record.END, 0

    def room(self) -> bool:
        """Return whether the destination has room for the next word."""
        match self.kind:
            case "descriptor":
                return self.descriptors < self.config.descriptor_slots - 1
            case "parameters":
                return self.blocks < self.config.parameter_slots - latency.SPARE_SLOTS
            case "weights":
                return self.odd_word or self.steps < self.config.weight_depth
            case _:
                return not self.stopped

    def earliest(self) -> int:
        """Return the first cycle in which a word can be wanted, if there is one and room."""
        if self.kind in ("descriptor", "parameters"):
            return max(self.wait, self.serial_ready)
        return self.wait

    def grant(self, cycle: int) -> None:
        """A word is read.  Sets the flags of what became available."""
        self.block_loaded = self.descriptor_loaded = False
        self.wait = cycle + 1
        self.left -= 1
        if self.kind in ("descriptor", "parameters"):
            self.serial_ready = cycle + self.lanes - 1
        if self.kind == "weights":
            if not self.odd_word:
                self.steps += 1
            self.odd_word = not self.odd_word
        if self.left:
            return
        match self.kind:
            case "header":
                self.wait = cycle + 2
                record, self.words = next(self.records)
                if record is Record.DESCRIPTOR:
                    self.kind, self.left = "descriptor", DESCRIPTOR_HALFWORDS // self.lanes
                elif record is Record.BLOCK:
                    self.kind = "parameters"
                    self.left = PARAMETER_FIELDS * self.config.rows
                else:
                    self.stopped = True
            case "parameters":
                self.kind, self.left = "weights", self.words
            case "descriptor":
                self.descriptor_loaded = True
                self.descriptors += 1
                self.kind, self.left = "header", 1
            case _:
                self.block_loaded = True
                self.blocks += 1
                self.kind, self.left = "header", 1


class Ring:
    """Pointers of the ring, and where it begins.

    Parameters
    ----------
    words : int
        Size at the start.
    depth : int
        Words of memory.
    """

    def __init__(self, words: int, depth: int) -> None:
        self.depth = depth
        self.first = self.following = self.wrap = self.write = self.read = depth - words
        self.moves_at = 0
        self.stored = 0

    @property
    def full(self) -> bool:
        return self.stored > 0 and self.write == self.read

    def move(self, first: int, cycle: int) -> None:
        """From ``cycle`` on the writer wraps to another word."""
        if first > self.following:
            raise ValueError(
                f"ring_first must be at most {self.following}, where the ring begins before, "
                f"not {first!r}")
        self.first, self.following, self.moves_at = self.following, first, cycle

    def push(self, cycle: int) -> None:
        self.stored += 1
        self.write += 1
        if self.write == self.depth:
            self.wrap = self.write = self.following if cycle >= self.moves_at else self.first

    def pop(self) -> None:
        self.stored -= 1
        self.read += 1
        if self.read == self.depth:
            # Where the writer wrapped: it is less than a lap ahead.
            self.read = self.wrap


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
    flash = Flash(lanes, sum(map(_words, tasks, repeat(config))) + 1)
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
