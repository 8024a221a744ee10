"""One layer, and one input, of a described network; see :mod:`sw.fuzz.network`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["BIASES", "CONSTANTS", "FORMS", "GRIDS", "SCALES", "WEIGHTS", "Input", "Layer"]

WEIGHTS = ("random", "lowest", "highest", "ends", "equal", "none", "dead")
"""Random; all at one end, at both; one value; all at the zero point; one channel there."""

BIASES = ("random", "absent", "zero", "large", "one large", "one at an end", "at the ends")
"""Of up to 3000; none; 0; of up to 2^23 (all, or one channel's); near the ends of int32."""

SCALES = ("random", "one tiny", "one huge", "spread")
"""Of weights, per channel: one that makes a dead channel, one that makes it clamp, both kinds."""

FORMS = ("flat", "swap", "row", "column", "split", "vector", "channels", "same")
"""Of reshapes: (1, all); W × H; 1 × HW; HW × 1; other factors; 1 × 1 × all; twice the channels at
half the width; nothing."""

GRIDS = ("", "corners", "centres")
"""Of resizes: neither flag, align_corners, half_pixel_centers."""

CONSTANTS = ("scalar", "channel", "full")
"""Shapes of the constant operand of MUL, SUB, ADD; without one they have two tensors."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """An input of a network.

    Attributes
    ----------
    shape : tuple of int
    dtype : {"int8", "uint8"}
    scale : float
    zero_point : int
    floating : bool
        The file's input is float32 with a QUANTIZE behind it, as the converter writes it.
    """

    shape: tuple[int, ...]
    dtype: str = "int8"
    scale: float = 0.02
    zero_point: int = 0
    floating: bool = False

    def simpler(self) -> Iterator[Input]:
        """Yield simpler ones."""
        for d in range(1, len(self.shape)):
            for size in _smaller_sizes(self.shape[d]):
                yield replace(self, shape=(*self.shape[:d], size, *self.shape[d + 1 :]))
        if self.floating:
            yield replace(self, floating=False)
        if self.dtype == "uint8":
            yield replace(self, dtype="int8", zero_point=self.zero_point - 128)
        if self.zero_point not in (0, 128):
            yield replace(self, zero_point=128 if self.dtype == "uint8" else 0)
        if self.scale != 0.02:
            yield replace(self, scale=0.02)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """An operator with what is special about it.

    Attributes
    ----------
    kind : str
        TensorFlow Lite's name.
    inputs : tuple of int
        Values; see :class:`sw.fuzz.network.Network`.
    seed : int
        Of its contents.
    channels : int
        Of the output of convolutions and fully connected layers; the depth multiplier of
        depthwise ones.
    kernel, stride, dilation : (height, width)
        Of convolutions; of AVERAGE_POOL_2D, where a kernel of (0, 0) is the whole image.
    padding : {"SAME", "VALID"}
    activation : {"NONE", "RELU", "RELU6"}
    numbers : tuple of int
        PAD: top, bottom, left, right, or before and after each dimension, as for PADV2 (which has
        its value behind them) and MIRROR_PAD; TRANSPOSE: the permutation; MEAN, SUM: the axes;
        ARG_MAX, CONCATENATION, PACK, UNPACK, EXPAND_DIMS: the axis; SPLIT: axis and count; SPLIT_V:
        axis and sizes; RESIZE and TRANSPOSE_CONV: height and width; SLICE: begins and sizes;
        STRIDED_SLICE: begins, ends, strides and three masks.
    keep_dims : bool
        Of MEAN and SUM.
    form : str
        Of RESHAPE: one of :data:`FORMS`; of RESIZE: one of :data:`GRIDS`; of MIRROR_PAD: "edge" or
        not.
    constant : str
        One of :data:`CONSTANTS`, or "" where there is none.
    alpha : float
        Of LEAKY_RELU.
    weights, bias, scales : str
        One of :data:`WEIGHTS`, :data:`BIASES`, :data:`SCALES`.
    per_channel : bool or None
        ``None``: as TensorFlow Lite's converter does it.
    gain : float
        From accumulators, or the first operand, to the output; 0 where it may be what fits.
    same_scale : bool
        The output of a convolution has its input's scale, as before a sum.
    zero_point : int or None
        Of the output, as int8; ``None``: random.
    dtype : str
        Of QUANTIZE: the output's.
    beta : float
        Of SOFTMAX.
    """

    kind: str
    inputs: tuple[int, ...] = (0,)
    seed: int = 0
    channels: int = 1
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    activation: str = "NONE"
    numbers: tuple[int, ...] = ()
    keep_dims: bool = True
    form: str = "flat"
    constant: str = ""
    weights: str = "random"
    bias: str = "random"
    scales: str = "random"
    per_channel: bool | None = None
    gain: float = 0.0
    same_scale: bool = False
    zero_point: int | None = None
    dtype: str = "int8"
    beta: float = 1.0
    alpha: float = 0.2

    def simpler(self) -> Iterator[Layer]:
        """Yield simpler ones of the same kind."""
        for channels in _smaller_sizes(self.channels):
            yield replace(self, channels=channels)
        plain: dict[str, Any] = {
            "kernel": (3, 3) if self.kind == "DEPTHWISE_CONV_2D" else (1, 1),
            "stride": (1, 1), "dilation": (1, 1), "padding": "SAME", "activation": "NONE",
            "keep_dims": True, "weights": "random", "scales": "random", "per_channel": None,
            "gain": 0.0, "same_scale": False, "zero_point": 0, "beta": 1.0, "seed": 0,
        }
        if self.kind == "AVERAGE_POOL_2D" and self.kernel == (0, 0):
            del plain["kernel"], plain["padding"]
        for name, value in plain.items():
            if getattr(self, name) != value:
                yield replace(self, **{name: value})
        # LiteRT's kernel refuses a CONV_2D without one.
        for bias in ("zero",) if self.kind == "CONV_2D" else ("absent", "zero"):
            if self.bias not in ("absent", bias):
                yield replace(self, bias=bias)
        if self.kind == "PAD" and len(self.numbers) == 4:
            for k, n in enumerate(self.numbers):
                if n:
                    yield replace(self, numbers=(*self.numbers[:k], n - 1, *self.numbers[k + 1 :]))
        if self.constant not in ("", "scalar"):
            yield replace(self, constant="scalar")


def _smaller_sizes(size: int) -> Iterator[int]:
    for smaller in dict.fromkeys((1, size // 2, size - 1)):
        if 1 <= smaller < size:
            yield smaller
