"""When the next input may be written while the core still runs.

If nothing but the host writes to an input's place, the next input may come as soon as what it
replaces has been read for the last time.  A link is slower than the core: a host that writes in
ascending order stays behind the first layer if it begins behind it.  A layer whose outputs are made
in several passes over its input reads the first rows again at its very end, so it is cut in two:
all passes over its first rows, then all over the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode
from hw.contract.words import ADDRESS_BITS
from sw.compiler.input.layout import InputLayout
from sw.compiler.lowering.layers import Command, Layer
from sw.compiler.placement.descriptors import Item
from sw.compiler.placement.encode import command_words
from sw.compiler.placement.segments import BETWEEN_DESCRIPTORS
from sw.compiler.timing.cycles import Work, descriptor_timings

__all__ = ["PACE", "Overlap", "find", "first_rows_early"]

PACE = 128
"""Cycles a word takes at least to come over the link: half of what it takes at 12 Mbaud and 39 MHz,
which is 260."""

MARGIN = 64
"""Cycles from the decision on a step to its read's being done, and some more."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """From when on the next input may be written while the core runs, and the last result be read.

    Word *k* of those that have to be sent, counted from 0 in ascending order, must not be written
    before ``cycle + k * pace`` cycles have passed since START, or ``k * pace`` cycles since
    DESCRIPTORS was ``layers`` or more.

    Attributes
    ----------
    cycle : int
    pace : int
        Cycles per word.
    layers : int
    results : int
        For so many cycles after START the outputs of the run before can still be read.
    """

    cycle: int
    pace: int
    layers: int
    results: int


def first_rows_early(layer: Layer, layout: InputLayout, config: CoreConfig) -> Layer:
    """Return a layer whose passes over its first rows come before all others.

    So many rows that a host that begins behind them does not get to the others before the layer's
    end.  The layer stays as it is where its weights, which come twice then, cost more than that
    is worth.
    """
    geometry = layer.geometry
    if geometry is None or any(c.mode != Mode.SYSTOLIC for c in layer.commands):
        return layer
    height = geometry.output_rows
    word = latency.FLASH_HALFWORD * config.lanes

    def cycles(rows: int) -> int:
        """Return about what so many rows of the output take."""
        result = 0
        for c in layer.commands:
            array = c.steps * c.passes * c.fields["width"] * rows
            result += max(array, command_words(c.blocks, config.lanes) * word) + BETWEEN_DESCRIPTORS
        return result

    # The host gets on by so many cycles while it writes the words that a row of outputs uses up.
    behind = PACE * geometry.stride * layout.row_pitch
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


def find(
    items: Sequence[Item],
    work: Sequence[Work],
    inputs: Sequence[tuple[int, InputLayout]],
    outputs: Sequence[int],
    ring_words: int,
    config: CoreConfig,
) -> Overlap | None:
    """Return from when on the next input may be written.

    Parameters
    ----------
    items, work : sequence
        Descriptors, in the order of execution.
    inputs : sequence of (address, InputLayout)
        In places that nothing but the host writes to, for the whole program.
    outputs : sequence of int
        Tensors in places that nothing but their layers write to.
    ring_words : int
    config : CoreConfig

    Returns
    -------
    Overlap or None
        ``None`` if it is not before the program's end.
    """
    timings = descriptor_timings(work, ring_words, config)
    last_read = np.zeros(config.memory_depth, np.int64)
    tensors = {layout.tensor: (address, layout) for address, layout in inputs}
    ends = []
    for item, one, timing in zip(items, work, timings, strict=True):
        # No later than this its last step was decided on.
        end = timing.end - timing.requantise
        ends.append(end)
        command, d = item.command, one.descriptor
        if d.mode == Mode.SYSTOLIC and command.input in tensors:
            addresses, ages = _serial_reads(d, config)
            np.maximum.at(last_read, addresses, end - ages)
        else:
            for tensor in (command.input, command.second):
                if tensor in tensors:
                    address, layout = tensors[tensor]
                    last_read[address : address + layout.words] = end
    sent = np.concatenate(
        [address + first + np.arange(n) for address, x in inputs for first, n in x.runs]
    )
    cycle = int(np.max(last_read[sent] - PACE * np.arange(len(sent))))
    layers = int(np.searchsorted(ends, cycle)) + 1
    if layers >= len(work):
        return None
    writer = next(n for n, item in enumerate(items) if item.command.output in outputs)
    return Overlap(
        cycle=cycle + MARGIN,
        pace=PACE,
        layers=layers,
        results=timings[writer - 1].end if writer else 0,
    )


def _serial_reads(d: Descriptor, config: CoreConfig) -> tuple[Ints, Ints]:
    """Return the addresses that a layer's last block reads, and how long before the block's end.

    Returns
    -------
    addresses, ages : (N,) int64
        Cycles from the last step of the window to the last step of all, which is less than from
        the read.
    """
    steps = np.full((d.height, d.width, d.middle, d.inner), d.step_inner, np.int64)
    steps[..., -1] = d.step_middle
    steps[..., -1, -1] = d.step_column
    steps[:, -1, -1, -1] = d.step_row
    offsets = np.cumsum(steps.ravel()) - steps.ravel()
    depth = min(1 << ADDRESS_BITS, config.memory_depth)
    windows = np.arange(d.height * d.width)[::-1] * d.steps
    # Parts of a sum wait for their weights in between.
    ages = np.zeros_like(windows) if d.partial else windows
    return (d.input_base + offsets) % depth, ages.repeat(d.middle * d.inner)
