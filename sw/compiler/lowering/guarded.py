"""Lowering of products some of whose channels have guards (:mod:`sw.compiler.exact.guards`).

A block with such channels is not written to the output: it goes, with its guards, to a scratch
place, and a second product of these few channels adds both up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby

import numpy as np

from common.arrays import Ints
from sw.compiler.exact.guards import GUARD_WEIGHT, SUM_CODES, Guard, hidden
from sw.compiler.exact.requantiser import Codes
from sw.compiler.input.reads import SystolicRead
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Command, scratch_place
from sw.compiler.lowering.products import Route, product_commands
from sw.compiler.lowering.site import WeightedSite
from sw.compiler.program.tensors import Place

__all__ = ["guarded_commands"]

ReadFor = Callable[[Ints], SystolicRead]


def guarded_commands(
    ctx: Context,
    site: WeightedSite,
    weights: Ints,
    spread: Callable[[Ints], Ints],
    size: tuple[int, int],
    read_for: ReadFor,
    sums_read: Callable[[int], ReadFor],
) -> tuple[list[Command], dict[Place, int]]:
    """Make the commands of a product, of which some channels may have guards.

    Parameters
    ----------
    ctx : Context
    site : WeightedSite
    weights : (C, K) int64
        Already multiplied with the codes' factor.
    spread : callable
        Puts weights of inputs where ``read_for`` has them.
    size : (height, width)
        Windows.
    read_for : callable
        See :func:`sw.compiler.lowering.products.product_commands`.
    sums_read : callable
        Returns the same for pixels of so many words that follow each other.

    Returns
    -------
    commands : list of Command
    scratch : dict
        Words by place.
    """
    codes, guards = site.guarded
    columns, route = ctx.config.columns, Route.of(ctx, site)
    count = len(weights)
    commands: list[Command] = []
    most = 0
    blocks = range(-(-count // columns))
    for guarded, run in groupby(blocks, lambda b: any(c // columns == b for c in guards)):
        numbers = list(run)
        if not guarded:
            part = np.arange(numbers[0] * columns, min(count, (numbers[-1] + 1) * columns))
            to = replace(route, offset=numbers[0])
            commands += product_commands(
                ctx, site, codes.at(part), spread(weights[part]), size, read_for, to
            )
            continue
        for block in numbers:
            part = np.arange(block * columns, min(count, (block + 1) * columns))
            own = {int(c) - int(part[0]): guards[int(c)] for c in part if int(c) in guards}
            at = _guard_columns(len(part), own, columns)
            words = ctx.words(max(at.values()) + 1)
            there, back = _detour(site, route, block, words)
            both, rows = _with_guards(codes.at(part), weights[part], own, at, words * columns)
            commands += product_commands(ctx, site, both, spread(rows), size, read_for, there)
            total, taps = _totals(len(part), own, at, words * columns)
            commands += product_commands(ctx, site, total, taps, size, sums_read(words), back)
            most = max(most, size[0] * size[1] * words)
    return commands, {scratch_place(site.output): most} if most else {}


def _detour(site: WeightedSite, route: Route, block: int, words: int) -> tuple[Route, Route]:
    """Return the routes of a block with guards: to scratch, and from there to the output."""
    there = Route(
        input=route.input,
        output=scratch_place(site.output),
        words=words,
        fields=site.descriptor_fields(hidden(site.requantisation)),
    )
    back = replace(
        route,
        input=there.output,
        offset=block,
        fields=route.fields
        | {"input_zero_point": 0, "output_zero_point": 0, "single_rounding": False},
    )
    return there, back


def _guard_columns(channels: int, guards: Mapping[int, Guard], columns: int) -> dict[int, int]:
    """Return where each guard of a block stands: in free columns, or in those of another word."""
    first = channels if channels + len(guards) <= columns else columns
    return {channel: first + number for number, channel in enumerate(guards)}


def _with_guards(
    codes: Codes, weights: Ints, guards: Mapping[int, Guard], at: Mapping[int, int], size: int
) -> tuple[Codes, Ints]:
    """Return the codes and weights of so many columns: a block's channels and its guards."""
    rows = np.zeros((size, weights.shape[1]), np.int64)
    rows[: len(weights)] = weights
    constants = {"multiplier": 1 << 30, "shift": 0, "bias": 0, "factor": 0}
    values = {}
    for name, fill in constants.items():
        of_all = np.full(size, fill, np.int64)
        of_all[: len(weights)] = getattr(codes, name)
        values[name] = of_all
    for channel, guard in guards.items():
        place = at[channel]
        rows[place] = guard.weights
        values["multiplier"][place] = guard.multiplier
        values["shift"][place] = guard.shift
        values["bias"][place] = guard.bias
    ranges = np.full((2, size), 0, np.int64)
    return Codes(output_range=ranges, **values), rows


def _totals(
    channels: int, guards: Mapping[int, Guard], at: Mapping[int, int], size: int
) -> tuple[Codes, Ints]:
    """Return codes and weights that add the guards of a block to its channels."""
    taps = np.zeros((channels, size), np.int64)
    taps[np.arange(channels), np.arange(channels)] = 1
    bias = np.zeros(channels, np.int64)
    for channel, guard in guards.items():
        taps[channel, at[channel]] = GUARD_WEIGHT
        bias[channel] = -GUARD_WEIGHT * guard.quiet
    multiplier, shift = SUM_CODES
    every = np.ones(channels, np.int64)
    return (
        Codes(
            multiplier=multiplier * every,
            shift=shift * every,
            bias=bias,
            factor=every,
            output_range=np.zeros((2, channels), np.int64),
        ),
        taps,
    )
