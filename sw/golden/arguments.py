"""Arguments of kernels: the complete configuration of an operator besides its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from sw import ir
from sw.golden.activations import HardSwish
from sw.golden.elementwise import Addition, Operand
from sw.golden.params import (
    Clamp,
    Weighted,
    real_multipliers,
    requantisation,
    requantize_params,
)
from sw.golden.primitives import quantize_multiplier
from sw.golden.resize import Grid
from sw.golden.softmax import softmax_params
from sw.golden.tables import exp_table, logistic_table, tanh_table
from sw.golden.windows import Windows

__all__ = ["arguments"]

Scaled = ir.Mean | ir.Sum | ir.Quantize | Clamp
Moving = (
    ir.Pad
    | ir.PadV2
    | ir.MirrorPad
    | ir.Reshape
    | ir.Transpose
    | ir.Slice
    | ir.Concatenation
    | ir.Pack
    | ir.ResizeBilinear
    | ir.ResizeNearestNeighbor
)


def _addition(graph: ir.Graph, op: ir.Add | ir.Sub) -> Addition:
    """Return the scaling of both operands and of the result.

    ``Prepare`` in add.cc and ``PrepareGeneralSubOp`` in sub.cc.
    """
    x1, x2 = graph.tensors[op.input1].q, graph.tensors[op.input2].q
    y = graph.tensors[op.output].q
    twice_max = 2 * max(x1.scale, x2.scale)

    def operand(x: ir.Quantization) -> Operand:
        multiplier, shift = quantize_multiplier(x.scale / twice_max)
        return Operand(zero_point=x.zero_point, multiplier=multiplier, shift=shift)

    multiplier, shift = quantize_multiplier(twice_max / ((1 << 20) * y.scale))
    return Addition(
        first=operand(x1),
        second=operand(x2),
        multiplier=multiplier,
        shift=shift,
        requantisation=requantisation(graph, op),
    )


def _weighted(graph: ir.Graph, op: Weighted) -> dict[str, Any]:
    common = {
        "input_zero_point": graph.tensors[op.input].q.zero_point,
        "weights_zero_point": graph.tensors[op.weights].q.zero_point,
        "requantisation": requantisation(graph, op),
    }
    if isinstance(op, ir.FullyConnected):
        return {**common, "real_multiplier": np.array(real_multipliers(graph, op))}
    multipliers, shifts = requantize_params(graph, op)
    scaling = {**common, "multiplier": multipliers, "shift": shifts}
    if isinstance(op, ir.TransposeConv):
        _, height, width, _ = graph.tensors[op.output].shape
        size = (height, width)
        return {**scaling, "stride": op.stride, "padding": op.padding, "size": size}
    windows = Windows(stride=op.stride, dilation=op.dilation, padding=op.padding)
    return {**scaling, "windows": windows}


def _binary(graph: ir.Graph, op: ir.Add | ir.Sub | ir.Mul) -> dict[str, Any]:
    if not isinstance(op, ir.Mul):
        return {"addition": _addition(graph, op)}
    multiplier, shift = quantize_multiplier(real_multipliers(graph, op)[0])
    return {
        "input1_zero_point": graph.tensors[op.input1].q.zero_point,
        "input2_zero_point": graph.tensors[op.input2].q.zero_point,
        "multiplier": multiplier,
        "shift": shift,
        "requantisation": requantisation(graph, op),
    }


def _pool(graph: ir.Graph, op: ir.AveragePool2D | ir.MaxPool2D) -> dict[str, Any]:
    output = requantisation(graph, op)
    return {
        "window": op.window,
        "windows": Windows(stride=op.stride, padding=op.padding),
        "act_min": output.act_min,
        "act_max": output.act_max,
    }


def _scaled(graph: ir.Graph, op: Scaled) -> dict[str, Any]:
    """Return what operators have that scale the elements of one tensor, or their sums."""
    x, y = graph.tensors[op.input], graph.tensors[op.output]
    if x.dtype == "float32":
        return {"dtype": y.dtype, "scale": y.q.scale, "zero_point": y.q.zero_point}
    multipliers, shifts = requantize_params(graph, op)
    common = {
        "input_zero_point": x.q.zero_point,
        "multiplier": int(multipliers.flat[0]),
        "shift": int(shifts.flat[0]),
        "requantisation": requantisation(graph, op),
    }
    if isinstance(op, ir.Mean | ir.Sum):
        return {"axes": op.axes, "keep_dims": op.keep_dims, **common}
    return {"dtype": y.dtype, **common}


def _rectifier(graph: ir.Graph, op: ir.LeakyRelu | ir.Prelu) -> dict[str, Any]:
    """Return both factors; ``LeakyReluPrepare`` and ``PreluPrepare``: products are float32."""
    x, y = graph.tensors[op.input].q, graph.tensors[op.output].q
    x_scale, y_scale = np.float32(x.scale), np.float32(y.scale)
    common = {
        "input_zero_point": x.zero_point,
        "positive": quantize_multiplier(float(x_scale / y_scale)),
        "requantisation": requantisation(graph, op),
    }
    if isinstance(op, ir.Prelu):
        alpha = graph.tensors[op.alpha].q
        factor = float(x_scale * np.float32(alpha.scale) / y_scale)
        negative = quantize_multiplier(factor)
        return {**common, "alpha_zero_point": alpha.zero_point, "negative": negative}
    factor = float(x_scale * np.float32(op.alpha) / y_scale)
    multiplier, shift = quantize_multiplier(abs(factor))
    return {**common, "negative": (-multiplier if factor < 0 else multiplier, shift)}


def _hard_swish(graph: ir.Graph, op: ir.HardSwish) -> HardSwish:
    """Return the integers; ``HardSwishPrepare`` in activations.cc: everything is a float32."""
    x, y = graph.tensors[op.input].q, graph.tensors[op.output].q
    fine = np.float32(1 / 128) * np.float32(x.scale)
    output, output_exponent = quantize_multiplier(float(fine / np.float32(y.scale)))
    three = np.float32(3) / np.float32(32768)
    relu, relu_exponent = quantize_multiplier(float(fine / three))
    return HardSwish(
        input_zero_point=x.zero_point,
        output_multiplier=_of_16_bits(output),
        output_exponent=output_exponent,
        relu_multiplier=_of_16_bits(relu),
        relu_exponent=relu_exponent,
        requantisation=requantisation(graph, op),
    )


def _of_16_bits(multiplier: int) -> int:
    """Round a multiplier of 31 bits to 15: ``DownScaleInt32ToInt16Multiplier``."""
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1)


_TABLES = {ir.Exp: exp_table, ir.Logistic: logistic_table, ir.Tanh: tanh_table}


def _table(graph: ir.Graph, op: ir.Exp | ir.Logistic | ir.Tanh) -> dict[str, Any]:
    x, y = graph.tensors[op.input], graph.tensors[op.output]
    return {
        "table": _TABLES[type(op)](
            y.dtype, scale=x.q.scale, zero_point=x.q.zero_point,
            output_scale=y.q.scale, output_zero_point=y.q.zero_point,
        )
    }


def _concatenation(graph: ir.Graph, op: ir.Concatenation) -> dict[str, Any]:
    """Return the scalings of the tensors; ``ConcatenationWithScaling``: all in float32."""
    y = graph.tensors[op.output]
    scalings: list[tuple[float, float] | None] = []
    for index in op.operands:
        x = graph.tensors[index]
        if y.dtype != "uint8" or x.q == y.q:
            scalings.append(None)
            continue
        scale = np.float32(x.q.scale) * (np.float32(1) / np.float32(y.q.scale))
        bias = np.float32(-x.q.zero_point) * scale
        scalings.append((float(scale), float(bias)))
    zero_point = y.q.zero_point if y.quantization else 0
    return {"axis": op.axis, "scalings": tuple(scalings), "zero_point": zero_point}


def _moving(graph: ir.Graph, op: Moving) -> dict[str, Any]:
    shape = graph.tensors[op.output].shape
    match op:
        case ir.Pad():
            return {"paddings": op.paddings, "value": graph.tensors[op.output].q.zero_point}
        case ir.PadV2():
            return {"paddings": op.paddings, "value": op.value}
        case ir.MirrorPad():
            return {"paddings": op.paddings, "edge": op.edge}
        case ir.Reshape():
            return {"shape": shape}
        case ir.Transpose():
            return {"permutation": op.permutation}
        case ir.Slice():
            fields = ("begin", "size", "strides", "dropped")
            return {name: getattr(op, name) for name in fields}
        case ir.Concatenation():
            return _concatenation(graph, op)
        case ir.Pack():
            return {"axis": op.axis}
        case ir.ResizeBilinear() | ir.ResizeNearestNeighbor():
            grid = Grid(
                size=(shape[1], shape[2]), align_corners=op.align_corners,
                half_pixel_centers=op.half_pixel_centers,
            )
            return {"grid": grid}


def _detection(graph: ir.Graph, op: ir.Detection) -> dict[str, Any]:
    quantizations = (graph.tensors[index].quantization for index in op.inputs)
    return {
        "quantizations": tuple(q and (q.scale, q.zero_point) for q in quantizations),
        "suppression": op.suppression,
        "part": op.part,
    }


def arguments(graph: ir.Graph, op: ir.Operator) -> dict[str, Any]:
    """Return the keyword arguments of an operator's kernel in :mod:`sw.golden.kernels`.

    They are the complete configuration of the operator besides its arrays: zero points,
    multipliers, shifts, clamps, strides and padding.
    """
    x = graph.tensors[op.inputs[0]]
    match op:
        case ir.Conv2D() | ir.DepthwiseConv2D() | ir.FullyConnected() | ir.TransposeConv():
            return _weighted(graph, op)
        case ir.Add() | ir.Sub() | ir.Mul():
            return _binary(graph, op)
        case ir.Maximum() | ir.Minimum():
            return {}
        case ir.AveragePool2D() | ir.MaxPool2D():
            return _pool(graph, op)
        case (
            ir.Mean() | ir.Sum() | ir.Quantize()
            | ir.Relu() | ir.Relu6() | ir.ReluN1To1() | ir.Relu0To1()
        ):
            return _scaled(graph, op)
        case ir.LeakyRelu() | ir.Prelu():
            return _rectifier(graph, op)
        case ir.HardSwish():
            return {"swish": _hard_swish(graph, op)}
        case ir.Exp() | ir.Logistic() | ir.Tanh():
            return _table(graph, op)
        case ir.Softmax():
            multiplier, shift, diff_min = softmax_params(op.beta, x.q.scale)
            return {"multiplier": multiplier, "shift": shift, "diff_min": diff_min}
        case ir.ArgMax():
            return {"axis": op.axis, "dtype": graph.tensors[op.output].dtype}
        case ir.Dequantize():
            return {"scale": x.q.scale, "zero_point": x.q.zero_point}
        case ir.Detection():
            return _detection(graph, op)
        case _:
            return _moving(graph, op)
