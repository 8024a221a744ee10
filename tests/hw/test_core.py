"""Layers of every mode on the core, with hand-made programs, against NumPy."""

import numpy as np
import pytest
from support.core_bench import CoreBench, parameters, program, words
from support.marks import slow

from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode, minimum_steps
from hw.contract.taps import window_steps

CONFIG = CoreConfig(technology="portable", memory_depth=16384)
C = CONFIG.columns
COMMON = {"output_base": 2000, "act_min": -128, "act_max": 127}


def random_parameters(rng, blocks):
    multiplier = rng.integers(1 << 30, 1 << 31, (blocks, C))
    return multiplier, rng.integers(5, 9, (blocks, C)), rng.integers(-2000, 2000, (blocks, C))


def requantise(acc, multiplier, shift, bias, zero_point):
    """acc (…, channels) to int8 by the reference's arithmetic."""
    from sw.golden.requantisation import Requantisation

    flat = [p.reshape(-1)[: acc.shape[-1]] for p in (multiplier, shift, bias)]
    requantisation = Requantisation(zero_point=zero_point, act_min=-128, act_max=127)
    return requantisation.outputs(acc + flat[2], flat[0], -flat[1]).astype(np.int8)


def tensor_words(x):
    """(height, width, channels) to (words, columns)."""
    return x.reshape(-1, C)


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "inputs", "outputs"), [
    (2, 3, 8, 8), (1, 1, 16, 24), (3, 2, 24, 16), (4, 4, 8, 16),
])
@pytest.mark.parametrize("gap", [slow(0), 40])
def test_pointwise(height, width, inputs, outputs, gap):
    rng = np.random.default_rng(inputs * outputs + height)
    x = rng.integers(-128, 128, (height, width, inputs))
    w = rng.integers(-128, 128, (outputs, inputs))
    blocks = outputs // C
    multiplier, shift, bias = random_parameters(rng, blocks)
    expected = requantise(x @ w.T, multiplier, shift, bias, -3)
    layer = Descriptor(
        mode=Mode.SYSTOLIC, last=True, last_steps=CONFIG.lanes, steps=inputs // 2,
        inner=inputs // C, middle=1, width=width, height=height, blocks=blocks,
        input_zero_point=5, output_zero_point=-3, input_base=100, step_inner=1, step_column=1,
        step_row=1, output_step=blocks, **COMMON,
    )
    data = [
        (parameters(multiplier[b], shift[b], bias[b], CONFIG),
         words(w[b * C : (b + 1) * C].T, CONFIG))
        for b in range(blocks)
    ]
    (result,), _ = CoreBench(CONFIG).run(
        program([(layer, data)], CONFIG), {100: tensor_words(x)},
        {2000: height * width * blocks}, halfword_gap=gap)
    np.testing.assert_array_equal(result, tensor_words(expected))


def ages_of(mode, odd):
    """Return the ages of the window's columns."""
    return (2, 1, 0) if odd or mode == Mode.DEPTHWISE else (1, 0, -1)


def visits_of(mode, steps, odd):
    """Return how often the array sees each tap of the kernel with a weight of its own: (3, 3)."""
    visits = np.zeros((3, 3), dtype=np.int64)
    ages = ages_of(mode, odd)
    for step, taps in enumerate(window_steps(mode)[:steps]):
        for row, (age, kernel_row) in enumerate(taps):
            if age in ages and (row == 0 or step < minimum_steps(mode)):
                visits[kernel_row, ages.index(age)] += 1
    return visits


def depthwise_weights(mode, w, steps, odd):
    """Weights (3, 3, columns) in the order of the mode's steps: (steps, rows, columns).

    What is beyond int8 goes to the next visits of the tap.
    """
    left = {(age, row): w[row, column].copy() for column, age in enumerate(ages_of(mode, odd))
            for row in range(3)}
    result = np.zeros((steps, 2, w.shape[-1]), dtype=np.int64)
    for step, taps in enumerate(window_steps(mode)[:steps]):
        for row, tap in enumerate(taps):
            if tap in left and (row == 0 or step < minimum_steps(mode)):
                result[step, row] = np.clip(left[tap], -128, 127)
                left[tap] -= result[step, row]
    assert not any(rest.any() for rest in left.values())
    return result


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "channels", "stride", "padding"), [
    (4, 5, 8, 1, ((1, 1), (1, 1))),
    slow(3, 3, 16, 1, ((1, 1), (1, 1))),
    (1, 1, 8, 1, ((1, 1), (1, 1))),
    (2, 1, 8, 1, ((1, 1), (1, 1))),
    slow(5, 4, 8, 1, ((0, 0), (0, 0))),
    (4, 6, 16, 2, ((0, 1), (0, 1))),
    slow(5, 5, 8, 2, ((1, 1), (1, 1))),
    slow(6, 6, 8, 2, ((1, 0), (1, 0))),
    slow(5, 5, 8, 2, ((0, 0), (0, 0))),
    slow(6, 6, 8, 2, ((0, 0), (0, 0))),
])
@pytest.mark.parametrize("extra", [0, slow(1)])
def test_depthwise(height, width, channels, stride, padding, extra):
    rng = np.random.default_rng(height * width + stride)
    x = rng.integers(-128, 128, (height, width, channels))
    (top, _bottom), (left, _right) = padding
    odd = stride == 2 and left == 1
    mode = Mode.DEPTHWISE if stride == 1 else Mode.DEPTHWISE_STRIDE2
    steps = minimum_steps(mode) if not extra else len(window_steps(mode))
    visits = visits_of(mode, steps, odd)[:, :, None]
    w = rng.integers(-128 * visits, 127 * visits + 1, (3, 3, channels))
    zero_point = 17
    padded = np.pad(x, (*padding, (0, 0)), constant_values=zero_point)
    rows, columns = ((size + sum(pad) - 3) // stride + 1
                     for size, pad in zip((height, width), padding, strict=True))
    expected = np.zeros((rows, columns, channels), dtype=np.int64)
    for r in range(3):
        for c in range(3):
            expected += w[r, c] * padded[r : r + stride * (rows - 1) + 1 : stride,
                                         c : c + stride * (columns - 1) + 1 : stride]
    blocks = channels // C
    multiplier, shift, bias = random_parameters(rng, blocks)
    expected = requantise(expected, multiplier, shift, bias, 9)

    valid = stride == 1 and left == 0
    windows = columns + 2 * valid
    if stride == 2 and not left and 2 * columns < width:
        windows += 1
    row_stride = width * blocks
    layer = Descriptor(
        mode=mode, last=True, steps=steps, inner=3, middle=width,
        width=windows, height=rows, blocks=blocks, odd=odd,
        pad_top=top, pad_bottom=(rows - 1) * stride - top + 2 >= height,
        pad_left=left, pad_right=(columns - 1) * stride - left + 2 >= width,
        skip_first=valid, skip_last=windows > columns,
        input_zero_point=zero_point, output_zero_point=9,
        input_base=(500 - top * row_stride), step_inner=row_stride,
        step_middle=blocks - 2 * row_stride,
        step_row=stride * row_stride - 2 * row_stride - (width - 1) * blocks,
        output_step=blocks, **COMMON,
    )
    data = [
        (parameters(multiplier[b], shift[b], bias[b], CONFIG),
         words(depthwise_weights(mode, w[:, :, b * C : (b + 1) * C], steps, odd), CONFIG))
        for b in range(blocks)
    ]
    (result,), _ = CoreBench(CONFIG).run(
        program([(layer, data)], CONFIG), {500: tensor_words(x)},
        {2000: rows * columns * blocks})
    np.testing.assert_array_equal(result, tensor_words(expected))
