"""Which MobileNets fit a board, how fast they are there, and how accurate.

Compiles the networks of a grid of width multipliers α and resolutions ρ with random weights: the
cycles are the compiler's, which are the core's, exactly.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

import boards
from common import door
from sw import files, report
from sw.errors import InputError
from sw.exploration import plot
from sw.exploration.accuracy import SOURCES, published
from sw.exploration.sweep import (
    ARCHITECTURES,
    Point,
    Request,
    default_jobs,
    front,
    sweep,
)

__all__ = ["main", "markdown"]


def _parser() -> report.Parser:
    parser = report.Parser(prog="python -m sw.explore", description=__doc__)
    parser.add_argument(
        "--arch", nargs="+", choices=sorted(ARCHITECTURES), default=["v1"],
        help="MobileNet V1 (default) or V2, or both",
    )
    parser.add_argument("--board", required=True, help="a board's name, such as icebreaker")
    parser.add_argument(
        "--alphas", metavar="A", nargs="+", type=float,
        help="width multipliers; default: those that were published",
    )
    parser.add_argument(
        "--sizes", metavar="N", nargs="+", type=int,
        help="height and width of the input; default: those that were published",
    )
    parser.add_argument(
        "--classes", metavar="N", type=int, default=1001,
        help="of the classifier (default: 1001, ImageNet and background)",
    )
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=default_jobs(),
        help="processes (default: one per processor)",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the table as Markdown and nothing else"
    )
    parser.add_argument("--csv", metavar="FILE", help="write the points as CSV")
    parser.add_argument("--json", metavar="FILE", help="write the points as JSON")
    parser.add_argument(
        "--plot", metavar="FILE", help="draw accuracy against speed, as .svg or .png"
    )
    return parser


def _requests(options: Any) -> list[Request]:
    """Return the grid of every architecture that was asked for."""
    requests = []
    for arch in dict.fromkeys(options.arch):
        grid = list(published(arch))
        alphas = options.alphas or list(dict.fromkeys(alpha for alpha, _ in grid))
        sizes = options.sizes or list(dict.fromkeys(size for _, size in grid))
        requests += [
            Request(arch=arch, alpha=alpha, size=size, classes=options.classes)
            for alpha in dict.fromkeys(alphas)
            for size in dict.fromkeys(sizes)
        ]
    for request in requests:
        request.network()
    return requests


def _run(requests: Sequence[Request], board: boards.Board, jobs: int) -> list[Point]:
    """Evaluate all points, with a bar that disappears when they are done."""
    found: dict[int, Point] = {}
    # Closed whatever comes: processes of its own end with it.
    with closing(sweep(requests, board, jobs=jobs)) as ready:
        progress = track(
            ready,
            total=len(requests),
            description=f"{len(requests)} networks",
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        for number, point in progress:
            found[number] = point
    return [found[number] for number in range(len(requests))]


def _number(value: float | None, pattern: str) -> str:
    return "" if value is None else pattern.format(value)


def _table(points: Sequence[Point], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("network", no_wrap=True)
    for name in ("α", "ρ", "top-1", "8 bits", "M MACs", "KB weights", "cycles", "inf/s",
                 "utilisation", "KB on chip", "KB flash"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("front", justify="center", no_wrap=True)
    best = front(points)
    for before, point in zip((None, *points), points, strict=False):
        if before is not None and (before.arch, before.alpha) != (point.arch, point.alpha):
            table.add_section()
        table.add_row(
            f"MobileNet {point.arch.upper()}",
            f"{point.alpha:g}",
            str(point.size),
            _number(point.top1, "{:.1f}"),
            _number(point.top1_quantized, "{:.1f}"),
            f"{point.macs / 1e6:,.1f}",
            f"{point.weights / 1024:,.0f}",
            _number(point.cycles, "{:,}") or "does not fit",
            _number(point.inferences_per_second, "{:.1f}"),
            _number(point.utilization, "{:.1%}"),
            _number(point.memory_bytes and point.memory_bytes / 1024, "{:.1f}"),
            _number(point.flash_bytes and point.flash_bytes / 1024, "{:,.0f}"),
            "●" if point in best else "",
        )
    return table


def markdown(points: Sequence[Point]) -> str:
    """Return the table as Markdown, as docs/explore.md has it."""
    columns = [[str(column.header), *map(str, column.cells)]
               for column in _table(points, "").columns]
    rows = [f"| {' | '.join(row)} |".replace("  ", " ") for row in zip(*columns, strict=True)]
    return "\n".join((rows[0], "|---" * len(columns) + "|", *rows[1:]))


def _show(points: Sequence[Point], title: str, *, as_markdown: bool) -> None:
    """Print the table, and of each network that does not fit what is missing."""
    if as_markdown:
        print(markdown(points))
        return
    output = report.console()
    output.print(_table(points, title))
    for point in points:
        if not point.fits:
            output.print(f"{point.arch.upper()} {point.label}: {point.missing}")


def _write_csv(path: str, points: Sequence[Point]) -> None:
    best = front(points)
    rows = [{**asdict(point), "front": point in best} for point in points]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())


@report.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    board = boards.get(options.board)
    if options.jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {options.jobs}")
    report.check_outputs((options.csv, options.json, options.plot))
    requests = _requests(options)
    if options.plot:
        plot.check(options.plot)
    points = _run(requests, board, options.jobs)
    clock = f"{board.title} at {board.config.clock_mhz:g} MHz"
    _show(points, f"{clock}, {options.classes} classes", as_markdown=options.markdown)
    if options.csv:
        _write_csv(options.csv, points)
    if options.json:
        best = front(points)
        data = {
            "board": board.name,
            "clock_mhz": board.config.clock_mhz,
            "sources": SOURCES,
            "points": [{**asdict(point), "front": point in best} for point in points],
        }
        report.write_json(options.json, data)
    if options.plot:
        plot.plot(
            points, options.plot, title=f"MobileNets on the {board.title}",
            speed=f"inferences per second on the {clock}",
        )
    return 0


if __name__ == "__main__":
    door.run(main)
