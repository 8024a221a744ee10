"""Lowering of layers some of whose channels are made in pieces (:mod:`sw.compiler.exact.pieces`).

The blocks with such channels run once for each range of outputs, clamped to it, with the constants
that are right in it; what each range has more than its least output is added up.  The other
blocks run once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from hw.contract.modes import Mode
from sw.compiler.graph.refusals import Rule
from sw.compiler.lowering.addition import add_parts
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Command, LoweredLayer, scratch_place
from sw.compiler.lowering.site import WeightedSite

__all__ = ["RUN_TWICE", "clamped", "lower_in_pieces", "refuse_reread", "split"]

PIECES = 1
"""Number of the scratch place: a layer may have another one for itself."""


RUN_TWICE = Rule(
    "Where a channel has no integers that are right for all of its sums, the blocks of the layer "
    "must be able to run twice",
    "use a slightly larger output scale",
)


def lower_in_pieces(
    ctx: Context, site: WeightedSite, lower: Callable[[WeightedSite], LoweredLayer]
) -> LoweredLayer:
    """Lower an operator whose channels are right in ranges of outputs.

    Parameters
    ----------
    ctx : Context
    site : WeightedSite
    lower : callable
        Lowers a site that has the codes of one range.

    Raises
    ------
    UnsupportedError
        If the operator's commands cannot be run several times.
    """
    encoded, output = site.encoded, site.requantisation
    ends = (output.act_min, *encoded.tops, output.act_max)
    layers = [lower(replace(site, top=top, whole=site)) for top in ends[1:]]
    first = layers[0]
    refuse_reread(site, first.commands)
    words = ctx.words(site.output_tensor.shape[-1])
    blocks = {channel // ctx.config.columns for channel in encoded.pieces}
    scratch = scratch_place(site.output, PIECES)
    commands: list[Command] = []
    for command in first.commands:
        if command.output != site.output:
            commands.append(command)
            continue
        for own, part in split(command, words, blocks):
            commands.append(clamped(part, ends[0], ends[1]) if own else part)
    prepared = _prepared_once(site, first.commands)
    for layer, low, high in zip(layers[1:], ends[1:], ends[2:], strict=False):
        for command in layer.commands:
            if command.output == site.output:
                commands += [
                    replace(clamped(part, low, high), output=scratch)
                    for own, part in split(command, words, blocks)
                    if own
                ]
            elif not prepared:
                commands.append(command)
        for block in sorted(blocks):
            commands += add_parts(ctx, site, low, site.output, scratch, block)
    return replace(
        first,
        commands=tuple(commands),
        scratch={**first.scratch, scratch: ctx.tensor_words(site.output)},
        geometry=None,
        rotated=None,
        in_place=None,
    )


def refuse_reread(site: WeightedSite, commands: Iterable[Command]) -> None:
    """Refuse commands that read what they wrote, and channels with pieces beside guards."""
    encoded = site.encoded
    again = any(site.output in (command.input, command.second) for command in commands)
    if again or (encoded.guards and encoded.pieces):
        channel = site.reference.name(min(encoded.pieces or encoded.guards))
        raise site.refuse(
            RUN_TWICE,
            f"output channel {channel} has no integers that are right for all of its sums",
        )


def _prepared_once(site: WeightedSite, commands: Iterable[Command]) -> bool:
    """Whether all that products read besides the input is still there when they are done."""
    written = False
    for command in commands:
        if command.output == site.output:
            written = True
        elif written:
            return False
    return True


def clamped(command: Command, low: int, high: int) -> Command:
    """Return a command whose outputs have another clamp."""
    return replace(command, fields={**command.fields, "act_min": low, "act_max": high})


def split(command: Command, words: int, blocks: set[int]) -> Iterator[tuple[bool, Command]]:
    """Yield runs of a command's blocks, and whether they are among those that are named."""
    first, count = command.output_offset % words, command.passes
    marked = [first + number in blocks for number in range(count)]
    records = len(command.blocks) // count
    begin = 0
    while begin < count:
        end = begin + 1
        while end < count and marked[end] == marked[begin]:
            end += 1
        # Only windows of words have an input of their own for each block.
        moved = 0 if command.mode == Mode.SYSTOLIC else begin
        yield (
            marked[begin],
            replace(
                command,
                fields={**command.fields, "blocks": end - begin},
                input_offset=command.input_offset + moved,
                output_offset=command.output_offset + begin,
                blocks=command.blocks[begin * records : end * records],
            ),
        )
        begin = end
