"""Segments of a network, run as a whole or row by row: the cheapest division that fits.

The time of a segment is about the larger of what its array needs and what its flash needs; the
division with the least sum is found by dynamic programming over the layers.  Only divisions whose
segments fit in memory count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hw.contract.config import CoreConfig
from sw.compiler.lowering.layers import LoweredLayer
from sw.compiler.placement.chains import Segment
from sw.compiler.program import encoding
from sw.compiler.program.tensors import Place

__all__ = ["BETWEEN_DESCRIPTORS", "Division", "Needs"]

LONGEST = 32
"""Layers of the longest chain that is considered."""

BETWEEN_DESCRIPTORS = 45
"""About the cycles in which the array is idle between two descriptors."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Needs:
    """Needs of a network: its tensors' sizes, and when they are used.

    Attributes
    ----------
    layers : sequence of LoweredLayer
    words : mapping
        Sizes of whole tensors, inputs among them.
    inputs : tuple of Place
        Tensors that are in memory at the beginning.
    outputs : tuple of Place
        Tensors that have to be whole at the end.
    streamed : mapping
        Slots of inputs that are never whole in memory.
    pinned : bool
        Inputs stay to the end.
    """

    layers: Sequence[LoweredLayer]
    words: Mapping[Place, int]
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    streamed: Mapping[Place, int] = field(default_factory=dict)
    pinned: bool = False

    @cached_property
    def last_use(self) -> dict[Place, int]:
        """The number of the last layer that reads each tensor; one more for what stays."""
        last = dict.fromkeys(self.inputs, 0)
        for number, layer in enumerate(self.layers):
            last.setdefault(layer.output, number)
            last |= dict.fromkeys(layer.inputs, number)
        stays = (*self.outputs, *(self.inputs if self.pinned else ()))
        return last | dict.fromkeys(stays, len(self.layers))


@dataclass(kw_only=True, eq=False)
class Division:
    """Search for the best division of a network into segments.

    Parameters
    ----------
    needs : Needs
    config : CoreConfig
    """

    needs: Needs
    config: CoreConfig
    _found: dict[tuple[int, int], tuple[Segment, int] | None] = field(default_factory=dict)

    def best(self, limit: int) -> list[Segment] | None:
        """Return the cheapest division whose segments use at most ``limit`` words, if any.

        Segments are single layers, unless one of them does not fit by itself.
        """
        count = len(self.needs.layers)
        if any(self._segment(n, n + 1) is None for n in range(count)):
            # It reads rows of an input that is never whole, and has no rows of its own.
            return None
        tight = [self._words(n, n + 1) > limit for n in range(count)]
        # Per number of layers done: cost, and the last segment with where it began.
        best: list[tuple[float, int, Segment] | None] = [None] * (count + 1)
        for end in range(1, count + 1):
            costs = []
            for first in range(max(0, end - LONGEST), end):
                before = best[first]
                if first and before is None:
                    continue
                if end - first > 1 and not any(tight[first:end]):
                    continue
                if self._bound(first, end) <= limit:
                    costs.append((before[0] if before else 0.0, first))
            # What a segment costs is known long before whether it fits.
            for cost, first in sorted((c + self._cycles(f, end), f) for c, f in costs):
                found = self._segment(first, end)
                if found is not None and found[1] <= limit:
                    best[end] = cost, first, found[0]
                    break
        result: list[Segment] = []
        while count:
            step = best[count]
            if step is None:
                return None
            result.insert(0, step[2])
            count = step[1]
        return result

    def least(self, above: int) -> int:
        """Return the least limit, larger than ``above``, under which there is a division."""
        low, high = above, max(self._words(n, n + 1) for n in range(len(self.needs.layers)))
        while high - low > 1:
            middle = (low + high) // 2
            if self.best(middle) is None:
                low = middle
            else:
                high = middle
        return high

    def largest(self, segments: Sequence[Segment]) -> Segment:
        """Return the segment that uses most memory."""
        starts = [0]
        for segment in segments:
            starts.append(starts[-1] + len(segment.layers))
        return max(
            zip(segments, starts, strict=False),
            key=lambda pair: self._words(pair[1], pair[1] + len(pair[0].layers)),
        )[0]

    @cached_property
    def _loads(self) -> list[tuple[int, int, int, int]]:
        """For each layer: steps, descriptors and words of the flash; how often, row by row."""
        return [
            (
                layer.steps,
                len(layer.commands),
                sum(encoding.command_words(c.blocks, self.config.lanes) for c in layer.commands),
                1 if layer.geometry is None else layer.geometry.output_rows,
            )
            for layer in self.needs.layers
        ]

    def _cycles(self, first: int, end: int) -> float:
        """Return about the cycles of a segment: what its array needs, or what its flash needs."""
        rolls = self._rolls(first, end)
        array = words = 0
        for steps, descriptors, from_flash, rows in self._loads[first:end]:
            times = rows if rolls else 1
            array += steps + BETWEEN_DESCRIPTORS * times * descriptors
            words += times * from_flash
        return max(array, words * self.config.flash_read.halfword * self.config.lanes)

    def _rolls(self, first: int, end: int) -> bool:
        """Whether a segment runs row by row: it is a chain, or reads what is never whole."""
        read = self.needs.layers[first].inputs
        return end - first > 1 or any(t in self.needs.streamed for t in read)

    def _whole(self, first: int, end: int) -> tuple[list[Place], list[Place]]:
        """Return the tensors that are whole before a segment, and those whole after it only."""
        needs, last = self.needs, self.needs.last_use
        written = [layer.output for layer in needs.layers[:first]]
        before = [t for t in (*needs.inputs, *written) if last[t] >= first]
        kept = [layer.output for layer in needs.layers[first:end] if last[layer.output] >= end]
        return before, kept

    def _bound(self, first: int, end: int) -> int:
        """Return the least words a segment can use, whatever its rows."""
        before, kept = self._whole(first, end)
        words, last = self.needs.words, self.needs.last_use
        total = sum(words[t] for t in before + kept)
        dying = [words[t] for t in before if last[t] < end]
        return total - min(max(dying, default=0), max((words[t] for t in kept), default=0))

    def _segment(self, first: int, end: int) -> tuple[Segment, int] | None:
        if (first, end) not in self._found:
            self._found[first, end] = self._make(first, end)
        return self._found[first, end]

    def _words(self, first: int, end: int) -> int:
        found = self._segment(first, end)
        assert found is not None
        return found[1]

    def _make(self, first: int, end: int) -> tuple[Segment, int] | None:
        before, kept = self._whole(first, end)
        # A layer whose output nobody reads writes it nevertheless.
        if end - first == 1:
            kept = [self.needs.layers[first].output]
        layers = tuple(self.needs.layers[first:end])
        read = {source for layer in layers for source in layer.inputs}
        segment = Segment(
            layers=layers,
            kept=frozenset(kept),
            streamed={t: slots for t, slots in self.needs.streamed.items() if t in read},
        )
        if segment.slots is None:
            return None
        words, last = self.needs.words, self.needs.last_use
        total = sum(words[t] for t in before + kept) + segment.work_words
        saved = 0
        for output in kept:
            for source in segment.inputs:
                if last[source] >= end:
                    continue
                if (trail := segment.trail(output, source)) is not None:
                    both = max(words[output], words[source] + trail.gap)
                    saved = max(saved, words[output] + words[source] - both)
        return segment, total - saved
