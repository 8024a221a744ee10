"""Networks as graphs with random weights: for what depends on shapes only, such as cycles.

Weights are seeded int8 noise, scales are per channel and such that activations use their range:
what the compiler has to prove about a trained network it has to prove here too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sw import ir
from sw.networks.architecture import Architecture, Layer
from sw.quantize.reference import padding_of

__all__ = ["random_graph"]

WEIGHT_DEVIATION = 32
"""Standard deviation of weights; among hundreds of them the largest come near 127."""
INPUT_RMS = 75
"""Root mean square of int8 activations less their zero point."""
OUTPUT_DEVIATION = 1.5
"""Standard deviation of a layer's sums, as real numbers: ReLU6 then cuts off few of them."""
CALIBRATED_RANGE = 8 * OUTPUT_DEVIATION
"""What the 256 values of a tensor without ReLU6 stretch over."""
RELU6 = ir.Quantization((float(np.float32(6 / 255)),), (-128,))
INPUT = ir.Quantization((float(np.float32(1 / 127.5)),), (-1,))
SCORES = ir.Quantization((1 / 256,), (-128,))


def random_graph(network: Architecture, *, seed: int = 0) -> ir.Graph:
    """Return a network as the importer would, with random weights.

    Parameters
    ----------
    network : Architecture
    seed : int
        Of weights, biases and scales.

    Returns
    -------
    Graph
        From ``(1, size, size, channels)`` int8 to ``(1, classes)`` int8; the average over the
        image and SOFTMAX are there, as exported files have them.
    """
    net = _Builder(np.random.default_rng(seed))
    x = net.tensor((1, network.size, network.size, network.channels), INPUT)
    made: dict[str, int] = {}
    for layer in network.layers:
        if layer.kind == "linear":
            x = net.fully_connected(layer, net.average(x))
        else:
            x = net.convolution(layer, x, padding_of(network, layer))
        if layer.skip is not None:
            x = net.add(layer, made[layer.skip], x)
        made[layer.name] = x
    output = net.softmax(x)
    graph = ir.Graph(
        name=network.name,
        tensors=tuple(net.tensors),
        ops=tuple(net.ops),
        inputs=(0,),
        outputs=(output,),
    )
    graph.check()
    return graph


@dataclass(kw_only=True)
class _Weights:
    weights: int
    bias: int


@dataclass
class _Builder:
    """Appends tensors and operators; handles are tensor numbers."""

    rng: np.random.Generator
    tensors: list[ir.Tensor] = field(default_factory=list)
    ops: list[ir.Operator] = field(default_factory=list)

    def tensor(
        self,
        shape: tuple[int, ...],
        quantization: ir.Quantization,
        data: npt.NDArray[np.generic] | None = None,
    ) -> int:
        """Add a tensor: int8, or a constant of its data's type."""
        if data is not None:
            data.flags.writeable = False
        number = len(self.tensors)
        self.tensors.append(
            ir.Tensor(
                index=number,
                name=f"tensor_{number}",
                shape=shape,
                dtype="int8" if data is None else str(data.dtype),
                quantization=quantization,
                data=data,
            )
        )
        return number

    def convolution(self, layer: Layer, x: int, padding: ir.Padding) -> int:
        """Add a convolution or a depthwise one."""
        size, stride = layer.output_size, (layer.stride, layer.stride)
        y = self.tensor((1, size, size, layer.outputs), self._output(layer))
        depthwise = layer.kind == "depthwise"
        made = (
            self._weights(x, (1, *layer.weight_shape), axis=3)
            if depthwise
            else self._weights(x, layer.weight_shape, axis=0)
        )
        kind = ir.DepthwiseConv2D if depthwise else ir.Conv2D
        self.ops.append(
            kind(
                name=layer.name,
                input=x,
                weights=made.weights,
                bias=made.bias,
                output=y,
                activation="RELU6" if layer.relu6 else "NONE",
                stride=stride,
                padding=padding,
            )
        )
        return y

    def fully_connected(self, layer: Layer, x: int) -> int:
        """Add a fully connected layer."""
        made = self._weights(x, layer.weight_shape, axis=0)
        y = self.tensor((1, layer.outputs), self._output(layer))
        self.ops.append(
            ir.FullyConnected(
                name=layer.name,
                input=x,
                weights=made.weights,
                bias=made.bias,
                output=y,
                activation="RELU6" if layer.relu6 else "NONE",
            )
        )
        return y

    def add(self, layer: Layer, x: int, y: int) -> int:
        """Add a residual connection."""
        z = self.tensor(self.tensors[x].shape, self._without_relu(1.4))
        self.ops.append(ir.Add(name=f"{layer.name}_add", input1=x, input2=y, output=z))
        return z

    def average(self, x: int) -> int:
        """Add the average over the image."""
        _, height, width, channels = self.tensors[x].shape
        pooled = self.tensor((1, 1, 1, channels), self.tensors[x].q)
        self.ops.append(
            ir.AveragePool2D(
                name="pool",
                input=x,
                output=pooled,
                window=(height, width),
                stride=(height, width),
            )
        )
        flat = self.tensor((1, channels), self.tensors[x].q)
        self.ops.append(ir.Reshape(name="flatten", input=pooled, output=flat))
        return flat

    def softmax(self, x: int) -> int:
        """Add SOFTMAX."""
        y = self.tensor(self.tensors[x].shape, SCORES)
        self.ops.append(ir.Softmax(name="softmax", input=x, output=y))
        return y

    def _output(self, layer: Layer) -> ir.Quantization:
        return RELU6 if layer.relu6 else self._without_relu(1.0)

    def _without_relu(self, stretch: float) -> ir.Quantization:
        """Return the scale of a tensor whose values lie around zero."""
        scale = float(np.float32(stretch * CALIBRATED_RANGE / 255))
        return ir.Quantization((scale,), (int(self.rng.integers(-10, 11)),))

    def _weights(self, x: int, shape: tuple[int, ...], *, axis: int) -> _Weights:
        """Add weights and biases whose sums have about the deviation that is wanted."""
        channels = shape[axis]
        noise = np.rint(self.rng.normal(0, WEIGHT_DEVIATION, shape))
        rms = math.sqrt(math.prod(shape) / channels) * WEIGHT_DEVIATION * INPUT_RMS
        scale = np.float32(self.tensors[x].q.scale)
        spread = self.rng.uniform(0.6, 1.6, channels)
        scales = (OUTPUT_DEVIATION * spread / (rms * float(scale))).astype(np.float32)
        weights = self.tensor(
            shape, _per_channel(scales, axis), np.clip(noise, -127, 127).astype(np.int8)
        )
        bias = self.tensor(
            (channels,),
            _per_channel(scales * scale, 0),
            self.rng.normal(0, rms / 2, channels).astype(np.int32),
        )
        return _Weights(weights=weights, bias=bias)


def _per_channel(scales: npt.NDArray[np.float32], axis: int) -> ir.Quantization:
    return ir.Quantization(tuple(float(s) for s in scales), (0,) * len(scales), axis)
