"""Tensors in activation memory: their places, and how bytes there are the network's integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

import numpy as np
import numpy.typing as npt

from common.arrays import Array
from sw.ir import rows_of

__all__ = ["DeviceTensor", "Place"]

Place = NewType("Place", int)
"""Number of the tensor that is written to a place in memory: not of all that lies there."""


@dataclass(frozen=True, kw_only=True)
class DeviceTensor:
    """A tensor in activation memory: dense, pixel by pixel, channels padded to whole words.

    Attributes
    ----------
    index : int
        Number of the tensor in the network.
    name : str
    address : int
        Word address.
    shape : tuple of int
    dtype : str
        Of the network's tensor; uint8 is stored as int8 by subtracting 128.
    columns : int
        Channels in a word.
    kept : tuple of int or None
        The channels that are in memory, if not all are.
    constants : tuple of int
        What every channel is if it is not in memory, int8 as others are there.
    """

    index: int
    name: str
    address: int
    shape: tuple[int, ...]
    dtype: str
    columns: int
    kept: tuple[int, ...] | None = None
    constants: tuple[int, ...] = ()

    @property
    def channels(self) -> int:
        """Elements of a pixel that are in memory."""
        if self.kept is not None:
            return len(self.kept)
        return self.shape[-1] if self.shape else 1

    @property
    def words(self) -> int:
        """Size in memory."""
        pixels = int(np.prod(self.shape[:-1]))
        return pixels * -(-self.channels // self.columns)

    @property
    def rows(self) -> int:
        """Rows of an image; one for anything else."""
        return rows_of(self.shape)

    def unpack(self, words: npt.NDArray[np.int8]) -> Array:
        """Return the tensor as the network defines it.

        Parameters
        ----------
        words : (words, columns) int8
            From ``address`` on.
        """
        pixels = words.reshape(-1, -(-self.channels // self.columns) * self.columns)
        values = pixels[:, : self.channels].astype(np.int16)
        if self.kept is not None:
            every = np.tile(np.array(self.constants, np.int16), (len(values), 1))
            every[:, list(self.kept)] = values
            values = every
        if self.dtype == "uint8":
            values += 128
        return values.reshape(self.shape).astype(self.dtype)
