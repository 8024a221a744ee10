"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.places import SHARED

from common import progress

# What commands print must not depend on how fast they are; for those that tests begin, too.
os.environ[progress.VARIABLE] = "no"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", "slow: left out of the quick run")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of networks and images; skip the test if it is missing."""
    if not (SHARED / "models").is_dir():
        pytest.skip(f"no networks in {SHARED}; set SEPARABLE_SHARED to the folder that has them")
    return SHARED
