"""Metadata of a file: labels of the classes, and how pixels are normalised.

TensorFlow Lite's tools leave it in a buffer that the model names TFLITE_METADATA, a flatbuffer of a
schema of its own (metadata_schema.fbs of tflite-support), and pack the files that it names into a
ZIP behind the model.  A network computes the same without it, so that nothing of it is an error:
what is damaged, or contradicts the tensors, is left out with a remark.

The five tables that matter are read here: the package that has the schema wants 60 MB and has no
releases for Python 3.12 and newer.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from flatbuffers.number_types import Float32Flags, Int8Flags
from flatbuffers.table import Table as Flat

from common.errors import ModelFormatError
from common.reading import lines
from sw.golden.pixels import pixel_table
from sw.importer.flatbuffer import MAX_NAME, Scalar, Schema, Tables, Vector, verify_options
from sw.ir import Graph, Normalisation, Tensor

__all__ = ["with_metadata"]

ENTRY = "TFLITE_METADATA"
IDENTIFIER = b"M001"
LABELS_LIMIT = 1 << 20
"""Bytes of a file of labels; ImageNet's are 10 KB."""
LEVELS = 64
"""Integers that the 256 values of a pixel become at least, where a normalisation fits."""

AXIS_LABELS, VALUE_LABELS = 2, 3
NORMALIZATION = 1
IMAGE = 2
COLOURS = {1: ("RGB", 3), 2: ("grey", 1)}

_STRING = Vector(1, MAX_NAME)
_ENTRIES = Schema("Model", {6: Tables(Schema("Metadata", {0: _STRING, 1: Scalar(4)}))})
_FILE = Schema("AssociatedFile", {0: _STRING, 2: Scalar(1)})
_CONTENT = Schema("Content", {0: Scalar(1), 1: Schema("ContentProperties")})
_UNIT = Schema("ProcessUnit", {0: Scalar(1), 1: Schema("ProcessUnitOptions")})
_TENSOR = Schema(
    "TensorMetadata", {3: _CONTENT, 4: Tables(_UNIT, 64), 6: Tables(_FILE, 64)}
)
_SUBGRAPH = Schema("SubGraphMetadata", {2: Tables(_TENSOR, 64), 3: Tables(_TENSOR, 64)})
_METADATA = Schema("ModelMetadata", {3: Tables(_SUBGRAPH, 16)})
_IMAGE = Schema("ImageProperties", {0: Scalar(1)})
_NORMALIZATION = Schema("NormalizationOptions", {0: Vector(4, 1 << 10), 1: Vector(4, 1 << 10)})


class _Ignored(Exception):
    """Reason to leave something out."""


class _Table:
    """A table that has been checked; fields by number."""

    def __init__(self, data: bytes, position: int) -> None:
        self._flat = Flat(data, position)

    def _offset(self, field: int) -> int:
        return int(self._flat.Offset(4 + 2 * field))

    def byte(self, field: int) -> int:
        """Return a number of one byte; 0 if it is absent."""
        offset = self._offset(field)
        return int(self._flat.Get(Int8Flags, offset + self._flat.Pos)) if offset else 0

    def text(self, field: int) -> str:
        """Return a string."""
        offset = self._offset(field)
        raw = self._flat.String(offset + self._flat.Pos) if offset else b""
        return bytes(raw).decode("utf-8", "backslashreplace")

    def floats(self, field: int) -> tuple[float, ...]:
        """Return a vector of float32."""
        offset = self._offset(field)
        if not offset:
            return ()
        return tuple(self._flat.GetVectorAsNumpy(Float32Flags, offset).tolist())

    def table(self, field: int, schema: Schema | None = None) -> _Table | None:
        """Return a table; with ``schema`` one of a union, which is checked now."""
        offset = self._offset(field)
        if not offset:
            return None
        position = int(self._flat.Indirect(offset + self._flat.Pos))
        if schema is not None:
            verify_options(self._flat.Bytes, position, schema)
        return _Table(self._flat.Bytes, position)

    def tables(self, field: int) -> list[_Table]:
        """Return a vector of tables."""
        offset = self._offset(field)
        if not offset:
            return []
        start = self._flat.Vector(offset)
        places = [start + 4 * i for i in range(self._flat.VectorLen(offset))]
        return [_Table(self._flat.Bytes, int(self._flat.Indirect(place))) for place in places]


def with_metadata(graph: Graph, data: bytes, *, integers: Collection[int]) -> Graph:
    """Return a network with what its file's metadata says.

    Parameters
    ----------
    graph : Graph
        As imported.
    data : bytes
        The whole file, checked by :func:`sw.importer.flatbuffer.verify`.
    integers : collection of int
        Inputs of the file itself: of the network's, those that are no result of a QUANTIZE that was
        left out.

    Returns
    -------
    Graph
        With labels and normalisations, and remarks on what was left out.
    """
    remarks: list[str] = []

    def attempt(read: Callable[[], Any], what: str) -> Any:
        try:
            return read()
        except _Ignored as reason:
            remarks.append(f"{what} of the file's metadata ignored: {reason}")
        except ModelFormatError:
            remarks.append(f"{what} of the file's metadata ignored: damaged")
        return None

    subgraph = attempt(lambda: _subgraph(data), "all")
    if subgraph is None:
        return replace(graph, remarks=tuple(remarks))
    labels = attempt(lambda: _labels(subgraph, graph, data), "labels") or ()
    tensors = list(graph.tensors)
    for index, table in attempt(lambda: list(_inputs(subgraph, graph)), "inputs") or ():
        tensor = tensors[index]
        found = attempt(lambda: _normalisation(table, tensor), "normalisation")  # noqa: B023
        attempt(lambda: _check_colour(table, tensor), "colour")  # noqa: B023
        said = replace(tensor, normalisation=found)
        # Where they undo each other, the integers of the file's own input are the pixels.
        tensors[index] = tensor if index in integers and _cancels(said) else said
    return replace(graph, tensors=tuple(tensors), labels=labels, remarks=tuple(remarks))


def _subgraph(data: bytes) -> _Table | None:
    """Return the metadata of the only subgraph."""
    # Only where a file is read: it is hundreds of modules.
    import tflite

    root = int.from_bytes(data[:4], "little")
    verify_options(data, root, _ENTRIES)
    model = tflite.Model.GetRootAs(data, 0)
    entries = [model.Metadata(i) for i in range(model.MetadataLength())]
    numbers = [entry.Buffer() for entry in entries if entry.Name() == ENTRY.encode()]
    if not numbers:
        return None
    if numbers[0] >= model.BuffersLength() or not model.Buffers(numbers[0]).DataLength():
        raise _Ignored("its buffer is missing")
    metadata = bytes(model.Buffers(numbers[0]).DataAsNumpy())
    if metadata[4:8] != IDENTIFIER:
        raise _Ignored("of a version that is not known, or damaged")
    position = int.from_bytes(metadata[:4], "little")
    verify_options(metadata, position, _METADATA)
    subgraphs = _Table(metadata, position).tables(3)
    return subgraphs[0] if subgraphs else None


def _labels(subgraph: _Table, graph: Graph, data: bytes) -> tuple[str, ...]:
    """Return the labels of the first output."""
    outputs = subgraph.tables(3)
    kinds = (AXIS_LABELS, VALUE_LABELS)
    files = [f for output in outputs[:1] for f in output.tables(6) if f.byte(2) in kinds]
    if not files:
        return ()
    output = graph.tensors[graph.outputs[0]]
    if len(outputs) != len(graph.outputs):
        raise _Ignored(f"it has {len(outputs)} outputs, and the network {len(graph.outputs)}")
    name, labels = files[0].text(0), _unpacked(data, files[0].text(0))
    classes = output.shape[-1] if output.shape else 1
    if files[0].byte(2) == AXIS_LABELS and len(labels) != classes:
        raise _Ignored(
            f"{name!r} has {len(labels):,} of them, and output {output.name!r} {classes:,} "
            "classes; give those that fit with --labels"
        )
    return labels


def _unpacked(data: bytes, name: str) -> tuple[str, ...]:
    """Return the lines of a text in the ZIP behind the model."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(name) as file:
            text = file.read(LABELS_LIMIT + 1)
        found = lines(text)
    except KeyError:
        raise _Ignored(f"{name!r} is not in the file") from None
    except UnicodeDecodeError:
        raise _Ignored(f"{name!r} is no text in UTF-8") from None
    except Exception:
        # Damaged archives raise nearly anything.
        raise _Ignored(f"the files behind the model are missing or damaged, {name!r} too") from None
    if len(text) > LABELS_LIMIT:
        raise _Ignored(f"{name!r} is larger than {LABELS_LIMIT >> 20} MB")
    return tuple(found)


def _inputs(subgraph: _Table, graph: Graph) -> Iterator[tuple[int, _Table]]:
    """Yield the inputs that are images, and their metadata."""
    tables = subgraph.tables(2)
    if tables and len(tables) != len(graph.inputs):
        raise _Ignored(f"it has {len(tables)} inputs, and the network {len(graph.inputs)}")
    for index, table in zip(graph.inputs, tables, strict=False):
        if graph.tensors[index].picture is not None:
            yield index, table


def _normalisation(table: _Table, tensor: Tensor) -> Normalisation | None:
    """Return the normalisation of an input."""
    units = [unit for unit in table.tables(4) if unit.byte(0) == NORMALIZATION]
    if not units:
        return None
    options = units[0].table(1, _NORMALIZATION)
    channels = tensor.picture[2] if tensor.picture else 0
    if len(units) > 1 or options is None or tensor.quantization is None:
        raise _Ignored(f"input {tensor.name!r} has several, or none that can be applied")
    found = Normalisation(options.floats(0), options.floats(1))
    said = f"mean {_numbers(found.means)}, deviation {_numbers(found.deviations)}"
    if not found.proper or not found.fits(channels) or tensor.q.per_channel:
        raise _Ignored(f"{said} are none for the {channels} channels of input {tensor.name!r}")
    try:
        rows = pixel_table(replace(tensor, normalisation=found))
        counts = [len(np.unique(row)) for row in rows]
    except OverflowError:
        counts = [1]
    if min(counts) < LEVELS:
        raise _Ignored(
            f"{said} contradict the scale {tensor.q.scale:g} and zero point {tensor.q.zero_point} "
            f"of input {tensor.name!r}: the 256 values of a pixel would become {min(counts)} "
            "integers; pixels are taken as they are"
        )
    return found


def _cancels(tensor: Tensor) -> bool:
    """Whether normalisation and quantisation of an uint8 input undo each other, to a unit.

    Google's guide to metadata lets both be skipped then, and its libraries do.
    """
    pixels = np.arange(256)
    if tensor.dtype != "uint8" or tensor.normalisation is None:
        return False
    return bool(
        (np.abs(pixel_table(tensor).astype(np.int64) - pixels) <= 1).all()
    )


def _numbers(values: tuple[float, ...]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:3]) + (", …" if len(values) > 3 else "")
    return f"[{shown}]"


def _check_colour(table: _Table, tensor: Tensor) -> None:
    """Compare what the metadata calls an image with its channels."""
    content = table.table(3)
    if content is None or content.byte(0) != IMAGE or tensor.picture is None:
        return
    image = content.table(1, _IMAGE)
    colour = COLOURS.get(image.byte(0)) if image is not None else None
    if colour is not None and colour[1] != tensor.picture[2]:
        raise _Ignored(
            f"input {tensor.name!r} is called {colour[0]} and has {tensor.picture[2]} channels, "
            "which decide"
        )
