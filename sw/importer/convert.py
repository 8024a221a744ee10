"""From the file's model to the intermediate representation."""

from __future__ import annotations

from dataclasses import replace

from common.errors import GraphError, ModelFormatError, UnsupportedError
from sw import ir
from sw.importer.constraints import check
from sw.importer.converters import operators
from sw.importer.detection import PARTS
from sw.importer.folding import fold_shapes
from sw.importer.formats import check_format
from sw.importer.order import in_order
from sw.importer.read import RawModel

__all__ = ["convert"]


def _without_float_edges(model: RawModel) -> RawModel:
    """Leave out conversions from and to float32 at the edges of a network.

    TensorFlow Lite's converter adds a QUANTIZE behind every input and a DEQUANTIZE before every
    output unless it is told otherwise.  Without them the network takes and gives the integers.
    """
    inputs, outputs = list(model.inputs), list(model.outputs)
    operators = []
    for op in model.operators:
        if op.kind in ("QUANTIZE", "DEQUANTIZE") and len(op.outputs) == 1:
            x, y = op.operand(0), op.outputs[0]
            readers = sum(x in other.inputs for other in model.operators) + outputs.count(x.index)
            read = any(y in other.inputs for other in model.operators)
            if x.dtype == "float32" and x.index in inputs and readers == 1:
                inputs[inputs.index(x.index)] = y.index
                continue
            if y.dtype == "float32" and y.index in outputs and not read:
                outputs[outputs.index(y.index)] = x.index
                continue
        operators.append(op)
    return RawModel(model.tensors, tuple(operators), tuple(inputs), tuple(outputs))


def _with_detection_shapes(model: RawModel) -> RawModel:
    """Give the outputs of TFLite_Detection_PostProcess their shapes.

    The reference sets them from the options, whatever the file says; often it says nothing.
    """
    tensors = list(model.tensors)
    for op in model.operators:
        if op.kind == ir.Detection.kind and min(op.options.lines, op.options.detections) > 0:
            for tensor, part in zip(op.outputs, PARTS, strict=False):
                tensors[tensor.index] = replace(tensor, shape=op.options.shape(part))
    operators = tuple(
        replace(
            op,
            inputs=tuple(t and tensors[t.index] for t in op.inputs),
            outputs=tuple(tensors[t.index] for t in op.outputs),
        )
        for op in model.operators
    )
    return replace(model, tensors=tuple(tensors), operators=operators)


def convert(model: RawModel, name: str) -> ir.Graph:
    """Convert a model that has been read, checking every operator's constraints.

    Raises
    ------
    UnsupportedError
        At the first operator that breaks a constraint.
    ModelFormatError
        If the parts do not fit each other.
    """
    check_format(model)
    # A tensor that is named several times is one input: all of its names are one memory.
    model = replace(model, inputs=tuple(dict.fromkeys(model.inputs)))
    model = _without_float_edges(fold_shapes(in_order(_with_detection_shapes(model))))
    if not model.operators or not model.inputs or not model.outputs:
        raise ModelFormatError("the model has no operators, no inputs or no outputs")
    for tensor in (model.tensors[i] for i in model.inputs):
        readers = {op.kind for op in model.operators if tensor in op.inputs}
        if tensor.dtype.startswith("float") and readers != {"QUANTIZE"}:
            raise UnsupportedError(
                f"the network is {tensor.dtype} (input {tensor.name!r}): quantise it to int8 "
                "(full integer post-training quantisation with a representative data set)"
            )
        if tensor.data is not None:
            raise UnsupportedError(
                f"input tensor {tensor.index} ({tensor.name!r}) is a constant, so that what is "
                "given for it would have no effect; leave it out of the network's inputs"
            )
    ops: list[ir.Operator] = []
    for raw in model.operators:
        check(raw)
        ops += operators(raw)
    graph = ir.Graph(name, model.tensors, tuple(ops), model.inputs, model.outputs)
    try:
        graph.check()
    except GraphError as error:
        raise ModelFormatError(f"the file is inconsistent: {error}") from None
    return graph
