"""Lowering of operators whose outputs each follow from one integer to the ADD mode.

Both operands are the same tensor: its integers meet eight weights in the four steps that an output
takes at least, each column its own channel's.  Blocks of channels follow each other in one command.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hw.contract.blocks import Block
from hw.contract.modes import Mode, minimum_steps
from sw.compiler.exact.tables import TableCodes
from sw.compiler.graph.partition import zero_point
from sw.compiler.lowering.addition import add_parts, rectangles
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import (
    Command,
    Geometry,
    LoweredLayer,
    Trail,
    scratch_place,
)
from sw.compiler.lowering.table_site import TableSite
from sw.compiler.lowering.turns import MAX_COUNT
from sw.compiler.program.tensors import Place

__all__ = ["lower_elementwise"]

STEPS = minimum_steps(Mode.ADD)


def lower_elementwise(ctx: Context, site: TableSite) -> LoweredLayer:
    """Lower an operator on single integers."""
    shape, words = site.output_tensor.shape, ctx.words(site.view.channels)
    output, scratch = site.output, scratch_place(site.output)
    commands = _commands(ctx, site, site.parts[0], output)
    for part in site.parts[1:]:
        commands += _commands(ctx, site, part, scratch)
        commands += add_parts(ctx, site, zero_point(site.output_tensor), output, scratch)
    alone, pitch = len(site.parts) == 1, math.prod(shape[2:-1]) * words
    image = len(shape) == 4 and max(shape[1:3]) <= MAX_COUNT
    return LoweredLayer(
        name=site.op.name,
        kind=site.op.kind,
        macs=0,
        inputs=(site.view.place,),
        output=output,
        output_rows=site.output_rows,
        commands=tuple(commands),
        scratch={} if alone else {scratch: ctx.tensor_words(output)},
        geometry=Geometry(
            input_rows=shape[1], output_rows=shape[1], input_pitch=pitch, output_pitch=pitch
        ) if alone and image else None,
        # Words of a block are read before they are written, and by no other block.
        in_place=Trail(0, words) if alone else None,
    )


def _commands(ctx: Context, site: TableSite, part: TableCodes, output: Place) -> list[Command]:
    """Return the commands that look up the outputs of one part."""
    shape, words = site.output_tensor.shape, ctx.words(site.view.channels)
    goes = list(rectangles(ctx.tensor_words(site.output) // words))
    if len(shape) == 4 and max(shape[1:3]) <= MAX_COUNT:
        goes = [(0, shape[1], shape[2])]
    blocks = _blocks(ctx, site, part)
    return [
        Command(
            fields={
                "mode": Mode.ADD,
                "steps": STEPS,
                "inner": 2,
                "middle": 1,
                "width": width,
                "height": height,
                "blocks": len(some),
                # The same word twice, and on to the next pixel.
                "step_inner": 0,
                "step_column": words,
                "step_row": words,
                "output_step": words,
                **site.descriptor_fields(part.requantisation),
            },
            input=site.view.place,
            input_offset=start * words + first,
            output=output,
            output_offset=start * words + first,
            blocks=some,
        )
        for start, height, width in goes
        for first in range(0, words, MAX_COUNT)
        for some in [tuple(blocks[first : first + MAX_COUNT])]
    ]


def _blocks(ctx: Context, site: TableSite, codes: TableCodes) -> list[Block]:
    """Return the blocks of all words of a pixel."""
    columns, count = ctx.config.columns, ctx.words(site.view.channels)
    fields = []
    for values, fill in (
        (codes.multiplier, 1 << 30), (codes.shift, 0), (codes.bias, 0), (codes.factor, 0)
    ):
        padded = np.full(count * columns, fill, np.int64)
        padded[: len(values)] = values
        fields.append(padded.reshape(count, columns))
    return [
        Block(multiplier=multiplier, shift=shift, bias=bias, weights=_weights(factor))
        for multiplier, shift, bias, factor in zip(*fields, strict=True)
    ]


def _weights(factor: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """Split factors over the steps and both rows: (steps, rows, columns)."""
    weights = np.zeros((STEPS * 2, len(factor)), np.int8)
    rest = factor.copy()
    for place in weights:
        part = np.clip(rest, -127, 127)
        place[:] = part
        rest -= part
    return weights.reshape(STEPS, 2, -1)
