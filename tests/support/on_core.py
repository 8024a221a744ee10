"""Compare a file on all that runs it: reference, golden model, functional model, simulated core."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from support.compiled import check, check_program, random_inputs
from support.judges import LiteRT

import boards
from hw.contract.config import CoreConfig
from sw import golden, importer
from sw.compiler import Program
from sw.compiler.timing import predict
from sw.driver import Device
from sw.driver.simulation import SimTransport

CONFIG = boards.get("icebreaker").config


def check_on_core(
    data: bytes,
    config: CoreConfig = CONFIG,
    *,
    frames: Sequence[npt.NDArray[np.integer]] = (),
    **options: bool,
) -> Program:
    """Compile a file; compare every tensor, and the cycles with those predicted.

    Besides random and extreme inputs, ``frames`` are run.
    """
    graph = importer.loads(data, "test")
    program = check(data, config, **options)
    judge = LiteRT(data)
    with Device(SimTransport(config), config) as device:
        device.load(program)
        both = [random_inputs(graph, seed, extremes=seed == 1) for seed in range(2)]
        for inputs in [*both, *([frame] for frame in frames)]:
            check_program(graph, program, inputs)
            expected = golden.run(graph, inputs)
            judge.run(*inputs)
            for index in graph.outputs:
                np.testing.assert_array_equal(expected[index], judge.tensor(index))
            seen = {}
            result = device.infer(inputs, lambda n, value, seen=seen: seen.update({n: value}))
            assert len(seen) == len(program.layers)
            for number, value in seen.items():
                output = program.layers[number].output
                np.testing.assert_array_equal(value, expected[output])
            for index in graph.outputs:
                np.testing.assert_array_equal(result.tensors[index], expected[index])
            assert result.cycles == sum(predict(program))
    return program
