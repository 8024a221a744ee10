"""Layers, on plain arrays.

Each function takes quantised tensors as arrays and the integers that hardware is configured with,
and returns an array of the output type, equal to TensorFlow Lite's reference kernel.  Nothing here
knows about graphs; :mod:`sw.golden.params` derives the integers from scales.

Activations are NHWC; layouts of weights are those of TensorFlow Lite.
"""

from sw.golden.activations import hard_swish, leaky_relu, prelu
from sw.golden.convolution import (
    conv_2d,
    conv_2d_accumulate,
    depthwise_conv_2d,
    depthwise_conv_2d_accumulate,
    fully_connected,
    fully_connected_accumulate,
)
from sw.golden.detection import detection
from sw.golden.elementwise import add, maximum, minimum, mul, quantize, sub
from sw.golden.floats import dequantize, quantize_float
from sw.golden.layout import concatenation, mirror_pad, pack, pad, part, reshape, transpose
from sw.golden.pooling import arg_max, average_pool_2d, max_pool_2d, mean
from sw.golden.resize import resize_bilinear, resize_nearest_neighbor
from sw.golden.softmax import softmax
from sw.golden.tables import look_up
from sw.golden.transposed import transpose_conv

__all__ = [
    "add",
    "arg_max",
    "average_pool_2d",
    "concatenation",
    "conv_2d",
    "conv_2d_accumulate",
    "depthwise_conv_2d",
    "depthwise_conv_2d_accumulate",
    "dequantize",
    "detection",
    "fully_connected",
    "fully_connected_accumulate",
    "hard_swish",
    "leaky_relu",
    "look_up",
    "max_pool_2d",
    "maximum",
    "mean",
    "minimum",
    "mirror_pad",
    "mul",
    "pack",
    "pad",
    "part",
    "prelu",
    "quantize",
    "quantize_float",
    "reshape",
    "resize_bilinear",
    "resize_nearest_neighbor",
    "softmax",
    "sub",
    "transpose",
    "transpose_conv",
]
