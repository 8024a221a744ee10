"""Small ``.tflite`` files with random, seeded contents.

::

    net = NetworkBuilder(seed=1, dtype="int8")
    x = net.input((1, 9, 9, 3))
    x = net.conv_2d(x, 8, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    model: bytes = net.build(outputs=[x])

Handles such as ``x`` are tensor numbers of the file.  int8 networks have per-channel weights,
uint8 networks per-tensor weights with a zero point; scales are chosen so that outputs use most of
the range.  :class:`sw.quantize.flatbuffer.FileBuilder` underneath writes any tensors and operators,
well formed or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sw.fuzz.surroundings import Surroundings
from sw.fuzz.tensors import output_size
from sw.quantize.flatbuffer import ACTIVATIONS, PADDINGS, TensorSpec

__all__ = ["NetworkBuilder", "Step", "TensorSpec", "output_size", "single"]


class NetworkBuilder(Surroundings):
    """Builds a quantised network operator by operator.

    Parameters
    ----------
    seed : int
        Of weights, scales and zero points.
    dtype : {"int8", "uint8"}
        Of activations and weights.
    """

    def _weights(self, shape: tuple[int, ...], axis: int, per_channel: bool) -> int:
        limits = np.iinfo(self.dtype)
        if self.dtype == "int8":
            data = self.rng.integers(-127, 128, shape).astype(np.int8)
        else:
            data = self.rng.integers(limits.min, limits.max + 1, shape).astype(self.dtype)
        count = shape[axis] if per_channel else 1
        scales = self.rng.uniform(0.002, 0.02, count).astype(np.float32)
        zero_points = [int(self.rng.integers(90, 170)) if self.dtype == "uint8" else 0] * count
        return self.file.tensor(
            shape, self.dtype, scales, zero_points, axis=axis, data=data, name="weights"
        )

    def _bias(self, x: int, weights: int, channels: int) -> int:
        scales = np.float32(self[x].scales[0]) * np.asarray(self[weights].scales, np.float32)
        data = self.rng.integers(-3000, 3001, channels).astype(np.int32)
        return self.file.tensor(
            (channels,), "int32", scales, [0] * len(scales), data=data, name="bias"
        )

    def _output_scale(self, x: int, weights: int, terms: int) -> float:
        """Choose a scale at which most sums of ``terms`` random products stay in range."""
        scale = self[x].scales[0] * float(np.mean(self[weights].scales))
        return scale * 74 * 74 * math.sqrt(terms) / 60 * float(self.rng.uniform(0.7, 1.5))

    def _layer(
        self,
        kind: str,
        options: tuple[str, dict[str, Any]],
        x: int,
        weights: int,
        output_shape: tuple[int, ...],
        terms: int,
        bias: bool,
        output_scale: float | None,
    ) -> int:
        operands = [x, weights]
        if bias:
            operands.append(self._bias(x, weights, output_shape[-1]))
        scale = output_scale or self._output_scale(x, weights, terms)
        y = self.activation(output_shape, scale)
        self.file.operator(kind, operands, [y], options)
        return y

    def conv_2d(
        self,
        x: int,
        channels: int,
        *,
        kernel: tuple[int, int] = (1, 1),
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: str = "SAME",
        activation: str = "NONE",
        bias: bool = True,
        per_channel: bool | None = None,
        output_scale: float | None = None,
    ) -> int:
        """Add a convolution."""
        n, h, w, c = self[x].shape
        per_channel = self.dtype == "int8" if per_channel is None else per_channel
        weights = self._weights((channels, *kernel, c), 0, per_channel)
        rows = output_size(h, kernel[0], stride[0], padding, dilation[0])
        columns = output_size(w, kernel[1], stride[1], padding, dilation[1])
        options = {
            "Padding": PADDINGS[padding],
            "StrideH": stride[0],
            "StrideW": stride[1],
            "DilationHFactor": dilation[0],
            "DilationWFactor": dilation[1],
            "FusedActivationFunction": ACTIVATIONS[activation],
        }
        return self._layer(
            "CONV_2D",
            ("Conv2DOptions", options),
            x,
            weights,
            (n, rows, columns, channels),
            kernel[0] * kernel[1] * c,
            bias,
            output_scale,
        )

    def depthwise_conv_2d(
        self,
        x: int,
        *,
        depth_multiplier: int = 1,
        kernel: tuple[int, int] = (3, 3),
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: str = "SAME",
        activation: str = "NONE",
        bias: bool = True,
        per_channel: bool | None = None,
        output_scale: float | None = None,
    ) -> int:
        """Add a depthwise convolution."""
        n, h, w, c = self[x].shape
        per_channel = self.dtype == "int8" if per_channel is None else per_channel
        channels = c * depth_multiplier
        weights = self._weights((1, *kernel, channels), 3, per_channel)
        rows = output_size(h, kernel[0], stride[0], padding, dilation[0])
        columns = output_size(w, kernel[1], stride[1], padding, dilation[1])
        options = {
            "Padding": PADDINGS[padding],
            "StrideH": stride[0],
            "StrideW": stride[1],
            "DepthMultiplier": depth_multiplier,
            "DilationHFactor": dilation[0],
            "DilationWFactor": dilation[1],
            "FusedActivationFunction": ACTIVATIONS[activation],
        }
        return self._layer(
            "DEPTHWISE_CONV_2D",
            ("DepthwiseConv2DOptions", options),
            x,
            weights,
            (n, rows, columns, channels),
            kernel[0] * kernel[1],
            bias,
            output_scale,
        )

    def fully_connected(
        self,
        x: int,
        channels: int,
        *,
        activation: str = "NONE",
        bias: bool = True,
        per_channel: bool = False,
        output_scale: float | None = None,
    ) -> int:
        """Add a fully connected layer over the last dimension."""
        shape = self[x].shape
        weights = self._weights((channels, shape[-1]), 0, per_channel)
        options = {"FusedActivationFunction": ACTIVATIONS[activation]}
        return self._layer(
            "FULLY_CONNECTED",
            ("FullyConnectedOptions", options),
            x,
            weights,
            (math.prod(shape[:-1]), channels),
            shape[-1],
            bias,
            output_scale,
        )

    def transpose_conv(
        self,
        x: int,
        channels: int,
        *,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        size: tuple[int, int] | None = None,
        padding: str = "SAME",
        activation: str = "NONE",
        bias: bool = True,
        per_channel: bool | None = None,
    ) -> int:
        """Add a transposed convolution, whose output is ``stride`` times as large by default."""
        n, h, w, c = self[x].shape
        per_channel = self.dtype == "int8" if per_channel is None else per_channel
        weights = self._weights((channels, *kernel, c), 0, per_channel)
        size = size or (h * stride[0], w * stride[1])
        scale = self._output_scale(x, weights, max(1, kernel[0] * kernel[1] * c // 4))
        operands = [self.integers((n, *size, channels)), weights, x]
        if bias:
            operands.append(self._bias(x, weights, channels))
        y = self.activation((n, *size, channels), scale)
        options = {
            "Padding": PADDINGS[padding],
            "StrideH": stride[0],
            "StrideW": stride[1],
            "FusedActivationFunction": ACTIVATIONS[activation],
        }
        self.file.operator("TRANSPOSE_CONV", operands, [y], ("TransposeConvOptions", options))
        return y

    def _binary(self, kind: str, a: int, b: int, scale: float, activation: str) -> int:
        y = self.activation(np.broadcast_shapes(self[a].shape, self[b].shape), scale)
        table = f"{kind.capitalize()}Options"
        options = {"FusedActivationFunction": ACTIVATIONS[activation]}
        self.file.operator(kind, [a, b], [y], (table, options))
        return y

    def add(
        self, a: int, b: int, *, activation: str = "NONE", output_scale: float | None = None
    ) -> int:
        """Add a + b."""
        scale = output_scale or (self[a].scales[0] + self[b].scales[0]) * 0.8
        return self._binary("ADD", a, b, scale, activation)

    def sub(
        self, a: int, b: int, *, activation: str = "NONE", output_scale: float | None = None
    ) -> int:
        """Add a − b."""
        scale = output_scale or (self[a].scales[0] + self[b].scales[0]) * 0.8
        return self._binary("SUB", a, b, scale, activation)

    def mul(
        self, a: int, b: int, *, activation: str = "NONE", output_scale: float | None = None
    ) -> int:
        """Add a × b."""
        scale = output_scale or self[a].scales[0] * self[b].scales[0] * 90
        return self._binary("MUL", a, b, scale, activation)

    def average_pool_2d(
        self,
        x: int,
        *,
        window: tuple[int, int],
        stride: tuple[int, int] | None = None,
        padding: str = "VALID",
        activation: str = "NONE",
    ) -> int:
        """Add an average pooling; the stride is the window's size unless given."""
        return self.pool("AVERAGE_POOL_2D", x, window, stride or window, padding, activation)

    def mean(
        self,
        x: int,
        *,
        axes: Sequence[int] = (1, 2),
        keep_dims: bool = True,
        output_scale: float | None = None,
    ) -> int:
        """Add a mean."""
        return self.reduction("MEAN", x, axes, keep_dims, output_scale or self[x].scales[0] * 0.4)

    def pad(self, x: int, paddings: Sequence[tuple[int, int]]) -> int:
        """Add a padding with the zero point."""
        shape = tuple(n + sum(p) for n, p in zip(self[x].shape, paddings, strict=True))
        y = self.like(x, shape)
        self.file.operator("PAD", [x, self.integers(paddings)], [y], ("PadOptions", {}))
        return y

    def reshape(self, x: int, shape: tuple[int, ...]) -> int:
        """Add a reshape."""
        y = self.like(x, shape)
        self.file.operator("RESHAPE", [x, self.integers(shape)], [y], ("ReshapeOptions", {}))
        return y

    def transpose(self, x: int, permutation: Sequence[int]) -> int:
        """Add a transposition."""
        y = self.like(x, tuple(self[x].shape[d] for d in permutation))
        self.file.operator(
            "TRANSPOSE", [x, self.integers(permutation)], [y], ("TransposeOptions", {})
        )
        return y

    def quantize(
        self,
        x: int,
        dtype: str,
        *,
        output_scale: float | None = None,
        zero_point: int | None = None,
    ) -> int:
        """Add a requantisation to another type; afterwards the network has that type."""
        y = self.activation(
            self[x].shape, output_scale or self[x].scales[0], zero_point=zero_point, dtype=dtype
        )
        self.file.operator("QUANTIZE", [x], [y], ("QuantizeOptions", {}))
        self.dtype = dtype
        return y

    def softmax(self, x: int, *, beta: float = 1.0) -> int:
        """Add a softmax."""
        lowest = int(np.iinfo(self.dtype).min)
        y = self.activation(self[x].shape, 1 / 256, zero_point=lowest)
        self.file.operator("SOFTMAX", [x], [y], ("SoftmaxOptions", {"Beta": beta}))
        return y


Step = Callable[[NetworkBuilder, int], int]
"""Adds one operator behind a tensor and returns the result."""


def single(step: Step, shape: tuple[int, ...], *, seed: int = 0, dtype: str = "int8") -> bytes:
    """Return a network of one input and one operator."""
    net = NetworkBuilder(seed=seed, dtype=dtype)
    return net.build(outputs=[step(net, net.input(shape))])
