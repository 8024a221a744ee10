"""Run a network on inputs: on the simulated core, on a board, or with the golden model.

MODEL is a .tflite file or what sw.compile --output wrote.  Without it, it is the MobileNet V1 that
ships with the project; without INPUT, test images that
ship, whose classes are known.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import boards
from common import door, files, terminal, tool
from common.errors import InputError
from common.terminal import printable
from hw.contract.board import Board
from sw import arrival, host_report, images, report
from sw.compiler import Plan, is_program
from sw.compiler.timing import predict
from sw.driver import backends, open_loaded
from sw.inference import Run, golden_reports, layer_reports, run
from sw.ir import Graph
from sw.model_file import open_model
from sw.networks import samples
from sw.networks.labels import labels_of
from sw.networks.samples import Sample

__all__ = ["main"]

Array = npt.NDArray[np.integer]

SHOWN = 16
"""Values of an output that are printed; JSON has all of them."""


def result_json(result: Run) -> dict[str, Any]:
    """Return an entry of ``results``."""
    flat = [output.ravel().tolist() for output in result.outputs]
    entry: dict[str, Any] = {
        "input": result.input,
        "output": flat[0] if len(flat) == 1 else flat,
        "top": result.top() if flat else [],
        "cycles": result.cycles,
        "exact": result.exact,
    }
    if result.sample is not None:
        entry["truth"] = result.sample.truth
    if result.difference:
        entry["difference"] = result.difference
    return entry


def describe(
    result: Run, labels: Sequence[str], clock_mhz: float, *, host: bool = False
) -> list[str]:
    """Return the lines that are printed for a result; with what the host took if it computes."""
    if result.sample is not None and result.outputs:
        exact = {True: "exact", False: "NOT EXACT", None: ""}[result.exact]
        return [f"{samples.verdict(result.sample, result.top(1)[0])} {exact}".rstrip()]
    lines = [result.input]
    if result.outputs:
        values = result.outputs[0].ravel()
        for rank, number in enumerate(result.top()):
            label = f"  {labels[number]}" if number < len(labels) else ""
            lines.append(f"  {'top' if not rank else '':8} {number:5}: {values[number]:4}{label}")
    for output in result.outputs:
        first = output.ravel()[:SHOWN].tolist()
        shown = ", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in first)
        more = f", … ({output.size} values)" if output.size > SHOWN else ""
        lines.append(f"  output   [{shown}{more}]")
    if result.cycles is not None:
        seconds = result.cycles / (clock_mhz * 1e6)
        lines.append(
            f"  cycles   {result.cycles:,}: {seconds * 1e3:.2f} ms, {1 / seconds:.1f} inferences/s "
            f"at {clock_mhz:g} MHz"
        )
    if host and result.cycles is not None:
        rate = host_report.inferences_per_second(result.cycles, clock_mhz, result.host_seconds)
        lines.append(
            f"  host     {result.host_seconds * 1e3:.2f} ms: {rate:.1f} inferences/s in all, less "
            "the line's time"
        )
    if result.exact is not None:
        lines.append(f"  exact    {'yes' if result.exact else 'NO'}")
    return lines


def summary(results: Sequence[Run], clock_mhz: float) -> list[str]:
    """Return the lines that sum test images up; none for other inputs."""
    known = [result for result in results if result.sample is not None and result.outputs]
    if not known:
        return []
    right = sum(result.sample is not None and result.top(1)[0] == result.sample.truth
                for result in known)
    lines = [f"{right} of {len(known)} test images classified rightly"]
    if all(result.exact for result in known):
        lines[0] += ", all tensors compared are equal to the golden model's"
    if known[0].cycles is not None:
        lines.append(
            f"{known[0].cycles:,} cycles: {clock_mhz * 1e6 / known[0].cycles:.1f} inferences/s at "
            f"{clock_mhz:g} MHz"
        )
    return lines


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """An input, and the test image that it is."""

    name: str
    input: Array | dict[int, Array]
    sample: Sample | None = None


def _frames(options: argparse.Namespace, graph: Graph) -> list[_Frame]:
    inputs, count = options.inputs, options.images
    if count is not None and (inputs or options.input):
        raise InputError("--images runs test images that ship; leave it out, or the INPUTs")
    if options.input:
        if inputs:
            raise InputError("give every input of the network with --input NAME=FILE, or INPUTs")
        return [_named(graph, options.input)]
    if len(graph.inputs) != 1:
        names = ", ".join(repr(graph.tensors[index].name) for index in graph.inputs)
        raise InputError(
            f"network {graph.name!r} has {len(graph.inputs)} inputs, {names}: give each with "
            "--input NAME=FILE"
        )
    if inputs:
        return [_Frame(name=name, input=images.load(name, graph)) for name in inputs]
    chosen = samples.samples(graph, samples.FEW if count is None else count)
    return [_Frame(name=s.name, input=s.input, sample=s) for s in chosen]


def _named(graph: Graph, given: Sequence[str]) -> _Frame:
    """Return all inputs of a network, given as NAME=FILE."""
    found: dict[int, Array] = {}
    for text in given:
        name, equals, path = text.rpartition("=")
        if not equals or not name:
            raise InputError(f"--input takes NAME=FILE, not {text!r}")
        index = graph.input_named(name)
        if index in found:
            raise InputError(f"--input gives {graph.tensors[index].name!r} twice")
        found[index] = images.load(path, graph, graph.inputs.index(index))
    if missing := [index for index in graph.inputs if index not in found]:
        names = ", ".join(repr(graph.tensors[index].name) for index in missing)
        raise InputError(f"--input is missing for {names}; give each with --input NAME=FILE")
    return _Frame(name=" ".join(given), input=found)


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sw.run", description=__doc__)
    parser.add_argument("model", metavar="MODEL", **report.MODEL)
    parser.add_argument(
        "inputs", metavar="INPUT", nargs="*",
        help="an image, .npy or .dat (default: some of the test images that ship)",
    )
    parser.add_argument(
        "--input", metavar="NAME=FILE", action="append",
        help="an input of a network that has several, by the tensor's name or an end of it; once "
        "for each",
    )
    parser.add_argument(
        "--images", metavar="N", type=int,
        help=f"run the first N test images that ship (without INPUT: {samples.FEW})",
    )
    parser.add_argument("--board", required=True, help="a board's name, such as icebreaker")
    parser.add_argument("--backend", default=backends.DEFAULT, help=backends.help_text())
    parser.add_argument(
        "--verify", action="store_true", help="compare every tensor with the golden model"
    )
    parser.add_argument("--labels", metavar="FILE", help="names of the classes, one a line")
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON")
    report.add_compiler_options(parser)
    return parser


def _run_frames(
    options: argparse.Namespace, board: Board, graph: Graph, plan: Plan | None,
    frames: Sequence[_Frame], show: Callable[[Run], None],
) -> list[Run]:
    """Run inputs; show each result.

    Stops behind the first difference.
    """
    results: list[Run] = []

    def add(frame: _Frame, result: Run) -> None:
        result.sample = frame.sample
        results.append(result)
        show(result)

    with open_loaded(options.backend, board, graph, plan) as device:
        for frame in frames:
            add(frame, run(graph, plan, device, frame.name, frame.input,
                           verify=options.verify))
            if results[-1].difference:
                break
    return results


def _json(
    options: argparse.Namespace, board: Board, graph: Graph, plan: Plan | None,
    layers: Sequence[report.LayerReport], results: Sequence[Run],
) -> dict[str, Any]:
    """Return the report of all results."""
    return report.network_report(
        model=graph.name,
        board=board.name,
        macs=sum(layer.macs for layer in layers) if plan is None else plan.macs,
        cycles=results[0].cycles,
        multipliers=board.config.multipliers,
        layers=layers,
        backend=options.backend,
        clock_mhz=board.config.core_mhz,
        results=[result_json(result) for result in results],
        **({} if plan is None else _of_plan(plan, board, results)),
    )


def _of_plan(plan: Plan, board: Board, results: Sequence[Run]) -> dict[str, Any]:
    """Return what is reported of a compiled network."""
    measured = [result.host_seconds for result in results if result.outputs]
    return {
        "predicted_cycles": sum(sum(predict(program)) for program in plan.programs),
        "cycles_with_input": arrival.cycles_with_input(plan, board.baud),
        **host_report.report(plan, measured),
    }


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    # Not parse_args: it would take a MODEL before an option for all there is.
    options = _parser().parse_intermixed_args(arguments)
    if options.model and images.is_input(options.model) and not is_program(options.model):
        options.model, options.inputs = None, [options.model, *options.inputs]
    named = [text.rpartition("=")[2] for text in options.input or ()]
    files.check_outputs([options.json], [options.model, *options.inputs, *named, options.labels])
    board = boards.get(options.board)
    clock_mhz, multipliers = board.config.core_mhz, board.config.multipliers
    model = open_model(options.model, board, options)
    graph = model.graph
    frames = _frames(options, graph)
    labels = labels_of(options.model, options.labels)

    output = terminal.console()

    plan = model.plan() if backends.find(options.backend).runs_programs else None
    host = plan is not None and host_report.computes(plan)

    def show(result: Run) -> None:
        for line in describe(result, labels, clock_mhz, host=host):
            output.print(printable(line))

    if plan is not None:
        for text in host_report.warnings(plan, sum(sum(predict(p)) for p in plan.programs)):
            output.print(text)
    results = _run_frames(options, board, graph, plan, frames, show)
    if plan is None or not plan.programs:
        layers = golden_reports(graph)
    else:
        layers = layer_reports(plan, results, multipliers)
        output.print(report.layer_table(layers, multipliers=multipliers))
        if host and (on_host := host_report.table(plan)) is not None:
            output.print(on_host)
        if late := arrival.sentence(plan, board.baud):
            output.print(late)
    for line in summary(results, clock_mhz):
        output.print(line)
    if options.json:
        files.write_json(options.json, _json(options, board, graph, plan, layers, results))
    if results[-1].difference:
        tool.complain(results[-1].difference)
        return tool.VERIFICATION_FAILED
    return 0


if __name__ == "__main__":
    door.run(main)
