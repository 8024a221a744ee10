"""Choice of the layout of the input: whole programs are timed and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hw.contract.config import CoreConfig
from hw.contract.registers import HOLD_NEVER
from sw.compiler.graph.partition import zero_point
from sw.compiler.graph.refusals import Refused, Rule
from sw.compiler.input.layout import dense
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import LoweredLayer
from sw.compiler.placement.arrange import Arrangement, Arranger
from sw.compiler.placement.descriptors import (
    ScheduledCommand,
    assign_addresses,
    execution_order,
    input_chunks,
)
from sw.compiler.placement.early_rows import first_rows_early
from sw.compiler.program.chunks import InputChunk
from sw.compiler.program.layout import InputLayout
from sw.compiler.program.overlap import Overlap
from sw.compiler.program.tensors import Place
from sw.compiler.program.work import Work
from sw.compiler.timing import BUS_PACE
from sw.compiler.timing.arrivals import arrivals
from sw.compiler.timing.cycles import layer_cycles
from sw.compiler.timing.overlap import find_overlap

__all__ = ["DESCRIPTORS", "Choice", "choose"]

STREAM_SLOTS = (32, 16, 8)
"""Rows of a streamed input that memory holds: the most that fit."""


DESCRIPTORS = Rule(
    f"A program must have at most {HOLD_NEVER:,} descriptors, which are several for a layer that "
    "runs row by row",
    "use smaller images",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """One way to lay out the inputs, with all that follows from it."""

    layouts: dict[Place, InputLayout]
    layers: list[LoweredLayer]
    arrangement: Arrangement
    items: list[ScheduledCommand]
    work: list[Work]
    chunks: list[InputChunk]
    pinned: bool = False
    overlap: Overlap | None = None

    def cycles(self, config: CoreConfig) -> int:
        """Predict the cycles of the whole program, with a host that brings input at full pace."""
        host = arrivals(self.chunks, BUS_PACE, config)
        return sum(layer_cycles(self.work, self.arrangement.memory.ring_words, config, host))

    def sent_words(self) -> int:
        """Return the words that the host has to send for each inference."""
        if not self.pinned:
            return sum(layout.words for layout in self.layouts.values())
        return sum(count for layout in self.layouts.values() for _, count in layout.runs)

    def spares(self, other: Choice) -> bool:
        """Whether another one need not be tried: it takes more, steps or memory, and saves neither.

        Memory counts at any time: what tensors leave is the ring, which lets the flash run ahead.
        """
        mine, its = self.arrangement.memory.tops, other.arrangement.memory.tops
        if len(mine) != len(its) or self.chunks:
            return False
        pairs = [(self.steps, other.steps), *zip(mine, its, strict=True)]
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    @property
    def steps(self) -> int:
        """Cycles that the array needs."""
        return sum(layer.steps for layer in self.layers)


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """One way to lay out the inputs, before it is known whether it fits.

    Attributes
    ----------
    layouts : dict
        Of all inputs.
    layers : list of LoweredLayer
        They read them so.
    option : InputLayout or None
        The one that the first layer has a choice of.
    """

    layouts: dict[Place, InputLayout]
    layers: list[LoweredLayer]
    option: InputLayout | None = None

    @property
    def words(self) -> int:
        """Words of all inputs."""
        return sum(layout.words for layout in self.layouts.values())


def choose(
    ctx: Context,
    layers: list[LoweredLayer],
    options: Sequence[tuple[InputLayout, LoweredLayer]],
    fixed: Sequence[InputLayout] = (),
    *,
    compact: bool,
) -> Choice:
    """Try every layout of the input and keep the fastest that fits, or the most compact one.

    A layout that takes fewer steps takes more memory, hence leaves a smaller ring, which can cost
    more than it saves: so whole networks are compared, but for those that take more of both than
    another.  What does not fit is tried with a host that writes the rows of the input while the
    first layers run, and waits for it are counted: at the pace of the core's own bus.

    Parameters
    ----------
    ctx : Context
    layers : list of LoweredLayer
        With the first of the options, if there are any.
    options : sequence of (InputLayout, LoweredLayer)
        Ways to run the layer that reads the network's input.
    fixed : sequence of InputLayout
        Layouts of other inputs, by which their layers have been lowered.
    compact : bool
        The fewest words that the host has to send come first, then cycles.

    Raises
    ------
    UnsupportedError
        If nothing fits, with what would.
    """
    ways = _ways(ctx, layers, options, fixed)
    choices = [choice for way in ways for choice in _pinned(ctx, way)] if compact else []
    choices = choices or list(_fitting(ctx, ways, compact))
    longest = choices[0]
    # A longer program never ends.
    choices = [c for c in choices if len(c.work) <= HOLD_NEVER]
    if not choices:
        raise _too_long(longest)
    if compact:
        return min(choices, key=lambda choice: (choice.sent_words(), choice.cycles(ctx.config)))
    choices = [c for c in choices if not any(other.spares(c) for other in choices)]
    if len(choices) == 1:
        return choices[0]
    return min(choices, key=lambda choice: choice.cycles(ctx.config))


def _too_long(choice: Choice) -> Refused:
    """Return the error for a program with more descriptors than the core counts."""
    counts = Counter(item.layer for item in choice.work)
    number, most = counts.most_common(1)[0]
    return Refused({
        choice.layers[number].name: DESCRIPTORS.broken(
            f"its program has {len(choice.work)} descriptors, {most} of them for this layer's rows"
        )
    })


def _ways(
    ctx: Context,
    layers: list[LoweredLayer],
    options: Sequence[tuple[InputLayout, LoweredLayer]],
    fixed: Sequence[InputLayout],
) -> list[Way]:
    """Return the ways to lay out the inputs: for each option, or as every other tensor."""
    layouts = {}
    for index in ctx.part.inputs:
        tensor, channels = ctx.source.tensors[index], ctx.channels.get(index)
        kept = None if channels is None else channels.kept
        layouts[index] = dense(tensor, zero_point(tensor), ctx.config.columns, kept)
    layouts |= {layout.tensor: layout for layout in fixed}
    if not options:
        return [Way(layouts=layouts, layers=layers)]
    return [
        Way(
            layouts=layouts | {layout.tensor: layout},
            layers=[first if layer.output == first.output else layer for layer in layers],
            option=layout,
        )
        for layout, first in options
    ]


def _fitting(ctx: Context, ways: Sequence[Way], compact: bool) -> Iterator[Choice]:
    """Yield the choices that fit, at least one.

    Raises
    ------
    UnsupportedError
        If there is none.
    """
    arrangers = [(Arranger(ctx, way.layers, way.layouts), way) for way in ways]
    large, fits = [], False
    for arranger, way in arrangers:
        found = arranger.find()
        if found is None:
            large.append(way)
        else:
            fits = True
            yield _schedule(way, found)
    if not (fits and compact):
        # What does not fit as a whole may be faster in parts than what does.
        for way in large:
            for choice in _streamed(ctx, way):
                fits = True
                yield choice
    if not fits:
        # The most modest one tells what is missing.
        raise min(arrangers, key=lambda entry: entry[1].words)[0].shortage()


def _pinned(ctx: Context, way: Way) -> Iterator[Choice]:
    """Yield the choice with places for inputs and outputs for the whole run, if it fits."""
    layouts, layers = way.layouts, way.layers
    found = Arranger(ctx, layers, layouts, pinned=True).find()
    if found is None:
        return
    readers = [layer for layer in layers if not layouts.keys().isdisjoint(layer.inputs)]
    first = found.segments[0]
    if len(layouts) == 1 and len(readers) == 1 and not first.is_chain:
        (layout,) = layouts.values()
        early = first_rows_early(first.layers[0], layout, ctx.config)
        found = replace(found, segments=[replace(first, layers=(early,)), *found.segments[1:]])
        layers = [early if layer.output == early.output else layer for layer in layers]
    choice = _schedule(replace(way, layers=layers), found)
    memory = found.memory
    overlap = find_overlap(
        choice.items,
        choice.work,
        [(memory.addresses[index], layouts[index]) for index in ctx.part.inputs],
        ctx.part.outputs,
        memory.ring_words,
        ctx.config,
    )
    yield replace(choice, pinned=True, overlap=overlap)


def _streamed(ctx: Context, way: Way) -> Iterator[Choice]:
    """Yield the choice with rows of the input written while the program runs, if it fits."""
    layout = way.option
    if layout is None or layout.words % layout.row_pitch:
        # There is something before or behind the rows.
        return
    rows = layout.words // layout.row_pitch
    for slots in STREAM_SLOTS:
        if slots >= rows or slots // 2 < max(layout.row_stride, layout.row_kernel):
            continue
        found = Arranger(ctx, way.layers, way.layouts, {layout.tensor: slots}).find()
        if found is not None:
            choice = _schedule(way, found)
            chunks = input_chunks(
                choice.items,
                way.layers,
                layout,
                number=ctx.part.inputs.index(layout.tensor),
                address=found.memory.addresses[layout.tensor],
                slots=slots,
            )
            yield replace(choice, chunks=chunks)
            return


def _schedule(way: Way, arrangement: Arrangement) -> Choice:
    items = execution_order(arrangement.segments, way.layers)
    return Choice(
        layouts=way.layouts,
        layers=way.layers,
        arrangement=arrangement,
        items=items,
        work=assign_addresses(items, way.layers, arrangement),
        chunks=[],
    )
