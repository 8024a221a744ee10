"""Random vectors through the requantiser's Verilog, and the specification they are held against."""

from __future__ import annotations

import ctypes
import random

import pytest

from common.tool import USER_ERROR
from hw.contract.requantiser import truncated_product, u_limit
from sim import vectors


def expected(vector: vectors.Vector, fraction_bits: int) -> int:
    """Return what comes of a vector, in Python's integers."""
    product = vector.u * vector.multiplier
    if fraction_bits < 31:
        product = int(truncated_product(vector.u, vector.multiplier, fraction_bits=fraction_bits))
    if vector.single and vector.shift:
        y = (product + (1 << 30 + vector.shift)) >> 31 + vector.shift
    else:
        x = (product + (1 << 30)) >> 31
        y = (abs(x) + (1 << vector.shift >> 1)) >> vector.shift
        y = -y if x < 0 else y
    return min(max(y + vector.zero_point, vector.act_min), vector.act_max)


@pytest.mark.parametrize("text", ["0", "x", "1.5", "inf", "nan", "1e13"])
def test_counts_that_are_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vectors.main(["--count", text]) == USER_ERROR
    assert f"not '{text}'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("fraction_bits", [17, 31])
def test_the_specification_in_cpp_is_the_contract(fraction_bits: int) -> None:
    library = vectors.library(fraction_bits)
    rng = random.Random(fraction_bits)
    limit = u_limit(vectors.ACC_BITS)
    for _ in range(5000):
        low = rng.randint(-128, 127)
        vector = vectors.Vector(
            u=rng.choice((rng.randint(-limit, limit), rng.randint(-300, 300), limit, -limit)),
            multiplier=rng.choice((rng.getrandbits(31), 0x55555555, 1 << 30, 0x7FFFFFFF, 0)),
            shift=rng.randint(0, 15), zero_point=rng.randint(-128, 127), act_min=low,
            act_max=rng.randint(low, 127), single=rng.getrandbits(1))
        assert library.requantise(ctypes.byref(vector), fraction_bits) == expected(
            vector, fraction_bits), vector


@pytest.mark.slow
@pytest.mark.parametrize("fraction_bits", [17, 31])
def test_a_million_vectors(fraction_bits: int) -> None:
    differing, first = vectors.try_vectors(1_000_000, fraction_bits=fraction_bits, seed=1)
    assert not differing, first


@pytest.mark.slow
def test_another_requantiser_differs() -> None:
    """Products of 17 fraction bits are not those of 31, and the vectors show it."""
    first = vectors.Vector()
    differing = vectors.library(17).try_vectors(
        100_000, 1, 31, vectors.ACC_BITS, u_limit(vectors.ACC_BITS), ctypes.byref(first))
    assert 0 < differing < 100_000
    assert first.expected == expected(first, 31) != first.found
