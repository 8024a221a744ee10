"""Layers, on plain arrays.

Each function takes quantised tensors as arrays and the integers that hardware is configured with,
and returns an array of the output type, equal to TensorFlow Lite's reference kernel.  Nothing here
knows about graphs; :mod:`sw.golden.params` derives the integers from scales.

Activations are NHWC; layouts of weights are those of TensorFlow Lite.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sw.golden.primitives import (
    INT32_MAX,
    INT32_MIN,
    IntLike,
    Ints,
    divide_round_half_away,
    multiply_by_quantized_multiplier,
    requantize,
    round_half_away,
    wrap_int32,
)
from sw.ir import NO_PADDING, Padding, conv_output_size

__all__ = [
    "add",
    "average_pool_2d",
    "conv_2d",
    "conv_2d_accumulate",
    "depthwise_conv_2d",
    "depthwise_conv_2d_accumulate",
    "fully_connected",
    "fully_connected_accumulate",
    "mean",
    "mul",
    "pad",
    "quantize",
    "sub",
]

Array = npt.NDArray[np.integer]

ADD_LEFT_SHIFT = 20
"""Headroom that ADD and SUB give their operands before scaling them."""


def pad(x: Array, paddings: tuple[tuple[int, int], ...], *, value: int) -> Array:
    """Pad with a constant, the zero point.

    Parameters
    ----------
    x : ndarray
    paddings : one (before, after) per dimension
    value : int
        In the range of the type of ``x``.

    Notes
    -----
    ``Pad`` in reference/pad.h.
    """
    return np.pad(x, paddings, constant_values=value)


def _spatial_pad(x: Ints, padding: Padding) -> Ints:
    """Pad height and width with 0: operands are offset by the zero point already."""
    return np.pad(x, ((0, 0), *padding, (0, 0)))


def _taps(
    x: Ints, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> list[tuple[int, int, Ints]]:
    """List (row, column, view of the inputs that this tap of the kernel meets)."""
    rows, columns = (
        conv_output_size(x.shape[1 + d], kernel[d], stride[d], dilation[d], (0, 0)) for d in (0, 1)
    )
    views = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            bottom = top + (rows - 1) * stride[0] + 1
            right = left + (columns - 1) * stride[1] + 1
            views.append((i, j, x[:, top : bottom : stride[0], left : right : stride[1], :]))
    return views


def _exact_matmul(a: Ints, b: Ints) -> Ints:
    """Multiply integer matrices through float64.

    NumPy multiplies integer matrices without BLAS, about a hundred times slower.  float64 is
    exact here: operands have at most 9 bits and sign, so every partial sum of up to 2^30 products
    stays below 2^53, whatever the order of summation.
    """
    return np.rint(a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


def conv_2d_accumulate(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: Padding = NO_PADDING,
) -> Ints:
    """Return the accumulators of a convolution, bias included, before requantisation.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
    weights : (K, R, S, C) int8 or uint8
    bias : (K,) int32 or None
    input_zero_point, weights_zero_point : int

    Returns
    -------
    (N, H', W', K) int64 in the range of int32
    """
    offset = _spatial_pad(x.astype(np.int64) - input_zero_point, padding)
    w = weights.astype(np.int64) - weights_zero_point
    taps = _taps(offset, (w.shape[1], w.shape[2]), stride, dilation)
    columns = np.concatenate([view for _, _, view in taps], axis=-1)
    matrix = w.transpose(1, 2, 3, 0).reshape(-1, w.shape[0])
    accumulator = _exact_matmul(columns.reshape(-1, columns.shape[-1]), matrix)
    accumulator = accumulator.reshape(*columns.shape[:3], w.shape[0])
    return _with_bias(accumulator, bias)


def _with_bias(accumulator: Ints, bias: Array | None) -> Ints:
    if bias is not None:
        accumulator = accumulator + bias.astype(np.int64)
    return wrap_int32(accumulator)


def conv_2d(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    output_zero_point: int,
    multiplier: IntLike,
    shift: IntLike,
    activation_min: int,
    activation_max: int,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: Padding = NO_PADDING,
) -> Array:
    """Convolve and requantise.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
    weights : (K, R, S, C) of the same type
    bias : (K,) int32 or None
    multiplier, shift : int or (K,) int
        See :func:`sw.golden.primitives.multiply_by_quantized_multiplier`.

    Returns
    -------
    (N, H', W', K) of the type of ``x``

    Notes
    -----
    ``ConvPerChannel`` in integer_ops/conv.h and ``Conv`` in reference/conv.h.
    """
    accumulator = conv_2d_accumulate(
        x,
        weights,
        bias,
        input_zero_point=input_zero_point,
        weights_zero_point=weights_zero_point,
        stride=stride,
        dilation=dilation,
        padding=padding,
    )
    return requantize(
        accumulator,
        multiplier,
        shift,
        output_zero_point=output_zero_point,
        activation_min=activation_min,
        activation_max=activation_max,
    ).astype(x.dtype)


def depthwise_conv_2d_accumulate(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: Padding = NO_PADDING,
) -> Ints:
    """Return the accumulators of a depthwise convolution, bias included.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
    weights : (1, R, S, C × M) int8 or uint8, M being the depth multiplier
    bias : (C × M,) int32 or None

    Returns
    -------
    (N, H', W', C × M) int64 in the range of int32
    """
    offset = _spatial_pad(x.astype(np.int64) - input_zero_point, padding)
    w = weights[0].astype(np.int64) - weights_zero_point
    if w.shape[2] != x.shape[3]:
        # Output channel c × M + m reads input channel c.
        offset = np.repeat(offset, w.shape[2] // x.shape[3], axis=3)
    taps = _taps(offset, (w.shape[0], w.shape[1]), stride, dilation)
    accumulator = np.zeros(taps[0][2].shape, np.int64)
    for i, j, view in taps:
        accumulator += view * w[i, j]
    return _with_bias(accumulator, bias)


def depthwise_conv_2d(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    output_zero_point: int,
    multiplier: IntLike,
    shift: IntLike,
    activation_min: int,
    activation_max: int,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: Padding = NO_PADDING,
) -> Array:
    """Convolve every channel on its own and requantise.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
    weights : (1, R, S, C × M) of the same type, M being the depth multiplier
    bias : (C × M,) int32 or None
    multiplier, shift : int or (C × M,) int

    Returns
    -------
    (N, H', W', C × M) of the type of ``x``

    Notes
    -----
    ``DepthwiseConvPerChannel`` in integer_ops/depthwise_conv.h and ``DepthwiseConv`` in
    reference/depthwiseconv_uint8.h.
    """
    accumulator = depthwise_conv_2d_accumulate(
        x,
        weights,
        bias,
        input_zero_point=input_zero_point,
        weights_zero_point=weights_zero_point,
        stride=stride,
        dilation=dilation,
        padding=padding,
    )
    return requantize(
        accumulator,
        multiplier,
        shift,
        output_zero_point=output_zero_point,
        activation_min=activation_min,
        activation_max=activation_max,
    ).astype(x.dtype)


def fully_connected_accumulate(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
) -> Ints:
    """Return the accumulators of a matrix product, bias included.

    Parameters
    ----------
    x : (…) int8 or uint8, a multiple of C elements
    weights : (K, C) int8 or uint8
    bias : (K,) int32 or None

    Returns
    -------
    (elements of x / C, K) int64 in the range of int32
    """
    rows = x.reshape(-1, weights.shape[1]).astype(np.int64) - input_zero_point
    matrix = (weights.astype(np.int64) - weights_zero_point).T
    return _with_bias(_exact_matmul(rows, matrix), bias)


def fully_connected(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    output_zero_point: int,
    real_multiplier: float | npt.NDArray[np.float64],
    activation_min: int,
    activation_max: int,
) -> Array:
    """Multiply by a matrix and scale, rounding once.

    Parameters
    ----------
    x : (…) int8 or uint8, a multiple of C elements
    weights : (K, C) of the same type
    bias : (K,) int32 or None
    real_multiplier : float or (K,) float64
        Input scale × weight scale ÷ output scale.  :func:`sw.golden.requantize_params` has the
        integers that give the same outputs with
        :func:`sw.golden.primitives.multiply_rounding_once`.

    Returns
    -------
    (elements of x / C, K) of the type of ``x``

    Notes
    -----
    ``FullyConnected`` and ``FullyConnectedPerChannel`` in reference/integer_ops/fully_connected.h,
    and their uint8 twin: LiteRT's reference multiplies in float64 here and rounds once, unlike
    all its other kernels, and unlike TensorFlow Lite Micro, which rounds twice here too.
    """
    accumulator = fully_connected_accumulate(
        x,
        weights,
        bias,
        input_zero_point=input_zero_point,
        weights_zero_point=weights_zero_point,
    )
    # Saturated before the zero point is added, as no scaled value beyond 32 bits is defined.
    scaled = np.clip(accumulator.astype(np.float64) * real_multiplier, INT32_MIN, INT32_MAX)
    output = round_half_away(scaled) + output_zero_point
    return np.clip(output, activation_min, activation_max).astype(x.dtype)


def _scaled_operand(x: Array, zero_point: int, multiplier: int, shift: int) -> Ints:
    offset = (x.astype(np.int64) - zero_point) << ADD_LEFT_SHIFT
    return multiply_by_quantized_multiplier(offset, multiplier, shift)


def add(
    x1: Array,
    x2: Array,
    *,
    input1_zero_point: int,
    input1_multiplier: int,
    input1_shift: int,
    input2_zero_point: int,
    input2_multiplier: int,
    input2_shift: int,
    output_zero_point: int,
    output_multiplier: int,
    output_shift: int,
    activation_min: int,
    activation_max: int,
    subtract: bool = False,
) -> Array:
    """Add (or subtract) tensors of different scales.

    Parameters
    ----------
    x1, x2 : int8 or uint8, broadcast against each other
    input1_multiplier, input1_shift, input2_multiplier, input2_shift
        Bring both operands, shifted left by 20, to twice the larger of their scales; ≤ 1.
    output_multiplier, output_shift
        From there to the output's scale; ≤ 1.

    Notes
    -----
    ``AddElementwise`` in integer_ops/add.h and reference/add.h; ``Sub`` in reference/sub.h.
    """
    scaled1 = _scaled_operand(x1, input1_zero_point, input1_multiplier, input1_shift)
    scaled2 = _scaled_operand(x2, input2_zero_point, input2_multiplier, input2_shift)
    return requantize(
        scaled1 - scaled2 if subtract else scaled1 + scaled2,
        output_multiplier,
        output_shift,
        output_zero_point=output_zero_point,
        activation_min=activation_min,
        activation_max=activation_max,
    ).astype(x1.dtype)


def sub(
    x1: Array,
    x2: Array,
    *,
    input1_zero_point: int,
    input1_multiplier: int,
    input1_shift: int,
    input2_zero_point: int,
    input2_multiplier: int,
    input2_shift: int,
    output_zero_point: int,
    output_multiplier: int,
    output_shift: int,
    activation_min: int,
    activation_max: int,
) -> Array:
    """Subtract ``x2`` from ``x1``; see :func:`add`."""
    return add(
        x1,
        x2,
        input1_zero_point=input1_zero_point,
        input1_multiplier=input1_multiplier,
        input1_shift=input1_shift,
        input2_zero_point=input2_zero_point,
        input2_multiplier=input2_multiplier,
        input2_shift=input2_shift,
        output_zero_point=output_zero_point,
        output_multiplier=output_multiplier,
        output_shift=output_shift,
        activation_min=activation_min,
        activation_max=activation_max,
        subtract=True,
    )


def mul(
    x1: Array,
    x2: Array,
    *,
    input1_zero_point: int,
    input2_zero_point: int,
    output_zero_point: int,
    multiplier: int,
    shift: int,
    activation_min: int,
    activation_max: int,
) -> Array:
    """Multiply elementwise.

    Parameters
    ----------
    x1, x2 : int8 or uint8, broadcast against each other

    Notes
    -----
    ``MulElementwise`` in integer_ops/mul.h and reference/mul.h.
    """
    product = (x1.astype(np.int64) - input1_zero_point) * (x2.astype(np.int64) - input2_zero_point)
    return requantize(
        product,
        multiplier,
        shift,
        output_zero_point=output_zero_point,
        activation_min=activation_min,
        activation_max=activation_max,
    ).astype(x1.dtype)


def average_pool_2d(
    x: Array,
    *,
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding = NO_PADDING,
    activation_min: int,
    activation_max: int,
) -> Array:
    """Average over windows, over the elements inside the image only.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
        Integers as stored: input and output have the same quantisation.

    Notes
    -----
    ``AveragePool`` in integer_ops/pooling.h (int8) and reference/pooling.h (uint8).
    """
    inside = np.ones((1, *x.shape[1:3], 1), np.int64)
    total, count = (
        np.sum([view for _, _, view in _taps(_spatial_pad(a, padding), window, stride, (1, 1))], 0)
        for a in (x.astype(np.int64), inside)
    )
    average = divide_round_half_away(total, count)
    return np.clip(average, activation_min, activation_max).astype(x.dtype)


def mean(
    x: Array,
    axes: tuple[int, ...],
    *,
    keep_dims: bool,
    input_zero_point: int,
    output_zero_point: int,
    multiplier: int,
    shift: int,
) -> Array:
    """Average over axes with a requantisation.

    Parameters
    ----------
    x : int8 or uint8
    axes : tuple of int
    multiplier, shift : int
        The division by the number of elements is part of them.

    Notes
    -----
    ``QuantizedMeanOrSum`` in reference/reduce.h.
    """
    limits = np.iinfo(x.dtype)
    total = (x.astype(np.int64) - input_zero_point).sum(axis=axes, keepdims=keep_dims)
    return requantize(
        total,
        multiplier,
        shift,
        output_zero_point=output_zero_point,
        activation_min=int(limits.min),
        activation_max=int(limits.max),
    ).astype(x.dtype)


def quantize(
    x: Array,
    *,
    dtype: str,
    input_zero_point: int,
    output_zero_point: int,
    multiplier: int,
    shift: int,
) -> Array:
    """Requantise to another type, scale or zero point.

    Parameters
    ----------
    x : int8 or uint8
    dtype : {"int8", "uint8"}
        Of the output.

    Notes
    -----
    ``Requantize`` in reference/requantize.h.
    """
    limits = np.iinfo(dtype)
    return requantize(
        x.astype(np.int64) - input_zero_point,
        multiplier,
        shift,
        output_zero_point=output_zero_point,
        activation_min=int(limits.min),
        activation_max=int(limits.max),
    ).astype(dtype)


def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    """Give the same elements another shape."""
    return x.reshape(shape)


def transpose(x: Array, *, permutation: tuple[int, ...]) -> Array:
    """Permute dimensions: dimension ``i`` of the result is ``permutation[i]`` of ``x``."""
    return np.ascontiguousarray(x.transpose(permutation))
