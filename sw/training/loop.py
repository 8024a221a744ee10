"""Training loop: the optimiser and its schedule."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from common import live, progress
from sw.quantize.weights import save
from sw.training.torch_model import Module, weights_of

__all__ = ["Task", "as_input", "train"]


def as_input(images: Tensor) -> Tensor:
    """Turn pixels (N, H, W) into inputs (N, 1, H, W) from 0 to 1."""
    x = images[:, None].float() / 255
    return x.contiguous(memory_format=torch.channels_last)


class Task(Protocol):
    """What a network is trained for.

    Attributes
    ----------
    count : int
        Examples in an epoch.
    measure : str
        Name of :meth:`score`.
    """

    count: int
    measure: str

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one epoch of whole batches: inputs (N, 1, H, W) from 0 to 1, and targets."""

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return what is minimised."""

    def score(self, module: Module) -> float:
        """Return how good a network is on the validation set, 0 to 1."""


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
    task: Task,
    output: Path,
    *,
    epochs: int,
    batch: int = 128,
    rate: float = 0.1,
    warmup: float = 1.0,
    decay: float = 1e-4,
    seed: int = 0,
    compiled: bool = False,
) -> None:
    """Train a network, with a cosine schedule after a linear start.

    Parameters
    ----------
    module : Module
    task : Task
    output : Path
        Where weights are written after every epoch (``.npz``).
    epochs, batch : int
    rate : float
        Highest learning rate.
    warmup : float
        Epochs that the rate rises to it.
    decay : float
        Weight decay.
    seed : int
        Of order and augmentation.
    compiled : bool
        Use ``torch.compile``: a third faster, needs a C++ compiler.
    """
    generator = torch.Generator().manual_seed(seed)
    module = module.to(memory_format=torch.channels_last)
    forward = torch.compile(module) if compiled else module
    sgd = optimiser(module, rate, decay)
    per_epoch = task.count // batch
    schedule = _warm_cosine(sgd, max(1, round(per_epoch * warmup)), per_epoch * epochs)
    start = time.monotonic()
    for epoch in progress.each(
        range(1, epochs + 1), f"training {module.net.name}", total=epochs, unit="epochs"
    ):
        total = 0.0
        for images, labels in progress.each(
            task.batches(batch, generator), f"epoch {epoch}", total=per_epoch, unit="batches"
        ):
            sgd.zero_grad()
            loss = task.loss(forward(images), labels)
            loss.backward()
            sgd.step()
            schedule.step()
            total += loss.item()
        save(output, weights_of(module))
        with live.hidden():
            print(
                f"{module.net.name}: epoch {epoch}/{epochs}, loss {total / per_epoch:.4f}, "
                f"validation {task.measure} {task.score(module):.2%}, "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )
