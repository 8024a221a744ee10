"""Examination of one file: what the compiler makes of it, and whether all models agree."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import boards
from common import reading
from common.arrays import Array
from common.errors import SeparableError
from hw.contract.board import Board
from sw import golden, host_report, images, importer
from sw.arrival import cycles_with_input
from sw.compiler import Plan, compile_network
from sw.compiler.timing import predict_plan
from sw.driver import infer_verified, open_loaded
from sw.fuzz.judge import Judge, JudgeCrash, JudgeRefuses
from sw.ir import Detection, Graph
from sw.verify import Difference, check

__all__ = ["Finding", "Task", "examine"]

JUDGE_SECONDS = 600
"""Of processor time that LiteRT may take for one network."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """File to be examined.

    Attributes
    ----------
    path : str
    board : str
        A board's name.
    fallback : bool
        As for :func:`sw.compiler.compile_network`.
    judged : bool
        LiteRT's reference kernels run the network, for all tensors.
    simulated : bool
        The simulated core runs it, for all tensors.
    seed : int
        Of the random input.
    """

    path: str
    board: str
    fallback: bool = True
    judged: bool = True
    simulated: bool = True
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of a file.

    Attributes
    ----------
    file : str
    verdict : str
        ``"runs"``, ``"refused"``, ``"differs"``, ``"fails"`` (a defect of this project).
    reason : str
        Why it is refused, what differs, or how it fails; the first rule if something falls back.
    falls_back : tuple of str
        Kinds of operators with multiplications, or between those of the device, that the host runs.
    programs, flash_bytes : int or None
    macs, device_macs : int or None
    core_share : float or None
        Part of the multiplications that the core does.
    cycles : int or None
        Of the core, predicted, with the input on the chip.
    cycles_with_input : int or None
        Those with the host on the board's serial line, at least, if the input does not fit into
        memory and is written while the core runs.
    host_seconds : float or None
        Estimate.
    inferences_per_second : float or None
        With the host's time, and with the cycles that count the input, if there are any.
    judge : str
        ``"equal"``, ``"refuses"``, ``"crashes"``, or empty if LiteRT was not asked.
    core : str
        ``"equal"``, or empty if it was not simulated.
    seconds : float
        That the examination took.
    """

    file: str
    verdict: str
    reason: str = ""
    falls_back: tuple[str, ...] = ()
    programs: int | None = None
    flash_bytes: int | None = None
    macs: int | None = None
    device_macs: int | None = None
    core_share: float | None = None
    cycles: int | None = None
    cycles_with_input: int | None = None
    host_seconds: float | None = None
    inferences_per_second: float | None = None
    judge: str = ""
    core: str = ""
    seconds: float = field(default=0.0, compare=False)


def examine(task: Task) -> Finding:
    """Examine a file."""
    began = time.monotonic()
    found: dict[str, Any] = {"file": task.path, "verdict": "runs"}
    try:
        _examine(task, found)
    except Difference as error:
        found |= {"verdict": "differs", "reason": str(error)}
    except SeparableError as error:
        text = str(error).removeprefix(f"{task.path}: ").removeprefix(f"{Path(task.path).stem}: ")
        found |= {"verdict": "refused", "reason": text}
    except Exception as error:
        found |= {"verdict": "fails", "reason": f"{type(error).__name__}: {error}"}
    return Finding(**found, seconds=round(time.monotonic() - began, 3))


def _examine(task: Task, found: dict[str, Any]) -> None:
    """Fill in what is found, as far as it is."""
    board = boards.get(task.board)
    data = reading.read(task.path)
    graph = importer.load(task.path)
    frame = dict(zip(graph.inputs, images.random_inputs(graph, task.seed), strict=True))
    expected = golden.run(graph, frame)
    if task.judged:
        found["judge"] = _judge(data, graph, frame, expected)
    plan = compile_network(
        graph, board.config, board=board.name, flash_address=board.flash.program_base,
        fallback=task.fallback,
    )
    found |= _figures(plan, board)
    if task.simulated and plan.programs:
        _simulate(board, plan, frame, expected)
        found["core"] = "equal"


def _judge(
    data: bytes, graph: Graph, frame: Mapping[int, Array], expected: Mapping[int, Array]
) -> str:
    """Compare every tensor of the golden model with LiteRT's; return what it said."""
    with closing(Judge(seconds=JUDGE_SECONDS)) as judge:
        try:
            (judged,) = judge.run(data, graph, [frame])
        except JudgeRefuses:
            return "refuses"
        except JudgeCrash:
            return "crashes"
    defined = dict(judged) | _without_leftovers(graph, judged, expected)
    for index, value in expected.items():
        try:
            check(graph.tensors[index], defined[index], value)
        except Difference as error:
            raise Difference(f"LiteRT: {error}") from None
    return "equal"


def _without_leftovers(
    graph: Graph, judged: Mapping[int, Array], expected: Mapping[int, Array]
) -> dict[int, Array]:
    """Return LiteRT's detections, with 0 where its kernel writes nothing."""
    found = [op for op in graph.ops if isinstance(op, Detection)]
    counts = {op.inputs: int(expected[op.output][0]) for op in found if op.part == "count"}
    return {
        op.output: np.where(
            golden.written(op.suppression, op.part, counts[op.inputs]), judged[op.output], 0
        ).astype(judged[op.output].dtype)
        for op in found
    }


def _figures(plan: Plan, board: Board) -> dict[str, Any]:
    """Return the plan's figures."""
    cycles = sum(predict_plan(plan))
    arriving = cycles_with_input(plan, board.baud)
    slower = arriving["line_at_least"] if arriving else None
    host_seconds = host_report.seconds(plan)
    rate = host_report.inferences_per_second(
        slower or cycles, plan.config.core_mhz, host_seconds
    )
    back = [op for op in plan.host if op.macs] or (plan.host if len(plan.programs) != 1 else ())
    return {
        "falls_back": tuple(dict.fromkeys(op.kind for op in back)),
        "reason": back[0].rule if back else "",
        "programs": len(plan.programs),
        "flash_bytes": plan.flash_bytes,
        "macs": plan.macs,
        "device_macs": plan.device_macs,
        "core_share": plan.device_macs / plan.macs if plan.macs else None,
        "cycles": cycles,
        "cycles_with_input": slower,
        "host_seconds": host_seconds,
        "inferences_per_second": rate,
    }


def _simulate(
    board: Board, plan: Plan, frame: Mapping[int, Array], expected: Mapping[int, Array]
) -> None:
    """Compare every layer of the simulated core, and every output, with the golden model."""
    try:
        with open_loaded("sim", board, plan.network, plan) as device:
            infer_verified(plan, device, dict(frame), expected, {})
    except Difference as error:
        raise Difference(f"the core: {error}") from None
