"""Accuracy against speed, as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import files
from common.errors import InputError
from common.optional import require
from sw.explore.sweep import Point, front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FORMATS", "check", "plot"]

FORMATS = (".svg", ".png")
COLOURS = {"v1": "#1f6fb4", "v2": "#d1495b"}
MARKERS = {"v1": "o", "v2": "s"}
GREY = "#8a8a8a"
STRIP = 0.12
"""Part of the width for networks of one family that do not fit."""
LINE = 0.85
"""Height of a small label, in per cent of accuracy."""
NEAR = 1.35
"""Ratio of speeds below which labels may overlap."""


def check(path: str, accuracies: Sequence[float | None]) -> None:
    """Check that a plot can be made, before the work that it would show.

    Parameters
    ----------
    path : str
    accuracies : sequence of float or None
        Those that were published, of its points.

    Raises
    ------
    InputError
        If matplotlib is missing, the format is none of :data:`FORMATS`, or no point has a
        published accuracy.
    """
    if Path(path).suffix not in FORMATS:
        raise InputError(f"{path}: plots are {' or '.join(FORMATS)}; use one of these extensions")
    require("matplotlib", "plot", "plots need")
    if all(accuracy is None for accuracy in accuracies):
        raise InputError(
            "nothing can be plotted: no accuracy was published for these networks; use the "
            "papers' width multipliers and sizes, and 1001 classes"
        )


def plot(points: Sequence[Point], path: str, *, title: str, speed: str) -> None:
    """Draw top-1 accuracy against inferences per second.

    Parameters
    ----------
    points : sequence of Point
        Those without a published accuracy are left out.
    path : str
        The file: ``.svg`` or ``.png``.
    title : str
    speed : str
        Label of the horizontal axis.
    """
    check(path, [point.top1 for point in points])
    import matplotlib

    matplotlib.use("Agg")
    # The same picture is the same file.
    matplotlib.rcParams["svg.hashsalt"] = "separable"
    from matplotlib import pyplot

    shown = [point for point in points if point.top1 is not None]
    missing = [point for point in shown if not point.fits]
    figure = pyplot.figure(figsize=(10, 6))
    strip_width = STRIP * len({point.arch for point in missing}) or 1e-6
    grid = figure.add_gridspec(1, 2, width_ratios=(strip_width, 1 - strip_width), wspace=0.03)
    axes = figure.add_subplot(grid[1])
    _fitting(axes, [point for point in shown if point.fits], speed)
    axes.set_title(title, loc="left", fontsize=11)
    accuracy = "ImageNet top-1 accuracy, per cent (published, float)"
    if missing:
        strip = figure.add_subplot(grid[0], sharey=axes)
        _missing(strip, missing)
        strip.set_ylabel(accuracy)
        axes.tick_params(labelleft=False)
    else:
        axes.set_ylabel(accuracy)
    metadata: dict[str, Any] = {"Date": None} if Path(path).suffix == ".svg" else {}
    try:
        picture = io.BytesIO()
        figure.savefig(
            picture, format=Path(path).suffix[1:], bbox_inches="tight", dpi=150, metadata=metadata
        )
    finally:
        pyplot.close(figure)
    files.write_bytes(path, picture.getvalue())


def _fitting(axes: Axes, points: Sequence[Point], speed: str) -> None:
    best = front(points)
    if best:
        # Below and to the left of these steps everything is beaten by a point of the front.
        xs = [p.inferences_per_second or 0 for p in best]
        axes.step(
            xs, [p.top1 or 0 for p in best], where="post", color="black", lw=1, alpha=0.6,
            label="Pareto front", zorder=1,
        )
    for arch in COLOURS:
        family = [p for p in points if p.arch == arch]
        if family:
            axes.scatter(
                [p.inferences_per_second or 0 for p in family],
                [p.top1 or 0 for p in family],
                s=[46 if p in best else 22 for p in family],
                c=COLOURS[arch],
                marker=MARKERS[arch],
                edgecolors=["black" if p in best else "none" for p in family],
                linewidths=0.8,
                label=f"MobileNet {arch.upper()}  (α/ρ)",
                zorder=2,
            )
    # The front's labels are on its free side, the others' on the other one.
    _label(axes, best, above=True)
    _label(axes, [point for point in points if point not in best], above=False)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_formatter(lambda x, _: f"{x:g}" if f"{x:g}"[0] in "25" else "")
    axes.margins(x=0.13, y=0.08)
    axes.grid(True, which="both", alpha=0.2)
    axes.set_xlabel(speed)
    if points:
        axes.legend(loc="lower left", fontsize=8, framealpha=0.9)


def _label(axes: Axes, points: Sequence[Point], *, above: bool) -> None:
    """Write labels beside points, each a line away from that of its neighbour."""
    side = 1 if above else -1
    placed: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: side * (p.top1 or 0)):
        x, y = point.inferences_per_second or 0, point.top1 or 0
        height = LINE * (1.3 if above else 1)
        level = y + side * 0.6
        for other, there in placed:
            if max(x / other, other / x) < NEAR and side * (level - there) < height:
                level = there + side * height
        placed.append((x, level))
        axes.annotate(
            point.label,
            (x, level),
            xytext=(side * 6, 0),
            textcoords="offset points",
            ha="left" if above else "right",
            va="center",
            fontsize=8 if above else 7,
            fontweight="bold" if above else "normal",
            color=COLOURS[point.arch],
        )


def _missing(axes: Axes, points: Sequence[Point]) -> None:
    """Draw networks that do not fit: by their accuracy, without a speed."""
    axes.set_facecolor("#f2f2f2")
    families = [arch for arch in COLOURS if any(point.arch == arch for point in points)]
    for x, arch in enumerate(families):
        below = 0.0
        for point in sorted((p for p in points if p.arch == arch), key=lambda p: p.top1 or 0):
            y = point.top1 or 0
            axes.scatter(x, y, s=22, c=COLOURS[arch], marker="x", linewidths=1, alpha=0.7)
            # Labels keep a line's distance.
            below = max(y, below + LINE)
            axes.annotate(
                point.label,
                (x, below),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color=COLOURS[arch],
                alpha=0.8,
            )
    axes.set_xlim(-0.25, len(families) - 0.1)
    axes.set_xticks([])
    axes.set_title("do not fit", loc="left", fontsize=9, color=GREY)
    axes.grid(True, axis="y", alpha=0.2)
