"""Products of weights with words of the input, in SYSTOLIC mode: commands of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from common.arrays import Ints
from hw.contract.blocks import Block
from hw.contract.modes import Mode
from sw.compiler.exact.requantiser import Codes
from sw.compiler.graph.refusals import Rule
from sw.compiler.input.reads import SystolicRead
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import (
    OUTPUT_SIZE,
    WEIGHTS_SPLIT,
    Command,
    Geometry,
    LoweredLayer,
    blocks_of,
    distribute,
    furthest,
)
from sw.compiler.lowering.reading_order import fits, step_limit
from sw.compiler.lowering.site import WeightedSite
from sw.compiler.lowering.turns import MAX_COUNT
from sw.compiler.program.tensors import Place

__all__ = ["PIXELS_IN_PARTS", "SUMS_FIT", "Route", "as_layer", "product_commands"]

MOST_BLOCKS = 256
"""Of a descriptor."""

PIXELS_IN_PARTS = 64
"""Most pixels of an output whose sums are made in parts: their weights come anew for each."""

SUMS_FIT = Rule(
    "The products of an output must fit the weight memory, but in 1x1 convolutions and fully "
    f"connected layers of at most {PIXELS_IN_PARTS} output pixels, whose sums are made in parts",
    "reduce the number of input channels, or choose a core with a larger weight_depth",
)


@dataclass(frozen=True, kw_only=True)
class Route:
    """Route of a product: where it reads and writes, and what becomes of its sums.

    Attributes
    ----------
    input, output : Place
    offset : int
        Words from the output's beginning.
    words : int
        Of a pixel of the output.
    fields : dict
        What descriptors are told of zero points and of outputs.
    """

    input: Place
    output: Place
    offset: int = 0
    words: int
    fields: dict[str, int]

    @classmethod
    def of(cls, ctx: Context, site: WeightedSite) -> Route:
        """Return the route of an operator's own product."""
        return cls(
            input=site.view.place,
            output=site.output,
            words=ctx.words(site.output_tensor.shape[-1]),
            fields=site.descriptor_fields(),
        )


def as_layer(
    site: WeightedSite,
    commands: list[Command],
    geometry: Geometry | None,
    scratch: Mapping[Place, int] | None = None,
) -> LoweredLayer:
    """Return the layer of an operator; without a geometry it is only run as a whole."""
    return LoweredLayer(
        name=site.op.name,
        kind=site.op.kind,
        macs=site.macs,
        inputs=(site.view.place,),
        output=site.output,
        output_rows=site.output_rows,
        commands=tuple(commands),
        scratch=dict(scratch or {}),
        # What is made pixel by pixel, or in two goes, is not made row by row.
        geometry=None if scratch or any(c.fields.get("partial") for c in commands) else geometry,
    )


def product_commands(
    ctx: Context,
    site: WeightedSite,
    codes: Codes,
    weights: Ints,
    size: tuple[int, int],
    read_for: Callable[[Ints], SystolicRead],
    route: Route | None = None,
) -> list[Command]:
    """Make commands of ranges of blocks that read alike.

    Parameters
    ----------
    ctx : Context
    site : WeightedSite
    codes : Codes
    weights : (C, K) int64
        Already multiplied with the codes' factor.
    size : (height, width)
        Windows.
    read_for : callable
        Returns how a block with these (columns, K) weights reads.
    route : Route, optional
        The operator's own unless given.

    Raises
    ------
    UnsupportedError
        If a weight is further beyond int8 than it can be split, or a descriptor has no room.
    """
    columns, route = ctx.config.columns, route or Route.of(ctx, site)
    padded = np.zeros((-(-len(weights) // columns) * columns, weights.shape[1]), np.int64)
    padded[: len(weights)] = weights
    groups = padded.reshape(-1, columns, weights.shape[1])
    reads = [read_for(group) for group in groups]
    parts = list(zip(groups, reads, blocks_of(codes, columns), strict=True))
    commands = []
    for _, run in _runs(parts):
        blocks = []
        for group, read, code in (parts[i] for i in run):
            placed = distribute(group, read.slots)
            if placed is None:
                raise site.refuse(WEIGHTS_SPLIT, f"one is {furthest(group)}")
            blocks += [
                Block(multiplier=code.multiplier, shift=code.shift, bias=code.bias, weights=part)
                for part in np.split(placed, read.parts)
            ]
        command = _command(ctx, site, route, parts[run[0]][1], size, blocks, run[0])
        commands += _pixels(command, size, weights.shape[1] // columns)
    return commands


def _runs(parts: list[tuple[Ints, SystolicRead, Codes]]) -> Iterator[tuple[int, list[int]]]:
    """Group neighbouring blocks that share one way of reading, as many as a descriptor has."""
    for _, run in groupby(range(len(parts)), key=lambda i: id(parts[i][1])):
        indices = list(run)
        for start in range(0, len(indices), MOST_BLOCKS):
            yield indices[start], indices[start : start + MOST_BLOCKS]


def _command(
    ctx: Context,
    site: WeightedSite,
    route: Route,
    read: SystolicRead,
    size: tuple[int, int],
    blocks: list[Block],
    first_block: int,
) -> Command:
    height, width = size
    if not fits(read, ctx.config):
        raise site.refuse(
            SUMS_FIT,
            f"a sum of {2 * read.steps} products per output channel takes {read.steps} steps of "
            f"weights, the weight memory holds {step_limit(ctx.config)}, and the output is "
            f"{height}x{width}",
        )
    # The parts of a sum are read like the windows of a row.
    partial = {"partial": True, "width": read.parts, "height": 1, "input_zero_point": 0}
    if max(height, width) > MAX_COUNT:
        raise site.refuse(OUTPUT_SIZE, f"it is {height}x{width}")
    return Command(
        fields={
            "mode": Mode.SYSTOLIC,
            **read.fields,
            "width": width,
            "height": height,
            "blocks": len(blocks) // read.parts,
            "output_step": route.words,
            **route.fields,
            **(partial if read.parts > 1 else {}),
        },
        input=route.input,
        input_offset=read.first,
        output=route.output,
        output_offset=route.offset + first_block,
        blocks=tuple(blocks),
    )


def _pixels(command: Command, size: tuple[int, int], words: int) -> list[Command]:
    """Return a command for each pixel, of ``words`` words, if sums are made in parts."""
    if not command.fields.get("partial"):
        return [command]
    return [
        replace(
            command,
            input_offset=command.input_offset + pixel * words,
            output_offset=command.output_offset + pixel * command.fields["output_step"],
        )
        for pixel in range(size[0] * size[1])
    ]
