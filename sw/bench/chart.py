"""The chart of the README: one network beside the published figures of others."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import files
from common.errors import InputError
from common.optional import require
from sw.bench.measure import Measurement
from sw.bench.rivals import RIVALS, VISUAL_WAKE_WORDS, rivals_of

__all__ = ["check", "draw"]

# Readable on white and on nearly black: the page's background shows through.
TEXT = "#7d8590"
OTHERS = "#8b949e"
OURS = "#2da44e"

Bar = tuple[str, str, float, bool]
"""Who, what to know, value, ours."""


def _bars(result: Measurement) -> tuple[list[Bar], list[Bar]]:
    """Return the bars of both halves: inferences per second, and utilisation, sorted."""
    ours = f"Separable, {result.board}"
    note = f"{result.multipliers} multipliers, {result.clock.mhz:g} MHz"
    speeds: list[Bar] = [(ours, note, result.inferences_per_second, True)]
    uses: list[Bar] = [(ours, f"{result.multipliers} multipliers", result.utilization, True)]
    for rival in RIVALS:
        if rival.task != VISUAL_WAKE_WORDS:
            continue
        note = rival.note.split(";")[0]
        if rival.inferences_per_second is not None:
            speeds.append((rival.name, note, rival.inferences_per_second, False))
        if rival.utilization is not None:
            uses.append((rival.name, note, rival.utilization, False))
    return (sorted(speeds, key=lambda bar: bar[2]), sorted(uses, key=lambda bar: bar[2]))


def _half(axes: Any, title: str, bars: Sequence[Bar], limit: float,
          form: Callable[[float], str]) -> None:
    """Draw one half; bars beyond the limit are cut, their number says how long they are."""
    for place, (who, note, value, ours) in enumerate(bars):
        cut = value > limit
        # A gap says that a bar is longer than it is drawn.
        pieces = [(0.0, 0.9 * limit), (0.93 * limit, 0.07 * limit)] if cut else [(0.0, value)]
        for start, length in pieces:
            axes.barh(place, length, left=start, height=0.62, color=OURS if ours else OTHERS,
                      alpha=1.0 if ours else 0.75)
        axes.text(min(value, limit) + limit / 60, place, form(value) + (" →" if cut else ""),
                  va="center", color=OURS if ours else TEXT, fontsize=10,
                  fontweight="bold" if ours else "normal")
        axes.text(-limit / 60, place + 0.15, who, ha="right", va="center", fontsize=10,
                  color=OURS if ours else TEXT, fontweight="bold" if ours else "normal")
        axes.text(-limit / 60, place - 0.22, note, ha="right", va="center", fontsize=7.5,
                  color=TEXT)
    axes.set_title(title, loc="left", color=TEXT, fontsize=11, fontweight="bold")
    axes.set_xlim(0, limit * 1.2)
    axes.set_ylim(-0.6, len(bars) - 0.4)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(TEXT)


def check(path: str | os.PathLike[str], names: Sequence[str]) -> None:
    """Check that a chart can be drawn, before anything is measured for it.

    Parameters
    ----------
    path
        Its file: SVG or PNG, by its name.
    names : sequence of str
        Of the networks that are going to be measured.

    Raises
    ------
    SeparableError
        If matplotlib is missing, there is no network that others have figures of, or the file is
        none of both.
    """
    if not any(map(_is_shown, names)):
        raise InputError("the chart shows visual wake words: name vww_96_int8.tflite as well")
    if Path(path).suffix not in (".svg", ".png"):
        raise InputError(f"{path}: a chart is written as .svg or .png")
    require("matplotlib", "plot", "the chart needs")


def _is_shown(name: str) -> bool:
    rivals = rivals_of(name)
    return bool(rivals) and rivals[0].task == VISUAL_WAKE_WORDS


def draw(results: Sequence[Measurement], path: str | os.PathLike[str]) -> None:
    """Draw the first network that others have figures of, as SVG (or PNG, by the file's name).

    Raises
    ------
    SeparableError
        As for :func:`check`, or if the file cannot be written.
    """
    check(path, [result.model for result in results])
    result = next(result for result in results if _is_shown(result.model))
    target = Path(path)
    # Only now: it is optional.
    import matplotlib
    from matplotlib.figure import Figure

    speeds, uses = _bars(result)
    # The same file for the same numbers; text as outlines looks the same everywhere.
    with matplotlib.rc_context({"svg.hashsalt": "separable", "svg.fonttype": "path",
                                "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(11.4, 0.7 + 0.4 * len(speeds)))
        left, right = figure.subplots(1, 2)
        others = [value for _, _, value, _ in speeds if value < 300]
        _half(left, "Visual wake words, inferences per second", speeds, 1.15 * max(others),
              lambda value: f"{value:.1f}".removesuffix(".0"))
        _half(right, "Multipliers in use", uses, 1.0, "{:.1%}".format)
        figure.subplots_adjust(left=0.175, right=0.985, top=0.90, bottom=0.03, wspace=0.6)
        _save(figure, target)


def _save(figure: Any, target: Path) -> None:
    """Write the file as a whole or not at all."""
    metadata = {"Date": None} if target.suffix == ".svg" else None
    picture = io.BytesIO()
    figure.savefig(
        picture, format=target.suffix[1:], transparent=True, metadata=metadata, dpi=120)
    files.write_bytes(target, picture.getvalue())
