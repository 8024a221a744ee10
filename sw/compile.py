"""``python -m sw.compile [MODEL.tflite] --board icebreaker [--output FILE] [--json FILE]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import boards
from common import door
from common.files import check_outputs, write_json
from common.tables import Table, new_table
from common.terminal import console
from common.tool import Parser, command
from hw.contract.board import Board
from sw import arrival, host_report, operators
from sw.compiler import Plan, Program, compile_network, save_plan
from sw.model_file import loaded_for, open_network
from sw.network_options import MODEL, add_compiler_options, compiler_options
from sw.plan_report import layer_reports, plan_json
from sw.report import LayerReport, sentence, utilization
from sw.timeline import page

__all__ = ["main"]

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
    boards.add_option(parser)
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
        "--memory-map", metavar="FILE",
        help="draw which tensor lies where in memory from when to when: .html or .svg",
    )
    parser.add_argument(
        "--supported-operators", metavar="OPERATOR", nargs="?", const=ALL,
        help="compile nothing: say where each operator of a file runs, and by which rules, or "
        "those of one",
    )
    add_compiler_options(parser)
    return parser


def _table(plan: Plan, reports: Sequence[LayerReport]) -> Table:
    table = new_table(
        ("layer", "operator", "output"),
        ("MACs", "cycles", "utilisation", "KB output", "KB from flash"),
        title=f"{plan.model} on {plan.board}",
        give_way=("output", "KB output", "operator", "KB from flash", "MACs"),
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
            f"{tensor.words * word / 1024:,.1f}",
            f"{layer.words * word / 1024:,.1f}",
        )
    cycles = sum(report.cycles or 0 for report in reports)
    table.add_section()
    table.add_row(
        "total",
        "",
        "",
        f"{plan.device_macs:,}",
        f"{cycles:,}",
        f"{utilization(plan.device_macs, cycles, plan.config.multipliers) or 0:.1%}",
        "",
        f"{plan.flash_bytes / 1024:,.1f}",
    )
    return table


def _program_summary(program: Program) -> str:
    word = program.config.word_bytes
    chip, ring = program.config.memory_depth * word, program.ring_words * word
    layouts = ", ".join(
        f"{layout.kind} ({layout.words * word / 1024:.1f} KB)"
        for _, layout in program.inputs
    )
    text = (
        f"{(chip - ring) / 1024:.1f} of {chip / 1024:.1f} KB on chip for tensors, "
        f"{ring / 1024:.1f} for the ring; input layout: {layouts}; program at flash address "
        f"0x{program.flash_address:x}"
    )
    if program.pinned:
        text += f"\n{program.sent_words * word:,} bytes are sent for each inference"
        if program.overlap is not None:
            text += f", from {program.overlap.cycle:,} cycles after the start of the one before on"
    return text


def _summary(plan: Plan, cycles: int, baud: int) -> str:
    clock, multipliers = plan.config.core_mhz, plan.config.multipliers
    texts = list(map(_program_summary, plan.programs))
    lines = [sentence(plan.device_macs, cycles, multipliers, clock)] if cycles else []
    if host_report.computes(plan):
        rate = host_report.inferences_per_second(cycles, clock, host_report.seconds(plan))
        if rate is None:
            return "none of the outputs is made by an operator: there is nothing to run"
        lines.append(f"{rate:,.1f} inferences/s with the host's part, less the line's time")
    if len(texts) == 1:
        lines += texts
    else:
        lines += [f"{number}. {text}" for number, text in enumerate(texts, start=1)]
    if late := arrival.sentence(plan, baud):
        lines.append(late)
    return "\n".join(lines)


def _supported_operators(parser: Parser, options: argparse.Namespace, board: Board) -> int:
    """Say which operators are supported; returns the exit code."""
    if options.model or options.output or options.behind or options.memory_map:
        parser.error("--supported-operators compiles nothing: leave out networks and outputs")
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
    written = (options.output, options.json, options.memory_map)
    check_outputs(written, (options.model, *options.behind))
    page.check_name(options.memory_map)
    board = boards.get(options.board)
    if options.supported_operators is not None:
        return _supported_operators(parser, options, board)
    behind = [loaded_for(Path(path), board).flash_end for path in options.behind]
    plan = compile_network(
        open_network(options.model),
        board.config,
        board=board.name,
        flash_address=max([board.flash.program_base, *behind]),
        flash_size=board.flash.size,
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
    if options.memory_map:
        page.write(
            page.Inference(plan=plan, mhz=plan.config.core_mhz, charts=("memory",)),
            options.memory_map,
        )
    if options.json:
        write_json(options.json, plan_json(plan, reports, board.baud))
    return 0


if __name__ == "__main__":
    door.run(main)
