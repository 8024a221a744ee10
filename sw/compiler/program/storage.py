"""Compiled networks in files.

A file is, one behind the other: a line with the format's version; a line of JSON, everything but
the arrays; the arrays' bytes, little-endian, the flash image among them; and the SHA-256 of all
that.  Nothing is compressed: a file is as large as what it makes.
See ``docs/decisions/001-program-files.md``.
"""

from __future__ import annotations

import json
import math
import os
import stat
from functools import cache
from hashlib import sha256
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from common import files, reading
from common.errors import InputError, SeparableError
from hw.contract.registers import IDENTITY
from sw.compiler.program.plan import Plan
from sw.compiler.program.schema import DTYPES, Reader, SchemaError, Writer, fingerprint
from sw.compiler.program.validation import check

__all__ = ["is_program", "load", "loads", "save"]

FORMAT = 6
"""Raised where the same fields come to mean something else; other fields are noticed anyway."""

MAGIC = b"separable program "
OLD = b"PK\x03\x04"
OLD_MEMBER = b"program.json"
"""Formats up to 4 were archives that began with this file."""

MAX_FILE = 1 << 26
MAX_DOCUMENT = 1 << 24
"""Bytes; four times what the largest networks of a 16 MB flash take."""
DIGEST_BYTES = 32

_AGAIN = "compile the network again with python -m sw.compile --output"

Array = npt.NDArray[Any]


@cache
def _version() -> bytes:
    """Return the first line: the format, its fields, and the core's command set."""
    return MAGIC + f"{FORMAT}.{fingerprint(Plan)}.{IDENTITY:02x}\n".encode()


def is_program(path: str | PathLike[str]) -> bool:
    """Return whether a file begins like a compiled program, of whatever version."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            begin = file.read(64)
    except (OSError, ValueError):
        return False
    return begin.startswith(MAGIC) or _is_old(begin)


def _is_old(begin: bytes) -> bool:
    return begin.startswith(OLD) and begin[30:].startswith(OLD_MEMBER)


def save(plan: Plan, path: str | PathLike[str]) -> None:
    """Write a compiled network to a file, as a whole or not at all.

    Raises
    ------
    SeparableError
        If it cannot be written.
    """
    check(plan)
    writer = Writer()
    plain = writer.plain(plan, Plan)
    document = {
        "arrays": [[array.dtype.name, array.shape] for array in writer.arrays],
        "plan": plain,
    }
    parts = [
        _version(),
        json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n",
        *(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in writer.arrays),
    ]
    content = b"".join(parts)
    if len(content) + DIGEST_BYTES > MAX_FILE or len(parts[1]) > MAX_DOCUMENT:
        raise InputError(f"{path}: the program is larger than {MAX_FILE >> 20} MB; it cannot be "
                         "written, run the network itself")
    files.write_bytes(path, content + sha256(content).digest())


def load(path: str | PathLike[str]) -> Plan:
    """Read a compiled network from a file.

    Raises
    ------
    InputError
        If it is not one, or damaged, or of another version.
    """
    return loads(reading.read(path, limit=MAX_FILE), str(path))


def loads(data: bytes, name: str) -> Plan:
    """Return the compiled network of a file's contents; ``name`` is what messages call it.

    Raises
    ------
    InputError
        If it is not one, or damaged, or of another version.
    """
    if not data.startswith(MAGIC):
        if _is_old(data):
            raise InputError(f"{name}: compiled by an older version of Separable; {_AGAIN}")
        raise InputError(f"{name}: not a compiled program, or its beginning is damaged; {_AGAIN}")
    version = _version()
    if not data.startswith(version):
        raise InputError(f"{name}: compiled by another version of Separable; {_AGAIN}")
    content, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if sha256(content).digest() != digest:
        raise InputError(f"{name}: damaged, its checksum is wrong; {_AGAIN}")
    try:
        plan = _decode(content[len(version) :])
        check(plan)
    except (ValueError, RecursionError, SeparableError) as error:
        raise InputError(f"{name}: not what the compiler writes ({error}); {_AGAIN}") from None
    return plan


def _decode(content: bytes) -> Plan:
    """Return the compiled network of what follows the first line."""
    text, end, rest = content[: MAX_DOCUMENT + 1].partition(b"\n")
    if not end:
        raise SchemaError("the line of JSON does not end")
    rest = content[len(text) + 1 :]
    document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    if type(document) is not dict or document.keys() != {"arrays", "plan"}:
        raise SchemaError("arrays and plan must be there, and nothing else")
    reader = Reader(_arrays(document["arrays"], rest))
    plan: Plan = reader.value(document["plan"], Plan, "plan")
    reader.check_all_used()
    return plan


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise SchemaError("a key must not come twice")
    return dict(pairs)


def _no_constant(name: str) -> float:
    raise SchemaError(f"a number must be finite, not {name}")


def _arrays(table: Any, data: bytes) -> list[Array]:
    """Return the arrays that a table says are in ``data``, read-only."""
    entries = Reader(()).value(table, tuple[tuple[str, tuple[int, ...]], ...], "arrays")
    arrays, at = [], 0
    for number, (name, shape) in enumerate(entries):
        if name not in DTYPES or any(not 0 <= n <= len(data) for n in shape):
            raise SchemaError(f"arrays[{number}] cannot be of type {name!r:.60} and shape {shape}")
        kind = np.dtype(name)
        size = math.prod(shape) * kind.itemsize
        if size > len(data) - at:
            raise SchemaError("arrays are missing")
        raw = np.frombuffer(data, kind.newbyteorder("<"), math.prod(shape), at)
        if kind == np.bool_ and (raw.view(np.uint8) > 1).any():
            raise SchemaError(f"arrays[{number}] must be true or false")
        array = raw.astype(kind).reshape(shape)
        array.setflags(write=False)
        arrays.append(array)
        at += size
    if at != len(data):
        raise SchemaError("there is more than the arrays")
    return arrays
