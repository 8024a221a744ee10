"""Simulate the layers of a network one by one, on what the network makes of a random input.

Every layer is compiled by itself, runs under cocotb in the simulation of the whole core with the
flash in the loop, and is compared with the golden model.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import boards
from sim import cache
from sim.benches import runner
from sim.errors import SimulationError
from sim.top import SimTop
from sw import golden, importer, ir, models, report
from sw.compiler import Program, compile_layer
from sw.compiler.partition import partition
from sw.compiler.passes import run as run_passes
from sw.errors import InputError, UnsupportedError
from sw.networks.default import default_model

__all__ = ["LayerRun", "device_layers", "main", "simulate"]

Array = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class LayerRun:
    """What became of a layer.

    Attributes
    ----------
    number : int
        Position in the network.
    report : LayerReport
    error : str
        Why there are no cycles, or what differs.
    """

    number: int
    report: report.LayerReport
    error: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Case:
    """A compiled layer with its input and what it has to give."""

    number: int
    program: Program
    inputs: dict[int, Array]
    expected: Array


def device_layers(graph: ir.Graph) -> list[int]:
    """Return the positions of the operators that run on the device."""
    names = {op.name for op in partition(run_passes(graph)).device}
    return [number for number, op in enumerate(graph.ops) if op.name in names]


def _random_tensors(graph: ir.Graph, seed: int) -> dict[int, Array]:
    """Return every tensor of the network for a random input.

    The compiler makes use of what a layer's input can be, such as channels that never change: so
    inputs of single layers are those that the network makes of random ones.
    """
    rng = np.random.default_rng(seed)
    inputs = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        limits = np.iinfo(tensor.dtype)
        values = rng.integers(limits.min, limits.max, tensor.shape, endpoint=True)
        inputs.append(values.astype(tensor.dtype))
    return golden.run(graph, inputs)


def _case(graph: ir.Graph, number: int, board: boards.Board, tensors: dict[int, Array]) -> _Case:
    program = compile_layer(graph, number, board.config, board=board.name)
    inputs = {layout.tensor: tensors[layout.tensor] for _, layout in program.inputs}
    return _Case(
        number=number,
        program=program,
        inputs=inputs,
        expected=tensors[program.layers[-1].output],
    )


def _write_job(case: _Case, path: Path, clock_mhz: float) -> None:
    program = case.program
    lanes = program.config.lanes
    output = program.tensors[program.layers[-1].output]
    writes: dict[str, Any] = {}
    for address, words in program.prepare(case.inputs):
        writes[f"write_{address * lanes}"] = np.ascontiguousarray(words).view("<u2").ravel()
    np.savez(
        path,
        clock_mhz=clock_mhz,
        flash_address=program.flash_address,
        flash=np.frombuffer(program.flash, np.uint8),
        ring_first=program.ring[0],
        limit=4 * sum(program.cycles()) + 100_000,
        output_address=output.address * lanes,
        output_count=output.words * lanes,
        **writes,
    )


def _judge(case: _Case, path: Path) -> LayerRun:
    """Compare a job's result with the golden model."""
    program = case.program
    layer = program.layers[-1]
    cycles, exact, error = None, None, ""
    with np.load(path) as result:
        if "error" in result:
            error = str(result["error"])
        else:
            cycles = int(result["cycles"])
            output = program.tensors[layer.output]
            words = result["memory"].astype("<u2").view(np.int8)
            actual = output.unpack(words.reshape(output.words, -1)).reshape(case.expected.shape)
            wrong = np.argwhere(actual != case.expected)
            exact = not len(wrong)
            if not exact:
                at = tuple(int(i) for i in wrong[0])
                error = (
                    f"tensor {output.index} ({output.name!r}){list(at)} is {actual[at]}, the "
                    f"golden model's {case.expected[at]}"
                )
    multipliers = program.config.multipliers
    return LayerRun(
        number=case.number,
        report=report.LayerReport(
            name=layer.name,
            op=layer.kind,
            macs=layer.macs,
            cycles=cycles,
            utilization=report.utilization(layer.macs, cycles, multipliers),
            exact=exact,
        ),
        error=error,
    )


def simulate(
    graph: ir.Graph, numbers: Sequence[int], board: boards.Board, *, seed: int = 0
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
    cases: list[_Case] = []
    tensors = _random_tensors(graph, seed)
    for number in numbers:
        try:
            cases.append(_case(graph, number, board, tensors))
        except UnsupportedError as error:
            op = graph.ops[number]
            refused = report.LayerReport(
                name=op.name, op=op.kind, macs=0, cycles=None, utilization=None
            )
            done[number] = LayerRun(number=number, report=refused, error=str(error))
    if cases:
        simulation = runner.build(SimTop(board.config))
        with tempfile.TemporaryDirectory(prefix="separable-") as name:
            folder = Path(name)
            for case in cases:
                _write_job(case, folder / f"{case.number}.npz", board.config.clock_mhz)
            runner.run(simulation, "sim.benches.layers", folder, {"SEPARABLE_JOBS": name})
            for case in cases:
                result = folder / f"{case.number}.result.npz"
                if not result.exists():
                    log = cache.directory() / "cocotb.log"
                    shutil.copy(folder / "cocotb.log", log)
                    raise SimulationError(f"layer {case.number} was not simulated, see {log}")
                done[case.number] = _judge(case, result)
    return [done[number] for number in numbers]


def _parser() -> report.Parser:
    parser = report.Parser(prog="python -m sim.layer", description=__doc__)
    parser.add_argument("model", metavar="MODEL.tflite", **report.MODEL)
    parser.add_argument(
        "--layer", metavar="N", type=int, help="only operator N of the network, counted from 0"
    )
    parser.add_argument("--board", required=True, help="a board's name, such as icebreaker")
    parser.add_argument("--seed", type=int, default=0, help="of the network's random input")
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON")
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


@report.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    if options.seed < 0:
        raise InputError(f"--seed must not be negative, not {options.seed}")
    board = boards.get(options.board)
    graph = importer.load(models.find(options.model or default_model()))
    runs = simulate(graph, _chosen(graph, options.layer), board, seed=options.seed)
    layers = [entry.report for entry in runs]
    macs = sum(layer.macs for layer in layers)
    measured = [layer.cycles for layer in layers if layer.cycles is not None]
    multipliers = board.config.multipliers
    report.console().print(report.layer_table(layers, multipliers=multipliers))
    if options.json:
        data = report.network_report(
            model=graph.name,
            board=board.name,
            macs=macs,
            cycles=sum(measured) if len(measured) == len(layers) else None,
            multipliers=multipliers,
            layers=layers,
            seed=options.seed,
        )
        for entry, source in zip(data["layers"], runs, strict=True):
            entry["layer"] = source.number
            if source.error:
                entry["error"] = source.error
        report.write_json(options.json, data)
    failed = [entry for entry in runs if entry.error]
    for entry in failed:
        report.complain(f"layer {entry.number} ({entry.report.name!r}): {entry.error}")
    if not failed:
        return 0
    refused = all(entry.report.exact is None and not entry.report.macs for entry in failed)
    return report.USER_ERROR if refused else report.VERIFICATION_FAILED


if __name__ == "__main__":
    sys.exit(main())
