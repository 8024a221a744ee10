"""Accuracy of float and quantised networks on many images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from common import progress
from common.arrays import Array
from common.errors import InputError
from sw import golden, ir
from sw.quantize.reference import FloatNetwork

__all__ = ["accuracy", "batched", "float_predictions", "golden_outputs"]

Pixels = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.intp]


def batched(graph: ir.Graph, count: int) -> ir.Graph:
    """Return a network that takes several images at once.

    The golden model computes every image of a batch by itself, with the same integers.

    Raises
    ------
    InputError
        If the network has a batch already, or moves dimensions around.
    """
    tensors = []
    for tensor in graph.tensors:
        if tensor.is_constant:
            tensors.append(tensor)
            continue
        if tensor.shape[:1] != (1,):
            raise InputError(
                f"tensor {tensor.index} ({tensor.name!r}) has the shape {list(tensor.shape)}; only "
                "a network with batch size 1 can be given a larger one"
            )
        tensors.append(replace(tensor, shape=(count, *tensor.shape[1:])))
    return replace(graph, tensors=tuple(tensors))


def golden_outputs(graph: ir.Graph, images: Pixels, *, batch: int = 100) -> Array:
    """Run images through the golden model.

    Parameters
    ----------
    graph : Graph
        With an image as input, NHWC.
    images : (N, H, W, C) uint8
    batch : int

    Returns
    -------
    (N, classes) of the output's type
    """
    tensor = graph.tensors[graph.inputs[0]]
    if images.ndim == 3:
        images = images[..., None]
    if images.shape[1:] != tensor.shape[1:] or images.dtype != np.uint8:
        raise InputError(
            f"network {graph.name!r} takes {tensor.dtype}{list(tensor.shape)}; the images are "
            f"{images.dtype}{list(images.shape)}"
        )
    lowest = int(np.iinfo(tensor.dtype).min)
    outputs = []
    with progress.stage("int8, golden model", total=len(images), unit="images") as stage:
        for first in range(0, len(images), batch):
            part = images[first : first + batch].astype(np.int16) + lowest
            several = batched(graph, len(part))
            tensors = golden.run(several, part.astype(tensor.dtype))
            outputs.append(tensors[graph.outputs[0]].reshape(len(part), -1))
            stage.reached(first + len(part))
    return np.concatenate(outputs)


def float_predictions(network: FloatNetwork, images: Pixels, *, batch: int = 100) -> Classes:
    """Return the class of every image, (N,)."""
    parts = []
    with progress.stage("float", total=len(images), unit="images") as stage:
        for first in range(0, len(images), batch):
            parts.append(network.run(images[first : first + batch]).argmax(axis=1))
            stage.reached(min(first + batch, len(images)))
    return np.concatenate(parts)


def accuracy(predictions: Classes, labels: npt.NDArray[np.integer]) -> float:
    """Return the part of predictions that are right.

    Raises
    ------
    InputError
        If there is not one label for every image.
    """
    if predictions.shape != labels.shape or not len(labels):
        raise InputError(
            f"there are {len(labels)} labels for {len(predictions)} images; give one for each"
        )
    return float(np.mean(predictions == labels))
