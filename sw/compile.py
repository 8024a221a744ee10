"""``python -m sw.compile [MODEL.tflite] --board icebreaker [--output FILE] [--json FILE]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

import boards
from common import door
from common.files import check_outputs, write_json
from common.tables import new_table
from common.terminal import console
from common.tool import Parser, command
from hw.contract.board import Board
from sw import arrival, host_report, operators
from sw.compiler import Plan, Program, compile_network, save_plan
from sw.compiler.timing import predict_plan
from sw.model_file import loaded_for, open_network
from sw.report import (
    MODEL,
    LayerReport,
    add_compiler_options,
    compiler_options,
    network_report,
    utilization,
)

__all__ = ["layer_reports", "main"]

ALL = "all"
"""Of the operators."""

WIDTH = 80
"""Most columns of text."""


def _parser() -> Parser:
    parser = Parser(
        prog="python -m sw.compile",
        description="Compile a quantised TensorFlow Lite network for a board.",
    )
    parser.add_argument("model", metavar="MODEL.tflite", **MODEL)
    parser.add_argument("--board", required=True, help="such as icebreaker")
    parser.add_argument(
        "--output", metavar="FILE", help="write the program: flash image and all the driver needs"
    )
    parser.add_argument(
        "--behind", metavar="FILE", action="append", default=[],
        help="a network that --output wrote before: place this one behind it in the flash, so that "
        "both stay there; may be given several times",
    )
    parser.add_argument("--json", metavar="FILE", help="write the report of all layers as JSON")
    parser.add_argument(
        "--supported-operators", metavar="OPERATOR", nargs="?", const=ALL,
        help="compile nothing: say where each operator of a file runs, and by which rules, or "
        "those of one",
    )
    add_compiler_options(parser)
    return parser


def layer_reports(plan: Plan) -> list[LayerReport]:
    """Return one report per layer of the device, with predicted cycles.

    ``exact`` is ``None``: nothing ran that could be compared.
    """
    return [
        LayerReport.of(layer, cycles, plan.config.multipliers)
        for layer, cycles in zip(plan.layers, predict_plan(plan), strict=True)
    ]


def _table(plan: Plan, reports: Sequence[LayerReport]) -> Table:
    table = new_table(
        ("layer", "operator", "output"),
        ("MACs", "cycles", "utilisation", "KB on chip", "KB from flash"),
        title=f"{plan.model} on {plan.board}",
    )
    word = plan.config.word_bytes
    layers = [(p.tensors[layer.output], layer) for p in plan.programs for layer in p.layers]
    for (tensor, layer), report in zip(layers, reports, strict=True):
        table.add_row(
            report.name,
            report.op,
            "×".join(map(str, tensor.shape[1:])),
            f"{report.macs:,}",
            f"{report.cycles:,}",
            "" if not report.macs else f"{report.utilization:.1%}",
            f"{tensor.words * word / 1024:.1f}",
            f"{layer.words * word / 1024:.1f}",
        )
    cycles = sum(report.cycles or 0 for report in reports)
    words = max((p.config.memory_depth - p.ring_words for p in plan.programs), default=0)
    table.add_section()
    table.add_row(
        "total",
        "",
        "",
        f"{plan.device_macs:,}",
        f"{cycles:,}",
        f"{utilization(plan.device_macs, cycles, plan.config.multipliers) or 0:.1%}",
        f"{words * word / 1024:.1f}",
        f"{plan.flash_bytes / 1024:.1f}",
    )
    return table


def _program_summary(program: Program) -> str:
    word = program.config.word_bytes
    layouts = ", ".join(
        f"{layout.kind} ({layout.words * word / 1024:.1f} KB)"
        for _, layout in program.inputs
    )
    text = (
        f"input layout: {layouts}; ring: {program.ring_words * word / 1024:.1f} KB; "
        f"program at flash address 0x{program.flash_address:x}"
    )
    if program.pinned:
        text += f"\n{program.sent_words * word:,} bytes are sent for each inference"
        if program.overlap is not None:
            text += f", from {program.overlap.cycle:,} cycles after the start of the one before on"
    return text


def _summary(plan: Plan, cycles: int, baud: int) -> str:
    clock = plan.config.core_mhz
    texts = list(map(_program_summary, plan.programs))
    if host_report.computes(plan):
        rate = (
            f"{host_report.inferences_per_second(cycles, clock, host_report.seconds(plan)):.1f} "
            f"inferences per second at {clock:g} MHz with the host's part, less the line's time"
        )
    else:
        rate = f"{clock * 1e6 / cycles:.1f} inferences per second at {clock:g} MHz"
    if len(texts) == 1:
        lines = [f"{rate}; {texts[0]}"]
    else:
        lines = [rate, *(f"{number}. {text}" for number, text in enumerate(texts, start=1))]
    if late := arrival.sentence(plan, baud):
        lines.append(late)
    return "\n".join(lines)


def _of_program(plan: Plan) -> dict[str, Any]:
    """Return what of the report is about a program: the first one, which has the input."""
    if not plan.programs:
        return {}
    first, word = plan.programs[0], plan.config.word_bytes
    return {
        "ring_bytes": first.ring_words * word,
        "input_bytes": first.sent_words * word,
        "overlap": None if first.overlap is None else asdict(first.overlap),
    }


def _supported_operators(parser: Parser, options: argparse.Namespace, board: Board) -> int:
    """Say which operators are supported; returns the exit code."""
    if options.model or options.output or options.behind:
        parser.error("--supported-operators compiles nothing: leave out networks and --output")
    screen = console()
    name = "" if options.supported_operators == ALL else options.supported_operators
    screen.print(operators.text(board, name, max(40, min(screen.width, WIDTH))))
    if options.json:
        write_json(options.json, operators.report(board, name))
    return 0


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    check_outputs((options.output, options.json), (options.model, *options.behind))
    board = boards.get(options.board)
    if options.supported_operators is not None:
        return _supported_operators(parser, options, board)
    behind = [loaded_for(Path(path), board).flash_end for path in options.behind]
    plan = compile_network(
        open_network(options.model),
        board.config,
        board=board.name,
        flash_address=max([board.flash.program_base, *behind]),
        **compiler_options(options),
    )
    reports = layer_reports(plan)
    cycles = sum(report.cycles or 0 for report in reports)
    screen = console()
    screen.print(_table(plan, reports))
    screen.print(_summary(plan, cycles, board.baud))
    if (on_host := host_report.table(plan)) is not None:
        screen.print(on_host)
    for text in host_report.warnings(plan, cycles):
        screen.print(text)
    if options.output:
        save_plan(plan, options.output)
    if options.json:
        report = network_report(
            model=plan.model,
            board=options.board,
            macs=plan.macs,
            cycles=cycles,
            multipliers=plan.config.multipliers,
            layers=reports,
            flash_bytes=plan.flash_bytes,
            **_of_program(plan),
            cycles_with_input=arrival.cycles_with_input(plan, board.baud),
            **host_report.report(plan),
        )
        write_json(options.json, report)
    return 0


if __name__ == "__main__":
    door.run(main)
