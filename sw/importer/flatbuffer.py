"""A bounds check of the flatbuffer, before anything reads it.

The generated bindings trust the file: a damaged offset makes them read elsewhere (Python even
accepts negative positions), and a damaged length makes a loop over 2^32 elements.  This walks the
tables that the importer reads and checks that every one of them lies inside the file, so that the
bindings can be used freely afterwards.

The format: https://flatbuffers.dev/internals.  A table starts with a signed offset back to its
vtable, which holds its own size, the table's size, and per field a 16-bit position in the table
(0: absent).  Strings, vectors and sub-tables are referred to by unsigned forward offsets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TypeAlias

from common.errors import ModelFormatError

IDENTIFIER = b"TFL3"
MAX_NAME = 4096
"""Longest name accepted, in bytes: many tensors may share one string."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number of ``size`` bytes in the table itself."""

    size: int


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector of numbers of ``size`` bytes, or a string (which ends with a zero byte)."""

    size: int
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """A vector of tables."""

    schema: Schema
    limit: int = 1 << 16


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of a table by number; those not listed are never read."""

    name: str
    fields: dict[int, Field] = field(default_factory=dict)


Field: TypeAlias = Scalar | Vector | Tables | Schema

_STRING = Vector(1, MAX_NAME)
# What is split or joined has the most; a larger count would only make work.
_OPERANDS = Vector(4, 1024)
_RANK = Vector(4, 8)
_CHANNELS = 1 << 16

QUANTIZATION = Schema(
    "QuantizationParameters",
    {2: Vector(4, _CHANNELS), 3: Vector(8, _CHANNELS), 4: Scalar(1), 6: Scalar(4)},
)
TENSOR = Schema(
    "Tensor",
    {0: _RANK, 1: Scalar(1), 2: Scalar(4), 3: _STRING, 4: QUANTIZATION, 5: Scalar(1)},
)
_ANY_OPTIONS = Schema("BuiltinOptions")
OPERATOR = Schema(
    "Operator",
    {0: Scalar(4), 1: _OPERANDS, 2: _OPERANDS, 3: Scalar(1), 4: _ANY_OPTIONS, 5: Vector(1)},
)
SUBGRAPH = Schema(
    "SubGraph",
    {0: Tables(TENSOR), 1: Vector(4), 2: Vector(4), 3: Tables(OPERATOR), 4: _STRING},
)
OPERATOR_CODE = Schema("OperatorCode", {0: Scalar(1), 1: _STRING, 2: Scalar(4), 3: Scalar(4)})
BUFFER = Schema("Buffer", {0: Vector(1), 1: Scalar(8), 2: Scalar(8)})
MODEL = Schema(
    "Model",
    {0: Scalar(4), 1: Tables(OPERATOR_CODE), 2: Tables(SUBGRAPH, 16), 4: Tables(BUFFER)},
)


class _Walker:
    """Checks tables against the bounds of one file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def _read(self, fmt: str, position: int, what: str) -> int:
        if position < 0 or position + struct.calcsize(fmt) > self.size:
            raise ModelFormatError(
                f"the file is damaged or truncated: {what} lies outside its {self.size} bytes"
            )
        return int(struct.unpack_from(fmt, self.data, position)[0])

    def follow(self, position: int, what: str) -> int:
        """Return the position that the forward offset at ``position`` points to."""
        return position + self._read("<I", position, what)

    def table(self, position: int, schema: Schema) -> None:
        """Check one table and everything it refers to."""
        what = schema.name
        vtable = position - self._read("<i", position, what)
        vtable_size = self._read("<H", vtable, what)
        table_size = self._read("<H", vtable + 2, what)
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > self.size:
            raise ModelFormatError(f"the file is damaged: a {what} has a bad vtable")
        if table_size < 4 or position + table_size > self.size:
            raise ModelFormatError(f"the file is damaged: a {what} has a bad size")
        for number, kind in schema.fields.items():
            if 4 + 2 * number + 2 > vtable_size:
                continue
            offset = self._read("<H", vtable + 4 + 2 * number, what)
            if not offset:
                continue
            width = kind.size if isinstance(kind, Scalar) else 4
            if offset < 4 or offset + width > table_size:
                raise ModelFormatError(f"the file is damaged: a field of a {what} is misplaced")
            self._field(position + offset, kind, what)

    def _field(self, position: int, kind: Field, what: str) -> None:
        match kind:
            case Scalar():
                pass
            case Vector():
                self._vector(self.follow(position, what), kind.size, what, kind.limit)
            case Schema():
                self.table(self.follow(position, what), kind)
            case Tables():
                start = self.follow(position, what)
                count = self._vector(start, 4, what, kind.limit)
                for i in range(count):
                    element = start + 4 + 4 * i
                    self.table(self.follow(element, kind.schema.name), kind.schema)

    def _vector(self, position: int, size: int, what: str, limit: int | None) -> int:
        count = self._read("<I", position, what)
        if position + 4 + count * size > self.size:
            raise ModelFormatError(
                f"the file is damaged or truncated: a {what} holds a vector of {count} elements, "
                "more than the file has"
            )
        if limit is not None and count > limit:
            raise ModelFormatError(
                f"the file is damaged: a {what} holds a vector of {count} elements, at most "
                f"{limit} make sense"
            )
        return count


def verify(data: bytes) -> None:
    """Check that ``data`` is a TensorFlow Lite flatbuffer whose tables lie inside it.

    Raises
    ------
    ModelFormatError
        Saying what is wrong, in one line.
    """
    if not data:
        raise ModelFormatError("the file is empty")
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        raise ModelFormatError(
            "this is not a TensorFlow Lite model: the identifier 'TFL3' is missing"
        )
    walker = _Walker(data)
    walker.table(walker.follow(0, "Model"), MODEL)


def verify_options(data: bytes, position: int, schema: Schema) -> None:
    """Check the options table of an operator, once its type is known."""
    _Walker(data).table(position, schema)
