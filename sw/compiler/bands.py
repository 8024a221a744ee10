"""Single rows of a layer, with tensors of which only a few rows are in memory.

A tensor that is kept in part has so many *slots* of a row each; row ``r`` lies in slot
``r mod slots``.  Nothing in the hardware knows of that: a row's descriptor has the addresses of the
slots that it reads and writes.

A depthwise window's three rows are read with one distance between them, so three slots are right
for them: whichever holds the first row, the window lies in memory turned by 0, 1 or 2 rows, and so
do the kernel's rows then, which come with every row anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hw.command import ADDRESS_BITS, Mode
from sw.compiler.addition import rectangles
from sw.compiler.layers import Command, Geometry, Layer

__all__ = ["WINDOW_SLOTS", "band", "can_read"]

WINDOW_SLOTS = 3
"""Slots of a tensor that a depthwise layer reads, if it is not whole."""


def can_read(layer: Layer, slots: int, rows: int) -> bool:
    """Whether a layer can read single rows of a tensor of so many rows kept in so many slots."""
    geometry = layer.geometry
    if geometry is None:
        return False
    if slots >= rows or geometry.kernel == 1:
        return True
    return layer.rotated is not None and slots == WINDOW_SLOTS


def band(layer: Layer, row: int, slots: Mapping[int, int]) -> tuple[Command, ...]:
    """Return the commands that make one row of a layer's output.

    Parameters
    ----------
    layer : Layer
        With a geometry.
    row : int
    slots : mapping
        Slots of tensors of which only some rows are kept.

    Returns
    -------
    tuple of Command
        Offsets are from the beginnings of the tensors' slots.
    """
    geometry = layer.geometry
    assert geometry is not None

    def slot(tensor: int, of: int) -> int:
        return of % slots[tensor] if tensor in slots else of

    target = slot(layer.output, row) * geometry.output_pitch
    if layer.commands[0].mode == Mode.ADD:
        return _sums(layer, row, slots, geometry)
    source = layer.inputs[0]
    first = row * geometry.stride - geometry.top
    if layer.rotated is not None:
        return _window_row(layer, row, slots.get(source), target, geometry)
    return tuple(
        replace(
            command,
            fields={**command.fields, "height": 1},
            input_offset=command.input_offset + slot(source, first) * geometry.input_pitch,
            output_offset=command.output_offset + target,
        )
        for command in layer.commands
    )


def _window_row(
    layer: Layer, row: int, slots: int | None, target: int, geometry: Geometry
) -> tuple[Command, ...]:
    """Return a row of windows of a depthwise layer."""
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
        result.append(
            replace(
                command,
                fields=fields,
                input_offset=offset,
                output_offset=command.output_offset + target,
            )
        )
    return tuple(result)


def _sums(
    layer: Layer, row: int, slots: Mapping[int, int], geometry: Geometry
) -> tuple[Command, ...]:
    """Return a row of sums; for each code of the layer, as a whole layer has them."""

    def begin(tensor: int) -> int:
        return (row % slots[tensor] if tensor in slots else row) * geometry.output_pitch

    result = []
    # The first rectangle of each code stands for all of them.
    for command in {id(command.blocks[0]): command for command in layer.commands}.values():
        assert command.second is not None
        for start, height, width in rectangles(geometry.output_pitch):
            result.append(
                replace(
                    command,
                    fields={**command.fields, "height": height, "width": width},
                    input_offset=begin(command.input) + start,
                    second_offset=begin(command.second) + start,
                    output_offset=begin(command.output) + start,
                )
            )
    return tuple(result)
