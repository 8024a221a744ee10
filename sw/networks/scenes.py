"""Scenes: garments of Fashion-MNIST on a canvas, and where they are.

Detectors are trained and tested with them.  A scene depends on its images and its number alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from sw.networks.fashion_mnist import Split
from sw.outputs.detections import Found

__all__ = ["KINDS", "KIND_OF", "SIZE", "Garment", "Scene", "f1", "scene"]

SIZE = 96
"""Pixels of a canvas' side."""

MOST = 4
"""Garments in a scene."""

SIDES = (24, 40)
"""Pixels of a garment's side: from, to."""

KINDS = ("top", "trousers", "dress", "shoe", "bag")
"""What a detector tells apart.  What people wear above the waist is hard to tell apart at this
size; so are shoes."""

KIND_OF = (0, 1, 0, 2, 0, 3, 0, 3, 4, 3)
"""Kind of each class of Fashion-MNIST."""

TRIES = 20
"""Places that are tried for a garment."""

GROUND = 90
"""Brightness that the ground reaches at most, of 255."""

CLOTH = 8
"""Brightness of a pixel from which it is the garment's."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Garment:
    """Garment in a scene.

    Attributes
    ----------
    kind : int
        Index into :data:`KINDS`.
    left, top, side : int
        Its square, pixels.
    """

    kind: int
    left: int
    top: int
    side: int

    def holds(self, x: float, y: float) -> bool:
        """Whether a point, in pixels, is in its square."""
        return (self.left <= x <= self.left + self.side
                and self.top <= y <= self.top + self.side)

    def overlaps(self, other: Garment) -> bool:
        """Whether both squares have a point in common."""
        near = max(self.left, other.left) < min(self.left + self.side, other.left + other.side)
        return near and (
            max(self.top, other.top) < min(self.top + self.side, other.top + other.side)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """Scene.

    Attributes
    ----------
    image : (96, 96) uint8
    garments : tuple of Garment
        None overlaps another one.
    """

    image: Pixels
    garments: tuple[Garment, ...]


def scene(images: Split, number: int) -> Scene:
    """Return a scene.

    Parameters
    ----------
    images : Split
        What garments are taken from.
    number : int
        From 0; of scenes with equal images, each number is another one.
    """
    rng = np.random.default_rng([number, len(images.images)])
    canvas = _ground(rng)
    garments: list[Garment] = []
    for _ in range(int(rng.integers(0, MOST + 1))):
        which = int(rng.integers(len(images.images)))
        side = int(rng.integers(SIDES[0], SIDES[1] + 1))
        for _ in range(TRIES):
            left, top = rng.integers(0, SIZE - side + 1, 2)
            garment = Garment(kind=KIND_OF[int(images.labels[which])], left=int(left),
                              top=int(top), side=side)
            if not any(garment.overlaps(other) for other in garments):
                _draw(canvas, images.images[which], garment, mirrored=bool(rng.integers(2)))
                garments.append(garment)
                break
    return Scene(image=canvas, garments=tuple(garments))


def _ground(rng: np.random.Generator) -> Pixels:
    """Return a canvas that is brighter at one end, with noise."""
    ends = rng.uniform(0, GROUND, (2, 2))
    along = np.linspace(0, 1, SIZE)
    slope = np.outer(1 - along, np.interp(along, [0, 1], ends[0]))
    slope += np.outer(along, np.interp(along, [0, 1], ends[1]))
    return np.clip(slope + rng.normal(0, 6, (SIZE, SIZE)), 0, 255).astype(np.uint8)


def _draw(canvas: Pixels, image: Pixels, garment: Garment, *, mirrored: bool) -> None:
    side = garment.side
    drawn = np.asarray(
        Image.fromarray(image[:, ::-1] if mirrored else image).resize(
            (side, side), Image.Resampling.BILINEAR)
    )
    place = canvas[garment.top : garment.top + side, garment.left : garment.left + side]
    place[drawn >= CLOTH] = drawn[drawn >= CLOTH]


def f1(scenes: list[Scene], found: list[list[Found]]) -> float:
    """Return the F1 score of centroids: 2 × right / (found + there).

    What is found is right if its centre lies in the square of a garment of its kind that nothing
    better found before has taken.

    Parameters
    ----------
    scenes : list of Scene
    found : list of list of Found
        Of each scene, the best first; class numbers are those of :data:`KINDS`, from 1.
    """
    right = 0
    for one, objects in zip(scenes, found, strict=True):
        left = list(one.garments)
        for item in objects:
            x, y = item.left + item.width / 2, item.top + item.height / 2
            hit = next((g for g in left
                        if g.kind == item.number - 1 and g.holds(x * SIZE, y * SIZE)), None)
            if hit is not None:
                left.remove(hit)
                right += 1
    total = sum(len(one.garments) for one in scenes) + sum(map(len, found))
    return 2 * right / total if total else 1.0
