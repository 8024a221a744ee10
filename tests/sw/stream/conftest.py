"""Fixtures of the stream's tests: a small network and frames for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.networks import small_model
from support.streams import picture, tensor


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Return the file of a small network."""
    path = tmp_path / "small.tflite"
    path.write_bytes(small_model())
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Return a folder of four frames for it: three tensors and a picture."""
    path = tmp_path / "frames"
    path.mkdir()
    for number in range(3):
        np.save(path / f"{number}.npy", tensor(number))
    picture().save(path / "3.png")
    return str(path)
