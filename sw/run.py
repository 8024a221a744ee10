"""Run a network on inputs: on the simulated core, on a board, or with the golden model.

MODEL is a .tflite file or what sw.compile --output wrote.  Without it, it is the MobileNet V1 that
ships with the project; without INPUT, test images that ship, whose classes are known.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import boards
from common import door, files, progress, terminal, tool
from common.errors import InputError
from common.terminal import printable
from hw.contract.board import Board
from sw import arrival, host_report, images, labelled, network_options, report, waves
from sw.compiler import Plan, is_program
from sw.compiler.timing import predict_plan
from sw.driver import backends, open_loaded
from sw.inference import Run, golden_reports, layer_reports, run
from sw.ir import Graph
from sw.model_file import open_model
from sw.networks import samples
from sw.networks.labels import labels_of
from sw.networks.samples import Sample
from sw.outputs.detections import (
    THRESHOLD,
    THRESHOLD_HELP,
    check_threshold,
    detector_of,
)
from sw.results import describe, result_json, summary

__all__ = ["main"]

Array = npt.NDArray[np.integer]


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


@dataclass(frozen=True, kw_only=True)
class _Labelled:
    """A folder of pictures whose classes are known, and what the golden model says of them."""

    folder: labelled.Folder
    score: labelled.Score

    def frames(self, graph: Graph, count: int) -> list[_Frame]:
        """Return the first inputs that can be read."""
        paths = [answer.picture.path for answer in self.score.answers[:count]]
        return [_Frame(name=str(path), input=images.load(path, graph)) for path in paths]

    def json(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return what the report has of it."""
        return labelled.score_json(self.score, self.folder, labels)


def _open_folder(
    options: argparse.Namespace, graph: Graph, labels: Sequence[str]
) -> labelled.Folder | None:
    """Return the folder of labelled pictures, if one is given."""
    if options.labelled is None:
        if options.sample is not None:
            raise InputError("--sample is of the pictures of --labelled FOLDER; give that, too")
        return None
    if options.inputs or options.input or options.images is not None:
        raise InputError("--labelled runs the pictures of a folder; leave out other inputs")
    if options.sample is not None and options.sample < 1:
        raise InputError(f"--sample is how many pictures are run, at least 1, not {options.sample}")
    return labelled.open_folder(options.labelled, labels, labelled.class_count(graph))


def _evaluate(
    graph: Graph, folder: labelled.Folder, labels: Sequence[str], output: terminal.Screen
) -> _Labelled:
    score = labelled.evaluate(graph, folder, labelled.class_count(graph))
    for line in labelled.lines(score, folder, labels):
        output.print(line)
    return _Labelled(folder=folder, score=score)


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
    parser.add_argument("model", metavar="MODEL", **network_options.MODEL)
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
    boards.add_option(parser)
    parser.add_argument("--backend", default=backends.DEFAULT, help=backends.help_text())
    parser.add_argument(
        "--verify", action="store_true", help="compare every tensor with the golden model"
    )
    parser.add_argument(
        "--labels", metavar="FILE",
        help="names of the classes, one a line (default: those in the network's file)",
    )
    parser.add_argument("--threshold", metavar="T", type=float, default=THRESHOLD,
                        help=THRESHOLD_HELP)
    parser.add_argument(
        "--labelled", metavar="FOLDER",
        help="measure the accuracy on the pictures in FOLDER/CLASS/, CLASS being a label or a "
        "number: the golden model runs all, the backend some with every tensor compared",
    )
    parser.add_argument(
        "--sample", metavar="N", type=int,
        help=f"of --labelled, how many the backend runs (default: {samples.FEW})",
    )
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON")
    network_options.add_compiler_options(parser)
    waves.add_options(parser, what="the first inference")
    return parser


def _check_wave(options: argparse.Namespace) -> None:
    """Refuse what cannot be recorded."""
    waves.check_options(options)
    if options.wave is not None and options.backend != backends.DEFAULT:
        raise InputError(
            f"--wave records the simulated core; leave out --backend {options.backend}")


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

    wave = None if options.wave is None or plan is None else waves.wave_of(options, plan)
    with open_loaded(options.backend, board, graph, plan, wave=wave) as device:
        for frame in progress.each(
            frames, "running", total=len(frames), unit="inputs", name=lambda frame: frame.name
        ):
            add(frame, run(graph, plan, device, frame.name, frame.input,
                           verify=options.verify or options.labelled is not None))
            if results[-1].difference:
                break
    return results


def _json(
    options: argparse.Namespace, board: Board, graph: Graph, plan: Plan | None,
    layers: Sequence[report.LayerReport], results: Sequence[Run], **more: Any,
) -> dict[str, Any]:
    """Return the report of all results, and whatever else there is."""
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
        **more,
    )


def _of_plan(plan: Plan, board: Board, results: Sequence[Run]) -> dict[str, Any]:
    """Return what is reported of a compiled network."""
    measured = [result.host_seconds for result in results if result.outputs]
    return {
        "predicted_cycles": sum(predict_plan(plan)),
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
    files.check_outputs([options.json, options.wave],
                        [options.model, *options.inputs, *named, options.labels])
    _check_wave(options)
    check_threshold(options.threshold)
    board = boards.get(options.board)
    clock_mhz, multipliers = board.config.core_mhz, board.config.multipliers
    model = open_model(options.model, board, options)
    graph = model.graph
    for text in graph.remarks:
        tool.remark(f"{graph.name}: {text}")
    labels = labels_of(graph, options.model, options.labels)
    folder = _open_folder(options, graph, labels)
    frames = _frames(options, graph) if folder is None else []

    output = terminal.console()

    plan = model.plan() if backends.find(options.backend).runs_programs else None
    host = plan is not None and host_report.computes(plan)

    detector = detector_of(graph)
    shape = graph.tensors[graph.inputs[0]].shape
    size = shape[1:3] if len(shape) == 4 else (1, 1)

    def show(result: Run) -> None:
        if detector is not None and result.outputs:
            result.found = detector.found(result.outputs, labels, options.threshold)
        for line in describe(result, labels, clock_mhz, host=host, size=size):
            output.print(printable(line))

    if plan is not None:
        for text in host_report.warnings(plan, sum(predict_plan(plan))):
            output.print(text)
    measured = None
    if folder is not None:
        measured = _evaluate(graph, folder, labels, output)
        frames = measured.frames(graph, options.sample or samples.FEW)
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
    for line in summary(results):
        output.print(line)
    if results[0].cycles and plan is not None:
        output.print(report.sentence(plan.device_macs, results[0].cycles, multipliers, clock_mhz))
    if options.json:
        more = {} if measured is None else {"labelled": measured.json(labels)}
        files.write_json(
            options.json, _json(options, board, graph, plan, layers, results, **more)
        )
    return _code(results, measured)


def _code(results: Sequence[Run], measured: _Labelled | None) -> int:
    """Return the exit code, after saying what is wrong."""
    skipped = measured.score.skipped if measured is not None else []
    for _, reason in skipped:
        tool.complain(reason)
    if skipped:
        count = len(skipped)
        tool.complain(f"{count:,} pictures cannot be read and are not counted")
    if results[-1].difference:
        tool.complain(results[-1].difference)
        return tool.VERIFICATION_FAILED
    return tool.USER_ERROR if skipped else 0


if __name__ == "__main__":
    door.run(main)
