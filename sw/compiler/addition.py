"""Lowering of ADD, with integers proven for all 65,536 pairs of operands.

The reference brings both operands to a common scale with 20 more bits, adds, and scales again.
The array can do A·x₁ + B·x₂ + bias, where A and B are sums of one int8 weight per step, and one
requantisation.  Both are equal if the sums of pairs with different outputs do not mix: then every
output has an interval of sums to itself, and the requantiser's thresholds have to fall between
them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.command import Mode, minimum_steps
from hw.compute.encoding import MAX_SHIFT, MULTIPLIER_BITS, u_limit
from sw import golden, ir
from sw.compiler.context import Context
from sw.compiler.layers import Block, Command, Geometry, Layer, Trail
from sw.compiler.lines import scalings, separating_line, step_positions
from sw.compiler.partition import offset, zero_point
from sw.compiler.quantization import hardware_requantize
from sw.golden import kernels

__all__ = ["AddCode", "find_code", "find_codes", "lower_add", "rectangles", "reference_table"]

Ints = npt.NDArray[np.int64]

STEPS = (*range(4, 17), 20, 24, 28, 32, 40, 48, 64, 96, 128)
"""Numbers of steps that are tried, fewest first."""

RATIOS = 3000
MANY_STEPS = 16
MANY_STEPS_RATIOS = 600
"""Ratios A : B that are tried for each number of steps, the nearest ones first; fewer where there
are many steps, as more of them fit."""

ONE_CODE_STEPS = 16
"""Steps beyond which two codes, for outputs above and below the zero point, are tried first."""

SCRATCH = -1
"""Numbers of scratch tensors start here and go down with the output's number."""

DELTAS = 12
OWN_DELTAS = 3
"""Shifts that are tried, from the largest one possible; with the output's own zero point."""


@dataclass(frozen=True, kw_only=True)
class AddCode:
    """Integers of an ADD: clamp((A·x₁ + B·x₂ + bias) × multiplier × 2^(−31 − shift) + zero point).

    Attributes
    ----------
    first, second : int
        A and B, at most 127 times the steps.
    steps : int
    multiplier, shift, bias : int
    zero_point : int
        What the requantiser adds; not necessarily the output's.
    """

    first: int
    second: int
    steps: int
    multiplier: int
    shift: int
    bias: int
    zero_point: int


def reference_table(parameters: tuple[tuple[str, int], ...]) -> npt.NDArray[np.int8]:
    """Return the outputs of all pairs of int8.

    Parameters
    ----------
    parameters
        Keywords of :func:`sw.golden.kernels.add`, sorted, for int8.

    Returns
    -------
    (256, 256) int8
        First operand −128 to 127 down, second across.
    """
    values = np.arange(-128, 128).astype(np.int8)
    settings: dict[str, Any] = dict(parameters)
    table = kernels.add(values[:, None], values[None, :], **settings)
    return table.astype(np.int8)


class _Intervals:
    """For candidates A, B: which sums lead to which output.

    Only pairs whose real sum is near a step of the output are looked at; a ratio must be near
    enough to the real one that no others can change places.
    """

    def __init__(self, table: npt.NDArray[np.int8], ratio: float) -> None:
        x = np.arange(-128, 128, dtype=np.int64)
        flat = table.ravel().astype(np.int64)
        x1, x2 = np.repeat(x, 256), np.tile(x, 256)
        real = x1 * ratio + x2
        order = np.argsort(flat, kind="stable")
        self.outputs, starts = np.unique(flat[order], return_index=True)
        least = np.minimum.reduceat(real[order], starts)
        greatest = np.maximum.reduceat(real[order], starts)
        # Half the distance between two steps is as far as sums may move.
        self.reach = float(np.min(np.diff(least))) / 8 if len(least) > 2 else 1.0
        position = np.searchsorted(self.outputs, flat)
        low = real <= least[position] + 2 * self.reach
        high = real >= greatest[position] - 2 * self.reach
        self.low, self.high = (_Group(x1[part], x2[part], flat[part]) for part in (low, high))
        self.ratio = ratio

    def between(self, first: int, second: int) -> tuple[Ints, Ints] | None:
        """Return greatest sums below and least sums at each output but the lowest, or ``None``."""
        if 128 * abs(first / second - self.ratio) > self.reach:
            return None
        low, high = (
            self.low.extreme(np.minimum, first, second),
            self.high.extreme(np.maximum, first, second),
        )
        if np.any(high[:-1] >= low[1:]):
            return None
        return high[:-1], low[1:]


class _Group:
    """Pairs of operands, sorted by the output they have."""

    def __init__(self, x1: Ints, x2: Ints, outputs: Ints) -> None:
        order = np.argsort(outputs, kind="stable")
        self.x1, self.x2 = x1[order], x2[order]
        _, self.starts = np.unique(outputs[order], return_index=True)

    def extreme(self, ufunc: np.ufunc, first: int, second: int) -> Ints:
        """Return the least or greatest sum of every output."""
        return np.asarray(ufunc.reduceat(self.x1 * first + self.x2 * second, self.starts))


def _ratios(ratio: float, limit: int) -> Iterator[tuple[int, int]]:
    """Yield pairs A, B with A / B near a ratio and the larger one above limit / 2, best first."""
    larger = np.arange(limit, limit // 2, -1)
    smaller = np.rint(larger * min(ratio, 1 / ratio)).astype(np.int64)
    error = np.abs(smaller / larger - min(ratio, 1 / ratio))
    count = RATIOS if limit < 127 * MANY_STEPS else MANY_STEPS_RATIOS
    for i in np.argsort(error, kind="stable")[:count]:
        pair = int(smaller[i]), int(larger[i])
        yield pair if ratio <= 1 else pair[::-1]


def _scalings(
    below: Ints, above: Ints, outputs: Ints, nominal: float, zero_point: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (multiplier, shift, bias, zero point) whose steps separate all sums.

    Rounding twice moves the steps of positive scaled values down and of others up, by half a
    unit before the shift.  The reference does that too, with a smaller unit.  With a zero point
    at an end of the range all values have one sign and all steps move alike, which the bias makes
    up for; with the output's own the steps move in the reference's direction.
    """
    longest = math.floor(math.log2(nominal))
    for zero in dict.fromkeys((-128, 127, zero_point)):
        level = outputs - zero
        line = None
        for lost in range(DELTAS if zero != zero_point else OWN_DELTAS):
            shift = longest - lost
            if not 0 <= shift <= MAX_SHIFT:
                continue
            levels = step_positions(level, shift)
            if line is None or zero == zero_point:
                line = separating_line(below, above, levels, nominal)
            if line is None:
                continue
            for multiplier, bias in scalings(below, above, levels, shift, line):
                yield multiplier, shift, bias, zero


@lru_cache(maxsize=256)
def find_code(
    parameters: tuple[tuple[str, int], ...],
    ratio: float,
    gain: float,
    acc_bits: int,
    fraction_bits: int = MULTIPLIER_BITS,
    steps_limit: int = STEPS[-1],
) -> AddCode | None:
    """Find integers for an ADD in as few steps as possible.

    Parameters
    ----------
    parameters
        See :func:`reference_table`.
    ratio : float
        Scale of the first operand by that of the second.
    gain : float
        Scale of the second operand by that of the output.
    acc_bits, fraction_bits : int
        Of the core.
    steps_limit : int

    Returns
    -------
    AddCode or None
        Equal to the reference for all pairs: that has been tried.
    """
    table = reference_table(parameters)
    settings = dict(parameters)
    low, high = settings["activation_min"], settings["activation_max"]
    if table.min() == table.max():
        return AddCode(
            first=0,
            second=0,
            steps=minimum_steps(Mode.ADD),
            multiplier=1 << 30,
            shift=0,
            bias=0,
            zero_point=int(table.min()),
        )
    intervals = _Intervals(table, ratio)
    outputs = intervals.outputs[1:]
    for steps in (s for s in STEPS if s <= steps_limit):
        for first, second in _ratios(ratio, 127 * steps):
            found = intervals.between(first, second)
            if found is None:
                continue
            for multiplier, shift, bias, offset_zero in _scalings(
                *found, outputs, second / gain, settings["output_zero_point"]
            ):
                code = AddCode(
                    first=first,
                    second=second,
                    steps=steps,
                    multiplier=multiplier,
                    shift=shift,
                    bias=bias,
                    zero_point=offset_zero,
                )
                if _proven(code, table, (low, high), acc_bits, fraction_bits):
                    return code
    return None


def find_codes(
    parameters: tuple[tuple[str, int], ...],
    ratio: float,
    gain: float,
    acc_bits: int,
    fraction_bits: int = MULTIPLIER_BITS,
) -> list[tuple[AddCode, tuple[int, int]]] | None:
    """Find one code for an ADD, or three where the reference's double rounding forbids one.

    The reference moves steps away from zero by less than a millionth of an output, but where a
    pair of operands is that near to a step on either side of zero, no straight line separates the
    outputs.  Then what is above the zero point and what is below are computed apart, each with a
    line of its own, and added.

    Returns
    -------
    list of (AddCode, (least, greatest output)), or None
        The third one of three adds the results of the first two.
    """
    core = (acc_bits, fraction_bits)
    settings = dict(parameters)
    low, high, zero = (
        settings[key] for key in ("activation_min", "activation_max", "output_zero_point")
    )
    code = find_code(parameters, ratio, gain, *core, ONE_CODE_STEPS)
    if code is not None:
        return [(code, (low, high))]
    halves = []
    for clamp in ((max(low, zero), high), (low, min(high, zero))):
        clamped = {**settings, "activation_min": clamp[0], "activation_max": clamp[1]}
        part = find_code(tuple(sorted(clamped.items())), ratio, gain, *core)
        if part is not None and clamp[0] <= clamp[1]:
            halves.append((part, clamp))
    # (p − z) + (n − z) + z, in steps of one half.
    total = AddCode(
        first=2,
        second=2,
        steps=minimum_steps(Mode.ADD),
        multiplier=1 << 30,
        shift=0,
        bias=-4 * zero,
        zero_point=zero,
    )
    three = [*halves, (total, (low, high))]
    limit = sum(part.steps for part, _ in three) if len(halves) == 2 else STEPS[-1]
    code = find_code(parameters, ratio, gain, *core, limit)
    if code is not None:
        return [(code, (low, high))]
    return three if len(halves) == 2 else None


def _proven(
    code: AddCode,
    table: npt.NDArray[np.int8],
    clamp: tuple[int, int],
    acc_bits: int,
    fraction_bits: int,
) -> bool:
    """Compare all pairs of operands with the reference."""
    x = np.arange(-128, 128, dtype=np.int64)
    u = x[:, None] * code.first + x[None, :] * code.second + code.bias
    if max(np.abs(u).max(), abs(code.bias)) > u_limit(acc_bits):
        return False
    got = hardware_requantize(
        u,
        np.array(code.multiplier),
        np.array(code.shift),
        single_rounding=False,
        zero_point=code.zero_point,
        act_min=clamp[0],
        act_max=clamp[1],
        fraction_bits=fraction_bits,
    )
    return np.array_equal(got, table)


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
    a, b = ctx.stored(op.input1), ctx.stored(op.input2)
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
    core = (min(ctx.config.acc_bits, 24), ctx.config.fraction_bits)
    codes = find_codes(parameters, a.q.scale / b.q.scale, b.q.scale / y.q.scale, *core)
    if codes is None:
        raise ctx.refuse(
            op,
            f"no integers with up to {STEPS[-1]} steps give the reference's sum for every pair",
            "change one of the three scales slightly",
        )
    table = reference_table(parameters)
    # Outputs do not fall as operands grow.
    known1, known2 = ctx.range_of(op.input1), ctx.range_of(op.input2)
    ctx.ranges[op.output] = table[known1 + 128, known2 + 128].astype(np.int64)
    return Layer(
        name=op.name,
        kind=op.kind,
        macs=0,
        inputs=(a.index, b.index),
        output=op.output,
        commands=tuple(_all_commands(ctx, op, codes, a.index, b.index)),
        scratch={SCRATCH - op.output: ctx.tensor_words(op.output)} if len(codes) > 1 else {},
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
    ctx: Context, op: ir.Add, codes: Sequence[tuple[AddCode, tuple[int, int]]], a: int, b: int
) -> Iterator[Command]:
    if len(codes) == 1:
        yield from _commands(ctx, op, codes[0], a, b, op.output)
        return
    above, below, both = codes
    scratch = SCRATCH - op.output
    yield from _commands(ctx, op, above, a, b, op.output)
    yield from _commands(ctx, op, below, a, b, scratch)
    # In place: a word is read before the sum is written there.
    yield from _commands(ctx, op, both, op.output, scratch, op.output)


def _commands(
    ctx: Context,
    op: ir.Add,
    coded: tuple[AddCode, tuple[int, int]],
    first: int,
    second: int,
    output: int,
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
