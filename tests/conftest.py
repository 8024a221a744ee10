"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SEPARABLE_SHARED") or REPOSITORY.parent / "shared")
"""Networks and images that are not part of the project."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", "slow: takes longer than about 20 seconds")


def shared_file(name: str) -> Path:
    """Return a file of the shared data; skip the test if it is not there."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not in {SHARED}; set SEPARABLE_SHARED to where it is")
    return path


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of networks (``models``) and images (``images``)."""
    return shared_file("models").parent
