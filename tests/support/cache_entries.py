"""Entries of a cache."""

from __future__ import annotations

from pathlib import Path

from common import cache

LINES = b"".join(b"%d\n" % n for n in range(400))

FILES = {"library": bytes(range(256)) * 20, "design": LINES, "empty": b""}


def get(name: str = "name") -> tuple[dict[str, bytes], int]:
    """Return an entry, and how often it was made for that."""
    calls = []

    def make(into: Path) -> None:
        calls.append(into)
        for file, content in FILES.items():
            (into / file).write_bytes(content)

    return cache.entry("kind", name, make), len(calls)


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "kind").iterdir())


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
