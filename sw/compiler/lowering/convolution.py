"""Lowering of convolutions and fully connected layers to the SYSTOLIC mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from hw.contract.modes import Mode
from sw import ir
from sw.compiler.exact.requantiser import Codes
from sw.compiler.graph.partition import zero_point
from sw.compiler.input.candidates import candidates
from sw.compiler.input.layout import FirstLayer, Pass, SystolicRead, dense_read
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Block, Command, Geometry, Layer, blocks_of, distribute
from sw.compiler.lowering.turns import contiguous_read, fits, read_in_parts, step_limit
from sw.compiler.program.layout import InputLayout
from sw.compiler.program.tensors import Place

__all__ = ["first_layer", "lower_convolution", "lower_fully_connected"]

Ints = npt.NDArray[np.int64]
Convolution = ir.Conv2D | ir.DepthwiseConv2D
BIAS_BITS = 24
"""Of what the hardware adds to a sum."""
PIXELS_IN_PARTS = 64
"""Most pixels of an output of which single blocks are made with sums in parts."""


def _as_matrix(ctx: Context, op: Convolution) -> Ints:
    """Return weights as (output channel, taps × input channels).

    A depthwise convolution with a depth multiplier becomes a convolution with zeros.
    """
    weights = ctx.weights(op)
    if isinstance(op, ir.DepthwiseConv2D):
        _, height, width, channels = weights.shape
        full = np.zeros((channels, height, width, channels // op.depth_multiplier), np.int64)
        for c in range(channels):
            full[c, :, :, c // op.depth_multiplier] = weights[0, :, :, c]
        weights = full
    return weights.reshape(len(weights), -1)


def _encode(ctx: Context, op: ir.WeightedOp, weights: Ints) -> tuple[Codes, Ints]:
    known = ctx.range_of(op.input)
    repeats = weights.shape[1] // known.shape[1]
    codes = ctx.codes(op, weights, np.tile(known, (1, repeats))[:, None, :])
    return codes, weights * codes.factor[:, None]


def _beyond_int8(weights: Ints) -> npt.NDArray[np.bool_]:
    """Return which taps have a weight that one visit cannot express: (K,) of (columns, K)."""
    return np.asarray(((weights < -128) | (weights > 127)).any(axis=0), np.bool_)


def _command(
    ctx: Context,
    op: ir.WeightedOp,
    read: SystolicRead,
    size: tuple[int, int],
    blocks: list[Block],
    first_block: int,
) -> Command:
    height, width = size
    channels = ctx.graph.tensors[op.output].shape[-1]
    if not fits(read, ctx.config):
        raise ctx.refuse(
            op,
            f"a sum of {2 * read.steps} products per output channel takes {read.steps} steps of "
            f"weights, the weight memory holds {step_limit(ctx.config)}, and sums in parts are "
            f"only for a single output pixel, not for {height}x{width}",
            "reduce the number of input channels, or choose a core with a larger weight_depth",
        )
    # The parts of a sum are read like the windows of a row.
    partial = {"partial": True, "width": read.parts, "height": 1, "input_zero_point": 0}
    if height > 256 or width > 256:
        raise ctx.refuse(
            op, f"its output is {height}x{width}, larger than 256x256", "use smaller images"
        )
    return Command(
        fields={
            "mode": Mode.SYSTOLIC,
            "single_rounding": isinstance(op, ir.FullyConnected),
            "last_steps": read.last_steps,
            "steps": read.steps,
            "inner": read.inner,
            "middle": read.middle,
            "width": width,
            "height": height,
            "blocks": len(blocks) // read.parts,
            "step_inner": read.step_inner,
            "step_middle": read.step_middle,
            "step_column": read.step_column,
            "step_row": read.step_row,
            "output_step": ctx.words(channels),
            **ctx.output_fields(op),
            **(partial if read.parts > 1 else {}),
        },
        input=ctx.part.place(op.input),
        input_offset=read.first,
        output=Place(op.output),
        output_offset=first_block,
        blocks=tuple(blocks),
    )


def _layer(
    ctx: Context,
    op: ir.WeightedOp,
    codes: Codes,
    weights: Ints,
    size: tuple[int, int],
    read_for: Callable[[Ints], SystolicRead],
    geometry: Geometry | None = None,
) -> Layer:
    """Make commands of ranges of blocks that read alike.

    Parameters
    ----------
    weights : (C, K) int64
        Already multiplied with the codes' factor.
    read_for : callable
        Returns how a block with these (columns, K) weights reads.
    geometry : Geometry, optional
        If the layer can be run row by row.
    """
    commands = _commands(ctx, op, codes, weights, size, read_for)
    return _as_layer(ctx, op, commands, geometry)


def _as_layer(
    ctx: Context, op: ir.WeightedOp, commands: list[Command], geometry: Geometry | None
) -> Layer:
    return Layer(
        name=op.name,
        kind=op.kind,
        macs=ctx.macs(op),
        inputs=(ctx.part.place(op.input),),
        output=Place(op.output),
        output_rows=ctx.rows(op.output),
        commands=tuple(commands),
        # What is made pixel by pixel is not made row by row.
        geometry=None if any(c.fields.get("partial") for c in commands) else geometry,
    )


def _commands(
    ctx: Context,
    op: ir.WeightedOp,
    codes: Codes,
    weights: Ints,
    size: tuple[int, int],
    read_for: Callable[[Ints], SystolicRead],
) -> list[Command]:
    """Make commands of ranges of blocks that read alike; arguments as for :func:`_layer`."""
    columns = ctx.config.columns
    padded = np.zeros((-(-len(weights) // columns) * columns, weights.shape[1]), np.int64)
    padded[: len(weights)] = weights
    groups = padded.reshape(-1, columns, weights.shape[1])
    reads = [read_for(group) for group in groups]
    parts = list(zip(groups, reads, blocks_of(codes, columns), strict=True))
    commands = []
    for _, run in _runs(parts):
        blocks = []
        for group, read, code in (parts[i] for i in run):
            placed = distribute(group, read.slots)
            if placed is None:
                raise ctx.refuse(
                    op,
                    "a weight less its zero point is further beyond int8 than the device can split",
                    "quantise the network with symmetric (int8) weights",
                )
            blocks += [
                Block(multiplier=code.multiplier, shift=code.shift, bias=code.bias, weights=part)
                for part in np.split(placed, read.parts)
            ]
        command = _command(ctx, op, parts[run[0]][1], size, blocks, run[0])
        commands += _pixels(command, size, weights.shape[1] // columns)
    return commands


def _pixels(command: Command, size: tuple[int, int], words: int) -> list[Command]:
    """Return a command for each pixel, of ``words`` words, if sums are made in parts."""
    if not command.fields.get("partial"):
        return [command]
    return [
        replace(
            command,
            input_offset=command.input_offset + pixel * words,
            output_offset=command.output_offset + pixel * command.fields["output_step"],
        )
        for pixel in range(size[0] * size[1])
    ]


def _runs(parts: list[tuple[Ints, SystolicRead, Codes]]) -> Iterator[tuple[int, list[int]]]:
    """Group neighbouring blocks that share one way of reading, at most 256 in a group."""
    for _, run in groupby(range(len(parts)), key=lambda i: id(parts[i][1])):
        indices = list(run)
        for start in range(0, len(indices), 256):
            yield indices[start], indices[start : start + 256]


def first_layer(ctx: Context, op: Convolution) -> list[tuple[InputLayout, Layer]]:
    """Lower a convolution of the network's input, in every layout of the input."""
    x, y = ctx.view(op.input).tensor, ctx.graph.tensors[op.output]
    kernel = ctx.graph.tensors[op.weights].shape[1:3]
    channels = x.shape[3]
    if (taps := kernel[0] * kernel[1] * channels) > ctx.config.rows * step_limit(ctx.config):
        raise ctx.refuse(
            op,
            f"a sum of {taps} products per output channel is more than the weight memory has steps "
            f"for ({step_limit(ctx.config)})",
            "reduce the number of input channels, or choose a core with a larger weight_depth",
        )
    codes, weights = _encode(ctx, op, _as_matrix(ctx, op))
    first = FirstLayer(
        shape=(x.shape[1], x.shape[2], channels),
        output=(y.shape[1], y.shape[2]),
        kernel=(kernel[0], kernel[1]),
        stride=op.stride,
        dilation=op.dilation,
        padding=(op.padding[0][0], op.padding[1][0]),
    )
    beyond = np.flatnonzero(_beyond_int8(weights))
    again = frozenset(
        (int(k) // channels // kernel[1], int(k) // channels % kernel[1], int(k) % channels)
        for k in beyond
    )
    first = replace(first, again=again)
    result = []
    place = ctx.part.place(op.input)
    for layout, passes in candidates(first, place, zero_point(x), ctx.config.columns):
        biases = [_without(ctx, op, codes, weights, part.missing)[0].bias for part in passes]
        if max(np.abs(bias).max() for bias in biases) >= 1 << BIAS_BITS - 1:
            # Proven without the padding's products only.
            continue
        geometry = Geometry(
            kernel=layout.row_kernel,
            stride=layout.row_stride,
            input_rows=layout.words // layout.row_pitch,
            output_rows=first.output[0],
            input_pitch=layout.row_pitch,
            output_pitch=first.output[1] * ctx.words(len(weights)),
        )
        commands = [
            command
            for part in passes
            for command in _pass(ctx, op, codes, weights, part, first.output[0])
        ]
        result.append((layout, _as_layer(ctx, op, commands, geometry)))
    return result


def _pass(
    ctx: Context, op: Convolution, codes: Codes, weights: Ints, part: Pass, height: int
) -> list[Command]:
    """Return what computes some columns of the output; arguments as for :func:`_layer`."""
    codes, weights = _without(ctx, op, codes, weights, part.missing)
    commands = _commands(ctx, op, codes, weights, (height, part.width), lambda _: part.read)
    words = ctx.words(len(weights))
    return [
        replace(
            command,
            fields={**command.fields, "output_step": part.step * words},
            output_offset=command.output_offset + part.first * words,
        )
        for command in commands
    ]


def _without(
    ctx: Context, op: Convolution, codes: Codes, weights: Ints, missing: Sequence[int]
) -> tuple[Codes, Ints]:
    """Return codes and weights with some taps, all of them padding, as constants in the bias."""
    taps = list(missing)
    padding = zero_point(ctx.view(op.input).tensor) * weights[:, taps].sum(axis=1)
    weights = weights.copy()
    weights[:, taps] = 0
    return replace(codes, bias=codes.bias + padding), weights


def lower_convolution(ctx: Context, op: ir.Conv2D) -> Layer:
    """Lower a convolution of a dense tensor: 1×1, or of any size without padding."""
    x, y = ctx.view(op.input).tensor, ctx.graph.tensors[op.output]
    kernel = ctx.graph.tensors[op.weights].shape[1:3]
    if op.padding != ir.NO_PADDING:
        raise ctx.refuse(
            op,
            f"a {kernel[0]}x{kernel[1]} convolution with padding runs only on the network's input",
            "use padding VALID, or a depthwise convolution",
        )
    if op.dilation != (1, 1) and kernel != (1, 1):
        raise ctx.refuse(
            op, "dilated convolutions run only on the network's input", "remove the dilation"
        )
    columns, channels = ctx.config.columns, x.shape[3]
    codes, weights = _encode(ctx, op, _as_matrix(ctx, op))
    size = (y.shape[1], y.shape[2])
    plain = dense_read(x.shape[2], channels, (kernel[0], kernel[1]), op.stride, size[1], columns)
    geometry = Geometry(
        kernel=kernel[0],
        stride=op.stride[0],
        input_rows=x.shape[1],
        output_rows=size[0],
        input_pitch=x.shape[2] * ctx.words(channels),
        output_pitch=size[1] * ctx.words(len(weights)),
    )
    if kernel == x.shape[1:3]:
        # Its only window is the whole tensor.
        pixels = kernel[0] * kernel[1]
        plain = dense_read(pixels, channels, (1, pixels), (1, pixels), 1, columns)
    if kernel == x.shape[1:3] or (kernel == (1, 1) and op.stride == (1, 1)):
        return _dense_layer(ctx, op, codes, weights, size, plain, geometry)
    if _beyond_int8(weights).any():
        raise ctx.refuse(
            op,
            "a weight less its zero point is beyond int8, which this kernel size has no room for",
            "quantise the network with symmetric (int8) weights",
        )
    return _layer(ctx, op, codes, weights, size, lambda _: plain, geometry)


def _dense_layer(
    ctx: Context,
    op: ir.WeightedOp,
    codes: Codes,
    weights: Ints,
    size: tuple[int, int],
    plain: SystolicRead,
    geometry: Geometry | None = None,
) -> Layer:
    """Lower a product with consecutive words, reading some twice where weights need it."""
    columns = ctx.config.columns
    # From here on every byte is a tap, those of padding too, with zero weights.
    channels = ctx.view(op.input).channels
    pixels = weights.shape[1] // channels
    words = ctx.words(channels)
    spread = np.zeros((len(weights), pixels, words * columns), np.int64)
    spread[:, :, :channels] = weights.reshape(len(weights), pixels, channels)
    spread = spread.reshape(len(weights), -1)
    taps = np.arange(len(plain.slots) * 2, dtype=np.intp).reshape(-1, 2)
    plain = replace(plain, slots=taps)
    reads: dict[tuple[tuple[int, int], ...], SystolicRead | None] = {}

    def find(again: dict[int, int]) -> SystolicRead | None:
        read = contiguous_read(pixels * words, again, columns) if again else plain
        if read is not None and fits(read, ctx.config):
            return read
        # Parts of a sum are read from the flash for each pixel: not if every block needs them.
        few = fits(plain, ctx.config) and size[0] * size[1] <= PIXELS_IN_PARTS
        if few or size == (1, 1):
            return read_in_parts(pixels * words, again, ctx.config)
        return read

    def read_for(group: Ints) -> SystolicRead:
        # Pairs of channels up to the last one that has a weight beyond int8, by word.
        again = {
            int(k) // columns: int(k) % columns // 2 + 1
            for k in np.flatnonzero(_beyond_int8(group))
        }
        key = tuple(again.items())
        if key not in reads:
            reads[key] = find(again)
        read = reads[key]
        if read is None:
            raise ctx.refuse(op, "no order of reading visits its words twice", "report this")
        return read

    return _layer(ctx, op, codes, spread, size, read_for, geometry)


def lower_fully_connected(ctx: Context, op: ir.FullyConnected) -> Layer:
    """Lower a fully connected layer, of pixels or of a whole tensor."""
    view = ctx.view(op.input)
    raw = ctx.weights(op)
    if raw.shape[1] % view.channels or view.tensor.size % raw.shape[1]:
        raise ctx.refuse(
            op,
            f"it reads {raw.shape[1]} elements of a tensor with {view.channels} channels",
            "flatten whole images only",
        )
    codes, weights = _encode(ctx, op, raw)
    pixels = weights.shape[1] // view.channels
    rows = view.tensor.size // weights.shape[1]
    width = max(n for n in range(1, min(rows, 256) + 1) if rows % n == 0)
    # A tensor is one row of pixels, and a window so many of them.
    plain = dense_read(
        rows * pixels, view.channels, (1, pixels), (1, pixels), width, ctx.config.columns
    )
    plain = replace(plain, step_row=plain.step_column)
    return _dense_layer(ctx, op, codes, weights, (rows // width, width), plain)
