"""Classes: which ones the first output of a classifier rates best, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sw import ir
from sw.ir import Graph, Tensor

__all__ = ["TOP", "Top", "best", "classify", "is_choice", "label", "real", "scores"]

Array = npt.NDArray[Any]

TOP = 5
"""Classes that are shown."""


@dataclass(frozen=True, kw_only=True)
class Top:
    """One of the best classes.

    Attributes
    ----------
    number : int
        Of the class.
    label : str
        Its name, or its number as text.
    score : float or None
        Between 0 and 1; see :func:`scores`.  ``None`` if the network says only which class it is.
    """

    number: int
    label: str
    score: float | None


def label(number: int, labels: Sequence[str]) -> str:
    """Return the name of a class; its number as text, if nobody knows one."""
    return labels[number] if 0 <= number < len(labels) else str(number)


def is_choice(output: Array) -> bool:
    """Whether an output is the number of a class, as ARG_MAX writes it."""
    return output.size == 1 and output.dtype in (np.int32, np.int64)


def best(output: Array, count: int = TOP) -> list[int]:
    """Return the classes with the greatest values of an output, best first; of equals the lower.

    What ARG_MAX writes is the class already.
    """
    values = output.ravel()
    if is_choice(output):
        return [int(values[0])]
    wide = np.float64 if values.dtype == np.float32 else np.int64
    return [int(i) for i in np.argsort(-values.astype(wide), kind="stable")[:count]]


def real(output: Array, tensor: Tensor) -> npt.NDArray[np.float64]:
    """Return the real numbers that an output of a tensor stands for, in its shape."""
    values = output.astype(np.float64)
    quantization = tensor.quantization
    if quantization is None or output.dtype.kind == "f":
        return values
    return (values - quantization.zero_point) * quantization.scale


def scores(graph: Graph, output: Array) -> npt.NDArray[np.float64]:
    """Return the scores of a network's first output.

    Parameters
    ----------
    graph : Graph
    output : ndarray

    Returns
    -------
    (N,) float64
        The real numbers that the output stands for where a softmax made them.  Otherwise their
        softmax, or their logistic function if there is only one.
    """
    index = graph.outputs[0]
    values = real(output, graph.tensors[index]).ravel()
    if isinstance(graph.producer(index), ir.Softmax):
        return np.clip(values, 0.0, 1.0)
    if values.size == 1:
        # A softmax of one value would always be 1.
        return _softmax(np.array([0.0, values[0]]))[1:]
    return _softmax(values)


def _softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(values - values.max())
    result: npt.NDArray[np.float64] = powers / powers.sum()
    return result


def classify(graph: Graph, output: Array, labels: Sequence[str], count: int = TOP) -> list[Top]:
    """Return the best classes of the first output, best first; of equals the lower number."""
    rated = None if is_choice(output) else scores(graph, output)
    return [
        Top(
            number=number,
            label=label(number, labels),
            score=None if rated is None else float(rated[number]),
        )
        for number in best(output, count)
    ]
