"""Pieces of a channel: multipliers and biases that are each right for some of its outputs.

A requantiser that cuts products off may have no multiplier that is right at every step of a
channel, and one with a small shift none that rounds on both sides of the zero point like the
reference.  For a range of outputs there always is one: at worst for a single step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from hw.contract.requantiser import MAX_SHIFT
from sw.compiler.exact.lines import step_positions
from sw.compiler.exact.proof import first_sums
from sw.compiler.exact.reference import Bounds, Reference
from sw.compiler.exact.requantiser import Codes, RequantiserSpec

__all__ = ["Piece", "find_pieces"]

BIASES = 32
"""How far from the reference's a bias is looked for."""

MULTIPLIERS = 64
"""That are tried of those with which a bias is right but for what products lose."""

SHIFTS = 4
"""That are tried where the reference's is too large."""

MOST = 16
"""Pieces of a channel: each is a run of its block and a sum, and takes a while to be found."""

FAR = 1 << 40
"""Beyond all sums."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Constants that are right for some outputs of a channel.

    Attributes
    ----------
    top : int
        The greatest of these outputs; the least is the top of the piece before.
    multiplier, shift, bias : int
    """

    top: int
    multiplier: int
    shift: int
    bias: int


def find_pieces(
    reference: Reference, codes: Codes, bounds: Bounds, spec: RequantiserSpec
) -> tuple[Piece, ...] | None:
    """Find the pieces of a channel, as few as there are.

    Parameters
    ----------
    reference, codes, bounds
        Of a single channel; its own codes are the ones that others are near to.
    spec : RequantiserSpec
        Of the core.

    Returns
    -------
    tuple of Piece, or None
        At most :data:`MOST`, from the least outputs to the greatest.  Each is right where outputs
        are clamped to its own; a single one, and the ends of the first and the last, with the
        layer's clamp.
    """
    output = reference.requantisation
    least, greatest = (int(reference.output(end)[0]) for end in (bounds.low, bounds.high))
    levels = np.arange(least + 1, greatest + 1)
    (above,) = first_sums(reference, levels, bounds)
    # Beyond its outputs the layer's clamp does not hold a channel.
    under, over = least > output.act_min, greatest < output.act_max
    steps = (
        np.concatenate([[least] * under, levels, [greatest + 1] * over]).astype(np.int64),
        np.concatenate([[-FAR] * under, above - 1, bounds.high[:over]]).astype(np.int64),
        np.concatenate([bounds.low[:under], above, [FAR] * over]).astype(np.int64),
    )
    pieces: list[Piece] = []
    first, count = 0, len(steps[0])
    while first < count:
        end, piece = _longest(steps, first, reference, codes, spec)
        if piece is None or len(pieces) == MOST:
            return None
        pieces.append(piece)
        first = end
    return tuple(pieces)


def _longest(
    steps: tuple[Ints, Ints, Ints],
    first: int,
    reference: Reference,
    codes: Codes,
    spec: RequantiserSpec,
) -> tuple[int, Piece | None]:
    """Return the piece of most steps from one on, and the step behind it."""
    end, size, found = first, len(steps[0]) - first, None
    while size and end < len(steps[0]):
        last = min(end + size, len(steps[0]))
        levels, below, above = (values[first:last] for values in steps)
        trial = _find(levels, below, above, reference, codes, spec)
        if trial is not None:
            end, found = last, Piece(top=int(levels[-1]), **trial)
        size //= 2
    return end, found


def _find(
    levels: Ints,
    below: Ints,
    above: Ints,
    reference: Reference,
    codes: Codes,
    spec: RequantiserSpec,
) -> dict[str, int] | None:
    """Return multiplier, shift and bias with which outputs step at the right sums."""
    output, factor = reference.requantisation, int(codes.factor[0])
    below, above = factor * below, factor * above
    for shift, multipliers, bias in _trials(levels, below, above, reference, codes, spec):
        reached, left = np.ones(len(multipliers), np.bool_), np.ones(len(multipliers), np.bool_)
        for sums, good in ((above, reached), (below, left)):
            occurs = np.abs(sums) < factor * FAR
            u = sums[occurs] + bias
            if np.any(np.abs(u) > spec.limit):
                good[:] = False
                continue
            got = spec.outputs(u, multipliers[:, None], np.array(shift), output)
            right = got >= levels[occurs] if sums is above else got < levels[occurs]
            good &= right.all(axis=1)
        if np.any(reached & left):
            multiplier = int(multipliers[np.argmax(reached & left)])
            return {"multiplier": multiplier, "shift": shift, "bias": bias}
    return None


def _trials(
    levels: Ints,
    below: Ints,
    above: Ints,
    reference: Reference,
    codes: Codes,
    spec: RequantiserSpec,
) -> Iterator[tuple[int, Ints, int]]:
    """Yield shift, multipliers and bias with which exact products would be right, or nearly."""
    output = reference.requantisation
    nominal = int(codes.shift[0])
    shifts = [nominal] if nominal <= MAX_SHIFT else range(MAX_SHIFT, MAX_SHIFT - SHIFTS, -1)
    for shift in shifts:
        if output.single_rounding:
            positions = np.asarray(levels - output.zero_point - 0.5, np.float64)
        else:
            positions = step_positions(levels - output.zero_point, shift)
        biases = np.array(sorted(range(-BIASES, BIASES + 1), key=abs))
        least, most = _multipliers(below, above, positions, shift, biases)
        least = np.maximum(least, spec.least_multiplier)
        for number in np.flatnonzero(least <= most):
            ends = least[number], most[number]
            count = int(min(MULTIPLIERS, ends[1] - ends[0] + 1))
            some = np.rint(np.linspace(*ends, count)).astype(np.int64)
            # Those in the middle are the likeliest.
            some = some[np.argsort(np.abs(np.arange(count) - count / 2), kind="stable")]
            yield shift, some, int(biases[number])


def _multipliers(
    below: Ints, above: Ints, positions: Floats, shift: int, biases: Ints
) -> tuple[Floats, Floats]:
    """Return the least and the greatest multiplier for each bias; the least greater if none."""
    least = np.ones(len(biases))
    most = np.full(len(biases), 2.0**31 - 1)
    wanted = positions * 2.0 ** (31 + shift)
    for sums, sign in ((above, 1), (below, -1)):
        u = sums[None, :] + biases[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            edge = np.where(u != 0, wanted / u, np.nan)
        # Above a step the product must reach what is wanted, below it must not.
        rises = np.where(sign * u > 0, edge, -np.inf)
        falls = np.where(sign * u < 0, edge, np.inf)
        least = np.maximum(least, rises.max(axis=1))
        most = np.minimum(most, falls.min(axis=1))
        never = (u == 0) & ((wanted > 0) if sign > 0 else (wanted <= 0))
        most[never.any(axis=1)] = -1.0
    return np.ceil(least), np.floor(most)
