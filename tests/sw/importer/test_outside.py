"""Constants that a file has behind its flatbuffer, as newer converters write them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tflite
from support.judges import LiteRT
from support.networks import frame, small_model

from common.errors import ModelFormatError
from sw import golden, importer
from sw.quantize import flatbuffer


def outside(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the small network with all its constants behind the flatbuffer."""
    kept: list[bytes] = []

    def empty(b: object, data: np.ndarray | None) -> int:
        tflite.BufferStart(b)
        if data is not None:
            kept.append(data.tobytes())
            tflite.BufferAddOffset(b, 1 << 40)
            tflite.BufferAddSize(b, len(kept[-1]))
        return int(tflite.BufferEnd(b))

    monkeypatch.setattr(flatbuffer, "_buffer", empty)
    file = bytearray(small_model())
    model = tflite.Model.GetRootAs(file, 0)
    for number, data in enumerate(kept, 1):
        file += bytes(-len(file) % 16)
        table = model.Buffers(number)._tab
        place = table.Pos + table.Offset(6)
        file[place : place + 8] = struct.pack("<Q", len(file))
        file += data
    return bytes(file)


def test_constants_behind_the_flatbuffer(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = importer.loads(small_model())
    file = outside(monkeypatch)
    x = frame(graph, 1)
    judge = LiteRT(file)
    judge.run(x)
    for index, value in golden.run(importer.loads(file), x).items():
        np.testing.assert_array_equal(value, judge.tensor(index))


def test_a_file_that_ends_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    file = outside(monkeypatch)
    with pytest.raises(ModelFormatError, match="has data up to byte"):
        importer.loads(file[:-1])
