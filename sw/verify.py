"""Verification: tensors of a device against the golden model's, integer for integer."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Difference", "check", "difference"]

Array = npt.NDArray[np.integer]


class Named(Protocol):
    """Names of a tensor, for messages."""

    @property
    def index(self) -> int:
        """Its number."""

    @property
    def name(self) -> str:
        """Its name."""


class Difference(Exception):
    """A tensor of the device is not the golden model's; the message says where."""


def difference(tensor: Named, actual: Array, expected: Array, *, first_row: int = 0) -> str:
    """Return where a tensor differs first, with both values; nothing if it does not.

    Parameters
    ----------
    tensor : Tensor, or what has its number and name
    actual, expected : ndarray
        The device's and the golden model's; as many elements, in the same order.
    first_row : int
        Of the tensor, if these are a band of its rows.
    """
    actual = actual.reshape(expected.shape)
    wrong = np.argwhere(actual != expected)
    if not len(wrong):
        return ""
    at = tuple(int(i) for i in wrong[0])
    place = [i + first_row * (axis == 1) for axis, i in enumerate(at)]
    return (
        f"tensor {tensor.index} ({tensor.name!r}){place} is {actual[at]}, the golden model's "
        f"{expected[at]} ({len(wrong)} of {expected.size} values differ)"
    )


def check(tensor: Named, actual: Array, expected: Array) -> None:
    """Raise :class:`Difference` if a tensor differs."""
    if text := difference(tensor, actual, expected):
        raise Difference(text)
