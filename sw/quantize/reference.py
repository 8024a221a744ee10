"""The float network in NumPy: what quantisation is measured against, and calibrated with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import InputError
from sw.ir import NO_PADDING, Padding
from sw.networks.architecture import Architecture, Layer
from sw.quantize import arithmetic
from sw.quantize.weights import LayerWeights, check, fold

__all__ = ["POOL", "FloatNetwork", "Preprocessing", "check_images", "padding_of", "sum_name"]

Floats = npt.NDArray[np.floating]
Observer = Callable[[str, Floats], None]

POOL = "pool"
"""Name of the average before the classifier."""


GREATEST_BITS = 40
GREATEST = 2.0**GREATEST_BITS
"""What no weight and no activation reaches: sums of their products are far from float32's end."""


def sum_name(layer: Layer) -> str:
    """Return the name of a layer's output once the residual connection has been added."""
    return layer.name if layer.skip is None else f"{layer.name}_add"


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Preprocessing of the training: x = (pixel − mean) / deviation, per channel.

    Attributes
    ----------
    mean, deviation : tuple of float
        In units of pixel values from 0 to 255; one value for all channels, or one for each.
    """

    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (255.0,)

    def __post_init__(self) -> None:
        if not all(0 <= m <= 255 for m in self.mean):
            raise InputError(f"means must be from 0 to 255, not {list(self.mean)}")
        if not all(0 < d < float("inf") for d in self.deviation):
            raise InputError(f"deviations must be positive, not {list(self.deviation)}")

    def of_channels(self, channels: int) -> tuple[Floats, Floats]:
        """Return mean and deviation of every channel, (C,) float64."""
        for name, values in (("mean", self.mean), ("deviation", self.deviation)):
            if len(values) not in (1, channels):
                raise InputError(
                    f"there are {len(values)} values for the {name} of {channels} channels; give "
                    "one value, or one for each channel"
                )
        return (
            np.broadcast_to(np.array(self.mean, np.float64), (channels,)),
            np.broadcast_to(np.array(self.deviation, np.float64), (channels,)),
        )


UNIT = Preprocessing()
"""Pixels become 0 to 1: the default, and PyTorch's ``ToTensor``."""

KERAS = Preprocessing(mean=(127.5,), deviation=(127.5,))
"""Pixels become −1 to 1, as ``preprocess_input`` of Keras' MobileNets does."""

TORCHVISION = Preprocessing(
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    deviation=(0.229 * 255, 0.224 * 255, 0.225 * 255),
)
"""The normalisation that torchvision's weights were trained with."""


def padding_of(net: Architecture, layer: Layer) -> Padding:
    """Return a convolution's padding, in pixels."""
    if layer.kernel == 1:
        return NO_PADDING
    total = max(0, (layer.output_size - 1) * layer.stride + layer.kernel - layer.size)
    before = (layer.kernel - 1) // 2 if net.padding == "symmetric" else total // 2
    return ((before, total - before),) * 2


def check_images(net: Architecture, images: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Return images as (N, H, W, C) uint8.

    Parameters
    ----------
    net : Architecture
    images : (N, H, W, C) or, for one channel, (N, H, W) uint8

    Raises
    ------
    InputError
        If they are not the network's, or there are none.
    """
    shape = (net.size, net.size, net.channels)
    if images.ndim == 3 and net.channels == 1:
        images = images[..., None]
    if images.shape[1:] != shape or images.dtype != np.uint8 or not len(images):
        raise InputError(
            f"{net.name} takes images of uint8[N, {net.size}, {net.size}, {net.channels}]; these "
            f"are {images.dtype}{list(images.shape)}"
        )
    return images.astype(np.uint8, copy=False)


class FloatNetwork:
    """A network with folded float32 weights.

    Parameters
    ----------
    net : Architecture
    weights : mapping of LayerWeights
        By name of the layer.
    preprocessing : Preprocessing

    Attributes
    ----------
    folded : dict
        (weight, bias) of every layer, float64, batch normalisation folded in.
    """

    def __init__(
        self,
        net: Architecture,
        weights: Mapping[str, LayerWeights],
        preprocessing: Preprocessing = UNIT,
    ) -> None:
        check(net, weights)
        self.net = net
        self.preprocessing = preprocessing
        self.mean, self.deviation = preprocessing.of_channels(net.channels)
        with np.errstate(over="ignore", invalid="ignore"):
            self.folded = {layer.name: fold(weights[layer.name], layer) for layer in net.layers}
        for name, parts in self.folded.items():
            for part in parts:
                self._check_size(name, "weights with the normalisation folded in", part)
        self._single = {
            name: (weight.astype(np.float32), bias.astype(np.float32))
            for name, (weight, bias) in self.folded.items()
        }

    def run(self, images: npt.NDArray[np.uint8], observe: Observer | None = None) -> Floats:
        """Run images.

        Parameters
        ----------
        images : (N, H, W, C) uint8
        observe : callable, optional
            Called with name and value of every layer's output, of every sum
            (:func:`sum_name`) and of the average (:data:`POOL`).

        Returns
        -------
        (N, classes) float32, of a detector (N, rows, columns, classes)
            Logits: the same on every processor, and whatever else is in the batch.
        """
        images = check_images(self.net, images)

        def report(name: str, value: Floats) -> None:
            if observe is not None:
                observe(name, value.swapaxes(0, -1))

        # (C, H, W, N): with images last, rows stay long where images are small.
        x: Floats = ((images - self.mean) / self.deviation).astype(np.float32)
        x = np.ascontiguousarray(x.swapaxes(0, -1))
        kept = {layer.skip for layer in self.net.layers}
        values: dict[str, Floats] = {}
        for layer in self.net.layers:
            if layer.kind == "linear":
                count = x.shape[1] * x.shape[2]
                x = arithmetic.total(x, (1, 2)) / np.float32(count)
                report(POOL, x)
            x = self._layer(layer, x)
            self._check_size(layer.name, "outputs", x)
            report(layer.name, x)
            if layer.skip is not None:
                x = x + values[layer.skip]
                report(sum_name(layer), x)
            if layer.name in kept:
                values[layer.name] = x
        return x.swapaxes(0, -1)

    def _check_size(self, name: str, what: str, values: Floats) -> None:
        """Refuse values so large that those of the next layers could be beyond float32."""
        # Not a number is not below anything either.
        if not (np.abs(values) < GREATEST).all():
            raise InputError(
                f"{self.net.name}: {what} of layer {name!r} reach 2^{GREATEST_BITS}; train it "
                "again, or look at its variances and the epsilon"
            )

    def _layer(self, layer: Layer, x: Floats) -> Floats:
        """Return the output of a layer, (C, H, W, N), or (C, N) for a linear one."""
        weight, bias = self._single[layer.name]
        if layer.kind == "depthwise":
            padded = np.pad(x, ((0, 0), *padding_of(self.net, layer), (0, 0)))
            kernel = weight.reshape(-1, layer.outputs).T
            y = np.stack([
                arithmetic.weighted_sum(taps, _taps(channel, layer))
                for taps, channel in zip(kernel, padded, strict=True)
            ])
        else:
            if layer.kernel > 1:
                padded = np.pad(x, ((0, 0), *padding_of(self.net, layer), (0, 0)))
                x = np.concatenate(_taps(padded, layer))
            y = arithmetic.product(weight.reshape(layer.outputs, -1), x.reshape(len(x), -1))
            y = y.reshape(-1, *x.shape[1:])
        y += bias.reshape(-1, *(1,) * (y.ndim - 1))
        if layer.relu6:
            np.clip(y, 0, 6, out=y)
        return y


def _taps(padded: Floats, layer: Layer) -> list[Floats]:
    """Return what each tap of the kernel meets, row by row: of (..., H, W, N)."""
    span = (layer.output_size - 1) * layer.stride + 1
    return [
        padded[..., i : i + span : layer.stride, j : j + span : layer.stride, :]
        for i in range(layer.kernel)
        for j in range(layer.kernel)
    ]
