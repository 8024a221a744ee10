"""Tensors and their quantisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from common.errors import GraphError

__all__ = ["QUANTISED", "Normalisation", "Quantization", "Shape", "Tensor", "rows_of"]

QUANTISED = ("int8", "uint8")
"""Types of tensors that have a scale and a zero point."""

Shape: TypeAlias = tuple[int, ...]


def rows_of(shape: Shape) -> int:
    """Return the rows of an image, (1, height, width, channels); one for anything else."""
    return shape[1] if len(shape) == 4 else 1


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine quantisation: real = scale × (integer − zero point).

    Attributes
    ----------
    scales : tuple of float
        Positive and exactly representable as float32: one value, or one per channel, of which
        some may be 0: channels of weights whose outputs are the output's zero point.
    zero_points : tuple of int
        As many as ``scales``.
    axis : int or None
        The dimension that the values run along; ``None`` when there is one value per tensor.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantisation (the first one otherwise)."""
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantisation (the first one otherwise)."""
        return self.zero_points[0]

    @property
    def per_channel(self) -> bool:
        """Whether there is one scale per channel."""
        return self.axis is not None


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Normalisation of pixels before they are quantised: real = (pixel − mean) / deviation.

    Attributes
    ----------
    means, deviations : tuple of float
        Finite, the second positive; of all channels, or one per channel.
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]

    @property
    def proper(self) -> bool:
        """Whether the numbers are what they have to be."""
        numbers = (*self.means, *self.deviations)
        return (
            bool(self.means and self.deviations) and all(map(math.isfinite, numbers))
            and min(self.deviations) > 0
        )

    def fits(self, channels: int) -> bool:
        """Return whether there are as many numbers as an image of so many channels wants."""
        return {len(self.means), len(self.deviations)} <= {1, channels}


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of the network.

    Attributes
    ----------
    index : int
        Its position in :attr:`Graph.tensors`.  The importer keeps the numbering of the file.
    name : str
        Its name in the file; not necessarily unique, for messages only.
    shape : tuple of int
        Empty for a scalar.
    dtype : str
        A NumPy type name; the operators' data are ``"int8"`` or ``"uint8"``, biases ``"int32"``,
        indices ``"int32"`` or ``"int64"``, and what QUANTIZE reads and DEQUANTIZE writes
        ``"float32"``.
    quantization : Quantization or None
    data : ndarray or None
        Contents of a constant, read-only, of ``shape`` and ``dtype``; ``None`` for activations.
    normalisation : Normalisation or None
        What becomes of pixels, of an input that is an image; ``None``: its integers are the pixels.
    """

    index: int
    name: str
    shape: Shape
    dtype: str
    quantization: Quantization | None = None
    data: npt.NDArray[np.generic] | None = None
    normalisation: Normalisation | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the contents are known before the network runs."""
        return self.data is not None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def rows(self) -> int:
        """Rows of an image; one for anything else."""
        return rows_of(self.shape)

    @property
    def picture(self) -> tuple[int, int, int, bool] | None:
        """Height, width, channels, and whether these come first; ``None`` if it is no image."""
        if len(self.shape) == 4 and self.shape[0] == 1 and self.dtype in QUANTISED:
            _, a, b, c = self.shape
            if c in (1, 3):
                return a, b, c, False
            if a in (1, 3):
                return b, c, a, True
        return None

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def q(self) -> Quantization:
        """The quantisation; :class:`GraphError` if there is none."""
        if self.quantization is None:
            raise GraphError(f"tensor {self.index} ({self.name!r}) has no quantisation parameters")
        return self.quantization
