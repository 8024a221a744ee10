"""Run a network on a stream of frames: pictures, a video, a camera, or a pipe."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from types import FrameType

from rich.console import Console

import boards
from common import door, tool
from common.door import INTERRUPTED
from common.errors import InputError
from common.terminal import output_errors
from hw.contract.board import Board
from sw import network_options
from sw.compiler import is_program
from sw.driver import backends, open_loaded
from sw.model_file import Model, open_model
from sw.networks import shipped
from sw.networks.labels import classes_of, labels_of
from sw.networks.scenes import KINDS
from sw.outputs.detections import THRESHOLD, THRESHOLD_HELP, check_threshold
from sw.stream.engine import Engine, Streams
from sw.stream.open import open_source
from sw.stream.prefetch import Prefetch
from sw.stream.records import Statistics
from sw.stream.sources import ArraySource, Preparer, Source, frames
from sw.stream.view import About, JsonLines, LiveView, PlainLines, View
from sw.stream.web import DEFAULT_ADDRESS, Page, parse_address

__all__ = ["main"]

SCENES = 64
"""That a detector is shown if no SOURCE is given."""

TERMINATED = 143
"""What shells report of a command that SIGTERM has ended."""


def _parser() -> tool.Parser:
    parser = tool.Parser(
        prog="python -m sw.stream",
        description=__doc__,
        usage="%(prog)s [[MODEL] SOURCE] [options]",
        epilog="exit codes: 0 all frames have results; 1 --verify found a difference; 2 an error, "
        "or frames without results; 130 Ctrl-C",
    )
    parser.add_argument(
        "what", metavar="[MODEL] SOURCE", nargs="*",
        help="the network (a .tflite file, or what sw.compile --output wrote), and where frames "
        "come from: a folder of pictures, a picture, a video, a camera's number, or - for raw "
        "frames on standard input (default: a network that ships with Separable, and test "
        "images for it)",
    )
    parser.add_argument(
        "--detect", action="store_true",
        help="run the detector that ships, which finds garments, and without SOURCE scenes for it",
    )
    boards.add_option(parser)
    parser.add_argument("--backend", default=backends.DEFAULT, help=backends.help_text())
    parser.add_argument("--labels", metavar="FILE", help="names of the classes, one a line")
    parser.add_argument("--threshold", metavar="T", type=float, default=THRESHOLD,
                        help=THRESHOLD_HELP)
    parser.add_argument("--limit", metavar="N", type=_positive, help="end after N frames")
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument(
        "--stretch", action="store_true",
        help="resize whole pictures as sw.run does; otherwise the middle is cut out first",
    )
    parser.add_argument(
        "--pixels", action="store_true",
        help="frames on standard input are pixels (H, W, C), 0 to 255, whatever the network takes",
    )
    parser.add_argument(
        "--verify", action="store_true", help="compare the results with the golden model's"
    )
    parser.add_argument(
        "--json-lines", action="store_true", help="print one JSON object per frame"
    )
    parser.add_argument(
        "--web", metavar="HOST:PORT", nargs="?", const=DEFAULT_ADDRESS,
        help="show the stream on a web page, which stays up until Ctrl-C (default: "
        f"{DEFAULT_ADDRESS})",
    )
    network_options.add_compiler_options(parser, compact=True)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


_positive.__name__ = "number of frames"
"""argparse speaks of an invalid "number of frames"."""


def _names(what: Sequence[str]) -> tuple[str | None, str | None]:
    """Return MODEL and SOURCE, or None for what ships with the project."""
    if len(what) > 2:
        raise InputError(f"one MODEL and one SOURCE are run, not {' '.join(what)!r} (try --help)")
    if len(what) == 1:
        is_model = what[0].endswith(".tflite") or is_program(what[0])
        return (what[0], None) if is_model else (None, what[0])
    return (what[0], what[1]) if what else (None, None)


def _test_images(prepare: Preparer) -> Source:
    """Return the images that ship with the project, which the default network takes."""
    pictures, classes = shipped.default_images()
    tensor, names = prepare.tensor, shipped.default_labels()
    if tensor.shape != (1, *pictures.shape[1:], 1):
        raise InputError(
            f"SOURCE is missing: network {prepare.graph.name!r} takes {tensor.dtype}"
            f"{list(tensor.shape)}, and the test images that ship with the project are "
            f"{pictures.shape[1]} × {pictures.shape[2]}, grey"
        )
    return ArraySource(
        "test images of Fashion-MNIST",
        [(f"test image {i} ({names[c]})", pictures[i]) for i, c in enumerate(classes)],
        prepare,
        # Another network of such inputs may tell other classes apart.
        list(map(int, classes)) if classes_of(prepare.graph) == len(names) else None,
    )


def _scenes(prepare: Preparer) -> Source:
    """Return scenes of the test images that ship, for the detector that ships."""
    pictures = [
        (f"scene {number} ({', '.join(KINDS[g.kind] for g in scene.garments) or 'empty'})",
         scene.image)
        for number, scene in enumerate(shipped.default_scenes(SCENES))
    ]
    return ArraySource("scenes of test images of Fashion-MNIST", pictures, prepare)


def _open(
    options: argparse.Namespace, board: Board
) -> tuple[Model, Sequence[str], Preparer, Source]:
    """Return the network, its labels, and where its frames come from."""
    name, where = _names(options.what)
    if options.detect and name is not None:
        raise InputError(f"--detect runs the detector that ships; leave it out, or {name}")
    file = str(shipped.default_detector()) if options.detect else name
    model = open_model(file, board, options)
    graph = model.graph
    labels = labels_of(graph, name, options.labels)
    for text in graph.remarks:
        tool.remark(f"{graph.name}: {text}")
    if len(graph.inputs) != 1:
        raise InputError(f"network {graph.name!r} has {len(graph.inputs)} inputs; only one is run")
    prepare = Preparer(graph, stretch=options.stretch, previews=options.web is not None)
    if options.pixels and where != "-":
        raise InputError("--pixels is about raw frames on standard input, for SOURCE -")
    if where is None:
        source = _scenes(prepare) if options.detect else _test_images(prepare)
    else:
        source = open_source(where, prepare, pixels=options.pixels)
    if options.loop and not source.repeatable:
        raise InputError(f"{source.name}: --loop is for files, which can begin again")
    return model, labels, prepare, source


@contextmanager
def _device(
    options: argparse.Namespace, board: Board, model: Model
) -> Iterator[Streams]:
    """Yield what computes, with the network loaded: a board's flash takes seconds to write."""
    plan = model.plan() if backends.find(options.backend).runs_programs else None
    with open_loaded(options.backend, board, model.graph, plan) as streams:
        yield streams


def _views(options: argparse.Namespace, about: About, page: Page | None) -> list[View]:
    terminal: View
    if options.json_lines:
        terminal = JsonLines()
    else:
        console = Console(highlight=False, emoji=False, markup=False)
        live = sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal
        terminal = LiveView(about, console) if live else PlainLines(clock=about.clock)
    return [terminal] if page is None else [page, terminal]


class _Signals:
    """Lets Ctrl-C and SIGTERM end the stream between two frames; a second one ends it at once.

    Attributes
    ----------
    code : int or None
        The exit code that the signal asks for.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self.stop: Callable[[], None] = lambda: None

    def __enter__(self) -> _Signals:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.code is not None:
            raise KeyboardInterrupt
        self.code = INTERRUPTED if number == signal.SIGINT else TERMINATED
        self.stop()


def _stream(
    engine: Engine, source: Source, options: argparse.Namespace, views: Sequence[View],
    statistics: Statistics, signals: _Signals,
) -> None:
    """Run until the source ends or a signal comes."""
    items = islice(frames(source, loop=options.loop), options.limit)
    prefetch = Prefetch(items, newest=source.live)
    signals.stop = prefetch.stop
    if signals.code is not None:
        # It came before there was anything to stop.
        prefetch.stop()
    try:
        with ExitStack() as stack:
            for view in views:
                stack.enter_context(view)
            for record in engine.run(prefetch):
                now = statistics.add(record, prefetch.dropped)
                for view in views:
                    view.show(record, now)
    finally:
        if prefetch.close():
            # Otherwise the thread is still in there, and goes when the process does.
            source.close()


def _code(statistics: Statistics, signals: _Signals) -> int:
    if statistics.now.different:
        return tool.VERIFICATION_FAILED
    if signals.code is not None:
        return signals.code
    return tool.USER_ERROR if statistics.now.errors else 0


def _run(options: argparse.Namespace) -> int:
    board = boards.get(options.board)
    address = None if options.web is None else parse_address(options.web)
    model, labels, prepare, source = _open(options, board)
    graph = model.graph
    about = About(
        model=graph.name, source=source.name, board=board.name, title=board.title,
        backend=options.backend, clock_mhz=board.config.core_mhz, verify=options.verify,
    )
    with ExitStack() as stack:
        page = None
        if address is not None:
            page = Page(about, address, prepare.tensor)
            stack.callback(page.close)
            print(f"web page: {page.url} (Ctrl-C ends)", file=sys.stderr, flush=True)
        device = stack.enter_context(_device(options, board, model))
        engine = Engine(
            graph, device, clock_mhz=about.clock_mhz, labels=labels, verify=options.verify,
            link=backends.find(options.backend).has_line, threshold=options.threshold,
        )
        signals = stack.enter_context(_Signals())
        statistics = Statistics()
        try:
            _stream(engine, source, options, _views(options, about, page), statistics, signals)
        finally:
            summary = statistics.summary(
                about.clock_mhz, verified=options.verify, clock=about.clock
            )
            if page is not None:
                page.end(summary)
            broken = isinstance(sys.exc_info()[1], BrokenPipeError)
            if not broken:
                with output_errors():
                    print(
                        summary, file=sys.stderr if options.json_lines else sys.stdout, flush=True
                    )
        code = _code(statistics, signals)
        while page is not None and signals.code is None:
            time.sleep(0.1)
        return code


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line tool; returns the exit code."""
    options = _parser().parse_intermixed_args(arguments)
    check_threshold(options.threshold)
    try:
        return _run(options)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing may be written when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    door.run(main)
