"""Run a network on inputs: on the simulated core, on a board, or with the golden model.

MODEL is a .tflite file or what sw.compile --output wrote.  Without it, it is the MobileNet V1 that
ships with the project; without INPUT, test images that
ship, whose classes are known.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import boards
from common import door, files, reading, terminal, tool
from common.errors import InputError
from common.terminal import printable
from hw.contract.board import Board
from sw import arrival, golden, images, ir, report
from sw.compiler import Program, is_program
from sw.compiler.timing import predict
from sw.driver import Device, DeviceError
from sw.ir import Graph
from sw.model_file import open_model
from sw.networks import samples
from sw.networks.samples import Sample
from sw.networks.shipped import default_labels

__all__ = ["Difference", "Run", "main", "run"]

Array = npt.NDArray[np.integer]

TOP = 5
SHOWN = 16
"""Values of an output that are printed; JSON has all of them."""


class Difference(Exception):
    """A tensor of the device is not the golden model's; the message says where."""


@dataclass(kw_only=True)
class Run:
    """One input's results.

    Attributes
    ----------
    input : str
        The file.
    outputs : list of ndarray
        The network's outputs.
    cycles : int or None
    layer_cycles : list of int or None
    exact : bool or None
        Every tensor compared is equal; ``None`` if nothing was compared.
    layers_exact : dict
        By number of the layer, as far as they were compared.
    difference : str
        The first one.
    sample : Sample or None
        The test image that it was.
    """

    input: str
    outputs: list[Array] = field(default_factory=list)
    cycles: int | None = None
    layer_cycles: list[int] | None = None
    exact: bool | None = None
    layers_exact: dict[int, bool] = field(default_factory=dict)
    difference: str = ""
    sample: Sample | None = None

    def top(self, count: int = TOP) -> list[int]:
        """Return the classes with the greatest values of the first output, best first."""
        values = self.outputs[0].ravel().astype(np.int64)
        return [int(i) for i in np.argsort(-values, kind="stable")[:count]]


def compare(what: str, actual: Array, expected: Array) -> None:
    """Raise :class:`Difference` at the first element that differs."""
    actual = actual.reshape(expected.shape)
    wrong = np.argwhere(actual != expected)
    if len(wrong):
        at = tuple(int(i) for i in wrong[0])
        raise Difference(
            f"{what}{list(at)} is {actual[at]}, the golden model's {expected[at]}"
            f" ({len(wrong)} of {expected.size} values differ)"
        )


def run(
    graph: Graph, program: Program, device: Device, name: str, x: Array, *, verify: bool = False
) -> Run:
    """Run one input on a device.

    Parameters
    ----------
    graph : Graph
    program : Program
        Loaded into the device.
    device : Device
    name : str
        The input's, for the report.
    x : ndarray
    verify : bool
        Compare every tensor that is in memory at the end of a layer, and the outputs, with the
        golden model.
    """
    result = Run(input=name)
    expected = golden.run(graph, x) if verify else {}

    def observe(number: int, value: Array) -> None:
        layer = program.layers[number]
        tensor = graph.tensors[layer.output]
        result.layers_exact[number] = False
        where = f"layer {layer.name!r} ({layer.kind}): tensor {tensor.index} ({tensor.name!r})"
        compare(where, value, expected[layer.output])
        result.layers_exact[number] = True

    try:
        observable = verify and device.transport.observes_layers
        got = device.infer(x, observe if observable else None)
        result.outputs = [got.tensors[i] for i in graph.outputs]
        result.cycles, result.layer_cycles = got.cycles, got.layer_cycles
        if verify:
            for index in got.tensors:
                tensor = graph.tensors[index]
                what = f"tensor {tensor.index} ({tensor.name!r})"
                compare(what, got.tensors[index], expected[index])
            if observable and len(result.layers_exact) < len(program.layers):
                raise DeviceError("not every layer was seen at its end; nothing is said of them")
            result.exact = True
    except Difference as difference:
        result.exact = False
        result.difference = f"{name}: {difference}"
    return result


def run_golden(graph: Graph, name: str, x: Array) -> Run:
    """Run one input with the golden model."""
    tensors = golden.run(graph, x)
    return Run(input=name, outputs=[tensors[i] for i in graph.outputs])


def layer_reports(
    program: Program, results: Sequence[Run], multipliers: int
) -> list[report.LayerReport]:
    """Return the layers, with the cycles of the first input that has them."""
    cycles = next((r.layer_cycles for r in results if r.layer_cycles), None)
    layers = []
    for number, layer in enumerate(program.layers):
        verdicts = [r.layers_exact[number] for r in results if number in r.layers_exact]
        taken = cycles[number] if cycles else None
        layers.append(
            report.LayerReport(
                name=layer.name,
                op=layer.kind,
                macs=layer.macs,
                cycles=taken,
                utilization=report.utilization(layer.macs, taken, multipliers),
                exact=all(verdicts) if verdicts else None,
                proven=True,
            )
        )
    return layers


def golden_reports(graph: Graph) -> list[report.LayerReport]:
    """Return the operators of a network that runs on no device."""
    layers = []
    for op in graph.ops:
        macs = 0
        if isinstance(op, ir.WeightedOp):
            weights, channel = graph.tensors[op.weights], graph.tensors[op.output].shape[-1]
            macs = graph.tensors[op.output].size * weights.size // channel
        layers.append(
            report.LayerReport(name=op.name, op=op.kind, macs=macs, cycles=None, utilization=None)
        )
    return layers


def result_json(result: Run) -> dict[str, Any]:
    """Return an entry of ``results``."""
    flat = [[int(v) for v in output.ravel()] for output in result.outputs]
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


def describe(result: Run, labels: Sequence[str], clock_mhz: float) -> list[str]:
    """Return the lines that are printed for a result."""
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
        shown = ", ".join(str(int(v)) for v in output.ravel()[:SHOWN])
        more = f", … ({output.size} values)" if output.size > SHOWN else ""
        lines.append(f"  output   [{shown}{more}]")
    if result.cycles is not None:
        seconds = result.cycles / (clock_mhz * 1e6)
        lines.append(
            f"  cycles   {result.cycles:,}: {seconds * 1e3:.2f} ms, {1 / seconds:.1f} inferences/s "
            f"at {clock_mhz:g} MHz"
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
    input: Array
    sample: Sample | None = None


def _frames(graph: Graph, inputs: Sequence[str], count: int | None) -> list[_Frame]:
    if count is not None and inputs:
        raise InputError("--images runs test images that ship; leave it out, or the INPUTs")
    if inputs:
        return [_Frame(name=name, input=images.load(name, graph)) for name in inputs]
    chosen = samples.samples(graph, samples.FEW if count is None else count)
    return [_Frame(name=s.name, input=s.input, sample=s) for s in chosen]


def _labels(path: str | None) -> list[str]:
    return [] if path is None else reading.read_lines(path)


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sw.run", description=__doc__)
    parser.add_argument("model", metavar="MODEL", **report.MODEL)
    parser.add_argument(
        "inputs", metavar="INPUT", nargs="*",
        help="an image, .npy or .dat (default: some of the test images that ship)",
    )
    parser.add_argument(
        "--images", metavar="N", type=int,
        help=f"run the first N test images that ship (without INPUT: {samples.FEW})",
    )
    parser.add_argument("--board", required=True, help="a board's name, such as icebreaker")
    parser.add_argument(
        "--backend", default="sim",
        help="sim (default), sim:link, golden, or the board's serial port",
    )
    parser.add_argument(
        "--verify", action="store_true", help="compare every tensor with the golden model"
    )
    parser.add_argument("--labels", metavar="FILE", help="names of the classes, one a line")
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON")
    report.add_compiler_options(parser)
    return parser


def _run_frames(
    options: argparse.Namespace, board: Board, graph: Graph, program: Program | None,
    frames: Sequence[_Frame], show: Callable[[Run], None],
) -> list[Run]:
    """Run inputs on a device, or without a program with the golden model; show each result.

    Stops behind the first difference.
    """
    results: list[Run] = []

    def add(frame: _Frame, result: Run) -> None:
        result.sample = frame.sample
        results.append(result)
        show(result)

    if program is None:
        for frame in frames:
            add(frame, run_golden(graph, frame.name, frame.input))
        return results
    with Device.open(options.backend, board.config, baud=board.baud) as device:
        device.load(program)
        for frame in frames:
            add(frame, run(graph, program, device, frame.name, frame.input,
                           verify=options.verify))
            if results[-1].difference:
                break
    return results


def _json(
    options: argparse.Namespace, board: Board, graph: Graph, program: Program | None,
    layers: Sequence[report.LayerReport], results: Sequence[Run],
) -> dict[str, Any]:
    """Return the report of all results."""
    return report.network_report(
        model=graph.name,
        board=board.name,
        macs=sum(layer.macs for layer in layers),
        cycles=results[0].cycles,
        multipliers=board.config.multipliers,
        layers=layers,
        backend=options.backend,
        clock_mhz=board.config.core_mhz,
        results=[result_json(result) for result in results],
        predicted_cycles=None if program is None else sum(predict(program)),
        cycles_with_input=None
        if program is None
        else arrival.cycles_with_input(program, board.baud),
    )


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    # Not parse_args: it would take a MODEL before an option for all there is.
    options = _parser().parse_intermixed_args(arguments)
    if options.model and images.is_input(options.model) and not is_program(options.model):
        options.model, options.inputs = None, [options.model, *options.inputs]
    files.check_outputs([options.json], [options.model, *options.inputs, options.labels])
    board = boards.get(options.board)
    clock_mhz, multipliers = board.config.core_mhz, board.config.multipliers
    model = open_model(options.model, board, options)
    graph = model.graph
    if len(graph.inputs) != 1:
        raise InputError(f"network {graph.name!r} has {len(graph.inputs)} inputs; only one is run")
    frames = _frames(graph, options.inputs, options.images)
    labels = _labels(options.labels) or ([] if options.model else default_labels())

    output = terminal.console()

    def show(result: Run) -> None:
        for line in describe(result, labels, clock_mhz):
            output.print(printable(line))

    program = None if options.backend == "golden" else model.program()
    results = _run_frames(options, board, graph, program, frames, show)
    if program is None:
        layers = golden_reports(graph)
    else:
        layers = layer_reports(program, results, multipliers)
        output.print(report.layer_table(layers, multipliers=multipliers))
        if late := arrival.sentence(program, board.baud):
            output.print(late)
    for line in summary(results, clock_mhz):
        output.print(line)
    if options.json:
        files.write_json(options.json, _json(options, board, graph, program, layers, results))
    if results[-1].difference:
        tool.complain(results[-1].difference)
        return tool.VERIFICATION_FAILED
    return 0


if __name__ == "__main__":
    door.run(main)
