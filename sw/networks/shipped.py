"""The networks that ship with the project, and test images and scenes for them.

All are trained on Fashion-MNIST; ``docs/networks.md`` says how, and how accurate they are.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import InputError
from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
from sw.networks.detectors import fomo
from sw.networks.fashion_mnist import LABELS, Split
from sw.networks.scenes import KINDS, SIZE, Scene, scene

__all__ = [
    "DATA",
    "DEFAULT",
    "DETECTOR",
    "FOMO",
    "IMAGES",
    "NETWORKS",
    "default_detector",
    "default_images",
    "default_labels",
    "default_model",
    "default_scenes",
]

NETWORKS: dict[str, Architecture] = {
    "v1": mobilenet_v1(
        0.25, 28, classes=10, channels=1, stem_stride=1, name="fashion_mnist_v1_025"
    ),
    "v2": mobilenet_v2(
        0.25, 28, classes=10, channels=1, stem_stride=1, head=256, name="fashion_mnist_v2_025"
    ),
}
"""Classifiers that ship, by short name."""

DETECTOR = fomo(
    mobilenet_v2(0.35, SIZE, classes=len(KINDS), channels=1), name="garments_fomo_035"
)
"""The detector that ships: it finds garments in scenes."""

FOMO = "fomo"
"""Its short name."""

DEFAULT = "v1"
"""The network that tools use when none is named."""

DATA = Path(str(resources.files("sw.networks"))) / "data"
"""Folder of the files that ship."""

IMAGES = "fashion_mnist_test.npz"
"""Images and labels, a few hundred of the test set."""


def default_model(name: str = DEFAULT) -> Path:
    """Return the path of a network that ships.

    Parameters
    ----------
    name : str
        ``"v1"`` or ``"v2"``.

    Returns
    -------
    Path
        A ``.tflite`` file: int8 input [1, 28, 28, 1] (the pixel less 128), int8 output [1, 10]
        (probability × 256 − 128).

    Raises
    ------
    InputError
        If there is no such network, or its file is missing.
    """
    if name not in NETWORKS:
        raise InputError(
            f"no network {name!r} ships with the project; there are {', '.join(sorted(NETWORKS))}"
        )
    return _file(f"{NETWORKS[name].name}.tflite")


def default_detector() -> Path:
    """Return the path of the detector that ships.

    Returns
    -------
    Path
        A ``.tflite`` file: int8 input [1, 96, 96, 1] (the pixel less 128), int8 output
        [1, 12, 12, 6]: probability × 256 − 128 of the background and of each of
        :data:`sw.networks.scenes.KINDS`.

    Raises
    ------
    InputError
        If the file is missing.
    """
    return _file(f"{DETECTOR.name}.tflite")


def default_scenes(count: int) -> list[Scene]:
    """Return scenes of the test images that ship, which no network was trained with."""
    images, labels = default_images()
    split = Split(images=images, labels=labels)
    return [scene(split, number) for number in range(count)]


def default_images() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return test images, which no network was trained with, and their classes.

    Returns
    -------
    images : (N, 28, 28) uint8
        Classes take turns: image n is of class n mod 10.
    labels : (N,) uint8
        Index into :func:`default_labels`.

    Raises
    ------
    InputError
        If the file is missing.
    """
    with np.load(_file(IMAGES)) as data:
        return data["images"], data["labels"]


def default_labels() -> list[str]:
    """Return the names of the classes."""
    return list(LABELS)


def _file(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        raise InputError(
            f"{path}: missing; it ships with the project, so install the project again, or make it "
            "anew with python -m sw.training.ship"
        )
    return path
