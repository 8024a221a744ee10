"""Slices of an inference: what the parts of the core did from one cycle to another.

The array's cycles have a cause each; the memory's port has an access in a cycle at most.  Both
follow from the cycle model, descriptor by descriptor.  A slice is some descriptors that follow each
other: all of a layer, or, where layers run row by row and take turns, as many as make a slice wide
enough to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sw.compiler import Program
from sw.compiler.timing import DescriptorTiming, Traffic, descriptor_timings, traffic

__all__ = ["ARRAY", "CAUSES", "PORT", "Slice", "Track", "segments", "slices_of", "steps_used"]

Track = dict[str, str]
"""What a part of the core does, and the words for it."""

ARRAY: Track = {
    "used": "multiplications",
    "idle": "multipliers idle within steps",
    "input": "waiting for activations",
    "weights": "waiting for weights (flash)",
    "requantise": "waiting for the requantiser",
    "fill": "fill and drain, descriptors",
}
"""Causes of the array's cycles, as :class:`hw.contract.registers.Cause` has them; steps are divided
into what the network's multiplications fill and what they do not."""

CAUSES = ("steps", *list(ARRAY)[2:])
"""Causes as they are counted."""

PORT: Track = {
    "reads": "activations read",
    "results": "results written",
    "flash": "flash to ring",
    "loader": "ring to loader",
}
"""Accesses of the memory's port, in the order of priority."""

FINEST = 160
"""Slices that a program is cut into at most by layers that take turns."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Some descriptors that follow each other.

    Attributes
    ----------
    first, end : int
        Descriptors: the first one, and the one behind the last.
    start, stop : int
        Cycles since the start command.
    layers : tuple of int
        Numbers of their layers, in ascending order.
    array : dict
        Cycles by cause, by the names of :data:`CAUSES`; their sum is ``cycles``.
    used : float
        Steps that the network's multiplications fill, of ``array["steps"]``.  A layer's are spread
        evenly over its steps.
    port : dict
        Accesses, by the names of :data:`PORT`.
    """

    first: int
    end: int
    start: int
    stop: int
    layers: tuple[int, ...]
    array: dict[str, int]
    used: float
    port: dict[str, int]

    @property
    def cycles(self) -> int:
        """Length."""
        return self.stop - self.start

    def array_cycles(self, name: str) -> float:
        """Return the array's cycles by one of the names of :data:`ARRAY`."""
        if name == "idle":
            return self.array["steps"] - self.used
        return self.used if name == "used" else self.array[name]

    def requantiser_cycles(self, lanes: int) -> int:
        """Return in how many cycles a lane's results pass the requantisers: one for each lane."""
        return self.port["results"] * lanes

    def flash_bytes(self, word_bytes: int) -> int:
        """Return the bytes of the program that came from the flash."""
        return self.port["flash"] * word_bytes


def slices_of(program: Program) -> list[Slice]:
    """Return a program's slices, from the start to its end, in order.

    All of the input is there at the start.
    """
    timings, done = descriptor_timings(program), traffic(program)
    ends = [timing.end + 1 for timing in timings]
    shares = steps_used(program, timings)
    used = [shares[w.layer] * t.steps for w, t in zip(program.work, timings, strict=True)]
    return [
        _slice(program, timings, done, first, end, sum(used[first:end]))
        for first, end in _cuts(program, ends)
    ]


def steps_used(program: Program, timings: Sequence[DescriptorTiming]) -> list[float]:
    """Return, by layer, which part of its steps the network's multiplications fill.

    All of them where the compiler has left out more than there are places.
    """
    steps = [0] * len(program.layers)
    for work, timing in zip(program.work, timings, strict=True):
        steps[work.layer] += timing.steps
    multipliers = program.config.multipliers
    return [
        min(1.0, layer.macs / multipliers / count) if count else 0.0
        for layer, count in zip(program.layers, steps, strict=True)
    ]


def _slice(
    program: Program, timings: Sequence[DescriptorTiming], done: Sequence[Traffic], first: int,
    end: int, used: float,
) -> Slice:
    before = done[first - 1] if first else Traffic()
    return Slice(
        first=first,
        end=end,
        start=timings[first - 1].end + 1 if first else 0,
        stop=timings[end - 1].end + 1,
        layers=tuple(sorted({work.layer for work in program.work[first:end]})),
        array={cause: sum(getattr(t, cause) for t in timings[first:end]) for cause in CAUSES},
        used=used,
        port={kind: getattr(done[end - 1], kind) - getattr(before, kind) for kind in PORT},
    )


def _cuts(program: Program, ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the descriptors of each slice: first, end."""
    width = -(-ends[-1] // FINEST)
    for first, end in segments(program):
        start, begun = first, ends[first - 1] if first else 0
        alone = len({work.layer for work in program.work[first:end]}) == 1
        for number in range(first, end - 1):
            if not alone and ends[number] - begun >= width:
                yield start, number + 1
                start, begun = number + 1, ends[number]
        yield start, end


def segments(program: Program) -> list[tuple[int, int]]:
    """Return the descriptors of layers that take turns, and of each other layer: (first, end)."""
    last: dict[int, int] = {}
    for number, work in enumerate(program.work):
        last[work.layer] = number
    found, first, reach = [], 0, 0
    for number, work in enumerate(program.work):
        reach = max(reach, last[work.layer])
        if number == reach:
            found.append((first, number + 1))
            first = number + 1
    return found
