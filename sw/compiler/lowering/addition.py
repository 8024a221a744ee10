"""Lowering of ADD; :mod:`sw.compiler.exact.sums` finds the integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hw.contract.blocks import Block
from hw.contract.modes import Mode, minimum_steps
from sw import ir
from sw.compiler.exact.sums import STEPS, AddCode, find_codes
from sw.compiler.graph.refusals import Rule
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Command, Geometry, LoweredLayer, Trail, scratch_place
from sw.compiler.lowering.site import Site, SumSite
from sw.compiler.program.tensors import Place

__all__ = ["SUMS_FOUND", "add_parts", "lower_add", "rectangles", "sum_commands"]

WORK = 2_500_000
"""What the searches for the integers of all ADDs of a network may do, in equal parts."""

MOST_WORK, LEAST_WORK = 50_000, 5_000
"""Those for each, which hardly ever does more than the least."""


SUMS_FOUND = Rule(
    "The core must have integers that give the reference's sum for every pair of integers",
    "change one of the three scales slightly",
)


def _weights(code: AddCode, columns: int) -> npt.NDArray[np.int8]:
    """Split A and B over the steps: row 0 sees the first operand, row 1 the second."""
    weights = np.zeros((code.steps, 2, columns), np.int8)
    for row, total in enumerate((code.first, code.second)):
        for step in range(code.steps):
            part = max(-127, min(127, total))
            weights[step, row] = part
            total -= part
    return weights


def _size(words: int) -> tuple[int, int] | None:
    """Return height and width, at most 256 each, whose product is the number of words."""
    width = next((w for w in range(min(256, words), 0, -1) if words % w == 0), 1)
    return (words // width, width) if words // width <= 256 else None


def rectangles(words: int) -> Iterator[tuple[int, int, int]]:
    """Yield (first word, height, width) of the goes in which so many words are taken."""
    start = 0
    while start < words:
        # Words that make no rectangle are taken in several goes.
        size = next(n for n in range(words - start, 0, -1) if _size(n) is not None)
        yield start, *(_size(size) or (1, 1))
        start += size


def lower_add(ctx: Context, site: SumSite) -> LoweredLayer:
    """Lower the sum of two tensors of the same shape."""
    a, b = (view.tensor for view in site.operands)
    first, second = (view.place for view in site.operands)
    sums = sum(isinstance(other, ir.Add) for other in ctx.part.device)
    work = max(LEAST_WORK, min(MOST_WORK, WORK // sums))
    gain = b.q.scale / site.output_tensor.q.scale
    codes = find_codes(site.reference, a.q.scale / b.q.scale, gain, site.spec, work)
    if codes is None:
        raise site.refuse(SUMS_FOUND, f"none were found with up to {STEPS[-1]} steps")
    words = ctx.tensor_words(site.output)
    return LoweredLayer(
        name=site.op.name,
        kind=site.op.kind,
        macs=0,
        inputs=(first, second),
        output=site.output,
        output_rows=site.output_rows,
        commands=tuple(_all_commands(ctx, site, codes, first, second)),
        scratch={scratch_place(site.output): words} if len(codes) > 1 else {},
        geometry=_geometry(ctx, site),
        # A word is read before the sum is written there, if it is read once.
        in_place=Trail(0) if len(codes) == 1 else None,
    )


def _geometry(ctx: Context, site: SumSite) -> Geometry | None:
    shape = site.output_tensor.shape
    if len(shape) != 4:
        return None
    pitch = ctx.tensor_words(site.output) // shape[1]
    return Geometry(
        input_rows=shape[1], output_rows=shape[1], input_pitch=pitch, output_pitch=pitch
    )


def _all_commands(
    ctx: Context, site: SumSite, codes: Sequence[AddCode], a: Place, b: Place
) -> Iterator[Command]:
    output, scratch = site.output, scratch_place(site.output)
    if len(codes) == 1:
        yield from sum_commands(ctx, site, codes[0], a, b, output)
        return
    above, below, both = codes
    yield from sum_commands(ctx, site, above, a, b, output)
    yield from sum_commands(ctx, site, below, a, b, scratch)
    # In place: a word is read before the sum is written there.
    yield from sum_commands(ctx, site, both, output, scratch, output)


def sum_commands(
    ctx: Context,
    site: Site,
    code: AddCode,
    first: Place,
    second: Place,
    output: Place,
    block: int | None = None,
) -> Iterator[Command]:
    """Yield the commands of one ADD of two places of the size of a site's output.

    Of all words, or of one block's in each pixel.
    """
    columns = ctx.config.columns
    total = ctx.tensor_words(site.output)
    words = 1 if block is None else ctx.words(site.output_tensor.shape[-1])
    codes = Block(
        multiplier=np.full(columns, code.multiplier, np.int64),
        shift=np.full(columns, code.shift, np.int64),
        bias=np.full(columns, code.bias, np.int64),
        weights=_weights(code, columns),
    )
    for start, height, width in rectangles(total // words):
        at = start * words + (block or 0)
        yield Command(
            fields={
                "mode": Mode.ADD,
                "steps": max(code.steps, minimum_steps(Mode.ADD)),
                "inner": 2,
                "middle": 1,
                "width": width,
                "height": height,
                "blocks": 1,
                "output_step": words,
                **site.descriptor_fields(code.requantisation),
            },
            input=first,
            input_offset=at,
            second=second,
            second_offset=at,
            output=output,
            output_offset=at,
            blocks=(codes,),
        )


def add_parts(
    ctx: Context, site: Site, less: int, output: Place, part: Place, block: int | None = None
) -> Iterator[Command]:
    """Yield the commands that add what a part of a function is more than its least output.

    Parameters
    ----------
    ctx : Context
    site : Site
    less : int
        The part's least output.
    output, part : Place
        The sum of the parts before, to which it is added; the part.
    block : int, optional
        Only this word of each pixel.
    """
    code = AddCode(
        first=2,
        second=2,
        steps=minimum_steps(Mode.ADD),
        multiplier=1 << 30,
        shift=0,
        bias=-2 * less,
        requantisation=replace(site.requantisation, zero_point=0, single_rounding=False),
    )
    # In place: a word is read before the sum is written there.
    yield from sum_commands(ctx, site, code, output, part, output, block)
