"""The way of the program's words: from the flash through the ring to the array's memories.

The model follows the registers of ``hw.memory`` from word to word.  Both the words that the flash
writes into the ring and those that the loader reads from it need the memory's port, and take it
when nobody else does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.descriptors import DESCRIPTOR_HALFWORDS, Descriptor
from hw.contract.records import PARAMETER_FIELDS, Record
from hw.contract.sections import SECTION_BYTES
from sw.compiler.timing.port import Port

__all__ = ["NEVER", "Feeder", "Task"]

NEVER = 1 << 60


@dataclass(frozen=True, kw_only=True)
class Task:
    """One descriptor and the words of weights of its blocks."""

    descriptor: Descriptor
    weight_words: tuple[int, ...]

    def words(self, config: CoreConfig) -> int:
        """Return the words of the descriptor's records."""
        beside_weights = 1 + PARAMETER_FIELDS * config.rows
        blocks = len(self.weight_words) * beside_weights + sum(self.weight_words)
        return 1 + DESCRIPTOR_HALFWORDS // config.lanes + blocks


class Flash:
    """Flash reader and its buffer: when the next word can be taken.

    See :class:`hw.program.flash_reader.FlashReader` for the rules.  Words of the consumer and
    halfwords of the buffer keep step, and the halfwords of a word are taken one a cycle, faster
    than they come: so a word's first halfword waits for room, and the others follow.  A checksum
    takes the time of a halfword, and the place of the next section's first one until it no longer
    counts.

    Parameters
    ----------
    config : CoreConfig
    words : int
        Of the program.
    """

    def __init__(self, config: CoreConfig, words: int) -> None:
        self.timing = config.flash_read
        self.halfword = self.timing.halfword
        lanes = config.lanes
        self.lanes = lanes
        self.rest_of_word = (lanes - 1) * self.halfword
        self.section = SECTION_BYTES // 2 // lanes
        """Words of a section."""
        self.left = -(-words // self.section) * self.section
        """Words of sections that are not yet complete."""
        self.in_section = self.section
        """Words until the next checksum."""
        self.begun = self.timing.first - self.halfword
        """When the latest transfer began."""
        # The buffer keeps one word's place free.
        self.taken = deque([-NEVER] * ((latency.FLASH_BUFFER - lanes) // lanes))
        """When the words were taken that transfers may still wait for."""
        self.ready = 0
        """From when on the next word can be taken."""
        self.verified = NEVER
        """When the whole program is known to have been read correctly."""
        self._transfer()

    def take(self, cycle: int) -> int:
        """The next word is taken, a halfword per cycle; return when the one after it can be."""
        self.taken.append(cycle)
        self._transfer()
        if self.ready < cycle + 2:
            self.ready = cycle + 2
        return self.ready

    def _transfer(self) -> None:
        """The next word's halfwords are transferred, and the checksum behind them."""
        begun, room = self.begun + self.halfword, self.taken.popleft() + 1
        begun = (begun if begun > room else room) + self.rest_of_word
        if self.in_section == self.section and self.lanes == 2:
            # The halfword that does not count waits for room, too: for the next word's.
            begun = max(begun, self.taken[0] + 1)
        self.begun = begun
        self.ready = begun + self.timing.transfer
        self.in_section -= 1
        if not self.in_section:
            self._checksum()
        elif begun >= self.verified:
            self.ready = NEVER

    def _checksum(self) -> None:
        self.in_section = self.section
        self.left -= self.section
        self.begun = max(self.begun + self.halfword, self.taken[0] + 1)
        if not self.left:
            self.verified = self.begun + self.timing.check

    def finish(self) -> None:
        """No more words are taken."""
        while self.verified == NEVER:
            self._transfer()


class Ring:
    """Bounds of the ring, and the pointers that go round at the end of memory.

    Parameters
    ----------
    words : int
        Size at the start.
    depth : int
        Words of memory.
    """

    def __init__(self, words: int, depth: int) -> None:
        self.depth = depth
        self.first = self.following = self.wrapped = depth - words
        self.moves_at = 0

    def move(self, first: int, cycle: int) -> None:
        """From ``cycle`` on the writer wraps to another word."""
        if first > self.following:
            raise ValueError(
                f"ring_first must be at most {self.following}, where the ring begins before, "
                f"not {first!r}")
        self.first, self.following, self.moves_at = self.following, first, cycle

    def wrap(self, cycle: int) -> int:
        """Return where the writer goes on, which the reader, less than a lap behind, does too."""
        self.wrapped = self.following if cycle >= self.moves_at else self.first
        return self.wrapped


class Loader:
    """Loader: what it reads next, and for how much of it there is room.

    Attributes
    ----------
    room : int
        Words that can be read until something else has to be considered; 0 if there is no room.
    wanted : int
        First cycle in which the next word can be read, as far as the loader knows.
    spacing : int
        Cycles from one of these words to the next.
    granted : int
        Words that could be read so far, those of ``room`` among them.
    descriptors, blocks : deque of int
        From when on the sequencer sees what has been loaded and is not yet in use.
    """

    def __init__(self, tasks: Sequence[Task], config: CoreConfig) -> None:
        self.config = config
        self.records = self._records(tasks)
        self.kind, self.left, self.words = "header", 0, 0
        self.room = self.wanted = self.granted = 1
        self.spacing = 2
        self.odd_word = False
        self.stored_descriptors = self.stored_blocks = self.stored_steps = 0
        self.descriptors: deque[int] = deque()
        self.blocks: deque[int] = deque()

    def _records(self, tasks: Sequence[Task]) -> Iterator[tuple[Record, int]]:
        for task in tasks:
            yield Record.DESCRIPTOR, 0
            for words in task.weight_words:
                yield Record.BLOCK, words
        yield Record.END, 0

    def find_room(self) -> None:
        """Let as many words be read as there is room for, if none may be read so far."""
        config, room = self.config, self.left
        match self.kind:
            case "descriptor" if self.stored_descriptors >= config.descriptor_slots - 1:
                return
            case "parameters" if self.stored_blocks >= config.parameter_slots - latency.SPARE_SLOTS:
                return
            case "weights":
                # Two words are a step.
                begun = int(self.odd_word)
                room = min(room, 2 * (config.weight_depth - self.stored_steps) + begun)
                if not room:
                    return
                self.stored_steps += (room - begun + 1) // 2
                self.odd_word = bool((room - begun) % 2)
        self.room = room
        self.granted += room
        self.left -= room

    def read(self, cycle: int) -> bool:
        """The last word is read that there was room for; return whether a record is complete."""
        complete = False
        self.wanted = cycle + 2
        if not self.left:
            match self.kind:
                case "header":
                    self.wanted = cycle + 3
                    self._header()
                case "parameters":
                    self.kind, self.left, self.spacing = "weights", self.words, 2
                case "descriptor":
                    self.descriptors.append(cycle + 2)
                    self.stored_descriptors += 1
                    complete = True
                case _:
                    self.blocks.append(cycle + 2)
                    self.stored_blocks += 1
                    complete = True
            if complete:
                self.kind, self.left = "header", 1
        self.room = 0
        self.find_room()
        return complete

    def _header(self) -> None:
        record, self.words = next(self.records)
        # A word's halfwords go one after another.
        self.spacing = max(2, self.config.lanes)
        if record is Record.DESCRIPTOR:
            self.kind, self.left = "descriptor", DESCRIPTOR_HALFWORDS // self.config.lanes
        elif record is Record.BLOCK:
            self.kind, self.left = "parameters", PARAMETER_FIELDS * self.config.rows


class Feeder:
    """Flash, ring and loader, as far as the memory's port is known.

    Parameters
    ----------
    tasks : sequence of Task
    ring_words : int
    config : CoreConfig
    port : Port
    """

    def __init__(
        self, tasks: Sequence[Task], ring_words: int, config: CoreConfig, port: Port
    ) -> None:
        self.port = port
        self.flash = Flash(config, sum(task.words(config) for task in tasks) + 1)
        self.loader = Loader(tasks, config)
        self.ring = Ring(ring_words, config.memory_depth)
        self.push_spacing = max(config.lanes, 3)
        self.write = self.read = config.memory_depth - ring_words
        self.stored = 0
        self.cycle = 0
        """First cycle that is not done."""
        # Flash and loader ask through a register.
        self.push_wanted = self.push = self.flash.ready + 1
        self.load = NEVER
        """When the flash's next word and the loader's want the port; NEVER if they cannot."""

    def advance(self, until: int, *, until_record: bool = False) -> bool:
        """Do all accesses up to a cycle, included, which the port has to know.

        With ``until_record`` return as soon as the loader has read a record to its end; the result
        says whether it has.
        """
        loader, ring, take, gap = self.loader, self.ring, self.flash.take, self.push_spacing
        find, origin = self.port.cells.find, self.port.origin
        push, load, cycle, depth = self.push, self.load, self.cycle, ring.depth
        push_wanted, stored, write, read = self.push_wanted, self.stored, self.write, self.read
        room, spacing = loader.room, loader.spacing
        complete = False
        while True:
            first = push if push < load else load
            if first < cycle:
                first = cycle
            # One access per cycle; who gets none asks again in the next cycle.
            now = find(0, first - origin) + origin if first <= until else NEVER
            if not first <= now <= until:
                complete = False
                break
            cycle = now + 1
            if push <= now:
                stored += 1
                write += 1
                if write == depth:
                    write = ring.wrap(now)
                push = push_wanted = max(take(now) + 1, now + gap)
                if write == read:
                    push = NEVER
                if stored == 1:
                    loader.wanted = max(loader.wanted, now + 2)
                    load = loader.wanted if room else NEVER
                continue
            if write == read:
                push_wanted = push = max(push_wanted, now + 2)
            stored -= 1
            read += 1
            if read == depth:
                read = ring.wrapped
            room -= 1
            complete = False
            if room:
                load = loader.wanted = now + spacing
            else:
                complete = loader.read(now)
                room, spacing, load = loader.room, loader.spacing, loader.wanted
            if not (stored and room):
                load = NEVER
            if complete and until_record:
                break
        loader.room = room
        self.push, self.load, self.cycle = push, load, cycle
        self.push_wanted, self.stored, self.write, self.read = push_wanted, stored, write, read
        return complete

    def free(self, cycle: int, *, descriptors: int = 0, blocks: int = 0, steps: int = 0) -> None:
        """The sequencer is done with what it used; accesses up to this cycle have been done."""
        loader = self.loader
        loader.stored_descriptors -= descriptors
        loader.stored_blocks -= blocks
        loader.stored_steps -= steps
        if not loader.room:
            loader.find_room()
            if loader.room:
                loader.wanted = max(loader.wanted, cycle + 2)
                self.load = loader.wanted if self.stored else NEVER

    @property
    def loaded(self) -> int:
        """Words that the loader has read so far."""
        return self.loader.granted - self.loader.room

    @property
    def pushed(self) -> int:
        """Words that the flash has written into the ring so far."""
        return self.loaded + self.stored

    @property
    def stuck(self) -> bool:
        """Whether neither flash nor loader will ever want the port again by themselves."""
        return min(self.push, self.load) >= NEVER
