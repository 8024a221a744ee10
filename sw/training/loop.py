"""Training loop: augmented batches, the optimiser and its schedule, accuracy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from common import live, progress
from sw.networks.fashion_mnist import Split
from sw.quantize.weights import save
from sw.training.torch_model import Module, weights_of

__all__ = ["accuracy", "augment", "batches", "train"]

SHIFT = 2
"""Pixels that images are shifted by at most."""


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


def as_input(images: Tensor) -> Tensor:
    """Turn pixels (N, H, W) into inputs (N, 1, H, W) from 0 to 1."""
    x = images[:, None].float() / 255
    return x.contiguous(memory_format=torch.channels_last)


def batches(split: Split, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch of whole augmented batches."""
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels).long()
    order = torch.randperm(len(images), generator=generator)
    for first in range(0, len(order) - size + 1, size):
        chosen = order[first : first + size]
        yield as_input(augment(images[chosen], generator)), labels[chosen]


def accuracy(module: Module, split: Split, size: int = 500) -> float:
    """Return the part of the images that are classified rightly."""
    module.eval()
    right = 0
    with torch.inference_mode():
        for first in range(0, len(split.images), size):
            images = torch.from_numpy(split.images[first : first + size])
            labels = torch.from_numpy(split.labels[first : first + size])
            right += int((module(as_input(images)).argmax(1) == labels).sum())
    module.train()
    return right / len(split.images)


def optimiser(module: Module, rate: float, decay: float) -> torch.optim.Optimizer:
    """Return SGD with weight decay on matrices and kernels, but not on norms and biases."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)


def _warm_cosine(
    sgd: torch.optim.Optimizer, first: int, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return a schedule of the rate: it rises for the first steps, and falls for the others."""
    return torch.optim.lr_scheduler.SequentialLR(
        sgd,
        [
            torch.optim.lr_scheduler.LinearLR(sgd, 0.05, total_iters=first),
            torch.optim.lr_scheduler.CosineAnnealingLR(sgd, max(1, steps - first)),
        ],
        [first],
    )


def train(
    module: Module,
    training: Split,
    validation: Split,
    output: Path,
    *,
    epochs: int,
    batch: int = 128,
    rate: float = 0.1,
    warmup: float = 1.0,
    decay: float = 1e-4,
    smoothing: float = 0.1,
    seed: int = 0,
    compiled: bool = False,
) -> None:
    """Train a network, with a cosine schedule after a linear start.

    Parameters
    ----------
    module : Module
    training, validation : Split
    output : Path
        Where weights are written after every epoch (``.npz``).
    epochs, batch : int
    rate : float
        Highest learning rate.
    warmup : float
        Epochs that the rate rises to it.
    decay : float
        Weight decay.
    smoothing : float
        Of the labels.
    seed : int
        Of order and augmentation.
    compiled : bool
        Use ``torch.compile``: a third faster, needs a C++ compiler.
    """
    generator = torch.Generator().manual_seed(seed)
    module = module.to(memory_format=torch.channels_last)
    forward = torch.compile(module) if compiled else module
    sgd = optimiser(module, rate, decay)
    per_epoch = len(training.images) // batch
    schedule = _warm_cosine(sgd, max(1, round(per_epoch * warmup)), per_epoch * epochs)
    start = time.monotonic()
    for epoch in progress.each(
        range(1, epochs + 1), f"training {module.net.name}", total=epochs, unit="epochs"
    ):
        total = 0.0
        for images, labels in progress.each(
            batches(training, batch, generator), f"epoch {epoch}", total=per_epoch, unit="batches"
        ):
            sgd.zero_grad()
            loss = functional.cross_entropy(forward(images), labels, label_smoothing=smoothing)
            loss.backward()
            sgd.step()
            schedule.step()
            total += loss.item()
        save(output, weights_of(module))
        with live.hidden():
            print(
                f"{module.net.name}: epoch {epoch}/{epochs}, loss {total / per_epoch:.4f}, "
                f"validation {accuracy(module, validation):.2%}, "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )
