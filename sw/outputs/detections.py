"""Detections: what a detector's outputs say is where on its picture.

Two kinds of networks detect.  SSD and SSDLite end with ``TFLite_Detection_PostProcess``, whose
outputs are boxes already.  FOMO ends with a softmax over the classes of each cell of a grid, of
which class 0 is the background: neighbouring cells of a class are one object, as for its runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from common.errors import InputError
from sw import ir
from sw.golden.detection import written
from sw.ir import Detection, DetectionPart, Graph, Suppression
from sw.outputs.classes import real

__all__ = [
    "THRESHOLD", "THRESHOLD_HELP", "Detector", "Found", "check_threshold", "detector_of",
    "found_in",
]

Array = npt.NDArray[Any]

THRESHOLD = 0.5
"""Least score of what is shown, unless another one is asked for."""

THRESHOLD_HELP = f"of a detector: least score of what is shown, 0 to 1 (default: {THRESHOLD})"

LEAST_CELL = 4
"""Pixels of a cell's side from which a grid of classes is a detector's, not a segmentation."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Object that a network found.

    Attributes
    ----------
    number : int
        Of its class, as the network counts them.
    label : str
        The class's name, or its number as text.
    score : float
        From the threshold to 1.
    left, top, width, height : float
        Parts of the network's picture; a box may reach beyond it.
    """

    number: int
    label: str
    score: float
    left: float
    top: float
    width: float
    height: float

    def json(self) -> dict[str, Any]:
        """Return the entry of ``found``."""
        return {
            "class": self.number, "label": self.label, "score": round(self.score, 6),
            **{name: round(getattr(self, name), 6) for name in ("left", "top", "width", "height")},
        }


class Detector(Protocol):
    """Reading of a detector's outputs.

    Attributes
    ----------
    classes : int
        That it tells apart, without the background.
    """

    classes: int

    def found(
        self, outputs: Sequence[Array], labels: Sequence[str] = (), threshold: float = THRESHOLD
    ) -> list[Found]:
        """Return what is found, the best first.

        Parameters
        ----------
        outputs : sequence of ndarray
            All of the network's, in its order.
        labels : sequence of str
            Names of the classes, with or without one for the background in front.
        threshold : float
            Least score, 0 to 1.
        """


def check_threshold(threshold: float) -> None:
    """Raise :class:`InputError` if a least score is not from 0 to 1."""
    if not 0 <= threshold <= 1:
        raise InputError(f"a threshold is from 0 to 1, not {threshold:g}")


def detector_of(graph: Graph) -> Detector | None:
    """Return how the outputs of a network are read; ``None`` if it is no detector."""
    producers = [graph.producer(index) for index in graph.outputs]
    ends = [op for op in producers if isinstance(op, Detection)]
    if ends:
        same = [op.inputs == ends[0].inputs for op in ends]
        places = {op.part: number for number, op in enumerate(producers)
                  if isinstance(op, Detection)}
        complete = {"boxes", "classes", "scores", "count"} <= set(places)
        return _Boxes(ends[0].suppression, places) if all(same) and complete else None
    return _cells_of(graph)


def _cells_of(graph: Graph) -> Detector | None:
    producer = graph.producer(graph.outputs[0])
    shape = graph.tensors[graph.outputs[0]].shape
    picture = graph.tensors[graph.inputs[0]].shape
    if len(graph.outputs) != 1 or len(graph.inputs) != 1 or not isinstance(producer, ir.Softmax):
        return None
    if len(shape) != 4 or len(picture) != 4 or shape[3] < 2 or shape[1] * shape[2] < 2:
        return None
    if any(picture[axis] < LEAST_CELL * shape[axis] for axis in (1, 2)):
        return None
    return _Cells(graph)


def _name(place: int, classes: int, labels: Sequence[str]) -> str:
    """Return the name of a class, by its place among those without the background, if any."""
    # The background may have a name, too.
    at = place + (len(labels) == classes + 1)
    return labels[at] if 0 <= at < len(labels) else ""


class _Boxes:
    """Reading of boxes that were chosen already."""

    def __init__(self, suppression: Suppression, places: dict[DetectionPart, int]) -> None:
        self.classes = suppression.classes
        self._suppression = suppression
        self._places = places

    def found(
        self, outputs: Sequence[Array], labels: Sequence[str] = (), threshold: float = THRESHOLD
    ) -> list[Found]:
        """Return what is found; see :class:`Detector`."""
        suppression, places = self._suppression, self._places
        each = suppression.classes_each if suppression.per_class is None else 1
        count = int(outputs[places["count"]].ravel()[0])
        lines = np.arange(suppression.lines) < count * each
        lines &= written(suppression, "scores", count).ravel()
        rated = outputs[places["scores"]].ravel()
        result = []
        for line in np.flatnonzero(lines & (rated >= threshold)):
            top, left, bottom, right = map(float, outputs[places["boxes"]].reshape(-1, 4)[line])
            number = int(outputs[places["classes"]].ravel()[line])
            result.append(Found(
                number=number, score=float(rated[line]),
                label=_name(number, self.classes, labels) or str(number),
                left=left, top=top, width=right - left, height=bottom - top,
            ))
        return sorted(result, key=lambda found: -found.score)


def found_in(
    rated: npt.NDArray[np.floating], labels: Sequence[str] = (), threshold: float = THRESHOLD
) -> list[Found]:
    """Return what is found in a grid of cells, the best first.

    Parameters
    ----------
    rated : (rows, columns, classes) float
        Probability of each class, the background first.
    labels, threshold
        As for :meth:`Detector.found`.
    """
    rows, columns, count = rated.shape
    result = []
    for number in range(1, count):
        for cells in _neighbours(rated[..., number] >= threshold):
            (top, left), (bottom, right) = cells.min(axis=0), cells.max(axis=0) + 1
            result.append(Found(
                number=number, label=_name(number - 1, count - 1, labels) or str(number),
                score=float(rated[cells[:, 0], cells[:, 1], number].max()),
                left=float(left / columns), top=float(top / rows),
                width=float((right - left) / columns), height=float((bottom - top) / rows),
            ))
    return sorted(result, key=lambda found: -found.score)


class _Cells:
    """Reading of a grid of classes."""

    def __init__(self, graph: Graph) -> None:
        self._tensor = graph.tensors[graph.outputs[0]]
        self.classes = self._tensor.shape[3] - 1

    def found(
        self, outputs: Sequence[Array], labels: Sequence[str] = (), threshold: float = THRESHOLD
    ) -> list[Found]:
        """Return what is found; see :class:`Detector`."""
        return found_in(real(outputs[0], self._tensor)[0], labels, threshold)


def _neighbours(chosen: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.intp]]:
    """Return groups of cells, (N, 2) each, that touch at a side or a corner."""
    left = set(map(tuple, np.argwhere(chosen).tolist()))
    groups = []
    while left:
        group, edge = [], [min(left)]
        left.discard(edge[0])
        while edge:
            row, column = edge.pop()
            group.append((row, column))
            around = {(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= around
            edge += sorted(around)
        groups.append(np.array(group))
    return groups
