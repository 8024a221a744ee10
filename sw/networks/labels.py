"""Labels: names of a network's classes."""

from __future__ import annotations

from collections.abc import Sequence

from common import reading
from common.errors import InputError
from sw.ir import ArgMax, Graph
from sw.networks.scenes import KINDS
from sw.networks.shipped import default_labels
from sw.outputs.detections import Detector, detector_of

__all__ = ["check_number", "classes_of", "labels_of"]


def classes_of(graph: Graph) -> int | None:
    """Return the number of classes that a network tells apart; ``None`` if it is no classifier."""
    output = graph.tensors[graph.outputs[0]]
    producer = graph.producer(graph.outputs[0])
    if isinstance(producer, ArgMax) and output.size == 1:
        return graph.tensors[producer.input].shape[producer.axis]
    return output.size if output.size > 1 and output.shape[-1] == output.size else None


def labels_of(graph: Graph, model: str | None, file: str | None) -> Sequence[str]:
    """Return the names of the classes of the network that a tool runs, as far as there are any.

    Parameters
    ----------
    graph : Graph
        The network, with what its file's metadata says.
    model : str or None
        What was given for MODEL; ``None`` for a network that ships, whose classes are known.
    file : str or None
        What was given for ``--labels``: names, one a line.

    Raises
    ------
    SeparableError
        If the file cannot be read, or has names for another number of classes.
    """
    given = [] if file is None else reading.read_lines(file)
    check_number(graph, given, f"{file}: ")
    if given or graph.labels or model:
        return given or graph.labels
    return default_labels() if detector_of(graph) is None else KINDS


def check_number(graph: Graph, labels: Sequence[str], where: str = "") -> None:
    """Raise :class:`InputError` if labels are given, and for another number of classes.

    Parameters
    ----------
    graph : Graph
    labels : sequence of str
    where : str
        What the message begins with.
    """
    if not labels:
        return
    if (detector := detector_of(graph)) is not None:
        _check_detector(detector, graph, labels, where)
        return
    classes = classes_of(graph)
    if classes is not None and len(labels) != classes:
        raise InputError(
            f"{where}{len(labels):,} labels, and network {graph.name!r} tells {classes:,} classes "
            "apart; give one for each, in their order"
        )


def _check_detector(
    detector: Detector, graph: Graph, labels: Sequence[str], where: str
) -> None:
    classes = detector.classes
    if len(labels) not in (classes, classes + 1):
        raise InputError(
            f"{where}{len(labels):,} labels, and network {graph.name!r} finds objects of "
            f"{classes:,} classes; give one for each, in their order, perhaps with the "
            "background's in front"
        )
