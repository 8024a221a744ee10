"""From the description of a network to a file, and to the tensors and operators in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sw.fuzz.assemble_around import AROUND
from sw.fuzz.builder import NetworkBuilder
from sw.fuzz.layers import Input, Layer
from sw.quantize.flatbuffer import TensorSpec

__all__ = ["Built", "build_network"]

LARGE = 1 << 23
"""Biases around the ends of the accumulators' 24 bits."""

INT32 = (1 << 31) - 1

MOST_ELEMENTS = 1 << 20
"""Largest tensor that is built."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """Network that a description became.

    Attributes
    ----------
    net : NetworkBuilder
        All tensors and operators.
    outputs : tuple of int
        Tensors of the file.
    values : tuple of Input
        What would have to be given to begin behind each value.
    """

    net: NetworkBuilder
    outputs: tuple[int, ...]
    values: tuple[Input, ...]

    @property
    def data(self) -> bytes:
        """The file."""
        return self.net.build(outputs=self.outputs)


def build_network(
    inputs: Sequence[Input], layers: Sequence[Layer], outputs: Sequence[int]
) -> Built:
    """Build a described network.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or a tensor is larger than is tried.
    """
    net = NetworkBuilder()
    handles = [_input(net, entry) for entry in inputs]
    for layer in layers:
        try:
            handles.append(_layer(net, layer, [handles[i] for i in layer.inputs]))
        except (IndexError, ZeroDivisionError, OverflowError) as error:
            raise ValueError(f"{layer.kind} does not fit its inputs ({error})") from None
        shape = net[handles[-1]].shape
        if any(n < 1 for n in shape) or math.prod(shape) > MOST_ELEMENTS:
            raise ValueError(f"{layer.kind} would write {list(shape)}")
    values = tuple(_value(net[h]) for h in handles)
    return Built(net=net, outputs=tuple(handles[i] for i in outputs), values=values)


def _value(spec: TensorSpec) -> Input:
    return Input(
        shape=tuple(spec.shape),
        dtype=spec.dtype,
        scale=float(spec.scales[0]) if len(spec.scales) else 0.0,
        zero_point=int(spec.zero_points[0]) if len(spec.zero_points) else 0,
    )


def _input(net: NetworkBuilder, entry: Input) -> int:
    net.dtype = entry.dtype
    handle = net.input(entry.shape, scale=entry.scale, zero_point=entry.zero_point)
    if entry.floating:
        net.inputs[-1] = net.file.tensor(entry.shape, "float32", name="floating")
        net.file.operator("QUANTIZE", [net.inputs[-1]], [handle], ("QuantizeOptions", {}))
    return handle


def _layer(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    net.rng = np.random.default_rng(layer.seed)
    x = operands[0]
    net.dtype = net[x].dtype
    y = _KINDS[layer.kind](net, layer, operands)
    spec = net[y]
    if layer.kind in _WEIGHTED:
        _corners(net, layer, net[x], spec)
    if layer.zero_point is not None and layer.kind in _OWN_ZERO_POINT:
        spec.zero_points = [layer.zero_point + (128 if spec.dtype == "uint8" else 0)]
    return y


def _conv_2d(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.conv_2d(
        operands[0], layer.channels, kernel=layer.kernel, stride=layer.stride,
        dilation=layer.dilation, padding=layer.padding, activation=layer.activation,
        bias=layer.bias != "absent", per_channel=layer.per_channel,
    )


def _depthwise(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.depthwise_conv_2d(
        operands[0], depth_multiplier=layer.channels, kernel=layer.kernel, stride=layer.stride,
        dilation=layer.dilation, padding=layer.padding, activation=layer.activation,
        bias=layer.bias != "absent", per_channel=layer.per_channel,
    )


def _fully_connected(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.fully_connected(
        operands[0], layer.channels, activation=layer.activation, bias=layer.bias != "absent",
        per_channel=bool(layer.per_channel),
    )


def _binary(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    x = operands[0]
    shape = net[x].shape
    if layer.constant:
        constant = {"scalar": (), "channel": shape[-1:], "full": shape}[layer.constant]
        scale = net[x].scales[0] if layer.kind == "ADD" else None
        operands = [x, net.constant(constant, scale=scale)]
    add = {"ADD": net.add, "SUB": net.sub, "MUL": net.mul}[layer.kind]
    scale = net[x].scales[0] / layer.gain if layer.gain else None
    return add(operands[0], operands[1], activation=layer.activation, output_scale=scale)


def _average_pool(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    whole = not any(layer.kernel)
    window = net[operands[0]].shape[1:3] if whole else layer.kernel
    return net.average_pool_2d(
        operands[0], window=(window[0], window[1]), stride=layer.stride,
        padding="VALID" if whole else layer.padding, activation=layer.activation,
    )


def _mean(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    scale = net[operands[0]].scales[0] / layer.gain if layer.gain else None
    return net.mean(
        operands[0], axes=layer.numbers or (1, 2), keep_dims=layer.keep_dims, output_scale=scale
    )


def _pad(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    if len(layer.numbers) != 4:
        return net.pad(operands[0], list(zip(layer.numbers[::2], layer.numbers[1::2], strict=True)))
    top, bottom, left, right = layer.numbers
    return net.pad(operands[0], ((0, 0), (top, bottom), (left, right), (0, 0)))


def _reshape(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    shape = net[operands[0]].shape
    return net.reshape(operands[0], _form(layer, shape))


def _form(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    size = math.prod(shape)
    if layer.form == "flat":
        return (1, size)
    if layer.form == "vector":
        return (1, 1, 1, size)
    n, h, w, c = shape if len(shape) == 4 else (1, 1, size // shape[-1], shape[-1])
    pixels = h * w
    factors = [d for d in range(1, pixels + 1) if pixels % d == 0]
    rows = factors[layer.seed % len(factors)]
    twice = (n, h, w // 2, 2 * c) if w % 2 == 0 else (n, pixels, 1, c)
    return {
        "swap": (n, w, h, c),
        "row": (n, 1, pixels, c),
        "column": (n, pixels, 1, c),
        "split": (n, rows, pixels // rows, c),
        "channels": twice,
        "same": shape,
    }[layer.form]


def _quantize(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    x = net[operands[0]]
    offset = (layer.dtype == "uint8") * 128 - (x.dtype == "uint8") * 128
    return net.quantize(
        operands[0], layer.dtype, output_scale=x.scales[0] / (layer.gain or 1.0),
        zero_point=x.zero_points[0] + offset,
    )


_Add = Callable[[NetworkBuilder, Layer, list[int]], int]

_KINDS: dict[str, _Add] = {
    **AROUND,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "ADD": _binary,
    "SUB": _binary,
    "MUL": _binary,
    "AVERAGE_POOL_2D": _average_pool,
    "MEAN": _mean,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "QUANTIZE": _quantize,
    "SOFTMAX": lambda net, layer, operands: net.softmax(operands[0], beta=layer.beta),
    "TRANSPOSE": lambda net, layer, operands: net.transpose(operands[0], layer.numbers),
}
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_OWN_ZERO_POINT = (
    "ADD", "SUB", "MUL", "MEAN", "SUM", "QUANTIZE", "TRANSPOSE_CONV", "RELU", "RELU6",
    "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "PRELU", "HARD_SWISH", "EXP", "LOGISTIC", "TANH",
    *_WEIGHTED,
)
"""Operators whose output may have any zero point."""


def _corners(net: NetworkBuilder, layer: Layer, x: TensorSpec, y: TensorSpec) -> None:
    """Make weights, their scales, bias and output of the last operator what the layer says."""
    operands = [net[i] for i in net.file.operators[-1].inputs]
    weights = operands[1]
    fitting = y.scales[0] / (x.scales[0] * float(np.mean(weights.scales)))
    axis = 3 if layer.kind == "DEPTHWISE_CONV_2D" else 0
    weights.data = _weights(net.rng, layer.weights, weights, axis)
    weights.scales = _scales(net.rng, layer.scales, weights.scales)
    product = np.float32(x.scales[0]) * np.asarray(weights.scales, np.float32)
    if len(operands) > 2:
        operands[2].scales = [float(scale) for scale in product]
        operands[2].data = _bias(net.rng, layer.bias, operands[2].data)
    if layer.gain:
        fitting = 1 / layer.gain
    y.scales = [float(np.float32(np.median(product) * fitting))]
    if layer.same_scale:
        y.scales = x.scales


def _weights(
    rng: np.random.Generator, name: str, spec: TensorSpec, axis: int
) -> npt.NDArray[np.generic]:
    data: npt.NDArray[Any] = np.array(spec.data)
    limits = np.iinfo(data.dtype)
    match name:
        case "lowest":
            data[...] = limits.min
        case "highest":
            data[...] = limits.max
        case "ends":
            data = np.where(rng.random(data.shape) < 0.5, limits.min, limits.max)
        case "equal":
            data[...] = data.flat[0]
        case "none":
            data[...] = spec.zero_points[0]
        case "dead":
            where: list[Any] = [slice(None)] * data.ndim
            where[axis] = int(rng.integers(data.shape[axis]))
            data[tuple(where)] = spec.zero_points[0]
    return data.astype(limits.dtype)


def _scales(rng: np.random.Generator, name: str, scales: Sequence[float]) -> list[float]:
    result = np.array(scales, np.float32)
    if len(result) == 1:
        return list(scales)
    if name in ("one tiny", "spread"):
        result[rng.integers(len(result))] *= np.float32(2.0 ** -int(rng.integers(5, 31)))
    if name in ("one huge", "spread"):
        result[rng.integers(len(result))] *= np.float32(2.0 ** int(rng.integers(1, 5)))
    return [float(scale) for scale in result]


def _bias(
    rng: np.random.Generator, name: str, values: npt.NDArray[np.generic] | None
) -> npt.NDArray[np.int32]:
    data = np.array(values, np.int64)
    one = int(rng.integers(len(data)))
    match name:
        case "zero":
            data[...] = 0
        case "large":
            data = data * 1000
        case "one large":
            data[one] = rng.choice([-LARGE, -LARGE // 2, LARGE // 2, LARGE - 1])
        case "one at an end":
            data[one] = rng.choice([-INT32 - 1, -INT32, INT32 - 1, INT32, 1 << 30, -1 << 30])
        case "at the ends":
            data = np.where(rng.random(len(data)) < 0.5, -INT32 - 1, INT32) // (
                1 << int(rng.integers(3))
            )
    return data.astype(np.int32)
