"""The doors: files with a ``main``, as the import linter lists them."""

from __future__ import annotations

import tomllib
from typing import Any

from support.places import REPOSITORY

SETTINGS: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"][
    "importlinter"
]
"""The import linter's."""


def contract(kind: str) -> dict[str, Any]:
    """Return the only contract of a kind that is about all packages."""
    (found,) = [c for c in SETTINGS["contracts"] if c["type"] == kind and "containers" not in c]
    return found


DOORS: list[str] = contract("protected")["protected_modules"]
"""Modules."""
