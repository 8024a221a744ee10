"""MobileNets that fit a board, how fast they are there, and how accurate.

Compiles the networks of a grid of width multipliers α and resolutions ρ with random weights: the
cycles are the compiler's, which are the core's, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import boards
from common import door, files, terminal, tool
from common.errors import InputError
from common.parallel import default_jobs
from sw.explore import plot
from sw.explore.accuracy import SOURCES, published, top1
from sw.explore.sweep import (
    ARCHITECTURES,
    DETECTOR_GRID,
    DETECTORS,
    Point,
    Request,
    front,
    sweep,
)
from sw.explore.tables import markdown, table, write_csv

__all__ = ["main"]

IMAGENET = 1001
"""Classes of ImageNet, with the background."""


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sw.explore", description=__doc__)
    parser.add_argument(
        "--arch", nargs="+", choices=sorted(ARCHITECTURES), default=["v1"],
        help="MobileNet V1 or V2, or FOMO detectors over them (default: v1)",
    )
    boards.add_option(parser)
    parser.add_argument(
        "--alphas", metavar="A", nargs="+", type=float,
        help="width multipliers (default: those that were published)",
    )
    parser.add_argument(
        "--sizes", metavar="N", nargs="+", type=int,
        help="height and width of the input (default: those that were published)",
    )
    parser.add_argument(
        "--classes", metavar="N", type=int,
        help=f"that are told apart (default: {IMAGENET}, ImageNet and background; of a detector "
        "1, to which the background comes)",
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
        detects = arch in DETECTORS
        grid = list(DETECTOR_GRID if detects else published(arch))
        classes = options.classes
        if classes is None:
            classes = 1 if detects else IMAGENET
        alphas = options.alphas or list(dict.fromkeys(alpha for alpha, _ in grid))
        sizes = options.sizes or list(dict.fromkeys(size for _, size in grid))
        requests += [
            Request(arch=arch, alpha=alpha, size=size, classes=classes)
            for alpha in dict.fromkeys(alphas)
            for size in dict.fromkeys(sizes)
        ]
    for request in requests:
        request.network()
    return requests


def _show(points: Sequence[Point], title: str, *, as_markdown: bool) -> None:
    """Print the table, and of each network that does not fit what is missing."""
    if as_markdown:
        print(markdown(points))
        return
    output = terminal.console()
    output.print(table(points, title))
    for point in points:
        if not point.fits:
            output.print(f"{point.arch.upper()} {point.label}: {point.missing}")


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool."""
    options = _parser().parse_args(arguments)
    board = boards.get(options.board)
    if options.jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {options.jobs}")
    files.check_outputs((options.csv, options.json, options.plot))
    requests = _requests(options)
    if options.plot:
        plot.check(options.plot, [
            top1(request.arch, request.alpha, request.size, request.classes)
            for request in requests
        ])
    points = sweep(requests, board, jobs=options.jobs)
    clock = f"{board.title} at {board.config.core_mhz:g} MHz"
    told = " or ".join(f"{count:,}" for count in sorted({point.classes for point in points}))
    words = "class" if told == "1" else "classes"
    _show(points, f"{clock}, {told} {words}", as_markdown=options.markdown)
    if options.csv:
        write_csv(options.csv, points)
    if options.json:
        best = front(points)
        data = {
            "board": board.name,
            "clock_mhz": board.config.core_mhz,
            "sources": SOURCES,
            "points": [{**asdict(point), "front": point in best} for point in points],
        }
        files.write_json(options.json, data)
    if options.plot:
        plot.plot(
            points, options.plot, title=f"MobileNets on the {board.title}",
            speed=f"inferences per second on the {clock}",
        )
    return 0


if __name__ == "__main__":
    door.run(main)
