"""Operators around a network's convolutions, from their descriptions; see :mod:`assemble`."""

from __future__ import annotations

from collections.abc import Callable

from sw.fuzz.builder import NetworkBuilder
from sw.fuzz.layers import Layer

__all__ = ["AROUND"]

_Add = Callable[[NetworkBuilder, Layer, list[int]], int]


def scale(net: NetworkBuilder, layer: Layer, x: int) -> float | None:
    """Return the output's scale that a gain stands for."""
    return net[x].scales[0] / layer.gain if layer.gain else None


def _function(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.function(layer.kind, operands[0], output_scale=scale(net, layer, operands[0]))


def _logistic(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.function("LOGISTIC", operands[0])


def _tanh(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    output = 1 / 128 / layer.gain if layer.gain else None
    return net.function("TANH", operands[0], output_scale=output)


def _leaky(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.leaky_relu(
        operands[0], layer.alpha, output_scale=scale(net, layer, operands[0])
    )


def _constant(net: NetworkBuilder, layer: Layer, x: int, like: int | None = None) -> int:
    shape = net[x].shape
    part = {"scalar": (), "channel": shape[-1:], "full": shape}[layer.constant]
    return net.constant(part, scale=None if like is None else net[like].scales[0])


def _prelu(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    alpha = operands[1] if len(operands) > 1 else _constant(net, layer, operands[0])
    return net.prelu(operands[0], alpha, output_scale=scale(net, layer, operands[0]))


def _extremum(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    x = operands[0]
    other = operands[1] if len(operands) > 1 else _constant(net, layer, x, x)
    return net.extremum(layer.kind, x, other)


def _max_pool(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.max_pool_2d(
        operands[0], window=layer.kernel, stride=layer.stride, padding=layer.padding,
        activation=layer.activation,
    )


def _sum(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    output = scale(net, layer, operands[0])
    return net.sum(
        operands[0], axes=layer.numbers, keep_dims=layer.keep_dims, output_scale=output
    )


def _arg_max(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.arg_max(operands[0], layer.numbers[0], dtype=layer.dtype)


def _resize(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.resize(
        layer.kind, operands[0], (layer.numbers[0], layer.numbers[1]),
        align_corners=layer.form == "corners", half_pixel_centers=layer.form == "centres",
    )


def _transpose_conv(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    size = (layer.numbers[0], layer.numbers[1]) if layer.numbers else None
    return net.transpose_conv(
        operands[0], layer.channels, kernel=layer.kernel, stride=layer.stride, size=size,
        padding=layer.padding, activation=layer.activation, bias=layer.bias != "absent",
        per_channel=layer.per_channel,
    )


def _pairs(numbers: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _pad_v2(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    value = layer.numbers[-1] + (128 if net[operands[0]].dtype == "uint8" else 0)
    return net.pad_v2(operands[0], _pairs(layer.numbers[:-1]), value)


def _mirror_pad(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    return net.mirror_pad(operands[0], _pairs(layer.numbers), edge=layer.form == "edge")


def _slice(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    rank = len(layer.numbers) // 2
    return net.slice(operands[0], layer.numbers[:rank], layer.numbers[rank:])


def _strided_slice(net: NetworkBuilder, layer: Layer, operands: list[int]) -> int:
    *numbers, begin_mask, end_mask, shrink_mask = layer.numbers
    rank = len(numbers) // 3
    begin, end, strides = (numbers[k * rank : (k + 1) * rank] for k in range(3))
    return net.strided_slice(
        operands[0], begin, end, strides, begin_mask=begin_mask, end_mask=end_mask,
        shrink_mask=shrink_mask,
    )


def _one_of(layer: Layer, parts: list[int]) -> int:
    return parts[layer.seed % len(parts)]


AROUND: dict[str, _Add] = {
    **dict.fromkeys(
        ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "HARD_SWISH", "EXP"), _function
    ),
    "LOGISTIC": _logistic,
    "TANH": _tanh,
    "LEAKY_RELU": _leaky,
    "PRELU": _prelu,
    "MAXIMUM": _extremum,
    "MINIMUM": _extremum,
    "MAX_POOL_2D": _max_pool,
    "SUM": _sum,
    "ARG_MAX": _arg_max,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "TRANSPOSE_CONV": _transpose_conv,
    "PADV2": _pad_v2,
    "MIRROR_PAD": _mirror_pad,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "SPLIT": lambda net, layer, operands: _one_of(layer, net.split(operands[0], *layer.numbers)),
    "SPLIT_V": lambda net, layer, operands: _one_of(
        layer, net.split_v(operands[0], layer.numbers[0], layer.numbers[1:])
    ),
    "UNPACK": lambda net, layer, operands: _one_of(
        layer, net.unpack(operands[0], layer.numbers[0])
    ),
    "CONCATENATION": lambda net, layer, operands: net.concatenation(operands, layer.numbers[0]),
    "PACK": lambda net, layer, operands: net.pack(operands, layer.numbers[0]),
    "SQUEEZE": lambda net, layer, operands: net.squeeze(operands[0]),
    "EXPAND_DIMS": lambda net, layer, operands: net.expand_dims(operands[0], layer.numbers[0]),
    "DEQUANTIZE": lambda net, layer, operands: net.dequantize(operands[0]),
}
"""What adds an operator of each kind."""
