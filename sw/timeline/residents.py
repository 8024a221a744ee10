"""Residents of the activation memory: which words are whose, from when to when.

A word is a tensor's from the descriptor that writes it to the last one that makes something of it;
what the host reads at the end stays to the end.  All of it follows from the descriptors' addresses,
not from what the compiler meant by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from sw.compiler import Program
from sw.compiler.program.accesses import words_read, words_written
from sw.compiler.timing import descriptor_timings

__all__ = ["Area", "Resident", "residents_of", "ring_of"]

NOBODY = -1


@dataclass(frozen=True, kw_only=True)
class Area:
    """Words of memory for some time.

    Attributes
    ----------
    first, end : int
        Word addresses: the first one, and the one behind the last.
    start, stop : int
        Cycles since the start command.
    """

    first: int
    end: int
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Resident:
    """A tensor, or a layer's work space.

    Attributes
    ----------
    name : str
    kind : str
        ``"input"``, ``"tensor"`` or ``"work space"``.
    layer : int or None
        That writes it; ``None``: the host.
    areas : tuple of Area
        In ascending order of addresses.
    """

    name: str
    kind: str
    layer: int | None
    areas: tuple[Area, ...]

    @property
    def words(self) -> int:
        """Words of memory that it takes at one time or another."""
        taken = np.unique(np.concatenate([np.arange(a.first, a.end) for a in self.areas]))
        return len(taken)

    @property
    def start(self) -> int:
        """Cycle from which on there is something of it."""
        return min(area.start for area in self.areas)

    @property
    def stop(self) -> int:
        """Cycle from which on there is nothing of it."""
        return max(area.stop for area in self.areas)


@dataclass(kw_only=True, eq=False)
class _Words:
    """Owners of words, and what is over."""

    owner: Ints
    born: Ints
    used: Ints
    closed: list[Ints] = field(default_factory=list)
    """Rows of owner, first use, last use, word."""

    def give(self, words: Ints, owner: int, descriptor: int) -> None:
        """Words are written for an owner."""
        new = words[self.owner[words] != owner]
        self._close(new)
        self.owner[new], self.born[new] = owner, descriptor
        self.used[words] = descriptor

    def read(self, words: Ints, owners: npt.NDArray[np.int64], descriptor: int) -> None:
        """Words are read, for the sake of those that some owners have."""
        self.used[words[np.isin(self.owner[words], owners)]] = descriptor

    def keep(self, owners: npt.NDArray[np.int64], descriptor: int) -> None:
        """Some owners' words stay."""
        self.used[np.isin(self.owner, owners)] = descriptor

    def _close(self, words: Ints) -> None:
        words = words[self.owner[words] != NOBODY]
        self.closed.append(
            np.stack([self.owner[words], self.born[words], self.used[words], words], axis=1))

    def finish(self) -> Ints:
        """Return all of them, sorted: (N, 4)."""
        self._close(np.arange(len(self.owner)))
        rows: Ints = np.concatenate(self.closed)
        order: Ints = rows[np.lexsort(rows.T[::-1])]
        return order


def residents_of(program: Program) -> list[Resident]:
    """Return what lies in memory during an inference, in the order in which it appears.

    All of the input is there at the start, or as early as it may be written.
    """
    depth = program.config.memory_depth
    owners = _Owners(program)
    words = _Words(owner=np.full(depth, NOBODY), born=np.zeros(depth, np.int64),
                   used=np.zeros(depth, np.int64))
    chunked = {chunk.input for chunk in program.chunks}
    for number, (address, layout) in enumerate(program.inputs):
        if number not in chunked:
            words.give(np.arange(address, address + layout.words), owners.input(number), 0)
    for number, work in enumerate(program.work):
        for chunk in program.chunks:
            if chunk.after_descriptor == number:
                place = np.arange(chunk.address, chunk.address + chunk.words)
                words.give(place, owners.input(chunk.input), number)
        words.read(words_read(work.descriptor, program.config), owners.read_by(work.layer), number)
        written = words_written(work.descriptor, program.config)
        own = owners.is_output(number, written)
        words.give(written[own], owners.output(work.layer), number)
        words.give(written[~own], owners.work_space(work.layer), number)
    outputs = [n for n, layer in enumerate(program.layers) if layer.output in program.outputs]
    words.keep(np.array([owners.output(n) for n in outputs]), len(program.work) - 1)
    ends = [timing.end + 1 for timing in descriptor_timings(program)]
    return owners.residents(words.finish(), [0, *ends])


def ring_of(program: Program) -> list[Area]:
    """Return what the ring may take, from when on: it grows."""
    ends = [0, *(timing.end + 1 for timing in descriptor_timings(program))]
    depth, first, start = program.config.memory_depth, program.ring[0], 0
    areas = []
    for number, work in enumerate(program.work):
        if work.descriptor.ring_moves:
            areas.append(Area(first=first, end=depth, start=start, stop=ends[number]))
            first, start = work.descriptor.ring_first, ends[number]
    areas.append(Area(first=first, end=depth, start=start, stop=ends[-1]))
    return [area for area in areas if area.stop > area.start]


class _Owners:
    """Numbers of those that words can belong to: outputs, work spaces, inputs.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.count = len(program.layers)
        self._reads = [self._sources(number) for number in range(self.count)]
        self._rows = self._output_rows()

    def output(self, layer: int) -> int:
        return layer

    def work_space(self, layer: int) -> int:
        return self.count + layer

    def input(self, number: int) -> int:
        return 2 * self.count + number

    def read_by(self, layer: int) -> npt.NDArray[np.int64]:
        """Return whose words a layer makes something of: reads beyond these are for padding."""
        return self._reads[layer]

    def _sources(self, number: int) -> npt.NDArray[np.int64]:
        program = self.program
        places = {layer.output: self.output(n) for n, layer in enumerate(program.layers)}
        places |= {layout.tensor: self.input(n) for n, (_, layout) in enumerate(program.inputs)}
        made = {op.output: op for op in program.network.ops}
        found = {self.work_space(number), self.output(number)}
        # What lies between is folded: it moves nothing in memory.
        todo = list(made[program.layers[number].output].inputs)
        while todo:
            tensor = todo.pop()
            if tensor in places:
                found.add(places[tensor])
            elif tensor in made:
                todo += made[tensor].inputs
        return np.array(sorted(found), np.int64)

    def _output_rows(self) -> list[tuple[int, int]]:
        """Return, for each descriptor, where the rows lie that it makes or helps to make."""
        program = self.program
        following: dict[int, tuple[int, int]] = {}
        found = []
        for work in reversed(program.work):
            tensor = program.tensors[program.layers[work.layer].output]
            if work.rows:
                words = tensor.words // tensor.rows * work.rows
                following[work.layer] = work.address, work.address + words
            found.append(following[work.layer])
        return found[::-1]

    def is_output(self, descriptor: int, words: Ints) -> npt.NDArray[np.bool_]:
        """Return which words a descriptor writes for the layer's output, not its work space."""
        first, end = self._rows[descriptor]
        return np.asarray((words >= first) & (words < end))

    def residents(self, rows: Ints, times: Sequence[int]) -> list[Resident]:
        """Return all residents, given rows of owner, first and last descriptor, word; sorted."""
        areas: dict[int, list[Area]] = {}
        # A run ends where anything but the address changes, or the address jumps.
        breaks = np.flatnonzero(np.any(np.diff(rows, axis=0) != (0, 0, 0, 1), axis=1)) + 1
        for run in np.split(rows, breaks):
            owner, born, used, first = map(int, run[0])
            areas.setdefault(owner, []).append(Area(
                first=first, end=first + len(run), start=times[born], stop=times[used + 1]))
        found = [self._resident(owner, its) for owner, its in areas.items()]
        return sorted(found, key=lambda r: (r.start, r.layer is not None, r.areas[0].first))

    def _resident(self, owner: int, areas: Sequence[Area]) -> Resident:
        program = self.program
        if owner >= 2 * self.count:
            _, layout = program.inputs[owner - 2 * self.count]
            name, kind, layer = program.network.tensors[layout.tensor].name, "input", None
        elif owner >= self.count:
            kind, layer = "work space", owner - self.count
            name = program.layers[layer].name
        else:
            kind, layer = "tensor", owner
            name = program.tensors[program.layers[owner].output].name
        return Resident(name=name, kind=kind, layer=layer,
                        areas=tuple(sorted(areas, key=lambda area: (area.first, area.start))))
