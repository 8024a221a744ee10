"""Lowering of layers of any kind some of whose channels have guards.

The blocks with such channels run twice, into scratch places: once as they are, and once with the
guards' weights in their channels' columns.  Both are added up word by word.  Where columns are
free for guards, :mod:`sw.compiler.lowering.guarded` does better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from hw.contract.blocks import Block
from sw.compiler.exact.guards import GUARD_WEIGHT, SUM_CODES, hidden
from sw.compiler.exact.requantiser import Codes
from sw.compiler.exact.sums import AddCode
from sw.compiler.lowering.addition import sum_commands
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Command, LoweredLayer, scratch_place
from sw.compiler.lowering.pieces import clamped, refuse_reread, split
from sw.compiler.lowering.site import WeightedSite
from sw.compiler.program.tensors import Place

__all__ = ["lower_with_guards"]

STEPS = 4
"""Of a sum of an output and its guard, whose weight is no int8."""


def lower_with_guards(
    ctx: Context, site: WeightedSite, lower: Callable[[WeightedSite], LoweredLayer]
) -> LoweredLayer:
    """Lower an operator some of whose channels have guards.

    Parameters
    ----------
    ctx : Context
    site : WeightedSite
    lower : callable
        Lowers a site with given codes and weights.

    Raises
    ------
    UnsupportedError
        If the operator's commands cannot be run twice.
    """
    encoded = site.encoded
    given = encoded.codes, site.coded_weights
    sums = lower(replace(site, whole=site, given=given))
    levels = lower(_of_guards(site))
    refuse_reread(site, sums.commands)
    words = ctx.words(site.output_tensor.shape[-1])
    blocks = {channel // ctx.config.columns for channel in encoded.guards}
    places = scratch_place(site.output, 1), scratch_place(site.output, 2)
    commands: list[Command] = []
    for layer, place in zip((sums, levels), places, strict=True):
        for command in layer.commands:
            if command.output != site.output:
                commands.append(command)
                continue
            for own, part in split(command, words, blocks):
                if own:
                    limits = hidden(site.requantisation)
                    part = clamped(part, limits.act_min, limits.act_max)
                    commands.append(replace(part, output=place))
                elif layer is sums:
                    commands.append(part)
    for block in sorted(blocks):
        commands += _totals(ctx, site, places, block)
    prepared = {
        place: max(layer.scratch.get(place, 0) for layer in (sums, levels))
        for place in {*sums.scratch, *levels.scratch}
    }
    return replace(
        sums,
        commands=tuple(commands),
        scratch=prepared | dict.fromkeys(places, ctx.tensor_words(site.output)),
        geometry=None,
        rotated=None,
        in_place=None,
    )


def _of_guards(site: WeightedSite) -> WeightedSite:
    """Return the site of a layer of guards: other channels are constants."""
    codes, weights = site.encoded.codes, np.zeros_like(site.coded_weights)
    multiplier, shift = np.full_like(codes.multiplier, 1 << 30), np.zeros_like(codes.shift)
    bias = np.zeros_like(codes.bias)
    for channel, guard in site.encoded.guards.items():
        weights[channel] = guard.weights
        multiplier[channel], shift[channel] = guard.multiplier, guard.shift
        bias[channel] = guard.bias
    guards = Codes(
        multiplier=multiplier,
        shift=shift,
        bias=bias,
        factor=codes.factor,
        output_range=codes.output_range,
    )
    return replace(site, whole=site, given=(guards, weights))


def _totals(
    ctx: Context, site: WeightedSite, places: tuple[Place, Place], block: int
) -> Iterator[Command]:
    """Yield the commands that add the guards of a block to its channels, into the output."""
    columns, output = ctx.config.columns, site.requantisation
    multiplier, shift = SUM_CODES
    code = AddCode(
        first=1,
        second=GUARD_WEIGHT,
        steps=STEPS,
        multiplier=multiplier,
        shift=shift,
        bias=0,
        requantisation=replace(output, zero_point=0, single_rounding=False),
    )
    # The level of a channel without a guard is the zero point.
    bias = np.full(columns, -GUARD_WEIGHT * output.zero_point, np.int64)
    for channel, guard in site.encoded.guards.items():
        if channel // columns == block:
            bias[channel % columns] = -GUARD_WEIGHT * guard.quiet
    for command in sum_commands(ctx, site, code, *places, site.output, block):
        (one,) = command.blocks
        own = Block(
            multiplier=one.multiplier, shift=one.shift, bias=bias, weights=one.weights
        )
        yield replace(command, blocks=(own,))
