"""Damaged files end in a graph or in one line of text: no traceback, no hang."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from sw import importer
from sw.errors import SeparableError
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

SECONDS = 5.0
"""Far more than any import takes; importing a real network takes about 20 ms."""


def all_operators(dtype: str = "int8") -> bytes:
    """A network with every operator."""
    net = NetworkBuilder(seed=3, dtype=dtype)
    x = net.conv_2d(net.input((1, 8, 8, 3)), 4, kernel=(3, 3), stride=(2, 2), activation="RELU6")
    y = net.add(x, net.depthwise_conv_2d(x, activation="RELU"))
    y = net.sub(net.mul(y, net.constant(())), net.constant((4,)))
    y = net.pad(y, ((0, 0), (1, 0), (0, 1), (0, 0)))
    y = net.mean(net.average_pool_2d(y, window=(2, 2), padding="SAME"), keep_dims=False)
    y = net.softmax(net.fully_connected(y, 5))
    y = net.quantize(y, "uint8" if dtype == "int8" else "int8")
    return net.build(outputs=[net.transpose(net.reshape(y, (5, 1)), (1, 0))])


def attempt(data: bytes) -> str:
    """Import and return what came out."""
    start = time.perf_counter()
    try:
        graph = importer.loads(data, "damaged")
    except SeparableError as error:
        outcome = str(error)
        assert "\n" not in outcome
        assert outcome.startswith("damaged: ")
    else:
        assert isinstance(graph, Graph)
        outcome = "graph"
    assert time.perf_counter() - start < SECONDS
    return outcome


def flip(data: bytes, rng: np.random.Generator, count: int) -> bytes:
    """Change some bytes, half of them in the first kilobyte, where the structure is dense."""
    damaged = bytearray(data)
    for _ in range(count):
        end = len(data) if rng.random() < 0.5 else min(len(data), 1024)
        damaged[int(rng.integers(end))] = int(rng.integers(256))
    return bytes(damaged)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_truncation_of_a_small_file(dtype: str) -> None:
    data = all_operators(dtype)
    assert attempt(data) == "graph"
    for length in range(0, len(data), 3):
        assert attempt(data[:length]) != "graph"


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_in_a_small_file(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = all_operators()
    outcomes = {attempt(flip(data, rng, int(rng.integers(1, 4)))) for _ in range(400)}
    assert len(outcomes) > 20


def test_every_byte_inverted_in_a_small_file() -> None:
    data = all_operators()
    for i in range(len(data)):
        attempt(data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :])


@pytest.mark.parametrize("name", ["vww_96_int8", "person_detect"])
def test_real_file(shared: Path, name: str) -> None:
    data = (shared / "models" / f"{name}.tflite").read_bytes()
    rng = np.random.default_rng(0)
    for length in [*range(0, 200, 7), *rng.integers(0, len(data), 40)]:
        assert attempt(data[: int(length)]) != "graph"
    for _ in range(100):
        attempt(flip(data, rng, 8))


def test_random_bytes_behind_the_identifier() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        attempt(b"\x1c\0\0\0TFL3" + rng.bytes(int(rng.integers(0, 300))))
