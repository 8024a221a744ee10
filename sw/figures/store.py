"""``docs/figures.json``: what was measured, by topic, with how and from what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.files import write_text

__all__ = [
    "BOARD",
    "FILE",
    "ROOT",
    "VOLATILE",
    "Figures",
    "differences",
    "digest",
    "file_digest",
    "lookup",
    "read",
    "write",
]

BOARD = "icebreaker"
"""The board that the documents speak of."""

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: documents are not installed."""

FILE = "docs/figures.json"
VOLATILE = frozenset({"processor_seconds"})
"""Keys whose values depend on the computer: shown, and not compared."""

Figures = dict[str, Any]
"""By topic: ``how`` (the command), ``needs`` (digests of its inputs), ``figures``."""


def read(root: Path = ROOT) -> Figures:
    """Return the figures of a checkout.

    Raises
    ------
    InputError
        If there is no such file, or it is damaged.
    """
    path = root / FILE
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); the documents are part of a checkout, not "
            "of an installed package: run this in a clone of the repository"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); take it from the repository again") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: not an object; take it from the repository again")
    return data


def write(figures: Figures, root: Path = ROOT) -> None:
    """Write the figures; each innermost object is a line, so that changes can be read."""
    write_text(root / FILE, _text(figures) + "\n")


def _text(value: Any, indent: str = "") -> str:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(item, dict | list) for item in inner):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    deeper = indent + " "
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {_text(item, deeper)}" for key, item in value.items()]
        first, last = "{", "}"
    else:
        rows = [_text(item, deeper) for item in value]
        first, last = "[", "]"
    return f"{first}\n{deeper}" + f",\n{deeper}".join(rows) + f"\n{indent}{last}"


def lookup(figures: Figures, key: str) -> Any:
    """Return a figure by its name: topic and keys, with slashes between.

    Raises
    ------
    InputError
        If there is none.
    """
    topic, *keys = key.split("/")
    try:
        value = figures[topic]["figures"]
        for name in keys:
            value = value[int(name)] if isinstance(value, list) else value[name]
    except (KeyError, IndexError, TypeError, ValueError):
        raise InputError(f"{FILE} has no figure {key!r}; measure it: python -m sw.figures "
                         f"--only {topic} --write") from None
    return value


def differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Yield a line for each figure of two measurements that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            if key not in VOLATILE:
                yield from differences(old.get(key), new.get(key), f"{name}/{key}".lstrip("/"))
    elif old != new:
        yield f"{name}: {FILE} says {old!r}, measured {new!r}"


def digest(data: Any) -> str:
    """Return a digest of plain data, short."""
    text = data if isinstance(data, str) else json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
