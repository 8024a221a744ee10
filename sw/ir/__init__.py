"""Intermediate representation: a quantised network as frozen dataclasses.

Operators refer to tensors by index into :attr:`Graph.tensors`.  Everything the file format leaves
implicit is resolved by the importer: SAME and VALID have become explicit padding, axes and
permutations are non-negative tuples, constants carry read-only arrays.  Passes make new graphs
with :func:`dataclasses.replace` and run :meth:`Graph.check` on the result.

Activations are NHWC; layouts of weights are those of TensorFlow Lite.
"""

from sw.ir.activations import (
    Exp,
    HardSwish,
    LeakyRelu,
    Logistic,
    Prelu,
    Relu,
    Relu0To1,
    Relu6,
    ReluN1To1,
    Softmax,
    Tanh,
)
from sw.ir.bases import (
    NO_PADDING,
    Activation,
    BinaryOp,
    NaryOp,
    Op,
    Padding,
    UnaryOp,
    WeightedOp,
)
from sw.ir.detection import Detection, DetectionPart, Suppression
from sw.ir.graph import Graph
from sw.ir.moving import (
    Concatenation,
    MirrorPad,
    Pack,
    Pad,
    PadV2,
    Reshape,
    ResizeNearestNeighbor,
    Slice,
    Transpose,
)
from sw.ir.operators import (
    Add,
    ArgMax,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    Dequantize,
    FullyConnected,
    Maximum,
    MaxPool2D,
    Mean,
    Minimum,
    Mul,
    Operator,
    Quantize,
    ResizeBilinear,
    Sub,
    Sum,
    TransposeConv,
)
from sw.ir.shapes import conv_output_size, infer_shape
from sw.ir.tensors import QUANTISED, Normalisation, Quantization, Shape, Tensor, rows_of

__all__ = [
    "NO_PADDING",
    "QUANTISED",
    "Activation",
    "Add",
    "ArgMax",
    "AveragePool2D",
    "BinaryOp",
    "Concatenation",
    "Conv2D",
    "DepthwiseConv2D",
    "Dequantize",
    "Detection",
    "DetectionPart",
    "Exp",
    "FullyConnected",
    "Graph",
    "HardSwish",
    "LeakyRelu",
    "Logistic",
    "MaxPool2D",
    "Maximum",
    "Mean",
    "Minimum",
    "MirrorPad",
    "Mul",
    "NaryOp",
    "Normalisation",
    "Op",
    "Operator",
    "Pack",
    "Pad",
    "PadV2",
    "Padding",
    "Prelu",
    "Quantization",
    "Quantize",
    "Relu",
    "Relu0To1",
    "Relu6",
    "ReluN1To1",
    "Reshape",
    "ResizeBilinear",
    "ResizeNearestNeighbor",
    "Shape",
    "Slice",
    "Softmax",
    "Sub",
    "Sum",
    "Suppression",
    "Tanh",
    "Tensor",
    "Transpose",
    "TransposeConv",
    "UnaryOp",
    "WeightedOp",
    "conv_output_size",
    "infer_shape",
    "rows_of",
]
