"""Lowering of ADD; :mod:`sw.compiler.exact.sums` finds the integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hw.contract.modes import Mode, minimum_steps
from sw import golden, ir
from sw.compiler.exact.sums import STEPS, AddCode, find_codes, reference_table
from sw.compiler.graph.partition import Place, offset, zero_point
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Block, Command, Geometry, Layer, Trail

__all__ = ["lower_add", "rectangles"]

SCRATCH = -1
"""Numbers of scratch places start here and go down with the output's number."""

WORK = 2_500_000
"""What the searches for the integers of all ADDs of a network may do, in equal parts."""

MOST_WORK, LEAST_WORK = 50_000, 5_000
"""Those for each, which hardly ever does more than the least."""


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


def lower_add(ctx: Context, op: ir.Add) -> Layer:
    """Lower the sum of two tensors of the same shape."""
    y = ctx.graph.tensors[op.output]
    first, second = ctx.view(op.input1), ctx.view(op.input2)
    a, b = first.tensor, second.tensor
    if a.shape != b.shape or a.shape != y.shape:
        raise ctx.refuse(
            op, f"its operands are {a.shape} and {b.shape}", "make both of the same shape"
        )
    settings = dict(golden.arguments(ctx.graph, op))
    for key, tensor in (("input1", a), ("input2", b), ("output", y)):
        settings[f"{key}_zero_point"] = zero_point(tensor)
    settings["activation_min"] -= offset(y)
    settings["activation_max"] -= offset(y)
    parameters = tuple(sorted((key, int(value)) for key, value in settings.items()))
    core = (ctx.config.acc_bits, ctx.config.fraction_bits)
    sums = sum(isinstance(other, ir.Add) for other in ctx.part.device)
    work = max(LEAST_WORK, min(MOST_WORK, WORK // sums))
    codes = find_codes(parameters, a.q.scale / b.q.scale, b.q.scale / y.q.scale, *core, work)
    if codes is None:
        raise ctx.refuse(
            op,
            f"no integers with up to {STEPS[-1]} steps were found that give the reference's sum "
            "for every pair",
            "change one of the three scales slightly",
        )
    table = reference_table(parameters)
    # Outputs do not fall as operands grow.
    known1, known2 = ctx.range_of(op.input1), ctx.range_of(op.input2)
    ctx.ranges[Place(op.output)] = table[known1 + 128, known2 + 128].astype(np.int64)
    return Layer(
        name=op.name,
        kind=op.kind,
        macs=0,
        inputs=(first.place, second.place),
        output=Place(op.output),
        output_rows=ctx.rows(op.output),
        commands=tuple(_all_commands(ctx, op, codes, first.place, second.place)),
        scratch={_scratch(op): ctx.tensor_words(op.output)} if len(codes) > 1 else {},
        geometry=_geometry(ctx, op),
        # A word is read before the sum is written there, if it is read once.
        in_place=Trail(0) if len(codes) == 1 else None,
    )


def _geometry(ctx: Context, op: ir.Add) -> Geometry | None:
    shape = ctx.graph.tensors[op.output].shape
    if len(shape) != 4:
        return None
    pitch = ctx.tensor_words(op.output) // shape[1]
    return Geometry(
        input_rows=shape[1], output_rows=shape[1], input_pitch=pitch, output_pitch=pitch
    )


def _all_commands(
    ctx: Context, op: ir.Add, codes: Sequence[tuple[AddCode, tuple[int, int]]], a: Place, b: Place
) -> Iterator[Command]:
    output, scratch = Place(op.output), _scratch(op)
    if len(codes) == 1:
        yield from _commands(ctx, op, codes[0], a, b, output)
        return
    above, below, both = codes
    yield from _commands(ctx, op, above, a, b, output)
    yield from _commands(ctx, op, below, a, b, scratch)
    # In place: a word is read before the sum is written there.
    yield from _commands(ctx, op, both, output, scratch, output)


def _scratch(op: ir.Add) -> Place:
    """Return the place of what is added up on the way: no tensor's."""
    return Place(SCRATCH - op.output)


def _commands(
    ctx: Context,
    op: ir.Add,
    coded: tuple[AddCode, tuple[int, int]],
    first: Place,
    second: Place,
    output: Place,
) -> Iterator[Command]:
    code, (act_min, act_max) = coded
    columns = ctx.config.columns
    total = ctx.tensor_words(op.output)
    block = Block(
        multiplier=np.full(columns, code.multiplier, np.int64),
        shift=np.full(columns, code.shift, np.int64),
        bias=np.full(columns, code.bias, np.int64),
        weights=_weights(code, columns),
    )
    for start, height, width in rectangles(total):
        yield Command(
            fields={
                "mode": Mode.ADD,
                "steps": max(code.steps, minimum_steps(Mode.ADD)),
                "inner": 2,
                "middle": 1,
                "width": width,
                "height": height,
                "blocks": 1,
                "output_step": 1,
                **ctx.output_fields(op),
                "output_zero_point": code.zero_point,
                "act_min": act_min,
                "act_max": act_max,
            },
            input=first,
            input_offset=start,
            second=second,
            second_offset=start,
            output=output,
            output_offset=start,
            blocks=(block,),
        )
