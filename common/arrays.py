"""Types of arrays that functions take and return."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Floats", "Ints"]

Ints: TypeAlias = npt.NDArray[np.int64]
"""What is computed with: wide enough for every product and sum."""

Floats: TypeAlias = npt.NDArray[np.float64]

Array: TypeAlias = npt.NDArray[np.integer]
"""Integers of a network's own type, such as int8 or uint8."""
