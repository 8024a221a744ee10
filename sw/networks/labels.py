"""Labels: names of a network's classes."""

from __future__ import annotations

from common import reading
from sw.networks.shipped import default_labels

__all__ = ["labels_of"]


def labels_of(model: str | None, file: str | None) -> list[str]:
    """Return the names of the classes of the network that a tool runs, as far as there are any.

    Parameters
    ----------
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
    return given or ([] if model else default_labels())
