"""Intermediate representation: a quantised network as frozen dataclasses.

Operators refer to tensors by index into :attr:`Graph.tensors`.  Everything the file format leaves
implicit is resolved by the importer: SAME and VALID have become explicit padding, axes and
permutations are non-negative tuples, constants carry read-only arrays.  Passes make new graphs
with :func:`dataclasses.replace` and run :meth:`Graph.check` on the result.

Activations are NHWC; layouts of weights are those of TensorFlow Lite.
"""

from sw.ir.graph import Graph
from sw.ir.operators import (
    NO_PADDING,
    Activation,
    Add,
    AveragePool2D,
    BinaryOp,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Mean,
    Mul,
    Op,
    Operator,
    Pad,
    Padding,
    Quantize,
    Reshape,
    Softmax,
    Sub,
    Transpose,
    UnaryOp,
    WeightedOp,
)
from sw.ir.shapes import conv_output_size, infer_shape
from sw.ir.tensors import Quantization, Shape, Tensor, rows_of

__all__ = [
    "NO_PADDING",
    "Activation",
    "Add",
    "AveragePool2D",
    "BinaryOp",
    "Conv2D",
    "DepthwiseConv2D",
    "FullyConnected",
    "Graph",
    "Mean",
    "Mul",
    "Op",
    "Operator",
    "Pad",
    "Padding",
    "Quantization",
    "Quantize",
    "Reshape",
    "Shape",
    "Softmax",
    "Sub",
    "Tensor",
    "Transpose",
    "UnaryOp",
    "WeightedOp",
    "conv_output_size",
    "infer_shape",
    "rows_of",
]
