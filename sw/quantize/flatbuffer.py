"""Writing ``.tflite`` files: tensors and operators as they are given, without any check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

__all__ = ["ACTIVATIONS", "PADDINGS", "FileBuilder", "OperatorSpec", "TensorSpec"]

Array = npt.NDArray[np.generic]

TYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "float16": tflite.TensorType.FLOAT16,
    "int32": tflite.TensorType.INT32,
    "int64": tflite.TensorType.INT64,
    "int16": tflite.TensorType.INT16,
    "int8": tflite.TensorType.INT8,
    "int4": tflite.TensorType.INT4,
    "uint8": tflite.TensorType.UINT8,
}
ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3, "TANH": 4}
PADDINGS = {"SAME": 0, "VALID": 1}

VERSIONS = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4,
    **dict.fromkeys(
        ("EXPAND_DIMS", "HARD_SWISH", "PRELU", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE",
         "SHAPE", "SQUEEZE", "TFLite_Detection_PostProcess"),
        1,
    ),
}
"""Versions of operators that know int8 (per channel, where there are channels); 2 for others."""


@dataclass
class TensorSpec:
    """A tensor of the file; ``axis`` is its ``quantized_dimension``."""

    shape: tuple[int, ...]
    dtype: str
    scales: Sequence[float] = ()
    zero_points: Sequence[int] = ()
    axis: int = 0
    data: Array | None = None
    name: str = ""


@dataclass
class OperatorSpec:
    """An operator of the file; ``options`` is (table, {field: number}).

    A kind that is no built-in operator's is the name of a custom one, whose options are
    ``custom``.
    """

    kind: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: tuple[str, dict[str, Any]] | None = None
    custom: bytes = b""


@dataclass
class FileBuilder:
    """Writes tensors and operators; handles are tensor numbers of the file.

    Attributes
    ----------
    tensors : list of TensorSpec
    operators : list of OperatorSpec
    description : str
        Of the model, for people.
    metadata : dict
        Bytes by the name of what they are, such as TFLITE_METADATA.
    """

    tensors: list[TensorSpec] = field(default_factory=list)
    operators: list[OperatorSpec] = field(default_factory=list)
    description: str = ""
    metadata: dict[str, bytes] = field(default_factory=dict)

    def tensor(self, *args: Any, **kwargs: Any) -> int:
        """Add a tensor (the fields of :class:`TensorSpec`) and return its number."""
        self.tensors.append(TensorSpec(*args, **kwargs))
        return len(self.tensors) - 1

    def operator(self, *args: Any, **kwargs: Any) -> None:
        """Add an operator (the fields of :class:`OperatorSpec`)."""
        self.operators.append(OperatorSpec(*args, **kwargs))

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file.

        Parameters
        ----------
        inputs, outputs : sequence of int
            Tensors of the network.
        """
        b = flatbuffers.Builder(1024)
        buffers = [_buffer(b, None)]
        tensors = []
        for spec in self.tensors:
            if spec.data is not None:
                buffers.append(_buffer(b, spec.data))
            number = len(buffers) - 1 if spec.data is not None else 0
            tensors.append(_tensor(b, spec, number))
        entries = []
        for name, data in self.metadata.items():
            buffers.append(_buffer(b, np.frombuffer(data, np.uint8)))
            entries.append(_entry(b, name, len(buffers) - 1))
        kinds = sorted({op.kind for op in self.operators})
        codes = [_code(b, kind) for kind in kinds]
        operators = [_operator(b, op, kinds.index(op.kind)) for op in self.operators]
        subgraph = _subgraph(b, tensors, operators, inputs, outputs)
        vectors = {
            "OperatorCodes": _offsets(b, codes),
            "Subgraphs": _offsets(b, [subgraph]),
            "Buffers": _offsets(b, buffers),
        }
        if entries:
            vectors["Metadata"] = _offsets(b, entries)
        if self.description:
            vectors["Description"] = b.CreateString(self.description)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        for name, vector in vectors.items():
            getattr(tflite, f"ModelAdd{name}")(b, vector)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())


def _buffer(b: Any, data: Array | None) -> int:
    vector = None
    if data is not None:
        # Kernels expect aligned constants, as the official writer leaves them.
        raw = data.tobytes()
        b.StartVector(1, len(raw), 16)
        b.head -= len(raw)
        b.Bytes[b.head : b.head + len(raw)] = raw
        vector = b.EndVector()
    tflite.BufferStart(b)
    if vector is not None:
        tflite.BufferAddData(b, vector)
    return int(tflite.BufferEnd(b))


def _entry(b: Any, name: str, buffer: int) -> int:
    text = b.CreateString(name)
    tflite.MetadataStart(b)
    tflite.MetadataAddName(b, text)
    tflite.MetadataAddBuffer(b, buffer)
    return int(tflite.MetadataEnd(b))


def _tensor(b: Any, spec: TensorSpec, buffer: int) -> int:
    name = b.CreateString(spec.name or "tensor")
    shape = b.CreateNumpyVector(np.array(spec.shape, np.int32))
    quantization = None
    if len(spec.scales):
        scales = b.CreateNumpyVector(np.array(spec.scales, np.float32))
        zero_points = b.CreateNumpyVector(np.array(spec.zero_points, np.int64))
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scales)
        tflite.QuantizationParametersAddZeroPoint(b, zero_points)
        tflite.QuantizationParametersAddQuantizedDimension(b, spec.axis)
        quantization = tflite.QuantizationParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, TYPES[spec.dtype])
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, name)
    if quantization is not None:
        tflite.TensorAddQuantization(b, quantization)
    return int(tflite.TensorEnd(b))


def _code(b: Any, kind: str) -> int:
    number = getattr(tflite.BuiltinOperator, kind, tflite.BuiltinOperator.CUSTOM)
    custom = b.CreateString(kind) if number == tflite.BuiltinOperator.CUSTOM else None
    tflite.OperatorCodeStart(b)
    if custom is not None:
        tflite.OperatorCodeAddCustomCode(b, custom)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
    tflite.OperatorCodeAddBuiltinCode(b, number)
    tflite.OperatorCodeAddVersion(b, VERSIONS.get(kind, 2))
    return int(tflite.OperatorCodeEnd(b))


def _operator(b: Any, spec: OperatorSpec, code: int) -> int:
    inputs = b.CreateNumpyVector(np.array(spec.inputs, np.int32))
    outputs = b.CreateNumpyVector(np.array(spec.outputs, np.int32))
    options = None
    custom = b.CreateByteVector(spec.custom) if spec.custom else None
    if spec.options is not None:
        table, fields = spec.options
        getattr(tflite, f"{table}Start")(b)
        for name, value in fields.items():
            getattr(tflite, f"{table}Add{name}")(b, value)
        options = getattr(tflite, f"{table}End")(b)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, code)
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    if custom is not None:
        tflite.OperatorAddCustomOptions(b, custom)
    if spec.options is not None:
        tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, spec.options[0]))
        tflite.OperatorAddBuiltinOptions(b, options)
    return int(tflite.OperatorEnd(b))


def _subgraph(
    b: Any,
    tensors: list[int],
    operators: list[int],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> int:
    vectors = {
        "Tensors": _offsets(b, tensors),
        "Operators": _offsets(b, operators),
        "Inputs": b.CreateNumpyVector(np.array(inputs, np.int32)),
        "Outputs": b.CreateNumpyVector(np.array(outputs, np.int32)),
    }
    tflite.SubGraphStart(b)
    for name, vector in vectors.items():
        getattr(tflite, f"SubGraphAdd{name}")(b, vector)
    return int(tflite.SubGraphEnd(b))


def _offsets(b: Any, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())
