"""Lowering of depthwise convolutions of up to 3×3 to the DEPTHWISE modes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from common.arrays import Ints
from hw.contract.blocks import Block
from hw.contract.modes import Mode, minimum_steps
from hw.contract.taps import window_ages, window_steps
from sw import ir
from sw.compiler.graph.refusals import Rule
from sw.compiler.lowering.by_words import lower_by_words
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import (
    WEIGHTS_SPLIT,
    Command,
    Geometry,
    LoweredLayer,
    Trail,
    blocks_of,
    distribute,
    furthest,
)
from sw.compiler.lowering.site import WeightedSite
from sw.compiler.lowering.turns import MAX_COUNT

__all__ = ["INPUT_SIZE", "lower_depthwise", "place_weights", "supports"]


@dataclass(frozen=True)
class _Window:
    """Place of a smaller kernel in one of 3×3, with zeros around it.

    Attributes
    ----------
    row, column : int
        Of the kernel's first weight.
    padding : ((top, bottom), (left, right))
        Of the 3×3 kernel, at most one row or column.
    """

    row: int
    column: int
    padding: ir.Padding


def supports(op: ir.DepthwiseConv2D, kernel: tuple[int, ...]) -> bool:
    """Whether the depthwise modes run a depthwise convolution as it is."""
    return tuple(kernel) == (3, 3) and _window(op, kernel) is not None


def _window(op: ir.DepthwiseConv2D, kernel: tuple[int, ...]) -> _Window | None:
    """Return how the depthwise modes run a depthwise convolution, if they do.

    Columns have stride 1 or 2; rows are descriptors' increments.
    """
    rows, columns = (
        _places(size, pads) for size, pads in zip(kernel, op.padding, strict=True)
    )
    if op.depth_multiplier != 1 or op.dilation != (1, 1) or op.stride[1] > 2:
        return None
    if rows is None or columns is None:
        return None
    return _Window(rows[0], columns[0], (rows[1], columns[1]))


def _places(size: int, pads: tuple[int, int]) -> tuple[int, tuple[int, int]] | None:
    """Return where so many weights stand among three, and the padding of the three."""
    for before in range(4 - size):
        padding = pads[0] + before, pads[1] + 3 - size - before
        if max(padding) <= 1:
            return before, padding
    return None


def _edges(size: int, stride: int, before: int, output: int) -> tuple[int, bool, bool, bool]:
    """Return how the windows of one row lie, which the hardware always starts at the edge.

    Returns
    -------
    windows : int
        With those that give no output.
    reaches : bool
        The last window that gives output reaches one column into the padding.
    skip_first, skip_last : bool
    """
    windows = -(-size // stride)
    skip_first = stride == 1 and before == 0
    skip_last = windows - skip_first > output
    last_column = (output - 1) * stride - before + 2
    return windows, last_column >= size, skip_first, skip_last


def _slots(mode: Mode, odd: bool, steps: int) -> npt.NDArray[np.intp]:
    """Return the tap (row × 3 + column) that each array row sees in each step; −1 for none."""
    ages = window_ages(mode, odd=odd)
    base = minimum_steps(mode)
    result = np.full((steps, 2), -1, np.intp)
    for step, taps in enumerate(window_steps(mode)[:steps]):
        for row, (age, kernel_row) in enumerate(taps):
            # Optional steps are for array row 0 alone.
            if age in ages and (row == 0 or step < base):
                result[step, row] = kernel_row * 3 + ages.index(age)
    return result


def _fields(
    site: WeightedSite, strides: tuple[int, int], padding: ir.Padding, words: int
) -> dict[str, Any]:
    """Return the fields of the layer's descriptors but steps, blocks and bases.

    Parameters
    ----------
    site : WeightedSite
    strides : (rows, columns)
    padding : Padding
    words : int
        Of a pixel.
    """
    y = site.output_tensor
    height, width = site.view.tensor.shape[1:3]
    (top, _), (left, _) = padding
    (down, stride), pitch = strides, width * words
    windows, reaches, skip_first, skip_last = _edges(width, stride, left, y.shape[2])
    return {
        "mode": Mode.DEPTHWISE if stride == 1 else Mode.DEPTHWISE_STRIDE2,
        "pad_left": left == 1,
        "pad_right": reaches,
        "pad_top": top == 1,
        "pad_bottom": (y.shape[1] - 1) * down - top + 2 >= height,
        "skip_first": skip_first,
        "skip_last": skip_last,
        "odd": stride == 2 and left == 1,
        "inner": 3,
        "middle": width,
        "width": windows,
        "height": y.shape[1],
        "step_inner": pitch,
        "step_middle": words - 2 * pitch,
        "step_row": (down - 2) * pitch - (width - 1) * words,
        "output_step": words,
        **site.descriptor_fields(),
    }


INPUT_SIZE = Rule(
    f"The input of a depthwise convolution of up to 3x3 must be at most {MAX_COUNT}x{MAX_COUNT} "
    "pixels",
    "use smaller images",
)


def lower_depthwise(ctx: Context, site: WeightedSite) -> LoweredLayer:
    """Lower a depthwise convolution."""
    op, y = site.op, site.output_tensor
    assert isinstance(op, ir.DepthwiseConv2D)
    window = _window(op, site.kernel)
    if window is None:
        return lower_by_words(ctx, site)
    height, width, channels = site.view.tensor.shape[1:]
    if max(height, width) > MAX_COUNT:
        raise site.refuse(INPUT_SIZE, f"it is {height}x{width}")
    (top, _), (left, _) = window.padding
    words = ctx.words(channels)
    pitch = width * words
    fields = _fields(site, op.stride, window.padding, words)
    columns = ctx.config.columns
    padded = np.zeros((words * columns, 3, 3), np.int64)
    rows = slice(window.row, window.row + site.kernel[0])
    across = slice(window.column, window.column + site.kernel[1])
    padded[:channels, rows, across] = site.coded_weights.reshape(channels, *site.kernel)
    groups = padded.reshape(words, columns, 3, 3)

    # Every third row has the same one.
    @cache
    def rotated(shift: int) -> tuple[Command, ...]:
        """Return the commands for a window whose rows lie in memory turned by ``shift``."""
        kernels = np.roll(groups, shift, axis=2).reshape(words, columns, 9)
        return _commands(site, fields, kernels, -top * pitch)

    return LoweredLayer(
        name=op.name,
        kind=op.kind,
        macs=site.macs,
        inputs=(site.view.place,),
        output=site.output,
        output_rows=y.shape[1],
        commands=rotated(0),
        geometry=Geometry(
            kernel=3,
            stride=op.stride[0],
            top=top,
            input_rows=height,
            output_rows=y.shape[1],
            input_pitch=pitch,
            output_pitch=y.shape[2] * words,
        ),
        rotated=rotated,
        in_place=Trail(
            words * _trail((height, width), (y.shape[1], y.shape[2]), op.stride, (top, left)),
            words,
        ),
    )


def _trail(
    size: tuple[int, int],
    output: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> int:
    """Return how many pixels before the input the output has to begin in order to lie over it.

    Blocks of channels follow each other, and each is read and written by itself: so pixels count.
    The one that is overwritten must have been read for the last time, by windows up to the one
    that is written.
    """
    row, column = (np.arange(length) for length in size)
    last_row = np.minimum((row + padding[0]) // stride[0], output[0] - 1)
    # Columns are read once for a row of windows, at the latest with the window that they begin.
    last_column = np.minimum((column + padding[1]) // stride[1], output[1] - 1)
    last = last_row[:, None] * output[1] + last_column
    here = row[:, None] * size[1] + column
    return max(0, int((last - here).max()))


def _commands(
    site: WeightedSite, fields: dict[str, Any], kernels: Ints, offset: int
) -> tuple[Command, ...]:
    """Make commands of ranges of blocks with equal numbers of steps."""
    blocks = []
    for group, code in zip(kernels, blocks_of(site.codes, kernels.shape[1]), strict=True):
        placed = place_weights(Mode(fields["mode"]), bool(fields["odd"]), group)
        if placed is None:
            raise site.refuse(WEIGHTS_SPLIT, f"one is {furthest(group)}")
        blocks.append(
            Block(multiplier=code.multiplier, shift=code.shift, bias=code.bias, weights=placed)
        )
    commands = []
    first = 0
    runs = [list(run) for _, run in groupby(blocks, key=lambda block: len(block.weights))]
    for part in (
        tuple(run[at : at + MAX_COUNT]) for run in runs for at in range(0, len(run), MAX_COUNT)
    ):
        commands.append(
            Command(
                fields={**fields, "steps": len(part[0].weights), "blocks": len(part)},
                input=site.view.place,
                input_offset=first + offset,
                output=site.output,
                output_offset=first,
                blocks=part,
            )
        )
        first += len(part)
    return tuple(commands)


def place_weights(mode: Mode, odd: bool, weights: Ints) -> npt.NDArray[np.int8] | None:
    """Place the weights of a block in the fewest steps that hold them."""
    for steps in range(minimum_steps(mode), len(window_steps(mode)) + 1):
        placed = distribute(weights, _slots(mode, odd, steps))
        if placed is not None:
            return placed
    return None
