"""From a float network to a ``.tflite`` file with int8 weights and activations.

The arithmetic is that of TensorFlow Lite's 8-bit quantisation specification: weights symmetric
with one scale per output channel, activations with one scale and zero point, biases int32 at input
scale × weight scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

import boards
from common import progress
from common.errors import UnsupportedError
from hw.contract.board import Board
from hw.contract.config import CoreConfig
from sw.ir import Activation
from sw.networks.architecture import Layer
from sw.quantize import fit
from sw.quantize.arithmetic import average, total
from sw.quantize.calibrate import ActivationQuantization, calibrate, choose
from sw.quantize.flatbuffer import ACTIVATIONS, PADDINGS, FileBuilder
from sw.quantize.layer import quantize_layer
from sw.quantize.reference import POOL, FloatNetwork, padding_of, sum_name

__all__ = ["export", "quantize"]

Floats = npt.NDArray[np.floating]


def input_quantization(network: FloatNetwork) -> ActivationQuantization:
    """Return the input's: the integer is the pixel less 128.

    The zero point is the pixel that stands for 0 in the float network, as nearly as one number
    can say it for all channels; the scale that of the mean deviation.
    """
    scale = float(np.float32(1 / average(network.deviation)))
    return ActivationQuantization(scale, round(average(network.mean)) - 128)


def _first_layer(
    network: FloatNetwork, x: ActivationQuantization, weight: Floats, bias: Floats, depthwise: bool
) -> tuple[Floats, Floats]:
    """Make mean and deviation of the channels part of the first layer."""
    zero = x.zero_point + 128
    gain = 1 / (network.deviation * x.scale)
    shift = (zero - network.mean) / network.deviation
    if depthwise:
        return weight * gain, bias + total(weight * shift, (0, 1))
    return weight * gain, bias + total(weight * shift, (1, 2, 3))


class _Exporter:
    """Adds the operators of a network to a file, one after another."""

    def __init__(
        self,
        network: FloatNetwork,
        chosen: Mapping[str, ActivationQuantization],
        core: CoreConfig,
        search: bool,
    ) -> None:
        self.network = network
        self.net = network.net
        self.chosen = chosen
        self.core = core
        self.trials = fit.STRETCHES if search else fit.STRETCHES[:1]
        self.file = FileBuilder(description=network.net.name)

    def activation(self, name: str, shape: tuple[int, ...], q: ActivationQuantization) -> int:
        return self.file.tensor(shape, "int8", [q.scale], [q.zero_point], name=name)

    def quantization(self, handle: int) -> ActivationQuantization:
        spec = self.file.tensors[handle]
        return ActivationQuantization(spec.scales[0], spec.zero_points[0])

    def integers(self, name: str, values: Any) -> int:
        data = np.array(values, np.int32)
        return self.file.tensor(data.shape, "int32", data=data, name=name)

    def constants(self, layer: Layer, x: int) -> list[int]:
        """Add weights and bias; return their numbers."""
        weight, bias = self.network.folded[layer.name]
        if layer is self.net.layers[0]:
            depthwise = layer.kind == "depthwise"
            weight, bias = _first_layer(
                self.network, self.quantization(x), weight, bias, depthwise
            )
        if layer.kind == "depthwise":
            weight = weight[None]
        elif layer.kind == "linear":
            weight = weight[:, None, None, :]
        axis = 3 if layer.kind == "depthwise" else 0
        integers, biases, scales = self.quantized(layer, weight, bias, self.quantization(x), axis)
        zeros = [0] * len(scales)
        products = scales * np.float32(self.quantization(x).scale)
        return [
            self.file.tensor(
                integers.shape, "int8", scales.tolist(), zeros,
                axis=axis, data=integers, name=f"{layer.name}/weights",
            ),
            self.file.tensor(
                biases.shape, "int32", products.tolist(), zeros,
                data=biases, name=f"{layer.name}/bias",
            ),
        ]

    def quantized(
        self, layer: Layer, weight: Floats, bias: Floats, x: ActivationQuantization, axis: int
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Quantise weights and bias, with other scales for channels that the core cannot do."""
        y, activation = self.chosen[layer.name], _activation(layer)
        stretch = np.ones(len(bias))
        for following in (*self.trials[1:], None):
            integers, biases, scales = quantize_layer(
                weight, bias, x, y, axis=axis, acc_bits=self.core.acc_bits,
                stretch=stretch,
            )
            if following is None:
                break
            matrix = np.moveaxis(integers, axis, 0).reshape(len(bias), -1)
            refused = fit.refused_channels(matrix, biases, scales, x, y, activation, self.core)
            if not refused.any():
                break
            stretch[refused] = following
        return integers, biases, scales

    def pad(self, layer: Layer, x: int) -> tuple[int, str]:
        """Add a PAD where SAME would pad otherwise; return input and padding of the convolution."""
        ((before, after), _) = padding_of(self.net, layer)
        # SAME puts the smaller half first, which is what stride 1 and TensorFlow's layers have.
        if before <= after:
            return x, "SAME"
        size = layer.size + before + after
        shape = (1, size, size, layer.inputs)
        y = self.activation(f"{layer.name}/pad", shape, self.quantization(x))
        pairs = [[0, 0], [before, after], [before, after], [0, 0]]
        self.file.operator(
            "PAD", [x, self.integers(f"{layer.name}/paddings", pairs)], [y], ("PadOptions", {})
        )
        return y, "VALID"

    def convolution(self, layer: Layer, x: int) -> int:
        x, padding = self.pad(layer, x)
        shape = (1, layer.output_size, layer.output_size, layer.outputs)
        constants = self.constants(layer, x)
        y = self.activation(layer.name, shape, self.chosen[layer.name])
        options: dict[str, Any] = {
            "Padding": PADDINGS[padding],
            "StrideH": layer.stride,
            "StrideW": layer.stride,
            "DilationHFactor": 1,
            "DilationWFactor": 1,
            "FusedActivationFunction": ACTIVATIONS[_activation(layer)],
        }
        kind, table = "CONV_2D", "Conv2DOptions"
        if layer.kind == "depthwise":
            kind, table = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
            options["DepthMultiplier"] = layer.outputs // layer.inputs
        self.file.operator(kind, [x, *constants], [y], (table, options))
        return y

    def add(self, layer: Layer, x: int, other: int) -> int:
        y = self.activation(
            sum_name(layer), self.file.tensors[x].shape, self.chosen[sum_name(layer)]
        )
        options = {"FusedActivationFunction": ACTIVATIONS["NONE"]}
        self.file.operator("ADD", [x, other], [y], ("AddOptions", options))
        return y

    def classifier(self, layer: Layer, x: int, softmax: bool) -> int:
        """Add the average, the classifier as a convolution of 1 × 1, and what follows.

        FULLY_CONNECTED would do the same, but LiteRT's reference rounds once there and TensorFlow
        Lite Micro twice; convolutions are equal in both.
        """
        y = self.activation(POOL, (1, 1, 1, layer.inputs), self.chosen[POOL])
        axes = self.integers(f"{POOL}/axes", [1, 2])
        self.file.operator("MEAN", [x, axes], [y], ("ReducerOptions", {"KeepDims": True}))
        y = self.convolution(layer, y)
        shape = (1, layer.outputs)
        flat = self.activation("logits", shape, self.chosen[layer.name])
        self.file.operator(
            "RESHAPE", [y, self.integers("logits/shape", shape)], [flat], ("ReshapeOptions", {})
        )
        return self.softmax(flat) if softmax else flat

    def softmax(self, x: int) -> int:
        """Add the probabilities, with the scale and zero point that the specification gives."""
        shape = self.file.tensors[x].shape
        scores = self.activation("scores", shape, ActivationQuantization(1 / 256, -128))
        self.file.operator("SOFTMAX", [x], [scores], ("SoftmaxOptions", {"Beta": 1.0}))
        return scores

    def build(self, softmax: bool) -> bytes:
        net = self.net
        shape = (1, net.size, net.size, net.channels)
        first = x = self.activation("image", shape, input_quantization(self.network))
        values: dict[str, int] = {}
        for layer in net.layers:
            if layer.kind == "linear":
                x = self.classifier(layer, x, softmax)
                continue
            progress.at(layer.name)
            x = self.convolution(layer, x)
            if layer.skip is not None:
                x = self.add(layer, x, values[layer.skip])
            values[layer.name] = x
        if softmax and net.layers[-1].kind != "linear":
            # A detector: of each cell.
            x = self.softmax(x)
        return self.file.build([first], [x])


def _activation(layer: Layer) -> Activation:
    return "RELU6" if layer.relu6 else "NONE"


def export(
    network: FloatNetwork,
    chosen: Mapping[str, ActivationQuantization],
    core: CoreConfig,
    *,
    softmax: bool = True,
    search: bool = False,
) -> bytes:
    """Return the quantised network as a ``.tflite`` file.

    Parameters
    ----------
    network : FloatNetwork
    chosen : mapping
        Scale and zero point of every activation, from :func:`sw.quantize.calibrate.choose`.
    core : CoreConfig
        Whose accumulators sums have to fit.
    softmax : bool
        Whether the file ends with probabilities, or with logits.
    search : bool
        Look for scales of weights that the core can do.
    """
    what = "finding scales of weights that the core can do" if search else "quantising weights"
    with progress.stage(what):
        return _Exporter(network, chosen, core, search).build(softmax)


def quantize(
    network: FloatNetwork,
    images: npt.NDArray[np.uint8],
    *,
    quantile: float = 1.0,
    softmax: bool = True,
    board: Board | None = None,
) -> bytes:
    """Calibrate, quantise and export.

    Parameters
    ----------
    network : FloatNetwork
    images : (N, H, W, C) uint8
        Some hundred to calibrate with.
    quantile : float
        See :func:`sw.quantize.calibrate.calibrate`.
    softmax : bool
        See :func:`export`.
    board : Board, optional
        What the file has to compile for; the iCEBreaker if none is given.

    Returns
    -------
    bytes
        The ``.tflite`` file.

    Raises
    ------
    InputError
        If images or quantile do not fit.
    UnsupportedError
        If no quantisation makes the network one that compiles for the board.
    """
    board = board or boards.get(boards.DEFAULT)
    core, name = board.config, network.net.name
    chosen = choose(network, calibrate(network, images, quantile=quantile))
    model = export(network, chosen, core, softmax=softmax)
    try:
        fit.check(model, name, board)
    except UnsupportedError:
        chosen = fit.settle(network.net, chosen, core)
        model = export(network, chosen, core, softmax=softmax, search=True)
        fit.check(model, name, board)
    return model
