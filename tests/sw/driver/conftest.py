"""Fixtures of the driver's tests: a small network on the simulated core."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.networks import small_network

import boards
from sw.compiler import Program, compile_graph
from sw.driver import Device, open_device
from sw.ir import Graph

CONFIG = boards.get("icebreaker").config


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Return a small network."""
    return small_network()


@pytest.fixture(scope="module")
def program(graph: Graph) -> Program:
    """Return its program."""
    return compile_graph(graph, CONFIG, board="icebreaker")


@pytest.fixture
def device() -> Iterator[Device]:
    """Yield the simulated core."""
    with open_device("sim", CONFIG) as device:
        yield device
