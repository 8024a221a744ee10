"""Made-up images in the files of Fashion-MNIST."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sw.networks.fashion_mnist import Split


def images(count: int, seed: int = 0) -> Split:
    """Return ``count`` random images of each class."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (10 * count, 28, 28)).astype(np.uint8)
    return Split(images=pixels, labels=np.repeat(np.arange(10, dtype=np.uint8), count))


def write(folder: Path, everything: Split) -> None:
    """Write images as the package of the data set has them: a file a class."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(10):
        rows = everything.images[everything.labels == number].reshape(-1, 784).tolist()
        (folder / f"{number}.json").write_text(json.dumps({"data": rows}))
