"""Descriptors in the order of execution, with addresses, and the rows of inputs they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sw.compiler import encode
from sw.compiler.arrange import Arrangement, stored_rows
from sw.compiler.chains import Segment
from sw.compiler.cycles import Work
from sw.compiler.inputs import InputLayout
from sw.compiler.layers import Command, Layer
from sw.compiler.program import InputChunk

__all__ = ["Item", "announce", "order", "place"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """One descriptor.

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


def order(segments: Sequence[Segment], layers: Sequence[Layer]) -> list[Item]:
    """Return the descriptors of a network in the order of execution."""
    number_of = {layer.output: number for number, layer in enumerate(layers)}
    items: list[Item] = []
    for number, segment in enumerate(segments):
        for row, group in groupby(segment.commands(), key=lambda pair: pair[0]):
            commands = [command for _, command in group]
            items += [
                Item(
                    layer=number_of[row.layer.output],
                    segment=number,
                    command=command,
                    row=row.row,
                    complete=command is commands[-1],
                )
                for command in commands
            ]
    return items


def place(
    items: Sequence[Item], layers: Sequence[Layer], arrangement: Arrangement
) -> list[Work]:
    """Return the descriptors with their addresses."""
    memory, segments = arrangement.memory, arrangement.segments
    result = []
    for item in items:
        layer = layers[item.layer]
        geometry = layer.geometry
        address, rows = memory.addresses[layer.output], 0
        if item.complete and item.row is None:
            rows = 1 if geometry is None else geometry.output_rows
        elif item.complete:
            assert geometry is not None and item.row is not None
            slots = (segments[item.segment].slots or {}).get(layer.output)
            slot = item.row if slots is None else item.row % slots
            rows, address = 1, address + slot * geometry.output_pitch
        result.append(
            Work(
                layer=item.layer,
                descriptor=item.command.descriptor(memory.addresses, last=item is items[-1]),
                block_words=tuple(encode.words_of(block) for block in item.command.blocks),
                first_row=item.row or 0,
                rows=rows,
                address=address,
            )
        )
    return result


def announce(
    items: Sequence[Item],
    work: Sequence[Work],
    layers: Sequence[Layer],
    layout: InputLayout,
    address: int,
    slots: int,
) -> tuple[list[Work], list[InputChunk]]:
    """Divide a streamed input into chunks.

    Parameters
    ----------
    items, work : sequences
        In the order of execution.
    layers : sequence of Layer
    layout : InputLayout
        Of the input.
    address : int
        Of its rows in memory.
    slots : int
        Rows that memory holds; half of them are a chunk.

    Returns
    -------
    work : list of Work
        With the descriptors that wait for a chunk marked.
    chunks : list of InputChunk
    """
    pitch, size = layout.row_pitch, slots // 2
    doubled = stored_rows(layout, slots) - slots
    # The last row that each descriptor needs, where it reads the input.
    needs: dict[int, int] = {}
    for number, item in enumerate(items):
        layer = layers[item.layer]
        if layout.tensor in layer.inputs:
            assert layer.geometry is not None and item.row is not None
            needs[number] = layer.geometry.needs(item.row)[1]
    result, chunks = list(work), []
    rows = layout.words // pitch
    for first in range(slots, max(needs.values()), size):
        count = min(size, rows - first)
        writes = [(address + first % slots * pitch, first, count)]
        if first % slots == 0 and doubled:
            writes.append((address + slots * pitch, first, min(doubled, count)))
        # Rows are gone when a window has begun below them.
        gone = first + count - slots
        readers = [n for n in needs if _first_row(layers, items[n]) < gone]
        chunks.append(
            InputChunk(tensor=layout.tensor, after=max(readers) + 1, writes=tuple(writes))
        )
        waiting = min(n for n, end in needs.items() if end > first)
        result[waiting] = replace(
            result[waiting], descriptor=replace(result[waiting].descriptor, wait_input=True)
        )
    return result, chunks


def _first_row(layers: Sequence[Layer], item: Item) -> int:
    geometry = layers[item.layer].geometry
    assert geometry is not None and item.row is not None
    return geometry.needs(item.row)[0]
