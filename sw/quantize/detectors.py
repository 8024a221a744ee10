"""What float and quantised detectors find in many scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from common import progress
from common.errors import InputError
from sw import ir
from sw.networks.scenes import Scene
from sw.outputs.detections import Found, detector_of, found_in
from sw.quantize.accuracy import golden_outputs
from sw.quantize.reference import FloatNetwork

__all__ = ["float_found", "golden_found"]


def float_found(
    network: FloatNetwork, scenes: Sequence[Scene], *, batch: int = 50
) -> list[list[Found]]:
    """Return what a float network finds in each scene; of logits, their softmax."""
    found = []
    with progress.stage("float", total=len(scenes), unit="scenes") as stage:
        for first in range(0, len(scenes), batch):
            logits = network.run(_images(scenes[first : first + batch]))
            powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
            found += [found_in(grid) for grid in powers / powers.sum(axis=-1, keepdims=True)]
            stage.reached(len(found))
    return found


def golden_found(graph: ir.Graph, scenes: Sequence[Scene]) -> list[list[Found]]:
    """Return what the golden model finds in each scene.

    Raises
    ------
    InputError
        If the network is no detector.
    """
    detector = detector_of(graph)
    if detector is None:
        raise InputError(f"network {graph.name!r} is no detector")
    shape = graph.tensors[graph.outputs[0]].shape
    outputs = golden_outputs(graph, _images(scenes), batch=20)
    return [detector.found([output.reshape(shape)]) for output in outputs]


def _images(scenes: Sequence[Scene]) -> npt.NDArray[np.uint8]:
    return np.stack([one.image for one in scenes])[..., None]
