"""Sums and products of floats that are the same, bit for bit, on every processor.

One product or one sum is: IEEE 754 says how it is rounded.  Many of them are not: BLAS, and
NumPy's own reductions, add in an order that depends on the processor's vectors and on the number
of threads, and fuse a product with a sum where the processor can.  Here each operation is a NumPy
ufunc on whole arrays, one term after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["average", "product", "total", "weighted_sum"]

Floats = npt.NDArray[np.floating]

BLOCK = 1 << 14
"""Values of a block, which stay in the processor's cache from one term to the next."""
BLOCK_COLUMNS = 1 << 10


def weighted_sum(weights: Floats, terms: Sequence[Floats] | Floats) -> Floats:
    """Return Σ weights[k] × terms[k], added in the order of k.

    Parameters
    ----------
    weights : (K, ...) ndarray
        Broadcast against the terms.
    terms : K ndarrays
        Of one shape and of the weights' type.
    """
    result: Floats = weights[0] * terms[0]
    product = np.empty_like(result)
    for weight, term in zip(weights[1:], terms[1:], strict=True):
        np.multiply(weight, term, out=product)
        np.add(result, product, out=result)
    return result


def product(a: Floats, b: Floats) -> Floats:
    """Return the matrix product of (M, K) and (K, N), added in the order of k."""
    result = np.empty((a.shape[0], b.shape[1]), a.dtype)
    columns = max(1, min(BLOCK_COLUMNS, b.shape[1]))
    rows = BLOCK // columns
    factors = np.ascontiguousarray(a.T)[:, :, None]
    for j in range(0, b.shape[1], columns):
        terms = np.ascontiguousarray(b[:, j : j + columns])
        for i in range(0, a.shape[0], rows):
            block = weighted_sum(factors[:, i : i + rows], terms)
            result[i : i + rows, j : j + columns] = block
    return result


def total(x: Floats, axes: tuple[int, ...]) -> Floats:
    """Return the sum over some dimensions, added in C order."""
    terms = np.moveaxis(x, axes, range(len(axes)))
    terms = terms.reshape(-1, *terms.shape[len(axes) :])
    result: Floats = terms[0].copy()
    for term in terms[1:]:
        np.add(result, term, out=result)
    return result


def average(values: Sequence[float] | Floats) -> float:
    """Return the mean of some numbers, rounded once."""
    return math.fsum(values) / len(values)
