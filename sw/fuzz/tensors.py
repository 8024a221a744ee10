"""Tensors and inputs of small ``.tflite`` files: what all operators are built of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sw.quantize.flatbuffer import FileBuilder, TensorSpec

__all__ = ["TensorBuilder", "output_size"]


def output_size(size: int, kernel: int, stride: int, padding: str, dilation: int = 1) -> int:
    """Return the output size along one dimension."""
    if padding == "SAME":
        return -(-size // stride)
    return (size - (kernel - 1) * dilation - 1) // stride + 1


class TensorBuilder:
    """Builds tensors of a quantised network.

    Parameters
    ----------
    seed : int
        Of weights, scales and zero points.
    dtype : {"int8", "uint8"}
        Of activations and weights.
    """

    def __init__(self, *, seed: int = 0, dtype: str = "int8") -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.file = FileBuilder()
        self.inputs: list[int] = []

    def __getitem__(self, handle: int) -> TensorSpec:
        return self.file.tensors[handle]

    def build(self, *, outputs: Sequence[int]) -> bytes:
        """Return the file."""
        return self.file.build(self.inputs, outputs)

    def random(self, handle: int) -> npt.NDArray[np.integer]:
        """Return random data for an input."""
        spec = self[handle]
        limits = np.iinfo(spec.dtype)
        return self.rng.integers(limits.min, limits.max + 1, spec.shape).astype(spec.dtype)

    def _zero_point(self, dtype: str) -> int:
        limits = np.iinfo(dtype)
        return int(self.rng.integers(limits.min, limits.max + 1))

    def activation(
        self,
        shape: tuple[int, ...],
        scale: float,
        *,
        zero_point: int | None = None,
        dtype: str | None = None,
    ) -> int:
        """Add a tensor that an operator will write; its zero point is random unless given."""
        dtype = dtype or self.dtype
        zero_point = self._zero_point(dtype) if zero_point is None else zero_point
        return self.file.tensor(
            shape, dtype, [scale], [zero_point], name=f"activation_{len(self.file.tensors)}"
        )

    def integers(self, values: Any) -> int:
        """Add a constant of int32."""
        data = np.array(values, np.int32)
        return self.file.tensor(data.shape, "int32", data=data, name="constant")

    def input(
        self, shape: tuple[int, ...], *, scale: float | None = None, zero_point: int | None = None
    ) -> int:
        """Add an input."""
        scale = float(self.rng.uniform(0.005, 0.05)) if scale is None else scale
        handle = self.activation(shape, scale, zero_point=zero_point)
        self.inputs.append(handle)
        return handle

    def constant(self, shape: tuple[int, ...], *, scale: float | None = None) -> int:
        """Add a random constant of the network's type."""
        limits = np.iinfo(self.dtype)
        data = self.rng.integers(limits.min, limits.max + 1, shape).astype(self.dtype)
        scale = float(self.rng.uniform(0.005, 0.05)) if scale is None else scale
        return self.file.tensor(
            shape, self.dtype, [scale], [self._zero_point(self.dtype)], data=data, name="constant"
        )

    def like(self, x: int, shape: tuple[int, ...]) -> int:
        """Add a tensor of another shape, with the type and quantisation of ``x``."""
        spec = self[x]
        if not len(spec.scales):
            return self.file.tensor(shape, spec.dtype, name=f"activation_{len(self.file.tensors)}")
        return self.activation(
            shape, spec.scales[0], zero_point=spec.zero_points[0], dtype=spec.dtype
        )
