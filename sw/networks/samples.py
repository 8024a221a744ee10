"""Test images that ship with the project, as inputs of a network, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import InputError
from sw import images, ir
from sw.networks.shipped import default_images, default_labels

__all__ = ["FEW", "Sample", "fits", "samples", "verdict"]

FEW = 5
"""Images that are run when none is named."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A test image.

    Attributes
    ----------
    name : str
    input : ndarray
        Of the network's input.
    truth : int
        Its class.
    """

    name: str
    input: npt.NDArray[np.integer]
    truth: int


def fits(graph: ir.Graph) -> bool:
    """Return whether a network takes the images and has one output per class."""
    x, y = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    size = default_images()[0].shape[1:]
    return x.shape == (1, *size, 1) and y.size == len(default_labels())


def samples(graph: ir.Graph, count: int = FEW) -> list[Sample]:
    """Return the first test images.

    Parameters
    ----------
    graph : Graph
    count : int

    Raises
    ------
    InputError
        If the network does not take them, or there are not so many.
    """
    pixels, labels = default_images()
    if not fits(graph):
        x = graph.tensors[graph.inputs[0]]
        raise InputError(
            f"network {graph.name!r} takes {x.dtype}{list(x.shape)}, and the test images that ship "
            f"with the project are {pixels.shape[1]} × {pixels.shape[2]} of {len(default_labels())}"
            " classes; name an INPUT"
        )
    if not 1 <= count <= len(pixels):
        raise InputError(
            f"{len(pixels)} test images ship with the project; ask for 1 to {len(pixels)}, not "
            f"{count}"
        )
    tensor = graph.tensors[graph.inputs[0]]
    return [
        Sample(
            name=f"test image {number}",
            input=images.from_pixels(pixels[number][..., None], tensor),
            truth=int(labels[number]),
        )
        for number in range(count)
    ]


def verdict(sample: Sample, found: int) -> str:
    """Return a line that compares a network's answer with the truth."""
    names = default_labels()
    said, truth = names[found], names[sample.truth]
    return f"{sample.name:15} label {said:12} truth {truth:12} {'' if said == truth else 'WRONG'}"
