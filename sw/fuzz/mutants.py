"""Files that differ from a good one in a few fields or bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sw.fuzz.bases import BASES, Specification, base, base_bytes
from sw.fuzz.changes import BYTE_CHANGES, FIELD_CHANGES
from sw.quantize.flatbuffer import FileBuilder

__all__ = ["Mutant", "random_mutant"]

Change = tuple[str, int]
"""One of FIELD_CHANGES or BYTE_CHANGES, and its seed."""

COUNTS = (1, 1, 1, 1, 2, 2, 3)
"""Changes of a mutant."""

FIELDS = 0.65
"""How many mutants differ in fields, not in bytes."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A changed file.

    Attributes
    ----------
    base : str
        One of :data:`sw.fuzz.bases.BASES`.
    dtype : {"int8", "uint8"}
        Of its input.
    changes : tuple of (name, seed)
        Those of fields come first.
    """

    base: str
    dtype: str
    changes: tuple[Change, ...]

    def build(self) -> bytes:
        """Return the file."""
        fields = [change for change in self.changes if change[0] in FIELD_CHANGES]
        data = _with_fields(self.base, self.dtype, fields) if fields else base_bytes(
            self.base, self.dtype
        )
        for name, seed in self.changes:
            if name in BYTE_CHANGES and data:
                data = BYTE_CHANGES[name][1](data, random.Random(seed))
        return data

    def smaller(self) -> Iterator[Mutant]:
        """Yield it with fewer changes, and as int8."""
        for k in range(len(self.changes)):
            yield replace(self, changes=self.changes[:k] + self.changes[k + 1 :])
        if self.dtype == "uint8":
            yield replace(self, dtype="int8")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Mutant:
        """Return what :meth:`to_json` described."""
        changes = tuple((str(name), int(seed)) for name, seed in data["changes"])
        return cls(base=data["base"], dtype=data["dtype"], changes=changes)

    def to_json(self) -> dict[str, Any]:
        """Return the description."""
        return {"base": self.base, "dtype": self.dtype, "changes": [list(c) for c in self.changes]}


def _with_fields(name: str, dtype: str, changes: list[Change]) -> bytes:
    source = base(name, dtype)
    spec = Specification(
        [replace(t) for t in source.tensors],
        [replace(op) for op in source.operators],
        list(source.inputs),
        list(source.outputs),
    )
    for change, seed in changes:
        FIELD_CHANGES[change][1](spec, random.Random(seed))
    return FileBuilder(spec.tensors, spec.operators).build(spec.inputs, spec.outputs)


def random_mutant(number: int) -> Mutant:
    """Return the mutant of a number."""
    rng = random.Random(f"mutant {number}")
    kinds: dict[str, Any] = FIELD_CHANGES if rng.random() < FIELDS else BYTE_CHANGES
    names, weights = list(kinds), [weight for weight, _ in kinds.values()]
    chosen = rng.choices(names, weights, k=rng.choice(COUNTS))
    return Mutant(
        base=rng.choice(list(BASES)),
        dtype=rng.choice(["int8", "int8", "uint8"]),
        changes=tuple((name, rng.randrange(1 << 16)) for name in chosen),
    )
