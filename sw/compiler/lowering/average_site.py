"""Sites of averages."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from common.arrays import Ints
from sw import golden, ir
from sw.compiler.exact.averages import find_codes
from sw.compiler.exact.parts import Part
from sw.compiler.graph.partition import offset, zero_point
from sw.compiler.graph.refusals import Rule
from sw.compiler.lowering.site import Site
from sw.golden.primitives import divide_round_half_away, multiply_by_quantized_multiplier
from sw.golden.requantisation import Requantisation

__all__ = ["AXES", "WHOLE_WINDOWS", "Areas", "AverageSite"]


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Windows over rows and columns of pixels that follow each other in memory.

    Attributes
    ----------
    size, window, stride : (rows, columns)
    """

    size: tuple[int, int]
    window: tuple[int, int]
    stride: tuple[int, int]

    @property
    def whole(self) -> bool:
        """Whether there is one window, of all pixels."""
        return self.window == self.size

    @property
    def count(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        rows, columns = (
            (size - window) // stride + 1
            for size, window, stride in zip(self.size, self.window, self.stride, strict=True)
        )
        return rows, columns

    @property
    def rows(self) -> range:
        """First rows of pixels of each row of windows."""
        return range(0, self.count[0] * self.stride[0], self.stride[0])


WHOLE_WINDOWS = Rule(
    "The windows of an average must not reach into padding, which does not count, so that all are "
    "of one size",
    "use padding VALID",
)
AXES = Rule(
    "An average must be over dimensions that follow each other, without batch and channels",
    "average over height, width or both of them",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class AverageSite(Site):
    """Average over windows of an image, or over all of it."""

    op: ir.AveragePool2D | ir.Mean

    @cached_property
    def areas(self) -> Areas:
        """What is averaged, in a tensor of rows and columns of pixels.

        Raises
        ------
        UnsupportedError
            If it does not consist of windows that are all of one size.
        """
        shape = self.view.tensor.shape
        if isinstance(self.op, ir.AveragePool2D):
            if self.op.padding != ir.NO_PADDING:
                raise self.refuse(WHOLE_WINDOWS, f"the padding is {self.op.padding}")
            return Areas(size=(shape[1], shape[2]), window=self.op.window, stride=self.op.stride)
        axes = self.op.axes
        if not axes or axes != tuple(range(max(1, axes[0]), min(axes[-1] + 1, len(shape) - 1))):
            raise self.refuse(AXES, f"it averages over axes {axes} of {shape}")
        before, here, behind = (
            math.prod(shape[part])
            for part in (slice(1, axes[0]), slice(axes[0], axes[-1] + 1), slice(axes[-1] + 1, -1))
        )
        # All before are rows of what is behind.
        return Areas(size=(before * here, behind), window=(here, 1), stride=(here, 1))

    @property
    def pixels(self) -> int:
        """Pixels that are averaged."""
        return math.prod(self.areas.window)

    @cached_property
    def sums(self) -> Ints:
        """Every sum of the inputs of a channel, as int8, in ascending order."""
        (known,) = self.ranges
        low, high = int(known[0].min()), int(known[1].max())
        return np.arange(self.pixels * low, self.pixels * high + 1, dtype=np.int64)

    @cached_property
    def averages(self) -> Ints:
        """The outputs, as int8, of all :attr:`sums`."""
        return self._average(self.sums)

    def _average(self, sums: Ints) -> Ints:
        """Return the reference's outputs, as int8, of sums of inputs, as int8."""
        x, y = self.view.tensor, self.output_tensor
        if isinstance(self.op, ir.AveragePool2D):
            # The reference averages the integers as the operand's type has them: rounding of halves
            # depends on it, and the same bytes may be an int8 tensor and an uint8 one.
            value = divide_round_half_away(sums + offset(x) * self.pixels, self.pixels)
            low, high = golden.activation_range(self.graph, self.op)
            return np.asarray(np.clip(value, low, high) - offset(y), np.int64)
        multiplier, shift = golden.requantize_params(self.graph, self.op)
        scaled = multiply_by_quantized_multiplier(
            sums - zero_point(x) * self.pixels, int(multiplier[0]), int(shift[0])
        )
        return self.requantisation.finish(scaled)

    @property
    def hardware_requantisation(self) -> Requantisation:
        """The requantisation that the hardware does behind its sums."""
        if isinstance(self.op, ir.AveragePool2D):
            # Input and output have the same zero point.
            return replace(self.requantisation, zero_point=0)
        return self.requantisation

    @cached_property
    def codes(self) -> tuple[Part, ...] | None:
        """Integers that give all :attr:`averages`, if there are any; see :func:`find_codes`."""
        gain = 1 / self.pixels
        if isinstance(self.op, ir.Mean):
            gain *= self.view.tensor.q.scale / self.output_tensor.q.scale
        return find_codes(self.sums, self.averages, gain, self.hardware_requantisation, self.spec)

    def _output_range(self) -> Ints:
        (known,) = self.ranges
        return self._average(self.pixels * known)
