"""Lowering of averages over the whole image to the POOL mode, proven over every possible sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, repeat

import numpy as np
import numpy.typing as npt

from hw.contract.modes import Mode, minimum_steps
from hw.contract.requantiser import MAX_SHIFT, MULTIPLIER_BITS, u_limit
from sw import golden, ir
from sw.compiler.exact.requantisation import hardware_requantize
from sw.compiler.graph.partition import offset, zero_point
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.layers import Block, Command, Layer
from sw.compiler.program.tensors import Place
from sw.golden.primitives import divide_round_half_away, multiply_by_quantized_multiplier

__all__ = ["PoolCode", "find_code", "lower_pool"]

Ints = npt.NDArray[np.int64]
PoolCode = tuple[int, int, int, int]
"""(weight, multiplier, shift, bias)."""

IDLE_STEPS = 3

AT_ONCE = 32
"""Codes that are tried together."""


def _sums(count: int, low: int, high: int) -> Ints:
    """Return every sum of ``count`` int8 from ``low`` to ``high``."""
    return np.arange(count * low, count * high + 1, dtype=np.int64)


def _reference(ctx: Context, op: ir.AveragePool2D | ir.Mean, sums: Ints, count: int) -> Ints:
    """Return the outputs, as int8, of sums of inputs, as int8."""
    x, y = ctx.view(op.input).tensor, ctx.graph.tensors[op.output]
    low, high = golden.activation_range(ctx.graph, op)
    if isinstance(op, ir.AveragePool2D):
        # The reference averages the integers as the operand's type has them: rounding of halves
        # depends on it, and the same bytes may be an int8 tensor and an uint8 one.
        value = divide_round_half_away(sums + offset(x) * count, count)
    else:
        multiplier, shift = golden.requantize_params(ctx.graph, op)
        scaled = multiply_by_quantized_multiplier(
            sums - zero_point(x) * count, int(multiplier[0]), int(shift[0])
        )
        value = scaled + y.q.zero_point
    return np.clip(value, low, high) - offset(y)


@lru_cache(maxsize=64)
def _candidates(gain: float) -> tuple[tuple[int, int, int], ...]:
    """Return (weight, multiplier, shift) whose product is near a gain, large weights first."""
    result = []
    for weight in range(127, 0, -1):
        ratio = gain / weight
        for shift in range(MAX_SHIFT + 1):
            nearest = round(ratio * 2.0 ** (31 + shift))
            if 1 << 29 <= nearest < (1 << 31) - 2:
                result += [(weight, nearest + d, shift) for d in (0, 1, -1, 2)]
    return tuple(result)


def find_code(
    sums: Ints,
    wanted: Ints,
    gain: float,
    *,
    zero_point: int,
    clamp: tuple[int, int],
    acc_bits: int,
    fraction_bits: int = MULTIPLIER_BITS,
) -> PoolCode | None:
    """Find integers that turn every sum into the wanted output.

    Parameters
    ----------
    sums, wanted : (N,) int64
        All sums and their outputs.
    gain : float
        Real factor from a sum to the output.
    zero_point : int
        Of the output, in the hardware.
    clamp : tuple of int
    acc_bits, fraction_bits : int
        Of the core.

    Returns
    -------
    PoolCode or None
        Exact for all of ``sums``: that has been tried.
    """
    # Where the output has its zero point: the bias that centres the line, in units of sums.
    inside = (wanted > clamp[0]) & (wanted < clamp[1])
    if not inside.any():
        inside = np.ones_like(inside)
    centre = float(np.mean((wanted - zero_point)[inside] / gain - sums[inside]))
    limit = u_limit(acc_bits)

    def gives(some: Ints, codes: Sequence[PoolCode]) -> npt.NDArray[np.bool_]:
        """Whether each code turns some of the sums, by their positions, into the wanted outputs."""
        weight, multiplier, shift, bias = np.array(codes, np.int64).T[:, :, None]
        got = hardware_requantize(
            sums[some] * weight + bias,
            multiplier,
            shift,
            single_rounding=False,
            zero_point=zero_point,
            act_min=clamp[0],
            act_max=clamp[1],
            fraction_bits=fraction_bits,
        )
        return np.asarray((got == wanted[some]).all(axis=1))

    def trials() -> Iterator[PoolCode]:
        for weight, multiplier, shift in _candidates(gain):
            for shift_of_sum in (round(centre), centre, centre + 0.25, centre - 0.25):
                bias = round(shift_of_sum * weight)
                ends = (int(sums[0]) * weight + bias, int(sums[-1]) * weight + bias, bias)
                if max(map(abs, ends)) <= limit:
                    yield weight, multiplier, shift, bias

    # Where the output steps is where a code goes wrong: few sums tell nearly all of them.
    steps = np.flatnonzero(np.diff(wanted))
    telling = np.unique(np.concatenate([[0, len(sums) - 1], steps, steps + 1]))
    codes, every = trials(), np.arange(len(sums))
    # The first is often right.
    for count in chain([1], repeat(AT_ONCE)):
        some = list(islice(codes, count))
        if not some:
            return None
        for number in np.flatnonzero(gives(telling, some)):
            if gives(every, [some[number]])[0]:
                return some[number]
    return None


def lower_pool(ctx: Context, op: ir.AveragePool2D | ir.Mean) -> Layer:
    """Lower an average over the whole image."""
    view, y = ctx.view(op.input), ctx.graph.tensors[op.output]
    x = view.tensor
    _check(ctx, op)
    pixels = x.shape[1] * x.shape[2]
    idle = max(IDLE_STEPS, minimum_steps(Mode.POOL) - pixels)
    steps = pixels + idle
    limit = min(1024, ctx.config.weight_depth)
    if pixels > 256 or steps > limit:
        raise ctx.refuse(
            op,
            f"it averages {pixels} pixels, more than {min(256, limit - IDLE_STEPS)}",
            "use smaller images",
        )
    known = ctx.range_of(op.input)
    sums = _sums(pixels, int(known[0].min()), int(known[1].max()))
    wanted = _reference(ctx, op, sums, pixels)
    fields = ctx.output_fields(op)
    gain = 1 / pixels
    if isinstance(op, ir.AveragePool2D):
        fields["output_zero_point"] = 0
    else:
        gain *= x.q.scale / y.q.scale
    code = find_code(
        sums,
        wanted,
        gain,
        zero_point=fields["output_zero_point"],
        clamp=(fields["act_min"], fields["act_max"]),
        acc_bits=ctx.config.acc_bits,
        fraction_bits=ctx.config.fraction_bits,
    )
    if code is None:
        raise ctx.refuse(
            op,
            f"no multiplier gives the reference's average of {pixels} pixels for every sum",
            "change the output's scale slightly",
        )
    weight, multiplier, shift, bias = code
    ctx.ranges[Place(op.output)] = wanted[pixels * known - sums[0]]
    columns = ctx.config.columns
    weights = np.zeros((steps, 2, columns), np.int8)
    weights[:pixels, 1] = weight
    block = Block(
        multiplier=np.full(columns, multiplier, np.int64),
        shift=np.full(columns, shift, np.int64),
        bias=np.full(columns, bias, np.int64),
        weights=weights,
    )
    words = ctx.words(x.shape[-1])
    commands = []
    for first in range(0, words, 256):
        commands.append(
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
                    **fields,
                },
                input=view.place,
                input_offset=first,
                output=Place(op.output),
                output_offset=first,
                blocks=(block,),
            )
        )
    return Layer(
        name=op.name,
        kind=op.kind,
        macs=0,
        inputs=(view.place,),
        output=Place(op.output),
        output_rows=1,
        commands=tuple(commands),
    )


def _check(ctx: Context, op: ir.AveragePool2D | ir.Mean) -> None:
    shape = ctx.view(op.input).tensor.shape
    if len(shape) != 4:
        raise ctx.refuse(op, f"its input {shape} is not NHWC", "average images only")
    if isinstance(op, ir.Mean):
        if op.axes != (1, 2):
            raise ctx.refuse(op, f"it averages over axes {op.axes}", "average over axes 1 and 2")
    elif op.window != shape[1:3] or op.padding != ir.NO_PADDING:
        raise ctx.refuse(
            op,
            f"its window of {op.window[0]}x{op.window[1]} is not the whole "
            f"{shape[1]}x{shape[2]} input",
            "average over whole images only",
        )
