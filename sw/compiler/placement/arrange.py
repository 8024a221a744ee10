"""Arrangement of a network so that it fits: what runs row by row, where all tensors are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.errors import UnsupportedError
from sw.compiler.exact.budget import Budget
from sw.compiler.graph.refusals import Refused
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import LoweredLayer, Trail
from sw.compiler.placement.addresses import (
    MEMORY,
    WORK,
    Buffer,
    MemoryPlan,
    NoArrangement,
    plan_memory,
)
from sw.compiler.placement.chains import Segment
from sw.compiler.placement.segments import Division, Needs
from sw.compiler.program.layout import InputLayout
from sw.compiler.program.tensors import Place

__all__ = ["Arrangement", "Arranger", "stored_rows"]

RING_MINIMUM = 64
"""Words of ring below which the flash could not run ahead of the loader."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrangement:
    """Division into what runs row by row, and the place of everything.

    Attributes
    ----------
    segments : list of Segment
    memory : MemoryPlan
    """

    segments: list[Segment]
    memory: MemoryPlan


class Arranger:
    """Finds a division into segments for which all tensors can be placed.

    Parameters
    ----------
    ctx : Context
    layers : list of LoweredLayer
    layouts : dict
        Of the network's inputs.
    streamed : mapping, optional
        Inputs that the host writes while the first layers run: rows of each that memory holds.
    pinned : bool
        Inputs and outputs have their places for themselves, for the whole run.
    """

    def __init__(
        self,
        ctx: Context,
        layers: list[LoweredLayer],
        layouts: Mapping[Place, InputLayout],
        streamed: Mapping[Place, int] | None = None,
        *,
        pinned: bool = False,
    ) -> None:
        self.ctx = ctx
        self.pinned = pinned
        streamed = streamed or {}
        words = {layer.output: ctx.tensor_words(layer.output) for layer in layers}
        for index, layout in layouts.items():
            rows = streamed.get(index)
            words[index] = layout.words if rows is None else stored_rows(layout, rows) * (
                layout.row_pitch
            )
        self.needs = Needs(
            layers=layers,
            words=words,
            inputs=tuple(layouts),
            outputs=ctx.part.outputs,
            streamed=streamed,
            pinned=pinned,
        )
        self.gaps: NoArrangement | None = None
        self.division = Division(needs=self.needs, config=ctx.config)
        self.limit = ctx.config.memory_depth - RING_MINIMUM
        if pinned:
            # Before they are written.
            self.limit -= sum(words[index] for index in ctx.part.outputs)

    def find(self) -> Arrangement | None:
        """Return the cheapest arrangement that fits, if there is one."""
        config = self.ctx.config
        work = Budget(left=WORK)
        while work.left > 0 and (segments := self.division.best(self.limit)) is not None:
            buffers = _buffers(self.ctx, self.needs, segments)
            try:
                memory = plan_memory(
                    buffers, config.memory_depth, RING_MINIMUM, config.word_bytes, work
                )
            except NoArrangement as error:
                # What fits on paper has gaps: try with less.
                self.limit -= error.excess
                self.gaps = error
            else:
                return Arrangement(segments=segments, memory=memory)
        return None

    def shortage(self) -> UnsupportedError:
        """Return the error that says how much memory would be enough, or that there are gaps."""
        if self.gaps is not None:
            return Refused({_largest(self.ctx, self.needs.layers): self.gaps.broken})
        needed = self.division.least(self.limit)
        fitting = self.division.best(needed)
        assert fitting is not None
        return _shortage(self.ctx, self.division.largest(fitting), needed)


def stored_rows(layout: InputLayout, slots: int) -> int:
    """Return the rows that memory holds of a streamed input.

    Windows do not go round the end: the rows that the last one reads beyond it are there twice.
    """
    return slots + max(0, layout.row_kernel - layout.row_stride)


def _shortage(ctx: Context, segment: Segment, words: int) -> UnsupportedError:
    """Return the error for a network that cannot be made to fit."""
    kilobytes = ctx.config.word_bytes / 1024
    first, last = segment.layers[0], segment.layers[-1]
    where = f"layer {first.name!r}" if first is last else (
        f"layers {first.name!r} to {last.name!r}, run row by row,"
    )
    found = (
        f"{where} and the tensors that are kept meanwhile take "
        f"{words * kilobytes:.0f} KB: the network needs at least "
        f"{(words + RING_MINIMUM) * kilobytes:.0f} KB of activation memory and the core has "
        f"{ctx.config.memory_depth * kilobytes:.0f} KB"
    )
    return Refused({_largest(ctx, segment.layers): MEMORY.broken(found)})


def _largest(ctx: Context, layers: Sequence[LoweredLayer]) -> str:
    """Return the name of the layer with the largest tensors: without it the others may fit."""

    def words(layer: LoweredLayer) -> int:
        return sum(map(ctx.tensor_words, dict.fromkeys((*layer.inputs, layer.output))))

    return max(layers, key=words).name


def _buffers(ctx: Context, needs: Needs, segments: Sequence[Segment]) -> list[Buffer]:
    """Return everything that needs a place: inputs, whole tensors, rows, scratch."""
    last: dict[Place, int] = {}
    for number, segment in enumerate(segments):
        last |= {source: number for layer in segment.layers for source in layer.inputs}
    last |= dict.fromkeys(needs.outputs, len(segments))
    if needs.pinned:
        last |= dict.fromkeys(needs.inputs, len(segments))
    buffers = [
        Buffer(
            tensor=index,
            name=f"tensor {index} (input {ctx.graph.tensors[index].name!r})",
            words=needs.words[index],
            first=0,
            last=last[index],
            pinned=needs.pinned,
        )
        for index in needs.inputs
    ]
    for number, segment in enumerate(segments):
        slots = segment.slots
        assert slots is not None
        for layer in segment.layers:
            index = layer.output
            if segment.is_chain and index in segment.places.guests:
                continue
            rows = slots.get(index)
            words = needs.words[index] if rows is None else rows * segment.pitch(index)
            trails: dict[int, Trail] = {}
            pinned = needs.pinned and index in needs.outputs
            if rows is None and not pinned:
                for source in segment.inputs:
                    trail = segment.trail(index, source)
                    if trail is not None and last[source] == number:
                        trails[source] = trail
            buffers.append(
                Buffer(
                    tensor=index,
                    name=f"tensor {index} (output of {layer.name!r})",
                    words=words,
                    first=0 if pinned else number,
                    last=max(number, last.get(index, number)),
                    trails=trails,
                    pinned=pinned,
                )
            )
            buffers += [
                Buffer(
                    tensor=scratch,
                    name=f"scratch of {layer.name}",
                    words=segment.pitch(scratch) if segment.is_chain else words,
                    first=number,
                    last=number,
                )
                for scratch, words in layer.scratch.items()
            ]
    return buffers
