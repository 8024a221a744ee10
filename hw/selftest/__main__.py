"""``python -m hw.selftest --board icebreaker``: measure a board, or the simulated one.

``[--backend sim|PORT] [--bytes N] [--program] [--build] [--output DIR] [--json FILE]
[--picture FILE.svg]``
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boards
from common import door, terminal
from common.files import check_folder, check_outputs, write_json, write_text
from common.tool import VERIFICATION_FAILED, Parser, command
from hw import bitstream, technology
from hw.contract.board import Board
from hw.contract.config import CoreConfig
from hw.flow.capture import CaptureTaps
from hw.flow.report import BuildResult
from hw.flow.tools import BuildError
from sw.driver.backends import BACKENDS
from sw.selftest.device import SelfTestDevice
from sw.selftest.picture import picture
from sw.selftest.report import NotRun, Report, Stage, carry_out
from sw.selftest.run import LIMIT, measure

BOARD_BYTES = 1 << 20
SIMULATED_BYTES = 1 << 12
"""A byte on the line is 33 cycles at the highest rate and 260 at the lowest: of a megabyte each way
that is 1.5 billion cycles in all, which the simulation takes many minutes for."""

SEED = 1
"""Of place and route: one that is known to reach the clock."""

WAKE_SECONDS = 2.0
"""From a new bitstream until the board answers, with its adapter found again."""


def _parser() -> Parser:
    parser = Parser(
        prog="python -m hw.selftest",
        description="Measure a board with a small bitstream of its own: line, flash, memories, "
        "multipliers; and layers with the core's bitstream.")
    boards.add_option(parser)
    parser.add_argument("--backend", metavar="NAME", default="sim",
                        help="sim (the simulated board), or the board's serial port (default: sim)")
    parser.add_argument(
        "--bytes", type=int, metavar="N",
        help=f"sent each way at every rate, and read at every tap (default: {BOARD_BYTES}; in the "
        f"simulation, where each is thousands of cycles, {SIMULATED_BYTES})")
    parser.add_argument("--program", action="store_true",
                        help="write the self-test's bitstream to the board, and the core's "
                        "afterwards; build them if they are not there")
    parser.add_argument("--build", action="store_true",
                        help="only build the self-test's bitstream")
    parser.add_argument("--output", metavar="DIR",
                        help="where the bitstream's files go (default: build/selftest-BOARD)")
    parser.add_argument("--seed", type=int, metavar="N", default=SEED,
                        help=f"of place and route (default: {SEED})")
    parser.add_argument("--json", metavar="FILE", help="write what was measured as JSON")
    parser.add_argument("--picture", metavar="FILE", help="write the eye as SVG")
    return parser


def _made(
    board: Board, top: Callable[[Board], Any], output: Path, *, seed: int, known: int | None = None
) -> tuple[str, BuildResult | None]:
    """Return a bitstream's file, and its build if it was not there, of seed ``known`` or of any."""
    there = bitstream.existing(board, top(board), output=output, seed=known)
    if there is not None:
        return str(there["bitstream"]), None
    result = bitstream.build(board, top(board), output=output, seeds=(seed,))
    return str(result.bitstream), result


def _bitstream(board: Board, output: Path, seed: int) -> str:
    """Return the self-test's bitstream, built if it is not there."""
    from hw.selftest.top import SelfTestTop

    name, result = _made(board, SelfTestTop, output, seed=seed, known=seed)
    for table in () if result is None else result.tables():
        if table.row_count:
            terminal.console().print(table)
    return name


def _core_bitstream(board: Board) -> str:
    """Return the core's bitstream, built if it is not there."""
    from hw.top import Top

    name, _ = _made(board, Top, Path("build") / board.name, seed=board.seed)
    return name


def _taps(board: Board) -> CaptureTaps:
    return technology.get(board.config.technology).capture_taps(board.config.core_mhz)


def _delays(output: Path, board: Board) -> list[float | None]:
    """Return the delays of the bitstream's taps, if its report is there."""
    try:
        report = json.loads((output / f"{board.name}.json").read_text())
        return [float(tap["delay_ns"]) for tap in report["taps"]]
    except (OSError, ValueError, KeyError, TypeError):
        return [None] * len(_taps(board).taps)


def _simulated(board: Board, count: int) -> list[Stage]:
    """Measure the simulated board, and run the layers on the simulated core."""
    from sw.driver.simulation import SimTransport
    from sw.selftest.layer import layers
    from sw.selftest.simulated import SimulatedSelfTest, timings

    found = _taps(board)
    with SimulatedSelfTest(board, timings(found.taps)) as device:
        stages = measure(device, board, count, [tap.delay_ns for tap in found.taps], found.chosen)
    return [*stages, carry_out(
        "layer", lambda stage: layers(SimTransport(board.config), board, stage))]


def _measured(
    options: argparse.Namespace, board: Board, output: Path, count: int
) -> list[Stage]:
    """Measure a board; programmed before and afterwards, if that is wanted."""
    line = bitstream.programmer(board) if options.program else []
    if options.program:
        core = _core_bitstream(board)
        bitstream.program(line, _bitstream(board, output, options.seed))
        time.sleep(WAKE_SECONDS)
    try:
        with SelfTestDevice(options.backend, board.config, baud=board.baud) as device:
            stages = measure(device, board, count, _delays(output, board), _taps(board).chosen)
    finally:
        if options.program:
            bitstream.program(line, core)
            time.sleep(WAKE_SECONDS)

    def layer(stage: Stage) -> None:
        if not options.program:
            raise NotRun(
                "it needs the core's bitstream: add --program, or type separable build --board "
                f"{board.name} --program and then separable run --board {board.name} --backend "
                f"{options.backend} --verify")
        _layers(options.backend, board.config, board, stage)

    return [*stages, carry_out("layer", layer)]


def _layers(port: str, config: CoreConfig, board: Board, stage: Stage) -> None:
    from sw.driver.serial import SerialTransport
    from sw.selftest.layer import layers

    layers(SerialTransport(port, config, baud=board.baud), board, stage)


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    simulation = options.backend == "sim"
    if not simulation and options.backend in BACKENDS:
        parser.error(f"--backend is sim or the board's serial port, not {options.backend}")
    count = options.bytes or (SIMULATED_BYTES if simulation else BOARD_BYTES)
    if options.bytes is not None and not 2 <= options.bytes <= LIMIT:
        parser.error(f"--bytes must be 2 to {LIMIT}, not {options.bytes}")
    if not 0 <= options.seed < 1 << 31:
        parser.error(f"seeds must be 0 to {(1 << 31) - 1}, not {options.seed}")
    if options.program and simulation:
        parser.error("--program is for a board: --backend is the name of its serial port")
    board = boards.get(options.board)
    if not board.config.flash_dtr:
        raise BuildError(
            f"the self-test measures the clock that the flash is captured with, and {board.name} "
            "has none of its own: check it with sw.run --verify")
    check_outputs((options.json, options.picture))
    output = Path(options.output or Path("build") / f"selftest-{board.name}")
    if options.build or options.program:
        check_folder(output)
    if options.build:
        terminal.console().print(f"bitstream: {_bitstream(board, output, options.seed)}")
        return 0
    stages = _simulated(board, count) if simulation else _measured(options, board, output, count)
    report = Report(board=board.name, backend=options.backend, stages=stages)
    terminal.console().print(report.table())
    _write(options, report, board)
    missing = [stage.name for stage in stages if stage.state == "not run"]
    not_run = f"; not run: {', '.join(missing)}" if missing else ""
    terminal.console().print(f"{'passed' if report.passed else 'failed'}{not_run}")
    return 0 if report.passed else VERIFICATION_FAILED


def _write(options: argparse.Namespace, report: Report, board: Board) -> None:
    if options.json:
        write_json(options.json, report.json())
    eye = next(stage.data for stage in report.stages if stage.name == "eye")
    if options.picture and "taps" in eye:
        where = "simulated" if options.backend == "sim" else f"on {options.backend}"
        write_text(options.picture, picture(eye, title=f"The flash's eye, {board.title}, {where}"))


if __name__ == "__main__":
    door.run(main)
