"""``python -m sw.compile [MODEL.tflite] --board icebreaker [--output FILE] [--json FILE]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

import boards
from common import door
from common.files import check_outputs, write_json
from common.tables import new_table
from common.terminal import console
from common.tool import Parser, command
from sw import arrival
from sw.compiler import Program, compile_graph, save_program
from sw.compiler.timing import predict
from sw.model_file import open_network
from sw.report import (
    MODEL,
    LayerReport,
    add_compiler_options,
    compiler_options,
    network_report,
    utilization,
)

__all__ = ["layer_reports", "main"]


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
    parser.add_argument("--json", metavar="FILE", help="write the report of all layers as JSON")
    add_compiler_options(parser)
    return parser


def layer_reports(program: Program) -> list[LayerReport]:
    """Return one report per layer, with predicted cycles.

    ``exact`` is ``None``: nothing ran that could be compared.
    """
    return [
        LayerReport.of(layer, cycles, program.config.multipliers)
        for layer, cycles in zip(program.layers, predict(program), strict=True)
    ]


def _table(program: Program, reports: Sequence[LayerReport]) -> Table:
    table = new_table(
        ("layer", "operator", "output"),
        ("MACs", "cycles", "utilisation", "KB on chip", "KB from flash"),
        title=f"{program.model} on {program.board}",
    )
    word = program.config.word_bytes
    for layer, report in zip(program.layers, reports, strict=True):
        tensor = program.tensors[layer.output]
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
    cycles = sum(predict(program))
    table.add_section()
    table.add_row(
        "total",
        "",
        "",
        f"{program.macs:,}",
        f"{cycles:,}",
        f"{utilization(program.macs, cycles, program.config.multipliers):.1%}",
        f"{(program.config.memory_depth - program.ring_words) * word / 1024:.1f}",
        f"{len(program.flash) / 1024:.1f}",
    )
    return table


def _summary(program: Program, baud: int) -> str:
    cycles, clock = sum(predict(program)), program.config.core_mhz
    word = program.config.word_bytes
    layouts = ", ".join(
        f"{layout.kind} ({layout.words * word / 1024:.1f} KB)"
        for _, layout in program.inputs
    )
    text = (
        f"{clock * 1e6 / cycles:.1f} inferences per second at {clock:g} MHz; input layout: "
        f"{layouts}; ring: {program.ring_words * word / 1024:.1f} KB; "
        f"program at flash address 0x{program.flash_address:x}"
    )
    if program.pinned:
        text += f"\n{program.sent_words * word:,} bytes are sent for each inference"
        if program.overlap is not None:
            text += f", from {program.overlap.cycle:,} cycles after the start of the one before on"
    if late := arrival.sentence(program, baud):
        text += f"\n{late}"
    return text


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    options = _parser().parse_args(arguments)
    check_outputs((options.output, options.json), (options.model,))
    board = boards.get(options.board)
    program = compile_graph(
        open_network(options.model),
        board.config,
        board=board.name,
        flash_address=board.flash.program_base,
        **compiler_options(options),
    )
    reports = layer_reports(program)
    screen = console()
    screen.print(_table(program, reports))
    screen.print(_summary(program, board.baud))
    if options.output:
        save_program(program, options.output)
    if options.json:
        report = network_report(
            model=program.model,
            board=options.board,
            macs=program.macs,
            cycles=sum(predict(program)),
            multipliers=program.config.multipliers,
            layers=reports,
            flash_bytes=len(program.flash),
            ring_bytes=program.ring_words * program.config.word_bytes,
            input_bytes=program.sent_words * program.config.word_bytes,
            cycles_with_input=arrival.cycles_with_input(program, board.baud),
            overlap=None if program.overlap is None else asdict(program.overlap),
        )
        write_json(options.json, report)
    return 0


if __name__ == "__main__":
    door.run(main)
