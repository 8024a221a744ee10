"""Lowering of averages over the whole image to the POOL mode.

:mod:`sw.compiler.exact.averages` finds the integers.
"""

from __future__ import annotations

import numpy as np

from hw.contract.blocks import Block
from hw.contract.modes import Mode, minimum_steps
from sw.compiler.exact.parts import Part
from sw.compiler.lowering.addition import add_parts
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Command, LoweredLayer, scratch_place
from sw.compiler.lowering.site import AverageSite
from sw.compiler.program.tensors import Place

__all__ = ["lower_average"]

IDLE_STEPS = 3
MAX_PIXELS = 256
"""Words of a turn that a descriptor can have."""


def lower_average(ctx: Context, site: AverageSite) -> LoweredLayer:
    """Lower an average over the whole image."""
    pixels, place = site.pixels, site.view.place
    steps = pixels + max(IDLE_STEPS, minimum_steps(Mode.POOL) - pixels)
    limit = min(1024, ctx.config.weight_depth)
    if pixels > MAX_PIXELS or steps > limit:
        raise site.refuse(
            f"it averages {pixels} pixels, more than {min(MAX_PIXELS, limit - IDLE_STEPS)}",
            "use smaller images",
        )
    if site.codes is None:
        raise site.refuse(
            f"no integers give the reference's average of {pixels} pixels for every sum",
            "change the output's scale slightly",
        )
    output, scratch = site.output, scratch_place(site.output)
    commands: list[Command] = []
    for number, part in enumerate(site.codes):
        target = scratch if number else output
        commands += _part_commands(ctx, site, part, steps, target)
        if number:
            commands += add_parts(ctx, site, part.requantisation.act_min, output, scratch)
    words = ctx.tensor_words(site.output)
    return LoweredLayer(
        name=site.op.name,
        kind=site.op.kind,
        macs=0,
        inputs=(place,),
        output=output,
        output_rows=1,
        commands=tuple(commands),
        scratch={scratch: words} if len(site.codes) > 1 else {},
    )


def _part_commands(
    ctx: Context, site: AverageSite, part: Part, steps: int, output: Place
) -> list[Command]:
    """Return the commands that make one part of an average."""
    columns, pixels = ctx.config.columns, site.pixels
    weights = np.zeros((steps, 2, columns), np.int8)
    weights[:pixels, 1] = part.factor
    block = Block(
        multiplier=np.full(columns, part.multiplier, np.int64),
        shift=np.full(columns, part.shift, np.int64),
        bias=np.full(columns, part.bias, np.int64),
        weights=weights,
    )
    words = ctx.words(site.view.tensor.shape[-1])
    return [
        Command(
            fields={
                "mode": Mode.POOL,
                "shared": True,
                "steps": steps,
                "inner": pixels,
                "middle": 1,
                "width": 1,
                "height": 1,
                "blocks": min(256, words - first),
                "step_inner": words,
                "output_step": 1,
                **site.descriptor_fields(part.requantisation),
            },
            input=site.view.place,
            input_offset=first,
            output=output,
            output_offset=first,
            blocks=(block,),
        )
        for first in range(0, words, 256)
    ]
