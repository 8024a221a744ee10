"""Depth-first order: layers of a segment run row by row, so that what lies between is never whole.

A *segment* is a run of neighbouring layers.  One layer by itself is run as a whole.  In a longer
segment, a *chain*, every row of the last output is made as soon as it can be, and for it the rows
of the tensors before that it is made of: of those tensors only a few rows are in memory at a time.
Every row is computed once; what it costs is that weights come from the flash again for each row,
and some cycles for each descriptor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from common.arrays import Ints
from sw.compiler.lowering.layers import Command, LoweredLayer, Trail
from sw.compiler.placement.bands import WINDOW_SLOTS, Places, band, can_read
from sw.compiler.program.tensors import Place

__all__ = ["Row", "Segment"]

@dataclass(frozen=True)
class Row:
    """A row of a layer's output, or (``None``) all of them at once."""

    layer: LoweredLayer
    row: int | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """Neighbouring layers that run together.

    Attributes
    ----------
    layers : tuple of LoweredLayer
    kept : frozenset of Place
        Tensors written here that are needed afterwards, hence whole.
    streamed : mapping
        Slots of inputs whose rows the host writes while the segment runs.
    """

    layers: tuple[LoweredLayer, ...]
    kept: frozenset[Place] = field(default_factory=frozenset)
    streamed: Mapping[Place, int] = field(default_factory=dict)

    @property
    def is_chain(self) -> bool:
        """Whether it runs row by row."""
        return len(self.layers) > 1 or bool(self.streamed)

    @cached_property
    def _written(self) -> dict[Place, LoweredLayer]:
        return {layer.output: layer for layer in self.layers}

    @cached_property
    def inputs(self) -> tuple[Place, ...]:
        """Tensors that are whole in memory before."""
        read = dict.fromkeys(i for layer in self.layers for i in layer.inputs)
        return tuple(i for i in read if i not in self._written)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Rows that are run, in this order."""
        if not self.is_chain:
            return (Row(self.layers[0], None),)
        done = dict.fromkeys(self._written, 0)
        order: list[Row] = []

        def pull(tensor: Place, end: int) -> None:
            layer = self._written[tensor]
            assert layer.geometry is not None
            while done[tensor] < end:
                needs = layer.geometry.needs(done[tensor])[1]
                for source in layer.inputs:
                    if source in self._written:
                        pull(source, needs)
                order.append(Row(layer, done[tensor]))
                done[tensor] += 1

        for layer in (self.layers[-1], *self.layers):
            assert layer.geometry is not None
            pull(layer.output, layer.geometry.output_rows)
        return tuple(order)

    @cached_property
    def _made(self) -> dict[Place, list[int]]:
        """Moments at which the rows of each tensor are made, counted in :attr:`rows`."""
        made: dict[Place, list[int]] = {tensor: [] for tensor in self._written}
        for number, row in enumerate(self.rows):
            made[row.layer.output].append(number)
        return made

    @cached_property
    def slots(self) -> dict[Place, int] | None:
        """Slots of the tensors of which only some rows are kept; ``None`` if that can't be."""
        if not self.is_chain:
            return {}
        if any(layer.geometry is None for layer in self.layers):
            return None
        result = dict(self.streamed)
        for tensor in self._written:
            if tensor not in self.kept:
                slots = self._live(tensor)
                readers = [layer for layer in self.layers if tensor in layer.inputs]
                if any(layer.rotated is not None for layer in readers):
                    slots = max(slots, WINDOW_SLOTS)
                rows = self._rows_of(tensor)
                if not all(can_read(layer, slots, rows) for layer in readers):
                    return None
                result[tensor] = min(slots, rows)
        for layer in self.layers:
            result |= dict.fromkeys(layer.scratch, 1)
        return result

    @cached_property
    def places(self) -> Places:
        """Places of rows; only if :attr:`slots` says that they can lie so."""
        slots = self.slots
        assert slots is not None
        guests = {
            layer.output: layer
            for layer in self.layers
            if layer.output in slots
            and slots.get(layer.inputs[0]) == WINDOW_SLOTS
            and layer.inputs[0] not in self.streamed
            and layer.rotated is not None
            and self._can_stay(layer)
        }
        return Places(slots=slots, guests=guests)

    def _can_stay(self, layer: LoweredLayer) -> bool:
        """Whether a depthwise row is read before its input's next rows come."""
        geometry, source = layer.geometry, layer.inputs[0]
        assert geometry is not None
        if geometry.output_pitch > geometry.input_pitch or any(
            other is not layer and source in other.inputs for other in self.layers
        ):
            return False
        made = np.array(self._made[source])
        last_read = self._last_reads(layer.output, geometry.output_rows)
        taken = np.arange(len(last_read)) * geometry.stride - geometry.top + WINDOW_SLOTS
        late = taken < len(made)
        return not np.any(made[taken[late]] <= last_read[late])

    def _rows_of(self, tensor: Place) -> int:
        geometry = self._written[tensor].geometry
        assert geometry is not None
        return geometry.output_rows

    def _live(self, tensor: Place) -> int:
        """Return the most rows of a tensor that are needed at the same time."""
        made = np.array(self._made[tensor])
        # A row is gone when it and all before it have been read.
        gone = np.maximum.accumulate(self._last_reads(tensor, len(made)))
        before = np.arange(len(made))
        return int(np.max(before + 1 - np.minimum(np.searchsorted(gone, made), before)))

    def _last_reads(self, tensor: Place, rows: int) -> Ints:
        """Return, for each row of a tensor, the number of the last of ``rows`` that reads it."""
        row = np.arange(rows)
        covered = np.full(rows, -1)
        # Rows between windows (1×1 kernels, stride 2) are kept until a window behind them is read.
        passed = np.full(rows, len(self.rows))
        for layer in self.layers:
            if tensor not in layer.inputs:
                continue
            geometry = layer.geometry
            assert geometry is not None
            made = np.array(self._made[layer.output])
            last = np.minimum((row + geometry.top) // geometry.stride, geometry.output_rows - 1)
            ends = last * geometry.stride - geometry.top + geometry.kernel
            covered = np.where(row < ends, np.maximum(covered, made[last]), covered)
            behind = last + (row >= ends)
            known = behind < geometry.output_rows
            passed[known] = np.minimum(passed[known], made[behind[known]])
        # Rows that nobody reads (odd images, stride 2) are gone at once.
        passed[passed == len(self.rows)] = -1
        return np.where(covered < 0, passed, covered)

    def trail(self, output: Place, source: Place) -> Trail | None:
        """Return how a tensor written here may lie over one read here, if it may."""
        if source in self.streamed:
            return None
        if not self.is_chain:
            layer = self.layers[0]
            # A sum reads both operands at the same pace; others read one tensor.
            return layer.in_place if source in layer.inputs else None
        reader = next(layer for layer in self.layers if source in layer.inputs)
        assert reader.geometry is not None
        pitch_in = reader.geometry.input_pitch
        # Rows read by the command that writes are still needed.
        needed = np.maximum.accumulate(self._last_reads(source, reader.geometry.input_rows))
        made = np.array(self._made[output])
        live = np.searchsorted(needed, made)
        gaps = (np.arange(len(made)) + 1) * self.pitch(output) - live * pitch_in
        return Trail(int(np.max(gaps, where=live < len(needed), initial=0)))

    @cached_property
    def work_words(self) -> int:
        """Words of rows that are kept during the segment only, without those of inputs."""
        total = 0
        if self.slots:
            for tensor, slots in self.slots.items():
                if tensor not in self.streamed and tensor not in self.places.guests:
                    total += slots * self.pitch(tensor)
        if not self.is_chain:
            total += sum(self.layers[0].scratch.values())
        return total

    def pitch(self, tensor: Place) -> int:
        """Return the words of a row of a tensor written here, or of a layer's scratch."""
        for layer in self.layers:
            if tensor in layer.scratch and layer.row_scratch is not None:
                return layer.row_scratch
            if tensor == layer.output or tensor in layer.scratch:
                assert layer.geometry is not None
                return layer.geometry.output_pitch
        raise KeyError(tensor)

    def commands(self) -> Iterator[tuple[Row, Command]]:
        """Yield what is run, with offsets from the beginnings of tensors or their slots."""
        for row in self.rows:
            if row.row is None:
                parts: Iterable[Command] = row.layer.commands
            else:
                parts = band(row.layer, row.row, self.places)
            for command in parts:
                yield row, command
