"""Files with metadata, as TensorFlow Lite's tools leave it: a flatbuffer in a buffer, and a ZIP."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np

from sw.fuzz.builder import NetworkBuilder

AXIS_LABELS, VALUE_LABELS = 2, 3


def _table(b: Any, size: int, fields: dict[int, tuple[str, int]]) -> int:
    """Return a table; fields are (kind, value) by number."""
    b.StartObject(size)
    for number, (kind, value) in fields.items():
        if kind == "byte":
            b.PrependInt8Slot(number, value, 0)
        else:
            b.PrependUOffsetTRelativeSlot(number, value, 0)
    return int(b.EndObject())


def _vector(b: Any, offsets: Sequence[int]) -> tuple[str, int]:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return "offset", b.EndVector()


def _input(
    b: Any, mean: Sequence[float] | None, std: Sequence[float] | None, colour: int | None
) -> int:
    fields: dict[int, tuple[str, int]] = {}
    if colour is not None:
        image = _table(b, 2, {0: ("byte", colour)})
        fields[3] = ("offset", _table(b, 3, {0: ("byte", 2), 1: ("offset", image)}))
    if mean is not None and std is not None:
        vectors = [b.CreateNumpyVector(np.array(v, np.float32)) for v in (mean, std)]
        options = _table(b, 2, {0: ("offset", vectors[0]), 1: ("offset", vectors[1])})
        unit = _table(b, 2, {0: ("byte", 1), 1: ("offset", options)})
        fields[4] = _vector(b, [unit])
    return _table(b, 7, fields)


def metadata(
    *, mean: Sequence[float] | None = None, std: Sequence[float] | None = None,
    colour: int | None = None, labels: str | None = None, kind: int = AXIS_LABELS,
    inputs: int = 1, outputs: int = 1,
) -> bytes:
    """Return the flatbuffer.

    Parameters
    ----------
    mean, std : sequence of float, optional
        Of each input.
    colour : {0, 1, 2}, optional
        Unknown, RGB, grey.
    labels : str, optional
        Name of the first output's file.
    kind : int
        Of that file.
    inputs, outputs : int
        How many are described.
    """
    b = flatbuffers.Builder(256)
    fields: dict[int, tuple[str, int]] = {}
    if labels is not None:
        name = b.CreateString(labels)
        file = _table(b, 4, {0: ("offset", name), 2: ("byte", kind)})
        fields[6] = _vector(b, [file])
    tables = [_input(b, mean, std, colour) for _ in range(inputs)]
    described = [_table(b, 7, fields), *(_table(b, 7, {}) for _ in range(outputs - 1))]
    vectors = {2: _vector(b, tables), 3: _vector(b, described[:outputs])}
    subgraph = _table(b, 7, vectors)
    b.Finish(_table(b, 8, {3: _vector(b, [subgraph])}), file_identifier=b"M001")
    return bytes(b.Output())


def packed(files: dict[str, bytes]) -> bytes:
    """Return a ZIP."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def classifier(
    data: bytes | None, behind: bytes = b"", *, shape: tuple[int, ...] = (1, 12, 12, 3),
    dtype: str = "int8", scale: float = 2 / 255, zero_point: int = -1, classes: int = 4,
    float_input: bool = False,
) -> bytes:
    """Return a file with metadata and what is packed behind it.

    Parameters
    ----------
    data : bytes or None
        The metadata's flatbuffer.
    behind : bytes
    shape, dtype, scale, zero_point
        Of the input.
    classes : int
    float_input : bool
        The input is float32, and QUANTIZE follows.
    """
    net = NetworkBuilder(seed=3, dtype=dtype)
    x = net.file.tensor(shape, dtype, [scale], [zero_point], name="image")
    start = x
    if float_input:
        start = net.file.tensor(shape, "float32", name="float")
        net.file.operator("QUANTIZE", [start], [x], ("QuantizeOptions", {}))
    y = net.conv_2d(x, 8, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.fully_connected(net.reshape(net.mean(y), (1, 8)), classes)
    if data is not None:
        net.file.metadata["TFLITE_METADATA"] = data
    return net.file.build([start], [y]) + behind
