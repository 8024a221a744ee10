"""From the bytes of a ``.tflite`` file to tensors and operators as the file states them."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from flatbuffers.number_types import Int32Flags

from common.errors import ModelFormatError, UnsupportedError
from sw.importer.detection import detection_options
from sw.importer.flatbuffer import verify, verify_options
from sw.importer.options import OPTIONS, SCHEMAS
from sw.ir import Detection, Quantization, Tensor

MAX_ELEMENTS = 1 << 24
"""Largest tensor accepted; the largest in a MobileNet at 224 × 224 has 1.2 million elements."""

MAX_VERSION = 64
"""Operators have versions up to about 15; a number beyond is damage."""


@cache
def _names(enum: str) -> dict[int, str]:
    """Return the names of an enumeration's values."""
    # Only where a file is read: it is hundreds of modules.
    import tflite

    return {v: name for name, v in vars(getattr(tflite, enum)).items() if isinstance(v, int)}


_NUMPY_DTYPES = frozenset(
    {"float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"}
)


@dataclass(frozen=True, slots=True)
class RawOperator:
    """An operator as the file states it.

    Attributes
    ----------
    index : int
        Its number in the file, which viewers such as Netron show too.
    kind : str
        TensorFlow Lite's name, ``"CONV_2D"``; for a custom operator ``"CUSTOM"``, but for one
        that is known its own.
    custom : str
        The name of a custom operator that is not known, otherwise empty.
    inputs, outputs : tuple of Tensor or None
        ``None`` stands for an optional operand that is left out.
    options
        The generated binding's options object, already checked; of a custom operator that is known
        what its options say; ``None`` where nothing is read.
    """

    index: int
    kind: str
    custom: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any

    @property
    def where(self) -> str:
        """How messages call this operator."""
        name = f", writing {self.outputs[0].name!r}" if self.outputs else ""
        custom = f" {self.custom!r}" if self.custom else ""
        return f"operator {self.index} ({self.kind}{custom}{name})"

    def operand(self, number: int) -> Tensor:
        """Return an operand that the operator cannot do without."""
        tensor = self.inputs[number] if number < len(self.inputs) else None
        if tensor is None:
            raise ModelFormatError(f"{self.where} lacks its input number {number}")
        return tensor

    def optional(self, number: int) -> Tensor | None:
        """Return an operand that may be left out."""
        return self.inputs[number] if number < len(self.inputs) else None


@dataclass(frozen=True, slots=True)
class RawModel:
    """The only subgraph of a file."""

    tensors: tuple[Tensor, ...]
    operators: tuple[RawOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def _text(value: bytes | None) -> str:
    """Decode a name; messages are one line, so anything unprintable is escaped."""
    text = (value or b"").decode("utf-8", "backslashreplace")
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _ints(table: Any, field: str) -> tuple[int, ...]:
    """Return a vector of integers; the bindings return the number 0 for one that is absent."""
    if getattr(table, f"{field}Length")() == 0:
        return ()
    return tuple(int(n) for n in getattr(table, f"{field}AsNumpy")())


def _quantization(table: Any, shape: tuple[int, ...], where: str) -> Quantization | None:
    if table is None or not table.ScaleLength():
        return None
    scales = tuple(float(s) for s in table.ScaleAsNumpy())
    zero_points = _ints(table, "ZeroPoint")
    if _names("QuantizationDetails").get(table.DetailsType()) != "NONE":
        raise UnsupportedError(
            f"{where} uses a custom quantisation: only scales and zero points are supported; "
            "export the model with TensorFlow Lite's int8 quantisation"
        )
    # A channel's own scale of 0 makes it a constant, which the reference defines.
    if any(not (math.isfinite(s) and s >= 0) for s in scales) or not any(scales):
        raise ModelFormatError(
            f"{where} has a scale that is not a positive finite number (only some channels of "
            "weights may have 0)"
        )
    if len(zero_points) != len(scales):
        raise ModelFormatError(
            f"{where} has {len(scales)} scales but {len(zero_points)} zero points"
        )
    if len(scales) == 1:
        return Quantization(scales, zero_points)
    return Quantization(scales, zero_points, _axis(table, shape, len(scales), where))


def _axis(table: Any, shape: tuple[int, ...], count: int, where: str) -> int:
    """Return the dimension that the scales run along.

    Files in circulation state a wrong ``quantized_dimension`` (3 for a bias of one dimension).
    TensorFlow Lite Micro's kernels do not read it: the scales belong to the output channels.  So
    where the stated dimension does not have as many elements as there are scales, it is the last
    one, or the first one, that does.
    """
    stated = int(table.QuantizedDimension())
    for axis in (stated, len(shape) - 1, 0):
        if 0 <= axis < len(shape) and shape[axis] == count:
            return axis
    raise ModelFormatError(
        f"{where} has {count} scales, which fit no dimension of its shape {shape}"
    )


def _contents(file: bytes, buffer: Any, where: str) -> bytes:
    """Return a buffer's bytes, which newer converters put behind the flatbuffer."""
    if buffer.DataLength():
        return bytes(buffer.DataAsNumpy().tobytes())
    start, size = buffer.Offset(), buffer.Size()
    # As the schema says: up to 1 there is nothing outside.
    if start <= 1 or not size:
        return b""
    if start + size > len(file):
        raise ModelFormatError(
            f"the file is damaged or truncated: {where} has data up to byte {start + size}, "
            f"and the file has {len(file)}"
        )
    return file[start : start + size]


def _data(
    file: bytes, buffer: Any, shape: tuple[int, ...], dtype: str, where: str
) -> npt.NDArray[np.generic] | None:
    raw = _contents(file, buffer, where)
    length = len(raw)
    if not length:
        return None
    if dtype not in _NUMPY_DTYPES:
        return None  # a constant of a type no operator accepts; the constraints say so
    kind = np.dtype(dtype).newbyteorder("<")
    if length != math.prod(shape) * kind.itemsize:
        raise ModelFormatError(
            f"{where} holds {length} bytes of data, but {dtype}{list(shape)} takes "
            f"{math.prod(shape) * kind.itemsize}"
        )
    # A copy, so that a tensor neither keeps the whole file alive nor is misaligned.
    data = np.frombuffer(raw, kind).astype(dtype).reshape(shape)
    data.flags.writeable = False
    return data


def _tensors(data: bytes, model: Any, subgraph: Any) -> Iterator[Tensor]:
    for index in range(subgraph.TensorsLength()):
        table = subgraph.Tensors(index)
        name = _text(table.Name())
        where = f"tensor {index} ({name!r})"
        shape = _ints(table, "Shape")
        if any(n < 1 for n in shape) or math.prod(shape) > MAX_ELEMENTS:
            raise ModelFormatError(
                f"{where} has the shape {list(shape)}: every dimension must be known and at "
                f"least 1, and the product at most {MAX_ELEMENTS}"
            )
        if table.Type() not in _names("TensorType"):
            raise ModelFormatError(f"{where} has the unknown type {table.Type()}")
        if table.Buffer() >= model.BuffersLength():
            raise ModelFormatError(f"{where} refers to buffer {table.Buffer()}, which is missing")
        dtype = _names("TensorType")[table.Type()].lower()
        yield Tensor(
            index=index,
            name=name,
            shape=shape,
            dtype=dtype,
            quantization=_quantization(table.Quantization(), shape, where),
            data=_data(data, model.Buffers(table.Buffer()), shape, dtype, where),
        )


def _builtin_code(codes: Any) -> int:
    """Return an operator's number: the larger of two fields, as ``GetBuiltinCode`` says.

    Files older than 2020 have only the first, of 8 bits; some writers fill in only the second.
    The bindings' own ``BuiltinCode`` ignores the second below 127.
    """
    offset = codes._tab.Offset(10)
    number = codes._tab.Get(Int32Flags, offset + codes._tab.Pos) if offset else 0
    return max(int(number), int(codes.DeprecatedBuiltinCode()))


def _operators(
    data: bytes, model: Any, subgraph: Any, tensors: tuple[Tensor, ...]
) -> Iterator[RawOperator]:
    for index in range(subgraph.OperatorsLength()):
        table = subgraph.Operators(index)
        code = table.OpcodeIndex()
        if code >= model.OperatorCodesLength():
            raise ModelFormatError(f"operator {index} has the unknown operator code {code}")
        codes = model.OperatorCodes(code)
        number = _builtin_code(codes)
        kind = _names("BuiltinOperator").get(number, f"OPERATOR_{number}")
        custom = _text(codes.CustomCode()) if kind == "CUSTOM" else ""
        if custom == Detection.kind:
            kind, custom = custom, ""
        if not 0 < codes.Version() <= MAX_VERSION:
            raise ModelFormatError(f"operator {index} ({kind}) has version {codes.Version()}")
        operands: list[tuple[Tensor | None, ...]] = []
        for numbers in (_ints(table, "Inputs"), _ints(table, "Outputs")):
            wrong = [n for n in numbers if not -1 <= n < len(tensors)]
            if wrong:
                raise ModelFormatError(
                    f"operator {index} ({kind}) refers to tensor {wrong[0]}, which is missing"
                )
            operands.append(tuple(None if n < 0 else tensors[n] for n in numbers))
        inputs, outputs = operands
        options = _options(data, table, kind, index)
        yield RawOperator(
            index=index,
            kind=kind,
            custom=custom,
            inputs=inputs,
            outputs=tuple(t for t in outputs if t is not None),
            options=options,
        )


def _options(data: bytes, table: Any, kind: str, index: int) -> Any:
    if kind == Detection.kind:
        custom = bytes(table.CustomOptions(i) for i in range(table.CustomOptionsLength()))
        return detection_options(custom, f"operator {index} ({kind})")
    wanted = OPTIONS.get(kind)
    if wanted is None:
        return None
    import tflite

    stated = _names("BuiltinOptions").get(table.BuiltinOptionsType(), "?")
    union = table.BuiltinOptions()
    options = getattr(tflite, wanted)()
    if stated == "NONE" or union is None:
        raise ModelFormatError(f"operator {index} ({kind}) has no options")
    if stated != wanted:
        raise ModelFormatError(f"operator {index} ({kind}) has options of another operator")
    verify_options(data, union.Pos, SCHEMAS[wanted])
    options.Init(union.Bytes, union.Pos)
    return options


def read(data: bytes) -> RawModel:
    """Read a ``.tflite`` file.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    ModelFormatError
        If the file is not a TensorFlow Lite model, or damaged.
    UnsupportedError
        If it holds more than one subgraph or exotic quantisation.
    """
    import tflite

    try:
        verify(data)
        model = tflite.Model.GetRootAs(data, 0)
        if model.Version() != 3:
            raise ModelFormatError(f"schema version {model.Version()} is not 3")
        if model.SubgraphsLength() != 1:
            raise UnsupportedError(
                f"the model has {model.SubgraphsLength()} subgraphs: only models of one subgraph "
                "(no control flow) are supported; convert one function without loops and "
                "conditions, with fixed shapes"
            )
        subgraph = model.Subgraphs(0)
        tensors = tuple(_tensors(data, model, subgraph))
        operators = tuple(_operators(data, model, subgraph, tensors))
        inputs, outputs = _ints(subgraph, "Inputs"), _ints(subgraph, "Outputs")
        for index in (*inputs, *outputs):
            if not 0 <= index < len(tensors):
                raise ModelFormatError(f"the graph refers to tensor {index}, which is missing")
        return RawModel(tensors, operators, inputs, outputs)
    except (struct.error, ValueError, TypeError, IndexError, OverflowError) as error:
        # What the bounds check lets through and the bindings still cannot read.
        raise ModelFormatError(f"the file is damaged ({error})") from None
