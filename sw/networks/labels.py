"""Labels: names of a network's classes."""

from __future__ import annotations

from collections.abc import Sequence

from common import reading
from sw.ir import Graph
from sw.networks.shipped import default_labels

__all__ = ["labels_of"]


def labels_of(graph: Graph, model: str | None, file: str | None) -> Sequence[str]:
    """Return the names of the classes of the network that a tool runs, as far as there are any.

    Parameters
    ----------
    graph : Graph
        The network, with what its file's metadata says.
    model : str or None
        What was given for MODEL; ``None`` for the network that ships, whose classes are known.
    file : str or None
        What was given for ``--labels``: names, one a line.

    Raises
    ------
    SeparableError
        If the file cannot be read.
    """
    given = [] if file is None else reading.read_lines(file)
    return given or graph.labels or ([] if model else default_labels())
