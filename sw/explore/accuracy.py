"""Published ImageNet accuracies of MobileNets: top-1 in per cent, single crop.

Sources
-------
float, V1: github.com/tensorflow/models, research/slim/nets/mobilenet_v1.md
float, V2: github.com/tensorflow/models, research/slim/nets/mobilenet/README.md
8 bits: github.com/tensorflow/tensorflow, tensorflow/lite/g3doc/guide/hosted_models.md ("Quantized
    models": TensorFlow Lite's accuracy tool on the published uint8 files, which are what a device
    that is exact runs; V1 throughout, of V2 only the largest)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["SOURCES", "published", "top1", "top1_quantized"]

SOURCES = {
    "top1": "TensorFlow models, slim: mobilenet_v1.md and mobilenet/README.md (float)",
    "top1_quantized": "TensorFlow Lite hosted models (8 bits)",
}

Grid = dict[tuple[float, int], float]


def _grid(sizes: Sequence[int], rows: dict[float, Sequence[float]]) -> Grid:
    return {
        (alpha, size): value
        for alpha, values in rows.items()
        for size, value in zip(sizes, values, strict=True)
    }


FLOAT: dict[str, Grid] = {
    "v1": _grid(
        (224, 192, 160, 128),
        {
            1.0: (70.9, 70.0, 68.0, 65.2),
            0.75: (68.4, 67.2, 65.3, 62.1),
            0.5: (63.3, 61.7, 59.1, 56.3),
            0.25: (49.8, 47.7, 45.5, 41.5),
        },
    ),
    "v2": _grid(
        (224, 192, 160, 128, 96),
        {
            1.0: (71.8, 70.7, 68.8, 65.3, 60.3),
            0.75: (69.8, 68.7, 66.4, 63.2, 58.8),
            0.5: (65.4, 63.9, 61.0, 57.7, 51.2),
            0.35: (60.3, 58.2, 55.7, 50.8, 45.5),
        },
    ),
}
QUANTIZED: dict[str, Grid] = {
    "v1": _grid(
        (224, 192, 160, 128),
        {
            1.0: (70.0, 69.1, 66.9, 63.3),
            0.75: (66.9, 66.1, 62.4, 55.9),
            0.5: (61.2, 59.9, 57.2, 54.9),
            0.25: (48.2, 45.7, 42.8, 39.5),
        },
    ),
    "v2": {(1.0, 224): 70.8},
}

IMAGENET_CLASSES = (1000, 1001)
"""TensorFlow's files have a class for the background besides."""


def published(architecture: str) -> Iterator[tuple[float, int]]:
    """Yield (α, ρ) of every network that was published, the largest first."""
    yield from FLOAT[architecture]


def top1(architecture: str, alpha: float, size: int, classes: int) -> float | None:
    """Return the accuracy of the float network, or None if it was not published."""
    return _of(FLOAT, architecture, alpha, size, classes)


def top1_quantized(architecture: str, alpha: float, size: int, classes: int) -> float | None:
    """Return the accuracy of the network with 8 bits, or None if it was not published."""
    return _of(QUANTIZED, architecture, alpha, size, classes)


def _of(
    grids: dict[str, Grid], architecture: str, alpha: float, size: int, classes: int
) -> float | None:
    known = grids.get(architecture, {}) if classes in IMAGENET_CLASSES else {}
    return known.get((alpha, size))
