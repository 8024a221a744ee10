"""Marks of single parameters."""

from __future__ import annotations

from typing import Any

import pytest


def slow(*values: Any) -> Any:
    """Return the values of a parametrised test's case, marked as slow."""
    return pytest.param(*values, marks=pytest.mark.slow)
