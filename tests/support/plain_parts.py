"""Parts of the plain cycle model: what each of them wants, event by event."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS, Descriptor
from hw.contract.modes import Mode
from hw.contract.records import PARAMETER_FIELDS, Record
from hw.contract.sections import SECTION_BYTES
from sw.compiler.timing.core import Task

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
    config : CoreConfig
    words : int
        Of the program.
    """

    SECTION = SECTION_BYTES // 2

    def __init__(self, config: CoreConfig, words: int) -> None:
        self.read = config.flash_read
        self.lanes = lanes = config.lanes
        self.left = -(-words * lanes // self.SECTION) * self.SECTION
        """Halfwords still to come."""
        self.begun = self.read.first - self.read.halfword
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
        self.begun += self.read.halfword
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
                self.uncounted_from = self.begun + self.read.trailer
                if self.left == 0:
                    self.verified = self.begun + self.read.check
                self.ready = last + self.read.transfer
                return
        self.ready = self.begun + self.read.transfer

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
