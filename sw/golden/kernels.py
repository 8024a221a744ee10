"""Layers, on plain arrays.

Each function takes quantised tensors as arrays and the integers that hardware is configured with,
and returns an array of the output type, equal to TensorFlow Lite's reference kernel.  Nothing here
knows about graphs; :mod:`sw.golden.params` derives the integers from scales.

Activations are NHWC; layouts of weights are those of TensorFlow Lite.
"""

from sw.golden.convolution import (
    conv_2d,
    conv_2d_accumulate,
    depthwise_conv_2d,
    depthwise_conv_2d_accumulate,
    fully_connected,
    fully_connected_accumulate,
)
from sw.golden.elementwise import add, mul, quantize, sub
from sw.golden.layout import pad, reshape, transpose
from sw.golden.pooling import average_pool_2d, mean
from sw.golden.softmax import softmax

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
    "reshape",
    "softmax",
    "sub",
    "transpose",
]
