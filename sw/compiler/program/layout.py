"""Layout of the network's input in activation memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sw.compiler.program.tensors import Place

__all__ = ["NOTHING", "InputLayout"]

NOTHING = -1
"""Position of what is no element of the tensor: bytes that hold its zero point."""

SHORT_GAP = 4
"""Words of padding that are rather sent than left out: a request of its own is no shorter."""


@dataclass(frozen=True, kw_only=True, eq=False)
class InputLayout:
    """Table of where the elements of an input tensor lie.

    Attributes
    ----------
    kind : str
        Name of the scheme, for people.
    tensor : Place
        Of the tensor: it is its own, no other lies there.
    index : (words, columns) int32
        Position in the flattened tensor, or −1 for the zero point.
    zero_point : int
        int8.
    row_pitch : int
        Words of a row; of the whole tensor if it has none.
    row_kernel, row_stride : int
        Rows that a row of windows reads, and rows from one row of windows to the next.
    """

    kind: str
    tensor: Place
    index: npt.NDArray[np.int32]
    zero_point: int
    row_pitch: int
    row_kernel: int = 1
    row_stride: int = 1

    @property
    def words(self) -> int:
        """Size in memory."""
        return len(self.index)

    @property
    def runs(self) -> list[tuple[int, int]]:
        """Words that differ from one input to the next: (first word, words), in ascending order."""
        changing = np.flatnonzero((self.index != NOTHING).any(axis=1))
        breaks = np.flatnonzero(np.diff(changing) > SHORT_GAP + 1) + 1
        return [
            (int(run[0]), int(run[-1] - run[0]) + 1)
            for run in np.split(changing, breaks)
            if len(run)
        ]

    def pack(self, x: npt.NDArray[np.integer]) -> npt.NDArray[np.int8]:
        """Return the words to write.

        Parameters
        ----------
        x : ndarray of int8 or uint8
            The tensor as the network defines it; uint8 becomes int8 by subtracting 128.

        Returns
        -------
        (words, columns) int8
        """
        values = x.astype(np.int16).ravel() - (128 if x.dtype == np.uint8 else 0)
        return np.append(values, self.zero_point).astype(np.int8)[self.index]
