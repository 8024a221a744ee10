"""Whole tensors out of a memory in which there are never more than some of their rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.arrays import Array
from sw.compiler.program.program import Program

__all__ = ["Collector"]


class Collector:
    """Puts tensors together from the rows that are in memory when descriptors end.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._rows: dict[int, list[npt.NDArray[np.int8]]] = {}

    def take(self, number: int, memory: npt.NDArray[np.int8]) -> tuple[int, Array] | None:
        """Look at the memory when a descriptor has ended.

        Parameters
        ----------
        number : int
            Of the descriptor.
        memory : (words, columns) int8

        Returns
        -------
        (layer, tensor) or None
            If a layer's output has become complete, the layer's number and the output as the
            network defines it.
        """
        work = self.program.work[number]
        tensor = self.program.tensors[self.program.layers[work.layer].output]
        if not work.rows:
            return None
        rows = self._rows.setdefault(work.layer, [])
        size = work.rows * (tensor.words // tensor.rows)
        rows.append(memory[work.address : work.address + size].copy())
        if work.first_row + work.rows < tensor.rows:
            return None
        return work.layer, tensor.unpack(np.concatenate(self._rows.pop(work.layer)))
