"""Frames and records of streams."""

from __future__ import annotations

import numpy as np
from PIL import Image
from support.networks import SMALL_SHAPE

from sw.outputs.classes import Top
from sw.stream.records import Record, Snapshot
from sw.stream.view import About

GOOD = Record(
    number=3, name="cat.png", outputs=[np.array([[1, -2]], np.int8)],
    top=[Top(number=0, label="cat", score=0.75)], cycles=397_500, board_seconds=0.01,
    prepare_seconds=0.0012345678, upload_seconds=0.002, compute_seconds=0.01,
    download_seconds=0.001, retries=2, exact=True,
)
BAD = Record(number=4, name="dog.png", error="dog.png: not a readable image")
KEYS = {
    "frame": int, "input": str, "output": list, "top": list, "found": list, "truth": int,
    "right": bool,
    "cycles": int, "ms": float,
    "prepare_ms": float, "upload_ms": float, "compute_ms": float, "download_ms": float,
    "host_ms": float,
    "retries": int, "exact": bool, "error": str,
}
"""Of every record as JSON, with their types where there is a value."""

ABOUT = About(
    model="net", source="folder", board="icebreaker", title="iCEBreaker", backend="sim",
    clock_mhz=39.75, verify=True,
)
NOW = Snapshot(frames=1234, errors=1, retries=7, rate=12.34, board_rate=81.26, line_rate=42.5)


def picture(seed: int = 0, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """Return random pixels; ``size`` is width and height."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))


def tensor(seed: int) -> np.ndarray:
    """Return a random input of :func:`support.networks.small_model`."""
    return np.random.default_rng(seed).integers(-128, 128, SMALL_SHAPE).astype(np.int8)


PICTURE = Image.new("RGB", (64, 64), (200, 30, 30))


FULL = Record(
    **{**vars(GOOD), "picture": PICTURE, "x": tensor(0)},
)
