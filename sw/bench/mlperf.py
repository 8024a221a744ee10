"""MLPerf Tiny whole: its four tasks on one bitstream, beside the published results of others."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from common.errors import UnsupportedError
from common.tables import Table, new_table
from common.terminal import printable
from hw.contract.board import Board
from sw import golden
from sw.bench.measure import BenchClock, Disagreement, Measurement, measure
from sw.bench.rivals import MLPERF_TASKS, RIVALS
from sw.compiler import Plan
from sw.driver import Result, infer_verified, open_loaded
from sw.images import random_inputs
from sw.model_file import open_model
from sw.verify import Difference

__all__ = ["TaskResult", "measure_task", "report", "rivals_by_task", "rivals_table", "tasks_table"]

SHORT = {
    "visual wake words": "wake words",
    "keyword spotting": "keywords",
    "image classification": "images",
    "anomaly detection": "anomalies",
}
"""Tasks as narrow columns name them."""


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """One task's result.

    Attributes
    ----------
    task : str
        A key of :data:`sw.bench.rivals.MLPERF_TASKS`.
    measurement : Measurement
    flash_bytes : int
        Of the network's programs.
    exact : bool or None
        Every tensor that the device shows, and every output, was the golden model's; ``None`` if
        nothing was compared.
    """

    task: str
    measurement: Measurement
    flash_bytes: int
    exact: bool | None

    def json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {"task": self.task, "network": MLPERF_TASKS[self.task], "exact": self.exact,
                "flash_bytes": self.flash_bytes, **self.measurement.json()}


def measure_task(
    task: str, board: Board, clock: BenchClock, options: argparse.Namespace
) -> TaskResult:
    """Measure one task's reference network.

    Parameters
    ----------
    task : str
        A key of :data:`sw.bench.rivals.MLPERF_TASKS`.
    board : Board
    clock : BenchClock
    options : Namespace
        Those of ``sw.bench``: backend, seed, whether the cycle model alone speaks, the compiler's.

    Raises
    ------
    DownloadError
        If the network is not here and cannot be fetched.
    UnsupportedError
        If the board cannot run it.
    Disagreement
        If a tensor is not the golden model's, or the cycles are not what was predicted.
    DeviceError
        If the device fails.
    """
    name = MLPERF_TASKS[task]
    plan = open_model(name, board, options).plan()
    if not plan.programs:
        raise UnsupportedError(f"{name}: nothing of this network runs on the core")
    result = measure(plan, board, clock)
    if not options.model:
        result = _counted(result, plan, _run(plan, board, options))
    return TaskResult(task=task, measurement=result, flash_bytes=plan.flash_bytes,
                      exact=None if options.model else True)


def _run(plan: Plan, board: Board, options: argparse.Namespace) -> Result:
    """Run a network once, and compare all that the device shows with the golden model."""
    graph = plan.network
    frame = dict(zip(graph.inputs, random_inputs(graph, options.seed), strict=True))
    try:
        with open_loaded(options.backend, board, graph, plan) as device:
            return infer_verified(plan, device, frame, golden.run(graph, frame), {})
    except Difference as error:
        raise Disagreement(f"{plan.model}: {error}") from None


def _counted(predicted: Measurement, plan: Plan, run: Result) -> Measurement:
    """Return the measurement as counted, unless the counts depend on the host.

    They have to be the predicted ones, layer by layer if the device shows them.
    """
    if run.cycles is None or any(program.chunks for program in plan.programs):
        return predicted
    pairs = [("all layers", run.cycles, predicted.cycles)]
    if run.layer_cycles:
        pairs = [(layer.name, its, layer.cycles)
                 for layer, its in zip(predicted.layers, run.layer_cycles, strict=True)] + pairs
    for name, counted, says in pairs:
        if counted != says:
            raise Disagreement(f"{plan.model}: {name}: the core counts {counted:,} cycles, the "
                               f"cycle model says {says:,}")
    return replace(predicted, source="counters")


def tasks_table(results: Sequence[TaskResult]) -> Table:
    """Return cycles, speed and exactness of the tasks, in 80 columns."""
    first = results[0].measurement
    table = new_table(["task"], ["MACs", "cycles", "inferences/s", "utilisation", "exact"],
                      title=f"MLPerf Tiny: {first.board}, {first.multipliers} multipliers, "
                      f"{first.clock.mhz:g} MHz ({first.clock.kind})")
    for result in results:
        its = result.measurement
        table.add_row(result.task, f"{sum(its.macs):,}", f"{its.cycles:,}",
                      f"{its.inferences_per_second:.1f}", f"{its.utilization:.1%}",
                      {True: "yes", False: "no", None: ""}[result.exact])
    return table


def rivals_by_task() -> dict[str, dict[str, float]]:
    """Return inferences per second by system and task, of those who have published any."""
    found: dict[str, dict[str, float]] = {}
    for rival in RIVALS:
        if rival.task in MLPERF_TASKS and rival.inferences_per_second is not None:
            found.setdefault(rival.name, {})[rival.task] = rival.inferences_per_second
    return found


def rivals_table(results: Sequence[TaskResult]) -> Table:
    """Return published inferences per second, and ours above them, in 80 columns."""
    table = new_table(["inferences per second"], list(SHORT.values()))
    first = results[0].measurement
    ours = {result.task: result.measurement.inferences_per_second for result in results}
    table.add_row(printable(f"this, {first.board}, {first.clock.mhz:g} MHz"), *_cells(ours))
    table.add_section()
    for name, speeds in rivals_by_task().items():
        table.add_row(name, *_cells(speeds))
    return table


def _cells(speeds: dict[str, float]) -> list[str]:
    return [f"{speeds[task]:,.1f}" if task in speeds else "" for task in MLPERF_TASKS]


def report(results: Sequence[TaskResult]) -> dict[str, Any]:
    """Return everything as plain data."""
    clock = results[0].measurement.clock
    return {
        "board": results[0].measurement.board, "clock_mhz": clock.mhz, "clock": clock.kind,
        "achieved_mhz": clock.achieved_mhz,
        "flash_bytes": sum(result.flash_bytes for result in results),
        "tasks": [result.json() for result in results],
        "rivals": [rival.json() for rival in RIVALS if rival.task in MLPERF_TASKS],
    }
