"""The pictures of the documents: what each shows, and how it is made.

A picture is not compared dot by dot: it is known which figures it was made of, and a digest of the
file says that it is still the one that was made then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boards
from common.optional import require
from sw import importer
from sw.bench import chart
from sw.bench.measure import BenchClock, Measurement
from sw.bench.rivals import RIVALS
from sw.compiler import compile_network
from sw.driver import LayerProfile
from sw.explore import plot
from sw.figures.build import draw_floorplan
from sw.figures.explorer import points
from sw.figures.line import NETWORK
from sw.figures.screenshot import PAGE, take, take_detector
from sw.figures.screenshot import check as check_browser
from sw.figures.store import BOARD, ROOT, Figures, digest, file_digest, lookup
from sw.networks.shipped import default_model
from sw.timeline import page

__all__ = ["HOW", "PICTURES", "Picture", "make_pictures", "stale"]

HOW = "python -m sw.figures --text --write"
SHOWN_NETWORK = "fashion_mnist_v1_025"
"""What :mod:`sw.stream` runs when no network is named."""


def check_matplotlib() -> None:
    """Raise an error if matplotlib is missing."""
    require("matplotlib", "plot", "pictures need")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture.

    Attributes
    ----------
    path : str
        In the checkout.
    shows : callable
        Returns, as plain data, what of the figures and sources can be seen in it.
    make : callable
        Makes the file; returns what else it states, as plain data.
    check : callable
        Raises an error if something is missing that it is made with.
    """

    path: str
    shows: Callable[[Figures], Any]
    make: Callable[[Figures, Path], dict[str, Any]]
    check: Callable[[], object] = check_matplotlib


def _explorer(figures: Figures) -> list[Any]:
    return [vars(point) for point in points(figures)] + [boards.get(BOARD).config.core_mhz]


def _draw_explorer(figures: Figures, path: Path) -> dict[str, Any]:
    board = boards.get(BOARD)
    clock = f"{board.title} at {board.config.core_mhz:g} MHz"
    plot.plot(points(figures), str(path), title=f"MobileNets on the {board.title}",
              speed=f"inferences per second on the {clock}")
    return {}


def _measurement(figures: Figures) -> Measurement:
    """Return what the chart needs of the network that others have run too."""
    config, found = boards.get(BOARD).config, lookup(figures, f"networks/{NETWORK}/default")
    layers = (LayerProfile(name="all", steps=found["cycles"], weights=0, input=0, requantise=0,
                           fill=0),)
    return Measurement(
        model=NETWORK, board=BOARD, source="counters", multipliers=config.multipliers,
        clock=BenchClock(mhz=config.core_mhz), macs=(found["macs"],), layers=layers)


def _bench(figures: Figures) -> list[Any]:
    ours = _measurement(figures)
    return [ours.cycles, ours.macs, ours.clock.mhz, *(rival.json() for rival in RIVALS)]


def _draw_bench(figures: Figures, path: Path) -> dict[str, Any]:
    chart.draw([_measurement(figures)], path)
    return {}


def _page(figures: Figures) -> list[Any]:
    return [file_digest(PAGE), boards.get(BOARD).config.core_mhz,
            lookup(figures, f"networks/{SHOWN_NETWORK}/compact_input/cycles")]


def _detector(figures: Figures) -> list[Any]:
    return [file_digest(PAGE), boards.get(BOARD).config.core_mhz,
            lookup(figures, "detector/cycles"), figures["detector"]["needs"]]


def _timeline(figures: Figures) -> list[Any]:
    return [boards.get(BOARD).config.core_mhz, lookup(figures, f"networks/{SHOWN_NETWORK}/default")]


def _draw_timeline(figures: Figures, path: Path) -> dict[str, Any]:
    board = boards.get(BOARD)
    plan = compile_network(
        importer.load(default_model()), board.config, board=board.name,
        flash_address=board.flash.program_base)
    page.write(page.Inference(plan=plan, mhz=board.config.core_mhz), str(path))
    return {}


def _floorplan(figures: Figures) -> list[Any]:
    build = figures["build"]
    return [build["needs"], build["figures"]["seed"], build["figures"]["versions"]]


def _draw_floorplan(_: Figures, path: Path) -> dict[str, Any]:
    draw_floorplan(path)
    return {}


PICTURES = (
    Picture(path="docs/floorplan.svg", shows=_floorplan, make=_draw_floorplan),
    Picture(path="docs/timeline.svg", shows=_timeline, make=_draw_timeline),
    Picture(path="docs/explore.svg", shows=_explorer, make=_draw_explorer),
    Picture(path="docs/bench.svg", shows=_bench, make=_draw_bench),
    Picture(path="docs/stream.png", shows=_page, make=lambda _, path: take(path),
            check=check_browser),
    Picture(path="docs/detect.png", shows=_detector, make=lambda _, path: take_detector(path),
            check=check_browser),
)


def stale(figures: Figures, root: Path = ROOT) -> Iterator[tuple[Picture, str]]:
    """Yield the pictures that are to be made again, and why."""
    made = figures.get("pictures", {}).get("figures", {})
    for picture in PICTURES:
        known, file = made.get(picture.path), root / picture.path
        if known is None or not file.is_file():
            yield picture, "is missing"
        elif known["sha256"] != file_digest(file):
            yield picture, "is not the file that was made"
        elif known["shows"] != digest(picture.shows(figures)):
            yield picture, "shows other figures or another page than there are now"


def make_pictures(
    figures: Figures, say: Callable[[str], None], root: Path = ROOT
) -> dict[str, Any]:
    """Make the stale pictures again; returns the figures of the topic."""
    made = dict(figures.get("pictures", {}).get("figures", {}))
    for picture, _ in list(stale(figures, root)):
        say(picture.path)
        stated = picture.make(figures, root / picture.path)
        made[picture.path] = {"sha256": file_digest(root / picture.path),
                              "shows": digest(picture.shows(figures)), **stated}
    return {picture.path: made[picture.path] for picture in PICTURES}
