"""MobileNet V1 and V2 as their papers define them, as plain data.

A network is a list of layers with shapes; nothing here computes.  Everything else is made from
it: the float network (:mod:`sw.quantize.reference`), the quantised file
(:mod:`sw.quantize.export`), the PyTorch module that is trained (:mod:`sw.training.train`).

- V1: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
  Applications", 2017, table 1.
- V2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, table 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from common.errors import InputError

MAX_VALUES = 1 << 24
"""Of a tensor; the importer reads no larger ones."""

__all__ = ["Architecture", "Kind", "Layer", "Padding", "divisible", "mobilenet_v1", "mobilenet_v2"]

Kind: TypeAlias = Literal["conv", "depthwise", "linear"]
Padding: TypeAlias = Literal["same", "symmetric"]

V1_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
"""(output channels, stride of the depthwise convolution) of every block of V1."""

V2_BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""(expansion t, output channels c, repetitions n, stride s of the first) of V2's table 2."""

V2_STEM, V2_HEAD = 32, 1280


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer with weights.

    Attributes
    ----------
    name : str
        Unique in the network, an identifier such as ``"block3_depthwise"``.
    kind : {"conv", "depthwise", "linear"}
        ``linear`` comes last, behind the average over the whole image.
    inputs, outputs : int
        Channels.
    kernel, stride : int
        Of both dimensions; 1 for ``linear``.
    size, output_size : int
        Height and width of input and output; 1 for ``linear``.
    norm : bool
        Batch normalisation follows (and there is no bias).
    relu6 : bool
        ReLU6 follows.
    skip : str or None
        The layer whose output is added to this one's: a residual connection.
    """

    name: str
    kind: Kind
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    size: int = 1
    output_size: int = 1
    norm: bool = True
    relu6: bool = True
    skip: str | None = None

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weights.

        (outputs, rows, columns, inputs) for ``conv``, (rows, columns, channels) for
        ``depthwise``, (outputs, inputs) for ``linear``.
        """
        if self.kind == "linear":
            return self.outputs, self.inputs
        if self.kind == "depthwise":
            return self.kernel, self.kernel, self.outputs
        return self.outputs, self.kernel, self.kernel, self.inputs

    @property
    def macs(self) -> int:
        """Multiply-adds of one image, positions in the padding included, as the papers count."""
        return math.prod(self.weight_shape) * self.output_size**2

    @property
    def weights(self) -> int:
        """Weights, and the bias where there is one, as the papers count parameters."""
        return math.prod(self.weight_shape) + (0 if self.norm else self.outputs)

    @property
    def parameters(self) -> int:
        """Weights, and bias or scale and offset of the normalisation, as frameworks count."""
        return self.weights + (2 * self.outputs if self.norm else 0)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network.

    Attributes
    ----------
    name : str
    size : int
        Height and width of the input.
    channels, classes : int
    padding : {"same", "symmetric"}
        ``same``: TensorFlow's, which pads an even image below and on the right when the stride is
        2.  ``symmetric``: PyTorch's, (kernel − 1) / 2 on all sides.
    layers : tuple of Layer
        In execution order.
    """

    name: str
    size: int
    channels: int
    classes: int
    padding: Padding
    layers: tuple[Layer, ...]

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """Weights and biases, as the papers count parameters."""
        return sum(layer.weights for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trainable parameters, normalisation included, as frameworks count."""
        return sum(layer.parameters for layer in self.layers)

    def layer(self, name: str) -> Layer:
        """Return a layer by name."""
        return next(layer for layer in self.layers if layer.name == name)


class _Builder:
    """Collects layers and keeps track of the image's size.

    Parameters are those of :func:`mobilenet_v1`; what both families are made of is checked here.
    """

    def __init__(
        self,
        alpha: float,
        resolution: int,
        *,
        classes: int,
        channels: int,
        stem_stride: int,
        padding: Padding,
    ) -> None:
        if not 0 < alpha <= 8:
            raise InputError(f"alpha must be more than 0 and at most 8, not {alpha!r}")
        for name, value in (
            ("resolution", resolution), ("classes", classes), ("channels", channels)
        ):
            if value < 1:
                raise InputError(f"{name} must be at least 1, not {value!r}")
        if stem_stride not in (1, 2):
            raise InputError(f"stem_stride must be 1 or 2, not {stem_stride!r}")
        self.input = resolution, channels
        self.classes, self.padding = classes, padding
        self.size, self.channels = resolution, channels
        self.layers: list[Layer] = []

    def add(
        self,
        name: str,
        kind: Kind,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        relu6: bool = True,
        skip: str | None = None,
    ) -> None:
        size = -(-self.size // stride)
        weights = kernel**2 * outputs * (1 if kind == "depthwise" else self.channels)
        _limit(name, weights, self.size**2 * self.channels, size**2 * outputs)
        self.layers.append(
            Layer(
                name=name,
                kind=kind,
                inputs=self.channels,
                outputs=outputs,
                kernel=kernel,
                stride=stride,
                size=self.size,
                output_size=size,
                relu6=relu6,
                skip=skip,
            )
        )
        self.size, self.channels = size, outputs

    def finish(self, name: str) -> Architecture:
        _limit("classifier", self.channels * self.classes)
        self.layers.append(
            Layer(
                name="classifier",
                kind="linear",
                inputs=self.channels,
                outputs=self.classes,
                norm=False,
                relu6=False,
            )
        )
        size, channels = self.input
        return Architecture(
            name=name,
            size=size,
            channels=channels,
            classes=self.classes,
            padding=self.padding,
            layers=tuple(self.layers),
        )


def _limit(name: str, *sizes: int) -> None:
    """Refuse a layer with tensors that are too large."""
    if max(sizes) > MAX_VALUES:
        raise InputError(
            f"layer {name!r} would have a tensor of more than {MAX_VALUES:,} values, the most that "
            "is compiled; use a smaller alpha, resolution or number of classes"
        )


def mobilenet_v1(
    alpha: float = 1.0,
    resolution: int = 224,
    *,
    classes: int = 1000,
    channels: int = 3,
    stem_stride: int = 2,
    padding: Padding = "same",
    name: str | None = None,
) -> Architecture:
    """Return a MobileNet V1.

    Parameters
    ----------
    alpha : float
        Width multiplier α: every number of channels is multiplied by it and rounded down.
    resolution : int
        Height and width of the input; the papers' ρ is ``resolution`` / 224.
    classes, channels : int
        Of output and input.
    stem_stride : {1, 2}
        Stride of the first convolution.  1 suits images as small as 32 × 32, which strides of 2
        five times over would leave nothing of.
    padding : {"same", "symmetric"}
    name : str, optional

    Returns
    -------
    Architecture

    Raises
    ------
    InputError
        If a number is out of range.
    """
    net = _Builder(
        alpha, resolution,
        classes=classes, channels=channels, stem_stride=stem_stride, padding=padding,
    )

    def width(count: int) -> int:
        return max(1, int(count * alpha))

    net.add("stem", "conv", width(32), 3, stem_stride)
    for number, (outputs, stride) in enumerate(V1_BLOCKS, 1):
        net.add(f"block{number}_depthwise", "depthwise", net.channels, 3, stride)
        net.add(f"block{number}_pointwise", "conv", width(outputs))
    return net.finish(name or f"mobilenet_v1_{alpha:g}_{resolution}")


def divisible(value: float, divisor: int = 8) -> int:
    """Round a number of channels to a multiple of 8, by no more than a tenth downwards.

    V2's authors and all its implementations round so.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def mobilenet_v2(
    alpha: float = 1.0,
    resolution: int = 224,
    *,
    classes: int = 1000,
    channels: int = 3,
    stem_stride: int = 2,
    head: int | None = None,
    padding: Padding = "same",
    name: str | None = None,
) -> Architecture:
    """Return a MobileNet V2.

    Parameters
    ----------
    alpha : float
        Width multiplier: numbers of channels become :func:`divisible` multiples.
    resolution, classes, channels : int
        See :func:`mobilenet_v1`.
    stem_stride : {1, 2}
        Stride of the first convolution; see :func:`mobilenet_v1`.
    head : int, optional
        Channels of the last convolution.  The paper leaves them at 1280 for α < 1, and
        multiplies them for α > 1; a network for few classes needs far less.
    padding : {"same", "symmetric"}
    name : str, optional

    Returns
    -------
    Architecture

    Raises
    ------
    InputError
        If a number is out of range.
    """
    net = _Builder(
        alpha, resolution,
        classes=classes, channels=channels, stem_stride=stem_stride, padding=padding,
    )
    if head is not None and head < 1:
        raise InputError(f"head must be at least 1, not {head!r}")
    net.add("stem", "conv", divisible(V2_STEM * alpha), 3, stem_stride)
    number = 0
    for expansion, outputs, repetitions, first_stride in V2_BLOCKS:
        for repetition in range(repetitions):
            number += 1
            stride = first_stride if repetition == 0 else 1
            before, inputs = net.layers[-1].name, net.channels
            if expansion != 1:
                net.add(f"block{number}_expand", "conv", inputs * expansion)
            net.add(f"block{number}_depthwise", "depthwise", net.channels, 3, stride)
            wide = divisible(outputs * alpha)
            skip = before if stride == 1 and inputs == wide else None
            net.add(f"block{number}_project", "conv", wide, relu6=False, skip=skip)
    net.add("head", "conv", head or divisible(V2_HEAD * max(1.0, alpha)))
    return net.finish(name or f"mobilenet_v2_{alpha:g}_{resolution}")
