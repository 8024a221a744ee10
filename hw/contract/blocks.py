"""Blocks: weights and constants of one word of output channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Block"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Contents of a BLOCK record: what the array needs for one word of output channels.

    Attributes
    ----------
    multiplier, shift, bias : (columns,) int64
        See :func:`hw.contract.requantiser.encode_channels`.
    weights : (steps, rows, columns) int8
    """

    multiplier: npt.NDArray[np.int64]
    shift: npt.NDArray[np.int64]
    bias: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int8]
