"""Measure networks, or the four of MLPerf Tiny.

    python -m sw.bench --board icebreaker [MODEL ...]
    python -m sw.bench --board icebreaker --mlperf-tiny
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import boards
from common import door, progress
from common.errors import InputError, UnsupportedError
from common.files import check_outputs, write_json
from common.terminal import console, printable
from common.tool import VERIFICATION_FAILED, Parser, command, complain
from hw.contract.board import Board
from sw import images
from sw.bench import chart, compare, mlperf, tables
from sw.bench.measure import (
    BenchClock,
    Disagreement,
    Measurement,
    measure,
    read_clock,
)
from sw.bench.rivals import MLPERF_TASKS, RIVALS
from sw.compiler import Plan, is_program, load_plan
from sw.driver import open_device
from sw.model_file import open_model
from sw.network_options import add_compiler_options
from sw.timeline.page import Inference
from sw.timeline.page import check_name as check_page
from sw.timeline.page import write as write_page

__all__ = ["default_models", "main"]


SHIPPED = Path(__file__).resolve().parents[1] / "networks" / "data"
"""Folder of the networks that ship with the project."""


def default_models() -> list[str]:
    """Return the networks in ``$SEPARABLE_MODELS``, ``$SEPARABLE_SHARED/models``, or those shipped.

    The first of these that there is.

    Raises
    ------
    InputError
        If there are none.
    """
    # Empty is as good as not set.
    folder, shared = (os.environ.get(f"SEPARABLE_{name}") or None for name in ("MODELS", "SHARED"))
    if folder is None and shared is not None:
        folder = str(Path(shared) / "models")
    if folder is None and SHIPPED.is_dir():
        folder = str(SHIPPED)
    if folder is None:
        raise InputError("no networks were given: name .tflite files, or set SEPARABLE_MODELS to "
                         "a folder of them")
    models = sorted(str(path) for path in Path(folder).glob("*.tflite"))
    if not models:
        raise InputError(f"{folder}: no .tflite files in this folder; name some, or set "
                         "SEPARABLE_MODELS to another folder")
    return models


def _parser() -> Parser:
    parser = Parser(prog="python -m sw.bench", description=(
        "Measure networks: cycles, inferences per second, utilisation, and where cycles are lost."))
    parser.add_argument("models", metavar="MODEL", nargs="*",
                        help=".tflite files, or what sw.compile --output wrote (default: "
                        "all in the folder SEPARABLE_MODELS, else those that ship)")
    parser.add_argument("--mlperf-tiny", action="store_true",
                        help="the four tasks of MLPerf Tiny, run once and compared tensor by "
                        "tensor, beside the published results of others")
    boards.add_option(parser)
    parser.add_argument("--backend", default="sim",
                        help="whose counters are read: sim, or the board's serial port "
                        "(default: sim)")
    parser.add_argument("--model", action="store_true",
                        help="the cycle model alone, without the counters: seconds, not minutes")
    parser.add_argument("--build", metavar="FILE",
                        help="report of hw.build --json, for the achieved clock")
    parser.add_argument("--input", metavar="INPUT",
                        help="an image, .npy or .dat (default: seeded random integers)")
    parser.add_argument("--seed", type=int, default=0, help="of the random input (default: 0)")
    parser.add_argument("--layers", action="store_true", help="a table of all layers as well")
    parser.add_argument("--json", metavar="FILE", help="write everything as JSON")
    parser.add_argument("--chart", metavar="FILE.svg",
                        help="draw the visual wake words network beside the figures of others")
    parser.add_argument("--csv", metavar="FILE", help="write all layers as CSV, a row each")
    parser.add_argument("--compare", metavar=("A.json", "B.json"), nargs=2,
                        help="measure nothing: show what differs between two files that --json "
                        "of sw.bench, sw.compile or sw.run wrote for one board, layer by layer; "
                        "exit code 1 if a network takes more cycles in the second")
    parser.add_argument("--timeline", metavar="FILE",
                        help="draw what array, memory port, flash and requantiser do in each layer "
                        "of the network, and what lies in memory when: .html or .svg")
    add_compiler_options(parser)
    return parser


def _one(path: str, board: Board, clock: BenchClock, options: argparse.Namespace) -> Measurement:
    """Compile and measure one network."""
    model = open_model(path, board, options)
    graph, plan = model.graph, model.plan()
    if not plan.programs:
        raise UnsupportedError(f"{path}: nothing of this network runs on the core")
    if options.model:
        return _shown(options, plan, measure(plan, board, clock))
    frame = [images.load(options.input, graph)] if options.input else images.random_inputs(
        graph, options.seed)
    with open_device(options.backend, board.config, baud=board.baud) as device:
        return _shown(options, plan, measure(plan, board, clock, device=device, frame=frame))


def _shown(options: argparse.Namespace, plan: Plan, result: Measurement) -> Measurement:
    """Draw what was measured, if that is wanted."""
    if options.timeline:
        write_page(Inference(plan=plan, mhz=result.clock.mhz, source=result.source),
                   options.timeline)
    return result


def _all(options: argparse.Namespace, board: Board, clock: BenchClock) -> list[Measurement]:
    """Measure all networks; those that were found, not named, may be beyond the board."""
    screen = console()
    results = []
    models = options.models or default_models()
    what = "cycle model" if options.model else "counters, five runs a layer"
    for path in progress.each(
        models, what, total=len(models), unit="networks", name=lambda path: Path(path).stem
    ):
        try:
            result = _one(path, board, clock, options)
        except UnsupportedError as error:
            if options.models:
                raise
            screen.print(printable(f"left out: {path}: {error}"))
            continue
        if result.note:
            screen.print(printable(f"{result.model}: the cycle model's figures: {result.note}"))
        results.append(result)
    if not results:
        raise InputError("none of the networks runs on this board; python -m sw.compile says why")
    return results


def _write(options: argparse.Namespace, results: list[Measurement]) -> None:
    if options.chart:
        chart.draw(results, options.chart)
    if options.csv:
        tables.write_csv(options.csv, results)
    if options.json:
        write_json(options.json, {
            "board": results[0].board, "clock_mhz": results[0].clock.mhz,
            "clock": results[0].clock.kind, "achieved_mhz": results[0].clock.achieved_mhz,
            "networks": [result.json() for result in results],
            "rivals": [rival.json() for rival in RIVALS],
        })


def _mlperf_tiny(options: argparse.Namespace, board: Board, clock: BenchClock) -> None:
    """Measure the four tasks and show them; all of them, or none."""
    screen = console()
    results = []
    for task in progress.each(
        MLPERF_TASKS, "cycle model" if options.model else "all tensors", total=len(MLPERF_TASKS),
        unit="tasks", name=str,
    ):
        result = mlperf.measure_task(task, board, clock, options)
        if result.measurement.note:
            screen.print(printable(f"{task}: {result.measurement.note}"))
        results.append(result)
    screen.print(mlperf.tasks_table(results))
    screen.print(mlperf.rivals_table(results))
    if options.json:
        write_json(options.json, mlperf.report(results))


def _compare(options: argparse.Namespace) -> int:
    """Show what differs between two files; 1 if something became slower."""
    screen = console()
    before, after = map(compare.read_measurements, options.compare)
    found = compare.compare(before, after)
    for comparison in found:
        screen.print(compare.table(comparison))
    for text in compare.missing(before, after, options.compare):
        screen.print(printable(text))
    if options.json:
        write_json(options.json, {"files": options.compare,
                                  "networks": [comparison.json() for comparison in found]})
    return int(any(comparison.slower for comparison in found))


def _check(options: argparse.Namespace, parser: Parser) -> None:
    """Refuse what does not go together."""
    check_outputs((options.json, options.csv, options.chart, options.timeline),
                  (*options.models, options.input, options.build, *(options.compare or ())))
    if options.compare and any((options.models, options.mlperf_tiny, options.csv, options.chart,
                                options.timeline, options.input, options.build, options.layers)):
        parser.error("--compare measures nothing: beside the two files there is only --json")
    check_page(options.timeline)
    if options.timeline and len(options.models) != 1:
        parser.error("--timeline draws one network: name it as MODEL")
    if options.seed < 0:
        raise InputError(f"--seed must not be negative, not {options.seed}")
    if options.mlperf_tiny and (options.models or options.input or options.layers or options.chart
                               or options.timeline or options.csv):
        parser.error("--mlperf-tiny has its own networks, inputs and tables: leave out MODEL, "
                     "--input, --layers, --chart, --csv and --timeline")
    if options.chart:
        chart.check(options.chart, _names(options.models or default_models()))


def _names(models: Sequence[str]) -> list[str]:
    """Return what networks are called: as their files are, unless they are compiled."""
    return [load_plan(Path(name)).model if is_program(name) else Path(name).stem
            for name in models]


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(options, parser)
    if options.compare:
        return _compare(options)
    board = boards.get(options.board)
    clock = read_clock(board, options.build)
    try:
        if options.mlperf_tiny:
            _mlperf_tiny(options, board, clock)
            return 0
        results = _all(options, board, clock)
    except Disagreement as error:
        complain(str(error))
        return VERIFICATION_FAILED
    screen = console()
    screen.print(tables.summary_table(results))
    screen.print(tables.lost_table(results))
    screen.print(tables.legend())
    if options.layers:
        for result in results:
            screen.print(tables.layer_table(result))
    screen.print(tables.rivals_table(results))
    _write(options, results)
    return 0


if __name__ == "__main__":
    door.run(main)
