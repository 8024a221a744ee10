"""Lowering of averages over the whole image to the POOL mode.

:mod:`sw.compiler.exact.averages` finds the integers.
"""

from __future__ import annotations

import numpy as np

from hw.contract.blocks import Block
from hw.contract.modes import Mode, minimum_steps
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Command, LoweredLayer
from sw.compiler.lowering.site import AverageSite

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
    if site.code is None:
        raise site.refuse(
            f"no multiplier gives the reference's average of {pixels} pixels for every sum",
            "change the output's scale slightly",
        )
    columns = ctx.config.columns
    weights = np.zeros((steps, 2, columns), np.int8)
    weights[:pixels, 1] = site.code.weight
    block = Block(
        multiplier=np.full(columns, site.code.multiplier, np.int64),
        shift=np.full(columns, site.code.shift, np.int64),
        bias=np.full(columns, site.code.bias, np.int64),
        weights=weights,
    )
    words = ctx.words(site.view.tensor.shape[-1])
    commands = [
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
                **site.descriptor_fields(site.hardware_requantisation),
            },
            input=place,
            input_offset=first,
            output=site.output,
            output_offset=first,
            blocks=(block,),
        )
        for first in range(0, words, 256)
    ]
    return LoweredLayer(
        name=site.op.name,
        kind=site.op.kind,
        macs=0,
        inputs=(place,),
        output=site.output,
        output_rows=1,
        commands=tuple(commands),
    )
