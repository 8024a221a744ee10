"""Compile networks, run them on the functional model, compare every tensor with the golden one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hw.contract.config import CoreConfig
from sim.functional import run_program
from sw import golden, importer
from sw.compiler import Program, compile_graph
from sw.ir import Graph

Array = npt.NDArray[np.integer]


def random_inputs(graph: Graph, seed: int, extremes: bool = False) -> list[Array]:
    """Return random data for all inputs of a network; or only the least and greatest integers."""
    rng = np.random.default_rng(seed)
    arrays = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        limits = np.iinfo(tensor.dtype)
        data = rng.integers(limits.min, limits.max + 1, tensor.shape)
        if extremes:
            data = np.where(data >= data.mean(), limits.max, limits.min)
        arrays.append(data.astype(tensor.dtype))
    return arrays


def check_program(graph: Graph, program: Program, inputs: list[Array]) -> None:
    """Compare every tensor that the program computes."""
    expected = golden.run(graph, inputs)
    got = run_program(program, inputs)
    assert set(graph.outputs) <= set(got)
    assert {layer.output for layer in program.layers} <= set(got)
    for index, value in got.items():
        np.testing.assert_array_equal(value, expected[index], graph.tensors[index].name)


def check(data: bytes, config: CoreConfig | None = None, **options: bool) -> Program:
    """Compile a file and compare on random and extreme inputs."""
    graph = importer.loads(data, "test")
    program = compile_graph(graph, config or CoreConfig(), **options)
    for seed in range(3):
        check_program(graph, program, random_inputs(graph, seed, extremes=seed == 2))
    return program
