"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.

Of each there is the whole layer, and the accumulators before requantisation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.arrays import Array, Ints
from sw.golden.primitives import INT32_MAX, INT32_MIN, IntLike, round_half_away, wrap_int32
from sw.golden.requantisation import Requantisation
from sw.golden.windows import PLAIN, Windows, spatial_pad, taps

__all__ = [
    "DEAD",
    "conv_2d",
    "conv_2d_accumulate",
    "depthwise_conv_2d",
    "depthwise_conv_2d_accumulate",
    "fully_connected",
    "fully_connected_accumulate",
]


DEAD = 2.0**-32
"""What is scaled by less has nothing left, whatever int32 it was."""


def _exact_matmul(a: Ints, b: Ints) -> Ints:
    """Multiply integer matrices through float64.

    NumPy multiplies integer matrices without BLAS, about a hundred times slower.  float64 is
    exact here: operands have at most 9 bits and sign, so every partial sum of up to 2^30 products
    stays below 2^53, whatever the order of summation.
    """
    return np.rint(a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


def _with_bias(accumulator: Ints, bias: Array | None) -> Ints:
    if bias is not None:
        accumulator = accumulator + bias.astype(np.int64)
    return wrap_int32(accumulator)


def conv_2d_accumulate(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    windows: Windows = PLAIN,
) -> Ints:
    """Return the accumulators of a convolution, bias included, before requantisation.

    Parameters
    ----------
    x : (N, H, W, C) int8 or uint8
    weights : (K, R, S, C) int8 or uint8
    bias : (K,) int32 or None
    input_zero_point, weights_zero_point : int
    windows : Windows

    Returns
    -------
    (N, H', W', K) int64 in the range of int32
    """
    offset = spatial_pad(x.astype(np.int64) - input_zero_point, windows.padding)
    w = weights.astype(np.int64) - weights_zero_point
    views = taps(offset, (w.shape[1], w.shape[2]), windows)
    columns = np.concatenate([view for _, _, view in views], axis=-1)
    matrix = w.transpose(1, 2, 3, 0).reshape(-1, w.shape[0])
    accumulator = _exact_matmul(columns.reshape(-1, columns.shape[-1]), matrix)
    accumulator = accumulator.reshape(*columns.shape[:3], w.shape[0])
    return _with_bias(accumulator, bias)


def conv_2d(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    windows: Windows = PLAIN,
    multiplier: IntLike,
    shift: IntLike,
    requantisation: Requantisation,
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
        windows=windows,
    )
    return requantisation.outputs(accumulator, multiplier, shift).astype(x.dtype)


def depthwise_conv_2d_accumulate(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    windows: Windows = PLAIN,
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
    offset = spatial_pad(x.astype(np.int64) - input_zero_point, windows.padding)
    w = weights[0].astype(np.int64) - weights_zero_point
    if w.shape[2] != x.shape[3]:
        # Output channel c × M + m reads input channel c.
        offset = np.repeat(offset, w.shape[2] // x.shape[3], axis=3)
    views = taps(offset, (w.shape[0], w.shape[1]), windows)
    accumulator = np.zeros(views[0][2].shape, np.int64)
    for i, j, view in views:
        accumulator += view * w[i, j]
    return _with_bias(accumulator, bias)


def depthwise_conv_2d(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    windows: Windows = PLAIN,
    multiplier: IntLike,
    shift: IntLike,
    requantisation: Requantisation,
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
        windows=windows,
    )
    return requantisation.outputs(accumulator, multiplier, shift).astype(x.dtype)


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

    Raises
    ------
    OverflowError
        If one is beyond: what the reference's kernel makes of it depends on the compiler.
    """
    accumulator = _row_sums(x, weights, bias, input_zero_point, weights_zero_point)
    _check_sums(accumulator)
    return accumulator


def _row_sums(
    x: Array, weights: Array, bias: Array | None, input_zero_point: int, weights_zero_point: int
) -> Ints:
    """Return the sums of a matrix product, of any size."""
    rows = x.reshape(-1, weights.shape[1]).astype(np.int64) - input_zero_point
    matrix = (weights.astype(np.int64) - weights_zero_point).T
    accumulator = _exact_matmul(rows, matrix)
    return accumulator if bias is None else accumulator + bias.astype(np.int64)


def _check_sums(sums: Ints) -> None:
    if sums.size and (sums.min() < INT32_MIN or sums.max() > INT32_MAX):
        raise OverflowError("sums overflow int32")


def fully_connected(
    x: Array,
    weights: Array,
    bias: Array | None,
    *,
    input_zero_point: int,
    weights_zero_point: int = 0,
    real_multiplier: float | npt.NDArray[np.float64],
    requantisation: Requantisation,
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

    Raises
    ------
    OverflowError
        If a sum, or a scaled one with the zero point, is beyond int32: what the reference's kernel
        makes of it depends on the processor.  Not in channels whose multiplier leaves nothing of
        any sum.

    Notes
    -----
    ``FullyConnected`` and ``FullyConnectedPerChannel`` in reference/integer_ops/fully_connected.h,
    and their uint8 twin: LiteRT's reference multiplies in float64 here and rounds once, unlike
    all its other kernels, and unlike TensorFlow Lite Micro, which rounds twice here too.
    """
    accumulator = _row_sums(x, weights, bias, input_zero_point, weights_zero_point)
    # Of a dead channel's sums nothing is left, whatever they are.
    living = np.broadcast_to(np.asarray(real_multiplier) >= DEAD, accumulator.shape[1:])
    _check_sums(accumulator[:, living])
    accumulator[:, ~living] = 0
    # 2^40: beyond int32 in any case, and still exact.
    scaled = np.clip(accumulator.astype(np.float64) * real_multiplier, -(2.0**40), 2.0**40)
    output = round_half_away(scaled) + requantisation.zero_point
    if output.min() < INT32_MIN or output.max() > INT32_MAX:
        raise OverflowError("scaled sums overflow int32")
    return np.clip(output, requantisation.act_min, requantisation.act_max).astype(x.dtype)
