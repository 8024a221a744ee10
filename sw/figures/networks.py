"""Cycles of whole networks: predicted by the compiler, counted by the simulated core."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import boards
from common.errors import SeparableError
from hw.contract.modes import Mode
from hw.contract.sections import SECTION_BYTES, TRAILER_BYTES
from sw import golden, importer
from sw.bench.measure import BenchClock, measure, model_profile
from sw.compiler import Program, compile_network
from sw.compiler.timing import predict
from sw.driver import open_device
from sw.figures.store import BOARD, file_digest
from sw.images import random_inputs
from sw.ir import Graph
from sw.networks import published, shipped

__all__ = ["CASES", "HOW", "SHIPPED", "count", "measure_networks", "path_of", "predicted_figures"]

HOW = "python -m sw.run NETWORK --board icebreaker; python -m sw.bench NETWORK --model"

OPTIONS: dict[str, dict[str, bool]] = {
    "default": {},
    "compact_input": {"compact_input": True},
    "drop_constant_channels": {"remove_constant_channels": True},
}

SHIPPED = {network.name: name for name, network in shipped.NETWORKS.items()}
"""Networks of the project by the name of their file."""

CASES: dict[str, tuple[str, ...]] = {
    "vww_96_int8": ("default", "compact_input", "drop_constant_channels"),
    "person_detect": ("default", "compact_input"),
    "mobilenet_v1_0.25_128_quant": ("default", "compact_input"),
    "mobilenetv2_160_035": ("default", "compact_input"),
    "mobilenet_v2_1.0_224_quant": ("default",),
    "kws_ref_model": ("default",),
    "resnet8": ("default",),
    "ad01_int8": ("default",),
    "fashion_mnist_v1_025": ("default", "compact_input"),
    "fashion_mnist_v2_025": ("default",),
}
"""By network, the keys of :data:`OPTIONS` that the documents speak of."""


def path_of(name: str) -> Path:
    """Return the file of a network, fetched if it is a public one that is not here."""
    return shipped.default_model(SHIPPED[name]) if name in SHIPPED else published.find(name)


def predicted_figures(path: Path, option: str) -> tuple[Graph, Program, dict[str, Any]]:
    """Compile a network and return its figures by the cycle model.

    Parameters
    ----------
    path : Path
        Of a ``.tflite`` file.
    option : str
        A key of :data:`OPTIONS`.
    """
    board = boards.get(BOARD)
    graph = importer.load(path)
    plan = compile_network(graph, board.config, board=board.name,
                           flash_address=board.flash.program_base, **OPTIONS[option])
    result = measure(plan, board, BenchClock(mhz=board.config.core_mhz))
    (program,) = plan.programs
    word = program.config.word_bytes
    figures = {
        "macs": program.macs,
        "cycles": result.cycles,
        "utilization": result.utilization,
        "inferences_per_second": result.inferences_per_second,
        "limit_cycles": result.limit,
        "limit_inferences_per_second": result.clock.mhz * 1e6 / result.limit,
        "flash_bytes": len(program.flash),
        "flash_bound": _flash_bound(program),
        "layouts": ", ".join(layout.kind for _, layout in program.inputs),
        "input_bytes": program.sent_words * word,
        "next_input_cycle": None if program.overlap is None else program.overlap.cycle,
        "lost": result.lost(),
        "idle": _idle(program),
    }
    return graph, program, figures


def _flash_bound(program: Program) -> int:
    """Return the cycles below which no order of the program's bytes comes.

    When the array is through the layers before some layer without ever having waited for weights,
    at most what all memories hold of the others' bytes can be on the chip; the rest comes at a
    byte per cycle.
    """
    config = program.config
    held = config.memory_depth * config.word_bytes + config.weight_depth * config.multipliers
    left = sum(layer.words for layer in program.layers) * config.word_bytes
    bound = at = 0
    for layer, timing in zip(program.layers, model_profile(program), strict=True):
        streamed = left * (SECTION_BYTES + TRAILER_BYTES) // SECTION_BYTES
        bound = max(bound, at + max(0, streamed - held))
        at += timing.cycles - timing.weights
        left -= layer.words * config.word_bytes
    return max(bound, at)


def _idle(program: Program) -> dict[str, float]:
    """Return the cycles' worth of multipliers that idle within steps, by kind of layer."""
    modes = {work.layer: work.descriptor.mode for work in program.work}
    kinds = {Mode.DEPTHWISE: "depthwise_1", Mode.DEPTHWISE_STRIDE2: "depthwise_2"}
    idle: dict[str, float] = {}
    profile = model_profile(program)
    for number, (layer, timing) in enumerate(zip(program.layers, profile, strict=True)):
        kind = "first" if number == 0 else kinds.get(modes[number], "others")
        unused = timing.steps - layer.macs / program.config.multipliers
        idle[kind] = idle.get(kind, 0.0) + unused
    return idle


def count(graph: Graph, program: Program) -> int:
    """Run a network once on the simulated core; return the cycles that it counts.

    Raises
    ------
    SeparableError
        If an output is not the golden model's, or the count is not what was predicted although
        the whole input was there at the start.
    """
    board = boards.get(BOARD)
    frame = random_inputs(graph, 0)
    with open_device("sim", board.config, baud=board.baud) as device:
        device.load(program)
        result = device.infer(frame)
    expected = golden.run(graph, frame)
    for index in graph.outputs:
        if not np.array_equal(result.tensors[index], expected[index]):
            raise SeparableError(f"{graph.name}: output {index} is not the golden model's")
    predicted = sum(predict(program))
    if result.cycles != predicted and not program.chunks:
        raise SeparableError(
            f"{graph.name}: the core counts {result.cycles:,} cycles, predicted {predicted:,}")
    assert result.cycles is not None
    return result.cycles


def measure_networks(say: Callable[[str], None]) -> tuple[dict[str, str], dict[str, Any]]:
    """Measure all networks: returns the digests of their files, and the figures.

    Raises
    ------
    DownloadError
        If a public network is not here and cannot be fetched.
    """
    needs: dict[str, str] = {}
    figures: dict[str, dict[str, Any]] = {}
    for name, options in CASES.items():
        path = path_of(name)
        needs[name] = file_digest(path)
        figures[name] = {}
        for option in options:
            say(f"{name}, {option}")
            graph, program, found = predicted_figures(path, option)
            figures[name][option] = {**found, "counted": count(graph, program)}
    return needs, figures
