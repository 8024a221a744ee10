"""``python -m hw.build --board icebreaker``: from the generator to a bitstream.

``[--output DIR] [--seed N] [--sweep N [--first-seed K] [--jobs N]] [--program] [--json FILE]``
"""

import json
from collections.abc import Sequence
from pathlib import Path

import boards
from common import door, terminal
from common.files import check_folder, check_outputs, write_json
from common.tool import Parser, command
from hw.bitstream import build, existing, program, programmer
from hw.contract.board import Board
from hw.flow.report import BuildResult
from hw.flow.tools import BuildError

__all__ = ["main"]

REPORTED = ("board", "seed", "design", "versions", "clocks", "capture", "timing", "utilization")
"""What of a result is committed."""

MAX_SEED = 1 << 31
"""The router's seeds are below it."""


def report(board: Board, output: Path) -> None:
    """Keep what :func:`hw.bitstream.build` wrote of a board among the committed reports."""
    result = json.loads((output / f"{board.name}.json").read_text())
    boards.REPORTS.mkdir(exist_ok=True)
    write_json(boards.REPORTS / f"{board.name}.json",
               {name: result[name] for name in REPORTED if name in result})


def _parser() -> Parser:
    parser = Parser(prog="python -m hw.build", description="Build the bitstream of a board.")
    boards.add_option(parser)
    parser.add_argument("--output", metavar="DIR", help="where its files go (default: build/BOARD)")
    parser.add_argument("--seed", type=int, metavar="N",
                        help="of place and route (default: the board's)")
    parser.add_argument("--sweep", type=int, default=1, metavar="N",
                        help="try N seeds and keep the best; Ctrl-C keeps the best so far "
                        "(default: 1)")
    parser.add_argument("--first-seed", type=int, metavar="K",
                        help="where --sweep begins (default: the board's seed)")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="seeds at once (default: one per processor)")
    parser.add_argument("--program", action="store_true",
                        help="write it to the board's flash; a bitstream of this design that is in "
                        "DIR already is not built again, unless --sweep asks for more seeds")
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON")
    parser.add_argument("--report", action="store_true",
                        help="keep the result in boards/reports, for a test and hw.boards")
    return parser


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.sweep < 1:
        parser.error(f"--sweep must be at least 1, not {options.sweep}")
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs must be at least 1, not {options.jobs}")
    if options.first_seed is not None and (options.sweep == 1 or options.seed is not None):
        parser.error("--first-seed is for --sweep, without --seed: it says where the sweep begins")
    seed = options.seed if options.first_seed is None else options.first_seed
    if seed is not None and not 0 <= seed <= MAX_SEED - options.sweep:
        parser.error(f"seeds must be 0 to {MAX_SEED - options.sweep}, not {seed}")
    board = boards.get(options.board)
    line = programmer(board) if options.program else []
    check_outputs((options.json,))
    output = Path(options.output or Path("build") / board.name)
    check_folder(output)
    # Only now: it takes a while.
    from hw.top import Top

    if options.program and options.sweep == 1:
        there = existing(board, Top(board), output=output, seed=seed)
        if there is not None:
            if options.json:
                write_json(options.json, there)
            name = there["bitstream"]
            terminal.console().print(f"bitstream: {name}, which is this design's already")
            program(line, name)
            return 0
    first = board.seed if seed is None else seed
    seeds = range(first, first + options.sweep)
    try:
        result = build(board, Top(board), output=output, seeds=seeds, jobs=options.jobs)
    except BuildError as error:
        failed = getattr(error, "result", None)
        if failed is not None:
            _show(failed, options.json)
        raise
    _show(result, options.json)
    if options.report:
        report(board, output)
    terminal.console().print(f"bitstream: {result.bitstream}")
    if options.program:
        program(line, str(result.bitstream))
    return 0


def _show(result: BuildResult, path: str | None) -> None:
    for table in result.tables():
        if table.row_count:
            terminal.console().print(table)
    if path:
        data = result.json()
        if not result.usable:
            data["bitstream"] = None
        write_json(path, data)


if __name__ == "__main__":
    door.run(main)
