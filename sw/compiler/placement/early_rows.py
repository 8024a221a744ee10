"""The first rows of the first layer before all others, so that the next input can come early.

If nothing but the host writes to an input's place, the next input may come as soon as what it
replaces has been read for the last time (:mod:`sw.compiler.timing.overlap`).  A link is slower than
the core: a host that writes in ascending order stays behind the first layer if it begins behind it.
A layer whose outputs are made in several passes over its input reads the first rows again at its
very end, so it is cut in two: all passes over its first rows, then all over the others.
"""

from __future__ import annotations

from dataclasses import replace

from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from sw.compiler.lowering.layers import Command, LoweredLayer
from sw.compiler.placement.segments import BETWEEN_DESCRIPTORS
from sw.compiler.program.encoding import command_words
from sw.compiler.program.layout import InputLayout

__all__ = ["WORD_PACE", "first_rows_early"]

WORD_PACE = 128
"""Cycles a word takes at least to come over the link: half of what it takes at 12 Mbaud and 39 MHz,
which is 260."""


def first_rows_early(layer: LoweredLayer, layout: InputLayout, config: CoreConfig) -> LoweredLayer:
    """Return a layer whose passes over its first rows come before all others.

    So many rows that a host that begins behind them does not get to the others before the layer's
    end.  The layer stays as it is where its weights, which come twice then, cost more than that
    is worth.
    """
    geometry = layer.geometry
    if geometry is None or layer.by_row or any(c.mode != Mode.SYSTOLIC for c in layer.commands):
        return layer
    height = geometry.output_rows
    word = config.flash_read.halfword * config.lanes

    def cycles(rows: int) -> int:
        """Return about what so many rows of the output take."""
        result = 0
        for c in layer.commands:
            array = c.steps * c.passes * c.fields["width"] * rows
            result += max(array, command_words(c.blocks, config.lanes) * word) + BETWEEN_DESCRIPTORS
        return result

    # The host gets on by so many cycles while it writes the words that a row of outputs uses up.
    behind = WORD_PACE * geometry.stride * layout.row_pitch
    early = next((n for n in range(1, height) if behind * n >= cycles(height - n)), height)
    cost = cycles(early) + cycles(height - early) - cycles(height)
    if early == height or cycles(height) - cycles(early) < cost:
        return layer

    def part(command: Command, first: int, count: int) -> Command:
        return replace(
            command,
            fields={**command.fields, "height": count},
            input_offset=command.input_offset + first * geometry.stride * geometry.input_pitch,
            output_offset=command.output_offset + first * geometry.output_pitch,
        )

    parts = ((0, early), (early, height - early))
    return replace(
        layer, commands=tuple(part(c, *rows) for rows in parts for c in layer.commands)
    )
