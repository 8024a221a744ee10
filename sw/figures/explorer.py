"""The rows of the explorer's table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import boards
from common.parallel import default_jobs
from sw.explore.accuracy import published
from sw.explore.sweep import (
    ARCHITECTURES,
    CLASSIFIERS,
    DETECTOR_GRID,
    DETECTORS,
    Point,
    Request,
    evaluate,
    sweep,
)
from sw.figures.store import BOARD, Figures, lookup

__all__ = ["CLASSES", "HOW", "measure_explorer", "points", "requests", "row"]

HOW = f"python -m sw.explore --arch {' '.join(ARCHITECTURES)} --board {BOARD}"
CLASSES = 1001


def requests(arch: str) -> list[Request]:
    """Return the published networks of an architecture, or detectors of one class."""
    grid, classes = (DETECTOR_GRID, 1) if arch in DETECTORS else (published(arch), CLASSES)
    return [Request(arch=arch, alpha=alpha, size=size, classes=classes) for alpha, size in grid]


def row(request: Request) -> dict[str, Any]:
    """Compile a network, and return its row."""
    return _plain(evaluate(request, boards.get(BOARD)))


def _plain(point: Point) -> dict[str, Any]:
    # What is missing is a sentence, which may be put into better words.
    return {key: value for key, value in asdict(point).items() if key != "missing"}


def points(figures: Figures, archs: Iterable[str] = CLASSIFIERS) -> list[Point]:
    """Return the points of a table and the plot, as they were measured."""
    return [Point(**values) for arch in archs
            for values in lookup(figures, f"explorer/{arch}/rows").values()]


def measure_explorer(say: Callable[[str], None]) -> tuple[dict[str, str], dict[str, Any]]:
    """Compile the grids: no inputs, and the rows with the processor time that they took."""
    figures = {}
    for arch in ARCHITECTURES:
        wanted = requests(arch)
        say(f"{len(wanted)} networks of {arch.upper()}")
        before = os.times()
        points = sweep(wanted, boards.get(BOARD), jobs=default_jobs())
        after = os.times()
        spent = (after.user + after.children_user) - (before.user + before.children_user)
        figures[arch] = {
            "processor_seconds": round(spent),
            "rows": {point.label: _plain(point) for point in points},
        }
    return {}, figures
