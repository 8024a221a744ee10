"""Lowering of averages to the POOL mode, or, of windows, to the SYSTOLIC mode.

:mod:`sw.compiler.exact.averages` finds the integers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hw.contract.blocks import Block
from hw.contract.config import CoreConfig
from hw.contract.modes import Mode, minimum_steps
from sw.compiler.exact.parts import Part
from sw.compiler.graph.refusals import Rule
from sw.compiler.input.reads import dense_read
from sw.compiler.lowering.addition import add_parts
from sw.compiler.lowering.average_site import AverageSite
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import OUTPUT_SIZE, Command, LoweredLayer, scratch_place
from sw.compiler.lowering.reading_order import fits, step_limit
from sw.compiler.lowering.turns import MAX_COUNT
from sw.compiler.program.tensors import Place

__all__ = [
    "AVERAGED_PIXELS",
    "AVERAGES_FOUND",
    "WINDOW_FITS",
    "lower_average",
    "most_pixels",
    "most_window_pixels",
]

IDLE_STEPS = 3
MAX_PIXELS = 256
"""Words of a turn that a descriptor can have."""

MOST_ROWS = 64
"""Rows of outputs that are made by a command each."""


AVERAGES_FOUND = Rule(
    "The core must have integers that give the reference's average for every sum of pixels",
    "change the output's scale slightly",
)
AVERAGED_PIXELS = Rule(
    f"An average of an image, its rows or columns must be over at most {MAX_PIXELS} pixels, which "
    "fit the weight memory",
    "use smaller images",
)
WINDOW_FITS = Rule(
    "The pixels of an averaged window must fit the weight memory",
    "use smaller windows, or several layers",
)


def most_pixels(config: CoreConfig) -> int:
    """Return the pixels that an average of an image, its rows or columns may be over."""
    return min(MAX_PIXELS, step_limit(config) - IDLE_STEPS)


def most_window_pixels(config: CoreConfig) -> int:
    """Return the pixels that averaged windows may have."""
    return step_limit(config) // config.lanes


def lower_average(ctx: Context, site: AverageSite) -> LoweredLayer:
    """Lower an average over an image, some of its dimensions, or windows."""
    if site.codes is None:
        raise site.refuse(AVERAGES_FOUND, f"there are none for {site.pixels} pixels")
    output, scratch = site.output, scratch_place(site.output)
    commands: list[Command] = []
    for number, part in enumerate(site.codes):
        target = scratch if number else output
        commands += _part_commands(ctx, site, part, target)
        if number:
            commands += add_parts(ctx, site, part.requantisation.act_min, output, scratch)
    words = ctx.tensor_words(site.output)
    return LoweredLayer(
        name=site.op.name,
        kind=site.op.kind,
        macs=0,
        inputs=(site.view.place,),
        output=output,
        output_rows=site.output_rows,
        commands=tuple(commands),
        scratch={scratch: words} if len(site.codes) > 1 else {},
    )


def _part_commands(
    ctx: Context, site: AverageSite, part: Part, output: Place
) -> Iterator[Command]:
    """Yield the commands that make one part of an average."""
    areas = site.areas
    if areas.whole or (areas.window[1] == areas.stride[1] == 1 and len(areas.rows) <= MOST_ROWS):
        return _of_columns(ctx, site, part, output)
    return _of_windows(ctx, site, part, output)


def _of_columns(ctx: Context, site: AverageSite, part: Part, output: Place) -> Iterator[Command]:
    """Yield commands in the POOL mode: each output is of words at equal distances."""
    areas, words = site.areas, ctx.words(site.view.tensor.shape[-1])
    # The whole of an image is one column of pixels.
    columns = 1 if areas.whole else areas.size[1]
    pitch = columns * words
    steps = site.pixels + max(IDLE_STEPS, minimum_steps(Mode.POOL) - site.pixels)
    most = most_pixels(ctx.config)
    if site.pixels > most:
        raise site.refuse(AVERAGED_PIXELS, f"it averages {site.pixels}, and the core {most}")
    weights = np.zeros((steps, 2, ctx.config.columns), np.int8)
    weights[: site.pixels, 1] = part.factor
    for number, row in enumerate(areas.rows):
        for first in range(0, pitch, MAX_COUNT):
            yield Command(
                fields={
                    "mode": Mode.POOL,
                    "shared": True,
                    "steps": steps,
                    "inner": site.pixels,
                    "middle": 1,
                    "width": 1,
                    "height": 1,
                    "blocks": min(MAX_COUNT, pitch - first),
                    "step_inner": pitch,
                    "output_step": 1,
                    **site.descriptor_fields(part.requantisation),
                },
                input=site.view.place,
                input_offset=row * pitch + first,
                output=output,
                output_offset=number * pitch + first,
                blocks=(_block(part, weights),),
            )


def _of_windows(ctx: Context, site: AverageSite, part: Part, output: Place) -> Iterator[Command]:
    """Yield commands in the SYSTOLIC mode: each word is a convolution with equal weights."""
    areas, config = site.areas, ctx.config
    words, (height, width) = ctx.words(site.view.tensor.shape[-1]), areas.count
    read = dense_read(
        areas.size[1], config.columns, areas.window, areas.stride, width, config.columns,
        distance=words,
    )
    if not fits(read, config):
        raise site.refuse(
            WINDOW_FITS,
            f"it has {site.pixels} pixels, and the core takes {most_window_pixels(config)}",
        )
    if max(height, width) > MAX_COUNT:
        raise site.refuse(OUTPUT_SIZE, f"it is {height}x{width}")
    weights = np.tile(np.diag(np.full(config.columns, part.factor)), (site.pixels, 1))
    block = _block(part, weights.reshape(read.steps, 2, config.columns).astype(np.int8))
    for word in range(words):
        yield Command(
            fields={
                "mode": Mode.SYSTOLIC,
                "width": width,
                "height": height,
                "blocks": 1,
                **read.fields,
                "output_step": words,
                **site.descriptor_fields(part.requantisation),
            },
            input=site.view.place,
            input_offset=word,
            output=output,
            output_offset=word,
            blocks=(block,),
        )


def _block(part: Part, weights: npt.NDArray[np.int8]) -> Block:
    columns = weights.shape[-1]
    return Block(
        multiplier=np.full(columns, part.multiplier, np.int64),
        shift=np.full(columns, part.shift, np.int64),
        bias=np.full(columns, part.bias, np.int64),
        weights=weights,
    )
