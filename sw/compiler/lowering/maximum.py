"""Lowering of MAX_POOL_2D to the ADD mode: max(a, b) is a and what b is more than a.

What b is more than a is a difference, clamped below: two sums for each pixel of a window but the
first.  Both operands of a sum lie at one distance in all windows, so each pixel's are copied first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hw.contract.blocks import Block
from hw.contract.modes import Mode, minimum_steps
from sw import ir
from sw.compiler.graph.refusals import Rule
from sw.compiler.lowering.addition import rectangles
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.frames import HALF, PADDED_SIZE, Frame, Rows, framed
from sw.compiler.lowering.layers import Command, LoweredLayer, scratch_place
from sw.compiler.lowering.maximum_site import MaximumSite
from sw.compiler.lowering.turns import MAX_COUNT
from sw.compiler.program.tensors import Place

__all__ = ["PIXEL_WORDS", "lower_maximum"]

LOWEST = -128
"""What padding is: less than nothing."""

FRAME = 1
"""Number of the scratch place with padding."""


PIXEL_WORDS = Rule(
    f"A pixel of MAX_POOL_2D must have at most {MAX_COUNT} words of memory", "use fewer channels"
)


def lower_maximum(ctx: Context, site: MaximumSite) -> LoweredLayer:
    """Lower a maximum over windows."""
    op, (_, height, width, channels) = site.op, site.view.tensor.shape
    words, size = ctx.words(channels), site.output_tensor.shape[1:3]
    scratch = {scratch_place(site.output): ctx.tensor_words(site.output)}
    source, pitch = site.view.place, width * words
    commands: list[Command] = []
    if max(height, *size) > MAX_COUNT or width + max(op.padding[1]) > MAX_COUNT:
        raise site.refuse(
            PADDED_SIZE,
            f"its input with padding is {height}x{width + max(op.padding[1])}, its output "
            f"{size[0]}x{size[1]}",
        )
    if words > MAX_COUNT:
        raise site.refuse(PIXEL_WORDS, f"it has {words}")
    if op.padding != ir.NO_PADDING:
        (top, bottom), (left, right) = op.padding
        frame = Frame(
            rows=height, width=width, top=top, bottom=bottom, left=left, right=right, words=words
        )
        rows = Rows(
            at=tuple((source, row * pitch) for row in range(height)),
            pitch=pitch,
            distance=words,
            words=tuple(range(words)),
            zero_point=LOWEST,
        )
        source, pitch = scratch_place(site.output, FRAME), frame.pitch * words
        scratch[source] = frame.size
        commands += framed(frame, rows, source, ctx.config)
    commands += _windows(ctx, site, source, pitch)
    return LoweredLayer(
        name=op.name,
        kind=op.kind,
        macs=0,
        inputs=(site.view.place,),
        output=site.output,
        output_rows=site.output_rows,
        commands=tuple(commands),
        scratch=scratch,
    )


def _windows(ctx: Context, site: MaximumSite, source: Place, pitch: int) -> Iterator[Command]:
    """Yield the commands that take the pixels of all windows, one after the other."""
    op, words = site.op, ctx.words(site.view.channels)
    height, width = site.output_tensor.shape[1:3]
    output, other = site.output, scratch_place(site.output)
    for number in range(op.window[0] * op.window[1]):
        row, column = divmod(number, op.window[1])
        yield Command(
            fields={
                **_fields(site, number + 1 == op.window[0] * op.window[1] == 1),
                "width": width,
                "height": height,
                "blocks": words,
                "step_inner": 0,
                "step_column": op.stride[1] * words,
                "step_row": op.stride[0] * pitch - (width - 1) * op.stride[1] * words,
                "output_step": words,
            },
            input=source,
            input_offset=row * pitch + column * words,
            output=other if number else output,
            blocks=(_block(ctx, 1, 1, 0),) * words,
        )
        if number:
            last = number + 1 == op.window[0] * op.window[1]
            yield from _sums(ctx, site, (other, output), other, (2, -2, 2 * LOWEST), clamp=False)
            yield from _sums(ctx, site, (output, other), output, (2, 2, -2 * LOWEST), clamp=last)


def _sums(
    ctx: Context,
    site: MaximumSite,
    operands: tuple[Place, Place],
    output: Place,
    code: tuple[int, int, int],
    *,
    clamp: bool,
) -> Iterator[Command]:
    """Yield sums of whole tensors: half of first · a + second · b + bias."""
    for start, height, width in rectangles(ctx.tensor_words(site.output)):
        yield Command(
            fields={
                **_fields(site, clamp),
                "width": width,
                "height": height,
                "blocks": 1,
                "output_step": 1,
            },
            input=operands[0],
            input_offset=start,
            second=operands[1],
            second_offset=start,
            output=output,
            output_offset=start,
            blocks=(_block(ctx, *code),),
        )


def _fields(site: MaximumSite, clamp: bool) -> dict[str, int]:
    """Return what all commands have in common; outputs have the activation's clamp at the end."""
    output = site.requantisation
    return {
        "mode": Mode.ADD,
        "steps": minimum_steps(Mode.ADD),
        "inner": 2,
        "middle": 1,
        "input_zero_point": 0,
        "output_zero_point": 0,
        "act_min": output.act_min if clamp else -128,
        "act_max": output.act_max if clamp else 127,
    }


def _block(ctx: Context, first: int, second: int, bias: int) -> Block:
    columns = ctx.config.columns
    weights = np.zeros((minimum_steps(Mode.ADD), 2, columns), np.int8)
    weights[0] = np.array([first, second])[:, None]
    return Block(
        multiplier=np.full(columns, HALF, np.int64),
        shift=np.zeros(columns, np.int64),
        bias=np.full(columns, bias, np.int64),
        weights=weights,
    )
