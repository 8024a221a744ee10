"""Networks in all models: the judge, golden, functional, the simulated core, predicted cycles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from support.compiled import check_program, random_inputs
from support.judges import LiteRT

import boards
from sw import golden, importer
from sw.compiler import Program, compile_graph
from sw.compiler.timing import predict
from sw.driver import Device
from sw.driver.simulation import SimTransport

CONFIG = boards.get("icebreaker").config


def check_everywhere(
    data: bytes, *, frames: Sequence[npt.NDArray[np.integer]] = (), **options: bool
) -> Program:
    """Compile a file for the iCEBreaker and compare every tensor, and the cycles.

    Besides random and extreme inputs, ``frames`` are run.
    """
    graph = importer.loads(data, "test")
    program = compile_graph(graph, CONFIG, **options)
    judge = LiteRT(data)
    with Device(SimTransport(CONFIG), CONFIG) as device:
        device.load(program)
        both = [random_inputs(graph, seed, extremes=seed == 1) for seed in range(2)]
        for inputs in [*both, *([frame] for frame in frames)]:
            check_program(graph, program, inputs)
            expected = golden.run(graph, inputs)
            judge.run(*inputs)
            for op in graph.ops:
                np.testing.assert_array_equal(judge.tensor(op.output), expected[op.output], op.name)
            seen: dict[int, np.ndarray] = {}
            result = device.infer(inputs, seen.__setitem__)
            assert sorted(seen) == list(range(len(program.layers)))
            for number, value in seen.items():
                layer = program.layers[number]
                np.testing.assert_array_equal(value, expected[layer.output], layer.name)
            for index in graph.outputs:
                np.testing.assert_array_equal(result.tensors[index], expected[index])
            assert result.cycles == sum(predict(program))
    return program
