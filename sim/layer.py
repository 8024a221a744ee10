"""Simulate the layers of a network one by one, on what the network makes of a random input.

Every layer is compiled by itself, runs under cocotb in the simulation of the whole core with the
flash in the loop, and is compared with the golden model.  A layer that does not fit into memory is
run as bands of rows, each a program of its own; its cycles are the sum of theirs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

import boards
from common import cache, door, files, progress, terminal, tool
from common.errors import InputError, UnsupportedError
from common.terminal import printable
from hw.contract.board import Board
from sim.board.waves import Wave
from sim.cases import Case, cases, judge, write_job
from sim.errors import SimulationError
from sw import golden, images, ir, network_options, report, waves
from sw.compiler import Plan, Program
from sw.compiler.graph.partition import partition
from sw.compiler.graph.passes import run_passes
from sw.compiler.network import host_rules, pieces_of
from sw.model_file import open_network

__all__ = ["LayerRun", "device_layers", "main", "simulate"]

Array = npt.NDArray[np.integer]

ALONE = (
    "these are layers alone: each waits for its first weights from the flash, which in the whole "
    "network come while the layer before runs (python -m sw.run counts those cycles)"
)
"""Why the sum is another one than the network's."""


@dataclass(frozen=True, kw_only=True)
class LayerRun:
    """Outcome of a layer.

    Attributes
    ----------
    number : int
        Position in the network.
    report : LayerReport
    bands : int
        Programs that the layer was run as, each for some of its rows; 1 if it fits as a whole.
    error : str
        Why there are no cycles, or what differs.
    """

    number: int
    report: report.LayerReport
    bands: int = 1
    error: str = ""

    @property
    def refused(self) -> bool:
        """Whether the compiler refused it, so that in the network the host runs it."""
        return bool(self.error) and self.report.proven is None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """Part of a network that is a program of its own.

    Attributes
    ----------
    graph : Graph
    host : collection of str
        Names of the host's operators in it.
    """

    graph: ir.Graph
    host: Collection[str]

    def device(self) -> set[str]:
        """Return the names of the operators that run on the device."""
        folded = run_passes(self.graph)
        if all(op.name in self.host for op in folded.ops):
            return set()
        return {op.name for op in partition(folded, self.host).device}


def _pieces(graph: ir.Graph) -> list[_Piece]:
    host = host_rules(graph)
    return [_Piece(graph=piece, host=host) for piece in pieces_of(graph, host)]


def device_layers(graph: ir.Graph) -> list[int]:
    """Return the positions of the operators that run on the device."""
    names = set[str]().union(*(piece.device() for piece in _pieces(graph)))
    return [number for number, op in enumerate(graph.ops) if op.name in names]


def _layer_run(number: int, op: ir.Operator, cases: Sequence[Case], folder: Path,
               multipliers: int) -> LayerRun:
    """Put a layer together from what became of its cases."""
    outcomes = []
    for case in cases:
        result = folder / f"{case.job}.result.npz"
        if not result.exists():
            log = cache.directory() / "cocotb.log"
            shutil.copy(folder / "cocotb.log", log)
            raise SimulationError(f"layer {number} was not simulated, see {log}")
        outcomes.append(judge(case, result))
    macs = sum(case.program.macs for case in cases)
    measured = [outcome.cycles for outcome in outcomes if outcome.cycles is not None]
    cycles = sum(measured) if len(measured) == len(cases) else None
    exact = None
    if any(outcome.exact is not None for outcome in outcomes):
        exact = all(outcome.exact for outcome in outcomes)
    return LayerRun(
        number=number,
        report=report.LayerReport(
            name=op.name,
            op=op.kind,
            macs=macs,
            cycles=cycles,
            utilization=report.utilization(macs, cycles, multipliers),
            exact=exact,
            proven=True,
        ),
        bands=len(cases),
        error=next((outcome.error for outcome in outcomes if outcome.error), ""),
    )


@contextmanager
def _simulating(
    folder: Path, todo: Mapping[int, Sequence[Case]], graph: ir.Graph
) -> Iterator[None]:
    """Show which layer is simulated, by the results that are in a folder."""
    jobs = [(number, case) for number, its in todo.items() for case in its]

    def look(stage: progress.Stage) -> None:
        stage.reached(sum(1 for _ in folder.glob("*.result.npz")))
        if stage.done < len(jobs):
            stage.at(f"layer {jobs[stage.done][0]}, {graph.ops[jobs[stage.done][0]].name}")

    unit = "layers" if len(jobs) == len(todo) else "layers and bands of them"
    with progress.stage("simulating", total=len(jobs), unit=unit, watch=look):
        yield


def simulate(
    graph: ir.Graph, numbers: Sequence[int], board: Board, *, seed: int = 0,
    recorded: Callable[[Program], Wave] | None = None,
) -> list[LayerRun]:
    """Simulate layers of a network.

    Parameters
    ----------
    graph : Graph
    numbers : sequence of int
        Positions of the operators, from :func:`device_layers`.
    board : Board
    seed : int
        Of the network's input.
    recorded : callable, optional
        Returns the wave that is to be recorded of a program: the first layer's, or its first
        band's.

    Returns
    -------
    list of LayerRun
        One per number, also for layers that the compiler refuses.

    Raises
    ------
    SimulationError
        If the core cannot be simulated.
    """
    done: dict[int, LayerRun] = {}
    todo: dict[int, list[Case]] = {}
    # The compiler makes use of what a layer's input can be, such as channels that never change: so
    # inputs of single layers are those that the network makes of random ones.
    tensors = golden.run(graph, images.random_inputs(graph, seed))
    pieces = _pieces(graph)
    for number in progress.each(
        numbers, "compiling", total=len(numbers), unit="layers",
        name=lambda number: graph.ops[number].name,
    ):
        op = graph.ops[number]
        piece = next(p for p in pieces if any(o.name == op.name for o in p.graph.ops))
        position = next(n for n, o in enumerate(piece.graph.ops) if o.name == op.name)
        try:
            todo[number] = cases(
                piece.graph, position, board, tensors, job=str(number), host=piece.host
            )
        except UnsupportedError as error:
            refused = report.LayerReport(
                name=op.name, op=op.kind, macs=0, cycles=None, utilization=None
            )
            done[number] = LayerRun(number=number, report=refused, error=str(error))
    if todo:
        first = next(iter(todo.values()))[0]
        wave = None if recorded is None else recorded(first.program)
        simulation = _prepare(board, wave)
        with tempfile.TemporaryDirectory(prefix="separable-") as name:
            folder = Path(name)
            for case in chain.from_iterable(todo.values()):
                write_job(case, folder / f"{case.job}.npz", board.config.core_mhz)
            with _simulating(folder, todo, graph):
                _run(simulation, folder, first.job, wave)
            for number, parts in todo.items():
                done[number] = _layer_run(
                    number, graph.ops[number], parts, folder, board.config.multipliers
                )
    return [done[number] for number in numbers]


def _prepare(board: Board, wave: Wave | None) -> dict[str, bytes]:
    """Return the files of the simulated core, with what it takes to record."""
    with progress.stage("preparing the simulated core"):
        # Only now: cocotb and Amaranth take a while.
        from sim.benches import runner
        from sim.board.top import SimTop
        from sim.board.waves import waves_for

        return runner.build(SimTop(board.config), None if wave is None else waves_for(wave))


def _run(simulation: Mapping[str, bytes], folder: Path, job: str, wave: Wave | None) -> None:
    """Run the jobs of a folder, one of them with a wave."""
    from sim.benches import runner
    from sim.board import verilate
    from sim.board.waves import choose

    jobs = {"SEPARABLE_JOBS": str(folder)}
    if wave is None:
        runner.run(simulation, "sim.benches.layers", folder, jobs)
        return
    signals = choose(simulation[verilate.SIGNALS].decode().splitlines(), wave.patterns)
    with files.appearing(wave.path) as partial:
        what = {"path": str(partial), "first": wave.first, "end": wave.end, "signals": signals}
        env = {**jobs, "SEPARABLE_WAVES": json.dumps({job: what})}
        runner.run(simulation, "sim.benches.layers", folder, env)


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sim.layer", description=__doc__)
    parser.add_argument("model", metavar="MODEL.tflite", **network_options.MODEL)
    parser.add_argument(
        "--layer", metavar="N", type=int, help="only operator N of the network, counted from 0"
    )
    boards.add_option(parser)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the network's random input (default: 0)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON")
    waves.add_options(parser, what="the layer that --layer names, or its first band of rows")
    return parser


def _chosen(graph: ir.Graph, layer: int | None) -> list[int]:
    numbers = device_layers(graph)
    if layer is None:
        return numbers
    if not 0 <= layer < len(graph.ops):
        raise InputError(
            f"network {graph.name!r} has operators 0 to {len(graph.ops) - 1}, no {layer}"
        )
    if layer not in numbers:
        op = graph.ops[layer]
        raise InputError(
            f"operator {layer} ({op.name!r}, {op.kind}) is not a layer of the device: the host "
            "runs it, or it is part of a neighbour"
        )
    return [layer]


def _recorded(
    options: argparse.Namespace, graph: ir.Graph, board: Board
) -> Callable[[Program], Wave] | None:
    """Return what says what to record of a program, if anything is."""
    if options.wave is None:
        return None
    return lambda program: waves.wave_of(options, Plan(
        network=graph, board=board.name, config=board.config, programs=(program,), host=()))


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    if options.seed < 0:
        raise InputError(f"--seed must not be negative, not {options.seed}")
    files.check_outputs([options.json, options.wave], [options.model])
    waves.check_options(options)
    if options.wave is not None and options.layer is None:
        raise InputError("--wave records one layer; name it with --layer N")
    board = boards.get(options.board)
    graph = open_network(options.model)
    found = simulate(graph, _chosen(graph, options.layer), board, seed=options.seed,
                     recorded=_recorded(options, graph, board))
    # In the whole network the host has what is refused; who asks for it wants to know why.
    runs = [entry for entry in found if options.layer is not None or not entry.refused]
    of_host = [entry for entry in found if entry not in runs]
    layers = [entry.report for entry in runs]
    macs = sum(layer.macs for layer in layers)
    measured = [layer.cycles for layer in layers if layer.cycles is not None]
    multipliers = board.config.multipliers
    bands = [entry.bands for entry in runs]
    screen = terminal.console()
    screen.print(report.layer_table(layers, multipliers=multipliers, bands=bands))
    if len(layers) > 1 and len(measured) == len(layers):
        screen.print(report.sentence(macs, sum(measured), multipliers, board.config.core_mhz))
        screen.print(ALONE)
    for entry in of_host:
        screen.print(printable(f"layer {entry.number}: the host runs it: {entry.error}"))
    if options.json:
        data = report.network_report(
            model=graph.name,
            board=board.name,
            macs=macs,
            cycles=sum(measured) if len(measured) == len(layers) else None,
            multipliers=multipliers,
            layers=layers,
            seed=options.seed,
            host=[
                {"layer": entry.number, "name": entry.report.name, "op": entry.report.op,
                 "rule": entry.error}
                for entry in of_host
            ],
        )
        for entry, source in zip(data["layers"], runs, strict=True):
            entry |= {"layer": source.number, "bands": source.bands}
            if source.error:
                entry["error"] = source.error
        files.write_json(options.json, data)
    failed = [entry for entry in runs if entry.error]
    for entry in failed:
        tool.complain(f"layer {entry.number} ({entry.report.name!r}): {entry.error}")
    if not failed:
        return 0
    refused = all(entry.refused for entry in failed)
    return tool.USER_ERROR if refused else tool.VERIFICATION_FAILED


if __name__ == "__main__":
    door.run(main)
