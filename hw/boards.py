"""``python -m hw.boards [--build] [--json FILE]``: all boards, and what runs how fast on them.

Cycles are the exact model's, clocks those of the committed reports (``boards/reports``).
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boards
from common import door, files, progress, terminal
from common.tables import Table, new_table
from common.tool import Parser, command
from hw.contract.board import Board
from hw.contract.config import CoreConfig
from hw.flow.tools import BuildError
from sw import importer
from sw.compiler import Plan, compile_network
from sw.compiler.timing import predict_plan
from sw.networks.shipped import FOMO, NETWORKS, default_detector, default_model

__all__ = ["main"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Network on a board.

    Attributes
    ----------
    network : str
    cycles : int
        Of an inference.
    flash_bytes : int
        Of its programs.
    fits : bool
        Whether they have room in the board's flash.
    mhz : float or None
        Clock of the board, if a report shows it.
    """

    network: str
    cycles: int
    flash_bytes: int
    fits: bool
    mhz: float | None

    @property
    def per_second(self) -> float | None:
        """Inferences a second, without what the link takes."""
        return self.mhz * 1e6 / self.cycles if self.fits and self.mhz else None

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**vars(self), "inferences_per_second": self.per_second}


def _clock(board: Board, report: Mapping[str, Any] | None) -> float | None:
    """Return the board's clock if its report shows it."""
    mhz = board.config.core_mhz
    if report is None or report["clocks"]["core"]["achieved_mhz"] < mhz:
        return None
    return mhz


def _plans(config: CoreConfig, address: int) -> dict[str, Plan]:
    """Compile the networks that ship."""
    paths = {name: default_model(name) for name in NETWORKS} | {FOMO: default_detector()}
    plans = {}
    for path in paths.values():
        graph = importer.load(path)
        plans[graph.name] = compile_network(graph, config, flash_address=address)
    return plans


def _runs(found: Sequence[Board]) -> dict[str, list[Run]]:
    """Return what runs on each board; boards of one core share what is compiled."""
    compiled: dict[tuple[CoreConfig, int], dict[str, Plan]] = {}
    runs = {}
    for board in progress.each(found, "boards", total=len(found), unit="boards",
                               name=lambda board: board.name):
        key = board.config, board.flash.program_base
        if key not in compiled:
            compiled[key] = _plans(*key)
        mhz = _clock(board, boards.report(board.name))
        runs[board.name] = [
            Run(network=name, cycles=sum(predict_plan(plan)), flash_bytes=plan.flash_bytes,
                fits=plan.flash_end <= board.flash.size, mhz=mhz)
            for name, plan in compiled[key].items()]
    return runs


def _json(board: Board, runs: Sequence[Run]) -> dict[str, Any]:
    report = boards.report(board.name)
    return {
        "board": board.name, "title": board.title, "technology": board.config.technology,
        "clock_mhz": board.config.core_mhz, "baud": board.baud,
        "flash_bytes": board.flash.size, "flash_dtr": board.config.flash_dtr,
        "program_bytes": board.flash.size - board.flash.program_base,
        "report": report, "networks": [run.json() for run in runs],
    }


def _board_table(found: Sequence[Board]) -> Table:
    table = new_table(("board", "read"), ("MHz", "routed", "cells", "Mbaud", "flash MB", "free MB"),
                      give_way=("read", "cells"))
    for board in found:
        report = boards.report(board.name)
        routed = cells = "?"
        if report is not None:
            routed = f"{report['clocks']['core']['achieved_mhz']:.2f}"
            cells = f"{report['utilization']['LC']['used']:,}"
        flash = board.flash
        table.add_row(
            board.name, "EDh" if board.config.flash_dtr else "EBh", f"{board.config.core_mhz:g}",
            routed, cells, f"{board.baud / 1e6:g}", f"{flash.size / 2**20:g}",
            f"{(flash.size - flash.program_base) / 2**20:g}")
    return table


def _network_table(runs: Mapping[str, Sequence[Run]]) -> Table:
    table = new_table(("board", "network"), ("cycles", "a second", "KB flash"))
    for name, some in runs.items():
        for run in some:
            rate = "?" if run.per_second is None else f"{run.per_second:.1f}"
            table.add_row(name, run.network, f"{run.cycles:,}", rate if run.fits else "no room",
                          f"{run.flash_bytes / 1024:,.0f}")
    return table


def _build(found: Sequence[Board]) -> None:
    """Build every board, and keep what was built."""
    for board in found:
        line = [sys.executable, "-m", "hw.build", "--board", board.name, "--report"]
        if subprocess.run(line, check=False).returncode:
            raise BuildError(f"{board.name} was not built; what was before it was, and is kept")


def _parser() -> Parser:
    parser = Parser(prog="python -m hw.boards",
                    description="List all boards, and what runs how fast on them.")
    parser.add_argument("--build", action="store_true",
                        help="build all of them first, and keep the results in boards/reports")
    parser.add_argument("--json", metavar="FILE", help="write all of it as JSON")
    return parser


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    options = _parser().parse_args(arguments)
    files.check_outputs([options.json])
    found = [boards.get(name) for name in boards.board_names()]
    if options.build:
        _build(found)
    runs = _runs(found)
    terminal.console().print(_board_table(found))
    terminal.console().print(_network_table(runs))
    if options.json:
        files.write_json(options.json, {
            "boards": [_json(board, runs[board.name]) for board in found]})
    return 0


if __name__ == "__main__":
    door.run(main)
