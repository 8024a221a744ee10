"""Descriptors in the order of execution, with addresses, and the rows of inputs they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sw.compiler.lowering.layers import Command, LoweredLayer
from sw.compiler.placement.arrange import Arrangement, stored_rows
from sw.compiler.placement.chains import Segment
from sw.compiler.program import encoding
from sw.compiler.program.chunks import InputChunk
from sw.compiler.program.layout import InputLayout
from sw.compiler.program.tensors import Place
from sw.compiler.program.work import Work

__all__ = ["ScheduledCommand", "assign_addresses", "execution_order", "input_chunks"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ScheduledCommand:
    """Command of a layer, or of one of its rows, in the order of execution: one descriptor.

    Attributes
    ----------
    layer, segment : int
    command : Command
    row : int or None
        Row of the output, or all of them.
    complete : bool
        With it, the row is complete.
    """

    layer: int
    segment: int
    command: Command
    row: int | None
    complete: bool


def execution_order(
    segments: Sequence[Segment], layers: Sequence[LoweredLayer]
) -> list[ScheduledCommand]:
    """Return the descriptors of a network in the order of execution."""
    number_of = {layer.output: number for number, layer in enumerate(layers)}
    items: list[ScheduledCommand] = []
    for number, segment in enumerate(segments):
        for row, group in groupby(segment.commands(), key=lambda pair: pair[0]):
            commands = [command for _, command in group]
            items += [
                ScheduledCommand(
                    layer=number_of[row.layer.output],
                    segment=number,
                    command=command,
                    row=row.row,
                    complete=command is commands[-1],
                )
                for command in commands
            ]
    return items


def assign_addresses(
    items: Sequence[ScheduledCommand], layers: Sequence[LoweredLayer], arrangement: Arrangement
) -> list[Work]:
    """Return the descriptors with their addresses."""
    memory, segments = arrangement.memory, arrangement.segments
    ring = memory.ring[0]
    result = []
    for item in items:
        descriptor = item.command.descriptor(memory.addresses, last=item is items[-1])
        # What no tensor needs any more is the ring's from here on.
        if memory.tops[item.segment] < ring:
            ring = memory.tops[item.segment]
            descriptor = replace(descriptor, ring_moves=True, ring_first=ring)
        layer = layers[item.layer]
        geometry = layer.geometry
        address, rows = 0, 0
        if item.complete and item.row is None:
            rows = layer.output_rows
            address = memory.addresses[layer.output]
        elif item.complete:
            assert geometry is not None and item.row is not None
            where, offset = segments[item.segment].places.at(
                layer.output, item.row, geometry.output_pitch
            )
            rows, address = 1, memory.addresses[where] + offset
        result.append(
            Work(
                layer=item.layer,
                descriptor=descriptor,
                block_words=tuple(encoding.words_of(block) for block in item.command.blocks),
                first_row=item.row or 0,
                rows=rows,
                address=address,
            )
        )
    return result


def _rows_read(
    items: Sequence[ScheduledCommand], layers: Sequence[LoweredLayer], tensor: Place
) -> dict[int, tuple[int, int]]:
    """Return the rows, first and end, that each descriptor reads of a tensor, where it does."""
    reads: dict[int, tuple[int, int]] = {}
    for descriptor, item in enumerate(items):
        layer = layers[item.layer]
        if tensor in layer.inputs:
            assert layer.geometry is not None and item.row is not None
            reads[descriptor] = layer.geometry.needs(item.row)
    return reads


def input_chunks(
    items: Sequence[ScheduledCommand],
    layers: Sequence[LoweredLayer],
    layout: InputLayout,
    *,
    number: int,
    address: int,
    slots: int,
) -> list[InputChunk]:
    """Divide a streamed input into chunks.

    Parameters
    ----------
    items : sequence of ScheduledCommand
        In the order of execution.
    layers : sequence of LoweredLayer
    layout : InputLayout
        Of the input.
    number : int
        Of the input, among the network's.
    address : int
        Of its rows in memory.
    slots : int
        Rows that memory holds; half of them are a chunk.
    """
    pitch, size = layout.row_pitch, slots // 2
    doubled = stored_rows(layout, slots) - slots
    reads = _rows_read(items, layers, layout.tensor)
    rows = layout.words // pitch
    used = max(end for _, end in reads.values())
    result = []

    def chunk(first: int, count: int, slot: int, gone: int) -> None:
        # Rows above ``gone`` lay there: all windows have to begin below them.
        readers = [n for n, (begin, _) in reads.items() if begin < gone]
        waiting = [n for n, (_, end) in reads.items() if end > first]
        result.append(
            InputChunk(
                after_descriptor=max(readers, default=-1) + 1,
                before_descriptor=min(waiting),
                address=address + slot * pitch,
                first_word=first * pitch,
                words=count * pitch,
                input=number,
            )
        )

    for first in range(0, used, size):
        count = min(size, rows - first)
        gone = first + count - slots
        chunk(first, count, first % slots, gone)
        if first and first % slots == 0 and doubled:
            # For windows that begin before the end and reach beyond it.
            chunk(first, min(doubled, count), slots, gone)
    return result
