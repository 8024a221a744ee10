"""Guards: with them every output is right, whatever the requantiser makes of sums beyond it."""

from __future__ import annotations

import numpy as np
import pytest

from common.arrays import Ints
from sw.compiler.exact.guards import GUARD_WEIGHT, hidden
from sw.compiler.exact.reference import ChannelSums, Reference
from sw.compiler.exact.requantisation import encode
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.golden.primitives import quantize_multiplier
from sw.golden.requantisation import Requantisation

SPEC = RequantiserSpec()
WRAP = 1 << SPEC.acc_bits


def worst_inputs(weights: Ints, lost: Ints, wanted: int, zero_point: int) -> Ints:
    """Return inputs whose sum is about ``wanted``, with as much as possible lost by the guard."""
    low, high = -1e4, 1e4
    x = np.zeros_like(weights)
    for _ in range(60):
        slope = (low + high) / 2
        x = np.where(lost + slope * weights > 0, 127, -128)
        if int(weights @ (x - zero_point)) < wanted:
            low = slope
        else:
            high = slope
    return x


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("output_zero", [-128, -3, 127])
@pytest.mark.parametrize("seed", range(4))
def test_outputs_with_guards_are_right(seed: int, output_zero: int, single: bool) -> None:
    rng = np.random.default_rng(seed)
    size, zero_point = int(rng.integers(400, 1500)), int(rng.integers(-128, 128))
    weights = rng.integers(-127, 128, size) if seed else np.full(size, 113)
    bias = int(rng.integers(-100_000, 100_000))
    sums = ChannelSums(
        weights=weights[None],
        bias=np.array([bias]),
        input_zero_point=zero_point,
        input_range=np.array([-128, 127]).reshape(2, 1, 1),
    )
    output = Requantisation(
        zero_point=output_zero, act_min=-128, act_max=127, single_rounding=single
    )
    multiplier, shift = int(rng.integers(1 << 30, 1 << 31)), -int(rng.integers(8, 13))
    if seed == 3:
        # Not saturated nearly up to the limit.
        nearly = 0.94 if output_zero == -3 else 0.5
        last = nearly * SPEC.limit / max(127.5 - output_zero, 128.5 + output_zero)
        multiplier, shift = quantize_multiplier(1 / last)
    reference = Reference(
        multiplier=np.array([multiplier]), shift=np.array([shift]), requantisation=output
    )
    encoded = encode(reference, sums, SPEC, "operator 'x'")
    codes, guard = encoded.codes, encoded.guards[0]
    assert not encoded.pieces
    bits = int(np.argmin([np.abs(weights + (guard.weights << k)).sum() for k in range(9)]))
    lost = weights + (guard.weights << bits)
    inputs = [rng.integers(-128, 128, size) for _ in range(20)]
    reach = SPEC.limit
    for wanted in (*range(-9_000_000, 9_000_001, 500_000), reach, reach + 3000, -reach, 0):
        for sign in (1, -1):
            inputs.append(worst_inputs(weights, sign * lost, wanted, zero_point))
    x = np.array(inputs)
    total = (x - zero_point) @ weights + bias
    u = (x @ weights + codes.bias + WRAP // 2) % WRAP - WRAP // 2
    got = SPEC.outputs(u, codes.multiplier, codes.shift, hidden(output))
    beyond = np.abs(u) > SPEC.limit
    got[beyond] = rng.integers(-128, 128, int(beyond.sum()))
    level = SPEC.outputs(
        x @ guard.weights + guard.bias,
        np.array(guard.multiplier),
        np.array(guard.shift),
        hidden(output),
    )
    got = np.clip(got + GUARD_WEIGHT * (level - guard.quiet), -128, 127)
    assert np.abs(total).max() > SPEC.limit
    np.testing.assert_array_equal(got, reference.output(total[None])[0])
