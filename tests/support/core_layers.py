"""Layers of every mode, made by hand, with their outputs by NumPy.

A tensor is an array (height, width, channels) of integers, with whole words of channels.  Each
function returns a :class:`Layer`.
"""

from dataclasses import dataclass, replace

import numpy as np
from support.core_bench import parameters, words

from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode, minimum_steps
from hw.contract.taps import window_steps
from sw.golden.requantisation import Requantisation


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A descriptor, its blocks of (parameters, weights), and the output it gives."""

    descriptor: Descriptor
    blocks: list
    output: np.ndarray

    def last(self):
        return replace(self, descriptor=replace(self.descriptor, last=True))


class Maker:
    """Makes layers with random weights and parameters.

    Parameters
    ----------
    config : CoreConfig
    seed : int
    """

    def __init__(self, config: CoreConfig, seed: int = 0):
        self.config = config
        self.rng = np.random.default_rng(seed)

    def tensor(self, *shape):
        return self.rng.integers(-128, 128, shape)

    def finish(self, acc, weights, shift, changes, **fields):
        """Requantise ``acc`` (…, channels); ``weights`` are (blocks, steps, rows, columns).

        With as many blocks of weights as there are blocks of channels each has its parameters,
        otherwise all share them.
        """
        columns = self.config.columns
        blocks = acc.shape[-1] // columns
        count = len(weights)
        shape = (count, columns)
        multiplier = self.rng.integers(1 << 30, 1 << 31, shape)
        bias = self.rng.integers(-2000, 2000, shape)
        shift = np.full(shape, shift) + self.rng.integers(0, 2, shape)
        values = {"output_zero_point": 7, "act_min": -128, "act_max": 127,
                  "step_inner": 0, "step_middle": 0, "step_column": 0, "step_row": 0,
                  "blocks": blocks, **fields, **changes}
        descriptor = Descriptor(**values)
        of_channel = [np.resize(p, acc.shape[-1]) for p in (multiplier, shift, bias)]
        u = acc + of_channel[2]
        requantisation = Requantisation(
            zero_point=descriptor.output_zero_point, act_min=descriptor.act_min,
            act_max=descriptor.act_max, single_rounding=descriptor.single_rounding)
        output = requantisation.outputs(u, of_channel[0], -of_channel[1])
        data = [(parameters(multiplier[b], shift[b], bias[b], self.config),
                 words(weights[b], self.config)) for b in range(count)]
        return Layer(descriptor=descriptor, blocks=data, output=output)

    def serial(self, x, channels, *, input_base, output_base, kernel=1, shift=6, last_steps=None,
               **changes):
        """Convolution without padding; of a kernel row's last word, ``last_steps`` are used."""
        lanes, columns = self.config.lanes, self.config.columns
        height, width, depth = x.shape
        per_pixel, blocks = depth // columns, channels // columns
        last_steps = last_steps or lanes
        inner = kernel * per_pixel
        row_steps = lanes * (inner - 1) + last_steps
        w = self.rng.integers(-128, 128, (kernel, 2 * row_steps, channels))
        rows, wide = height - kernel + 1, width - kernel + 1
        acc = np.zeros((rows, wide, channels), np.int64)
        for k in range(kernel):
            for y in range(rows):
                for c in range(wide):
                    taken = x[y + k, c : c + kernel].reshape(-1)[: 2 * row_steps]
                    acc[y, c] += taken @ w[k]
        row = width * per_pixel
        back = (kernel - 1) * row + inner - 1
        # (kernel rows, steps, rows of the array, blocks, columns)
        blocked = w.reshape(kernel * row_steps, 2, blocks, columns).transpose(2, 0, 1, 3)
        return self.finish(
            acc, blocked, shift, changes, mode=Mode.SYSTOLIC, last_steps=last_steps,
            steps=kernel * row_steps, inner=inner, middle=kernel, width=wide, height=rows,
            input_zero_point=5, input_base=input_base, output_base=output_base, step_inner=1,
            step_middle=row - inner + 1, step_column=per_pixel - back,
            step_row=kernel * per_pixel - back, output_step=blocks,
        )

    def partial(self, x, channels, *, parts, input_base, output_base, shift=9, **changes):
        """Fully connected layer of one pixel, each sum in so many parts."""
        columns = self.config.columns
        depth = x.size
        words_of_part = depth // columns // parts
        steps = depth // 2 // parts
        w = self.rng.integers(-128, 128, (depth, channels))
        acc = (x.reshape(-1) @ w).reshape(1, 1, channels)
        blocks = channels // columns
        blocked = w.reshape(parts, steps, 2, blocks, columns).transpose(3, 0, 1, 2, 4)
        layer = self.finish(
            acc, blocked.reshape(blocks, parts * steps, 2, columns), shift, changes,
            mode=Mode.SYSTOLIC, partial=True, last_steps=self.config.lanes, steps=steps,
            inner=words_of_part, middle=1, width=parts, height=1, input_zero_point=0,
            input_base=input_base, output_base=output_base, step_inner=1, step_column=1,
            step_row=1, output_step=1,
        )
        records = []
        for data, weights in layer.blocks:
            size = len(weights) // parts
            for part in range(parts):
                # Only the last part's parameters count.
                last = part == parts - 1
                wrong = parameters(*self.rng.integers(0, 31, (3, columns)), self.config)
                records.append((data if last else wrong,
                                weights[part * size : (part + 1) * size]))
        return replace(layer, blocks=records)

    def depthwise(self, x, *, input_base, output_base, shift=5, **changes):
        """3×3, stride 1, padded."""
        columns = self.config.columns
        height, width, channels = x.shape
        blocks = channels // columns
        w = self.rng.integers(-128, 128, (3, 3, channels))
        zero_point = -9
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), constant_values=zero_point)
        acc = sum(w[r, c] * padded[r : r + height, c : c + width]
                  for r in range(3) for c in range(3))
        steps = minimum_steps(Mode.DEPTHWISE)
        weights = np.zeros((blocks, steps, 2, columns), np.int64)
        left = {(2 - c, r): w[r, c].reshape(blocks, columns) for r in range(3) for c in range(3)}
        for step, taps in enumerate(window_steps(Mode.DEPTHWISE)[:steps]):
            for row, tap in enumerate(taps):
                weights[:, step, row] = left.pop(tap, 0)
        row = width * blocks
        return self.finish(
            acc, weights, shift, changes, mode=Mode.DEPTHWISE, steps=steps, inner=3, middle=width,
            width=width, height=height, pad_left=True, pad_right=True, pad_top=True,
            pad_bottom=True, input_zero_point=zero_point, input_base=input_base - row,
            output_base=output_base, step_inner=row, step_middle=blocks - 2 * row,
            step_row=-row - (width - 1) * blocks, output_step=blocks,
        )

    def pool(self, x, *, input_base, output_base, shift=4, shared=True, **changes):
        """Weighted sum of all pixels; all channels alike if the weights are ``shared``."""
        columns = self.config.columns
        channels = x.shape[-1]
        pixels, blocks = x.shape[0] * x.shape[1], channels // columns
        steps = pixels + 3
        weights = np.zeros((1 if shared else blocks, steps, 2, columns), np.int64)
        weights[:, :pixels, 1] = self.rng.integers(-20, 20, (len(weights), 1, columns))
        w = np.resize(weights[:, 0, 1], channels)
        acc = (x.reshape(pixels, channels) * w).sum(axis=0).reshape(1, 1, channels)
        return self.finish(
            acc, weights, shift, changes, mode=Mode.POOL, shared=shared, steps=steps, inner=pixels,
            middle=1, width=1, height=1, input_zero_point=0, input_base=input_base,
            output_base=output_base, step_inner=blocks, output_step=1,
        )

    def add(self, x, y, *, x_base, y_base, output_base, shift=4, shared=False, extra=0, **changes):
        """Weighted sum of two tensors, with ``extra`` steps more than it takes.

        Shared weights: blocks of channels are one after another in memory, so it is one long row
        of words that counts as one block.
        """
        columns = self.config.columns
        height, width, channels = x.shape
        blocks = channels // columns
        steps = minimum_steps(Mode.ADD) + extra
        weights = self.rng.integers(-40, 40, (1 if shared else blocks, steps, 2, columns))
        w = weights.sum(axis=1)
        acc = x * np.resize(w[:, 0], channels) + y * np.resize(w[:, 1], channels)
        stride = 1 if shared else blocks
        back = stride - (y_base - x_base)
        return self.finish(
            acc, weights, shift, {"width": width * blocks, "blocks": 1} | changes
            if shared else changes, mode=Mode.ADD, steps=steps, inner=2, middle=1,
            **({} if shared else {"width": width}), height=height, input_zero_point=0,
            input_base=x_base, output_base=output_base, step_inner=y_base - x_base,
            step_column=back, step_row=back, output_step=stride,
        )
