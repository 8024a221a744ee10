"""Training to tell garments apart: augmented batches, smoothed labels, accuracy."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from sw.networks.fashion_mnist import Split
from sw.training.loop import as_input
from sw.training.torch_model import Module

__all__ = ["Classification", "augment"]

SHIFT = 2
"""Pixels that images are shifted by at most."""

SMOOTHING = 0.1
"""Of the labels."""

TOGETHER = 500
"""Images that are judged at once."""


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the images (N, H, W) and shift all of them a little."""
    count, height, width = images.shape
    flip = torch.rand(count, generator=generator) < 0.5
    images = torch.where(flip[:, None, None], images.flip(2), images)
    padded = functional.pad(images, (SHIFT,) * 4)
    rows, columns = (
        torch.randint(2 * SHIFT + 1, (count, 1), generator=generator) + torch.arange(size)
        for size in (height, width)
    )
    which = torch.arange(count)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]]


class Classification:
    """Task of a classifier; see :class:`sw.training.loop.Task`.

    Parameters
    ----------
    training, validation : Split
    """

    measure = "accuracy"

    def __init__(self, training: Split, validation: Split) -> None:
        self.count = len(training.images)
        self._training, self._validation = training, validation

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one epoch of whole augmented batches."""
        images = torch.from_numpy(self._training.images)
        labels = torch.from_numpy(self._training.labels).long()
        order = torch.randperm(len(images), generator=generator)
        for first in range(0, len(order) - size + 1, size):
            chosen = order[first : first + size]
            yield as_input(augment(images[chosen], generator)), labels[chosen]

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the cross entropy."""
        return functional.cross_entropy(logits, target, label_smoothing=SMOOTHING)

    def score(self, module: Module) -> float:
        """Return the part of the images that are classified rightly."""
        module.eval()
        right = 0
        images, classes = self._validation.images, self._validation.labels
        with torch.inference_mode():
            for first in range(0, len(images), TOGETHER):
                some = torch.from_numpy(images[first : first + TOGETHER])
                labels = torch.from_numpy(classes[first : first + TOGETHER])
                right += int((module(as_input(some)).argmax(1) == labels).sum())
        module.train()
        return right / len(images)
