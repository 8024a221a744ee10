"""Networks that end with a choice of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from sw.fuzz.builder import NetworkBuilder

ANCHORS = (0.5, 0.5, 0.2, 0.3)
"""Mean y, x, height and width: boxes of which many overlap."""


def detector(
    count: int = 40,
    columns: int = 4,
    classes: int = 3,
    *,
    encoding: int = 4,
    real: bool = False,
    seed: int = 0,
    **options: Any,
) -> tuple[NetworkBuilder, list[int]]:
    """Boxes and scores as inputs, in uint8; ``real``: dequantised, and anchors in float32.

    Tensors are 0 boxes, 1 scores, 2 anchors, then the four outputs, unless dequantised.
    """
    net = NetworkBuilder(seed=seed, dtype="uint8")
    boxes = net.input((1, count, encoding), scale=0.09, zero_point=131)
    scores = net.input((1, count, columns), scale=1 / 256, zero_point=0)
    places = net.rng.normal(ANCHORS, 0.05, (count, 4)).clip(0.01, 1)
    if real:
        data = places.astype(np.float32)
        anchors = net.file.tensor((count, 4), "float32", data=data, name="anchors")
        boxes, scores = net.dequantize(boxes), net.dequantize(scores)
    else:
        data = np.rint(places * 250).astype(np.uint8)
        anchors = net.file.tensor(
            (count, 4), "uint8", [0.00403], [1], data=np.maximum(data, 1), name="anchors"
        )
    return net, net.detection(boxes, scores, anchors, classes=classes, **options)


def cells(*, softmax: bool = True) -> bytes:
    """Return a network that tells three classes apart for each of 6 × 6 cells of 4 × 4 pixels."""
    net = NetworkBuilder(seed=5)
    y = net.conv_2d(net.input((1, 24, 24, 1)), 3, kernel=(4, 4), stride=(4, 4), padding="VALID")
    return net.build(outputs=[net.softmax(y) if softmax else y])
