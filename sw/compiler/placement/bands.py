"""Single rows of a layer, with tensors of which only a few rows are in memory.

A tensor that is kept in part has so many *slots* of a row each; row ``r`` lies in slot
``r mod slots``.  Nothing in the hardware knows of that: a row's descriptor has the addresses of the
slots that it reads and writes.

A depthwise window's three rows are read with one distance between them, so three slots are right
for them: whichever holds the first row, the window lies in memory turned by 0, 1 or 2 rows, and so
do the kernel's rows then, which come with every row anyway.  The window's first row has been read
for the last time then, and the row that is made of it can take its slot: the depthwise output is a
*guest* of its input and needs no memory of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hw.contract.words import ADDRESS_BITS
from sw.compiler.lowering.addition import rectangles
from sw.compiler.lowering.layers import Command, Geometry, LoweredLayer, Where
from sw.compiler.program.tensors import Place

__all__ = ["WINDOW_SLOTS", "Places", "band", "can_read"]

WINDOW_SLOTS = 3
"""Slots of a tensor that a depthwise layer reads, if it is not whole."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Places of rows of tensors.

    Attributes
    ----------
    slots : mapping
        Slots of tensors of which only some rows are kept.
    guests : mapping
        Depthwise outputs that lie in their inputs' slots, with the layers that write them.
    """

    slots: Mapping[Place, int]
    guests: Mapping[Place, LoweredLayer] = field(default_factory=dict)

    def at(self, tensor: Place, row: int, pitch: int) -> tuple[Place, int]:
        """Return the place whose memory a row lies in, and how many words from its beginning."""
        if (layer := self.guests.get(tensor)) is not None:
            assert layer.geometry is not None
            slot = (row * layer.geometry.stride - layer.geometry.top) % WINDOW_SLOTS
            return layer.inputs[0], slot * layer.geometry.input_pitch
        return tensor, (row % self.slots[tensor] if tensor in self.slots else row) * pitch


def can_read(layer: LoweredLayer, slots: int, rows: int) -> bool:
    """Whether a layer can read single rows of a tensor of so many rows kept in so many slots."""
    geometry = layer.geometry
    if geometry is None:
        return False
    if slots >= rows or geometry.kernel == 1 or layer.by_row is not None:
        return True
    return layer.rotated is not None and slots == WINDOW_SLOTS


def band(layer: LoweredLayer, row: int, places: Places) -> tuple[Command, ...]:
    """Return the commands that make one row of a layer's output.

    Parameters
    ----------
    layer : LoweredLayer
        With a geometry.
    row : int
    places : Places

    Returns
    -------
    tuple of Command
        Offsets are from the beginnings of what ``places`` says.
    """
    geometry = layer.geometry
    assert geometry is not None
    if layer.commands[0].second is not None:
        return _sums(layer, row, places, geometry)
    if layer.by_row is not None:
        return _by_row(layer.by_row, layer, row, places, geometry)
    output, target = places.at(layer.output, row, geometry.output_pitch)
    if layer.rotated is not None:
        commands = _window_row(layer, row, places.slots.get(layer.inputs[0]), geometry)
    else:
        first = row * geometry.stride - geometry.top
        source, offset = places.at(layer.inputs[0], first, geometry.input_pitch)
        commands = [
            replace(
                command,
                fields={**command.fields, "height": 1},
                input=source,
                input_offset=command.input_offset + offset,
            )
            for command in layer.commands
        ]
    return tuple(
        replace(c, output=output, output_offset=c.output_offset + target) for c in commands
    )


def _by_row(
    make: Callable[[int, Where], tuple[Command, ...]],
    layer: LoweredLayer,
    row: int,
    places: Places,
    geometry: Geometry,
) -> tuple[Command, ...]:
    """Return a row of a layer that copies its input's rows, wherever they are."""
    (source,) = layer.inputs
    output, target = places.at(layer.output, row, geometry.output_pitch)
    first = row * geometry.output_pitch
    return tuple(
        replace(c, output=output, output_offset=c.output_offset + target - first)
        if c.output == layer.output else c
        for c in make(row, lambda r: places.at(source, r, geometry.input_pitch))
    )


def _window_row(
    layer: LoweredLayer, row: int, slots: int | None, geometry: Geometry
) -> list[Command]:
    """Return a row of windows of a depthwise layer, with the output's rows left out."""
    assert layer.rotated is not None
    first = row * geometry.stride - geometry.top
    last_read = first + geometry.kernel - 1
    above, below = first < 0, last_read >= geometry.input_rows
    pitch = geometry.input_pitch
    commands = layer.commands
    start, distance = first, pitch
    if slots is not None:
        turn = first % slots
        # The row above is in no slot: what is read there is not used.
        start = -1 if above else turn
        if not above and not below and turn:
            commands, start = layer.rotated(turn), 0
        elif not above and below and turn == slots - 1:
            # Two rows, the second one in the first slot.
            distance = -turn * pitch
    result = []
    for command in commands:
        fields = {
            **command.fields,
            "height": 1,
            "pad_top": above,
            "pad_bottom": below,
            "step_inner": distance,
            "step_middle": (command.fields["step_middle"] + 2 * (pitch - distance))
            % (1 << ADDRESS_BITS),
        }
        offset = command.input_offset + (geometry.top + start) * pitch
        result.append(replace(command, fields=fields, input_offset=offset))
    return result


def _sums(layer: LoweredLayer, row: int, places: Places, geometry: Geometry) -> tuple[Command, ...]:
    """Return a row of sums; for each code of the layer, as a whole layer has them."""
    pitch = geometry.output_pitch
    result = []
    # The first rectangle of each code stands for all of them.
    for command in {id(command.blocks[0]): command for command in layer.commands}.values():
        assert command.second is not None
        first, first_offset = places.at(command.input, row, pitch)
        second, second_offset = places.at(command.second, row, pitch)
        output, output_offset = places.at(command.output, row, pitch)
        for start, height, width in rectangles(pitch):
            result.append(
                replace(
                    command,
                    fields={**command.fields, "height": height, "width": width},
                    input=first,
                    input_offset=first_offset + start,
                    second=second,
                    second_offset=second_offset + start,
                    output=output,
                    output_offset=output_offset + start,
                )
            )
    return tuple(result)
