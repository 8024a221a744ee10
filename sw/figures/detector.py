"""How well the detector that ships finds what is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import boards
from common.errors import SeparableError
from sw import importer
from sw.compiler import compile_network
from sw.driver import open_loaded
from sw.figures.store import BOARD, file_digest
from sw.networks import shipped
from sw.networks.scenes import f1
from sw.outputs.detections import detector_of
from sw.quantize.detectors import golden_found

__all__ = ["HOW", "SCENES", "measure_detector", "needs"]

SCENES = 200
HOW = f"sw.networks.shipped.default_scenes({SCENES}), on the golden model and the simulated core"


def needs() -> dict[str, str]:
    """Return the digests of the detector and of the images that its scenes are made of."""
    return {path.name: file_digest(path)
            for path in (shipped.default_detector(), shipped.DATA / shipped.IMAGES)}


def measure_detector(say: Callable[[str], None]) -> tuple[dict[str, str], dict[str, Any]]:
    """Find garments in scenes, on the golden model and on the simulated core.

    Raises
    ------
    SeparableError
        If the core's output is not the golden model's.
    """
    board = boards.get(BOARD)
    graph = importer.load(shipped.default_detector())
    plan = compile_network(graph, board.config, board=board.name,
                           flash_address=board.flash.program_base)
    scenes = shipped.default_scenes(SCENES)
    say(f"{SCENES} scenes, golden model")
    expected = golden_found(graph, scenes)
    detector = detector_of(graph)
    assert detector is not None
    found, cycles = [], set()
    with open_loaded("sim", board, graph, plan) as device:
        for number, one in enumerate(scenes):
            say(f"scene {number} of {SCENES}, simulated core")
            x = (one.image.astype(np.int16) - 128).astype(np.int8)[None, ..., None]
            result = device.infer(x)
            found.append(detector.found([result.tensors[index] for index in graph.outputs]))
            cycles.add(result.cycles)
            if found[-1] != expected[number]:
                raise SeparableError(f"scene {number}: the core found something else")
    (count,) = cycles
    assert count is not None
    return needs(), {
        "scenes": SCENES,
        "garments": sum(len(one.garments) for one in scenes),
        "f1_int8": f1(scenes, expected),
        "f1_simulated": f1(scenes, found),
        "cycles": count,
        "inferences_per_second": board.config.core_mhz * 1e6 / count,
    }
