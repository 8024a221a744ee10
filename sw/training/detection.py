"""Training to find garments: scenes that are never the same, a loss for each cell, F1."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from sw.networks.detectors import CELL
from sw.networks.fashion_mnist import Split
from sw.networks.scenes import KINDS, SIZE, Scene, f1, scene
from sw.outputs.detections import found_in
from sw.training.loop import as_input
from sw.training.torch_model import Module

__all__ = ["Detection", "cells"]

SCENES = 16_000
"""In an epoch."""

VALIDATION = 400
"""Scenes that are judged."""

WEIGHT = 4.0
"""Of a garment's cells, where one of the ground has 1: there are far fewer."""

MIDDLE = 0.25
"""Part of a garment's side that its cells' centres are from its edges at least."""

TOGETHER = 100
"""Scenes that are judged at once."""


def cells(one: Scene) -> npt.NDArray[np.int64]:
    """Return the class of each cell of a scene: 0 is the background."""
    count = SIZE // CELL
    centres = (np.arange(count) + 0.5) * CELL
    result = np.zeros((count, count), np.int64)
    for garment in one.garments:
        edge = MIDDLE * garment.side
        inside = [
            (centres >= first + edge) & (centres <= first + garment.side - edge)
            for first in (garment.top, garment.left)
        ]
        result[np.outer(*inside)] = garment.kind + 1
    return result


class Detection:
    """Task of a detector; see :class:`sw.training.loop.Task`.

    Parameters
    ----------
    training, validation : Split
        Garments that scenes are made of.
    """

    measure = "F1"

    def __init__(self, training: Split, validation: Split) -> None:
        self.count = SCENES
        self._training = training
        self._scenes = [scene(validation, number) for number in range(VALIDATION)]
        self._next = 0
        self._weights = torch.tensor([1.0] + [WEIGHT] * len(KINDS))

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one epoch of whole batches; the scenes of the next epoch are others."""
        for _ in range(self.count // size):
            some = [scene(self._training, self._next + n) for n in range(size)]
            self._next += size
            images = torch.from_numpy(np.stack([one.image for one in some]))
            yield as_input(images), torch.from_numpy(np.stack([cells(one) for one in some]))

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cross entropy of all cells."""
        return functional.cross_entropy(logits, target, weight=self._weights)

    def score(self, module: Module) -> float:
        """Return the F1 score of centroids: :func:`sw.networks.scenes.f1`."""
        module.eval()
        found = []
        with torch.inference_mode():
            for first in range(0, len(self._scenes), TOGETHER):
                some = self._scenes[first : first + TOGETHER]
                images = torch.from_numpy(np.stack([one.image for one in some]))
                rated = module(as_input(images)).softmax(1).permute(0, 2, 3, 1).numpy()
                found += [found_in(grid, KINDS) for grid in rated]
        module.train()
        return f1(self._scenes, found)
