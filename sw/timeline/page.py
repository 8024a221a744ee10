"""Pages and pictures of an inference: everything in one file, without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from common import files
from common.drawing import STYLE, Drawing
from common.errors import InputError
from sw.compiler import Plan, Program
from sw.timeline.figure import WIDTH, Figure, draw_map, draw_timeline
from sw.timeline.slices import ARRAY, PORT
from sw.timeline.tables import layer_rows, memory_rows

__all__ = ["Inference", "check_name", "write"]

SOURCES = {
    "counters": "The array's cycles were counted by the core, layer by layer and cause by cause, "
                "and are those that the compiler's cycle model predicts.",
    "model": "The array's cycles are those that the compiler's cycle model predicts; python -m "
             "sw.bench without --model holds them against the core's counters.",
}

OTHERS = ("The core has no counters of the memory's port, the flash and the requantisers: their "
          "figures are the cycle model's.")

MAP = ("A word is a tensor's from the descriptor that writes it to the last one that makes "
       "something of it, by the descriptors' addresses. Where two overlap, a layer writes over "
       "words that it has read. Grey is the ring, for words of the program that are read ahead.")

PAGE = """
:root { color-scheme: light dark;
  --ink: #1f2328; --faint: #59636e; --page: #fff; --line: #d1d9e0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --faint: #9198a1; --page: #0d1117; --line: #3d444d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  margin: 0 auto; padding: 1rem; max-width: 80rem; }
h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; }
p { max-width: 46rem; } .faint { color: var(--faint); }
.wide { overflow-x: auto; } .wide svg { display: block; min-width: 46rem; width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.85rem; }
th, td { padding: 0.15rem 0.6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; position: sticky; top: 0;
  background: var(--page); font-weight: 600; }
td.name, th.name { text-align: left; max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
tr:last-child td { font-weight: 600; }
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inference:
    """An inference to be shown.

    Attributes
    ----------
    plan : Plan
    mhz : float
        The clock that times are given at.
    source : str
        Where the array's cycles are from: ``"counters"`` or ``"model"``.
    charts : tuple of str
        ``"timeline"``, ``"memory"``, or both.
    """

    plan: Plan
    mhz: float
    source: str = "model"
    charts: tuple[str, ...] = ("timeline", "memory")


def check_name(path: str | None) -> None:
    """Refuse a file that is neither a page nor a picture, by the end of its name.

    Raises
    ------
    InputError
    """
    if path is not None and Path(path).suffix.lower() not in (".html", ".svg"):
        raise InputError(f"{path}: the name has to end in .html, for a page with tables, or in "
                         ".svg, for a picture")


def write(inference: Inference, path: str) -> None:
    """Write a page (``.html``) or a picture (``.svg``), as a whole or not at all.

    Raises
    ------
    SeparableError
        If it cannot be written.
    """
    check_name(path)
    if not inference.plan.programs:
        raise InputError(f"{inference.plan.model}: nothing of this network runs on the core, so "
                         f"there is nothing to draw; leave {path} out")
    picture = Path(path).suffix.lower() == ".svg"
    files.write_text(path, _picture(inference) if picture else _page(inference))


def _heading(inference: Inference) -> str:
    plan = inference.plan
    what = {"timeline": "timeline", "memory": "memory map"}
    return f"{plan.model} on {plan.board}: {' and '.join(what[c] for c in inference.charts)}"


def _draw(drawing: Drawing, figure: Figure, charts: Sequence[str]) -> None:
    if "timeline" in charts:
        draw_timeline(drawing, figure)
        drawing.height += 12
    if "memory" in charts:
        draw_map(drawing, figure)


def _figures(inference: Inference) -> list[Figure]:
    return [Figure(program=program, mhz=inference.mhz) for program in inference.plan.programs]


def _picture(inference: Inference) -> str:
    drawing = Drawing(WIDTH, _heading(inference))
    drawing.text(12, 22, _heading(inference), kind="strong")
    drawing.height = 36
    figures = _figures(inference)
    for number, figure in enumerate(figures):
        for words in (_before(figure.program), _name(number, figures)):
            if words:
                drawing.text(12, drawing.height + 16, words, kind="faint")
                drawing.height += 22
        _draw(drawing, figure, inference.charts)
    if words := _behind(inference.plan):
        drawing.text(12, drawing.height + 16, words, kind="faint")
        drawing.height += 24
    return drawing.svg(style=True) + "\n"


def _name(number: int, figures: Sequence[Figure]) -> str:
    if len(figures) == 1:
        return ""
    return f"Program {number + 1} of {len(figures)}: {figures[number].cycles:,} cycles"


def _before(program: Program) -> str:
    return _host("First the host", [op.name for op in program.prefix.ops])


def _behind(plan: Plan) -> str:
    return _host("Then the host", [op.name for op in plan.programs[-1].suffix.ops])


def _host(when: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"{when}: {listed}; its time is not in these cycles."


def _page(inference: Inference) -> str:
    plan, figures = inference.plan, _figures(inference)
    cycles = sum(figure.cycles for figure in figures)
    parts = [
        f"<h1>{escape(_heading(inference))}</h1>",
        f"<p>{cycles:,} cycles, {cycles / inference.mhz / 1000:.2f} ms at {inference.mhz:g} MHz. "
        f"{SOURCES[inference.source]} {OTHERS if 'timeline' in inference.charts else ''}</p>",
    ]
    for number, figure in enumerate(figures):
        parts += [f"<p>{escape(words)}</p>" for words in (_before(figure.program),) if words]
        if name := _name(number, figures):
            parts.append(f"<h2>{escape(name)}</h2>")
        parts += _charts(inference, figure)
    if words := _behind(plan):
        parts.append(f"<p>{escape(words)}</p>")
    return "\n".join([
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(_heading(inference))}</title>", f"<style>{PAGE}{STYLE}</style>",
        "</head>", "<body>", *parts, "</body>", "</html>", ""])


def _charts(inference: Inference, figure: Figure) -> list[str]:
    """Return the charts of a program, with the tables that have the same figures."""
    parts: list[str] = []
    if "timeline" in inference.charts:
        drawing = Drawing(WIDTH, f"timeline of {inference.plan.model}; the table has its figures")
        draw_timeline(drawing, figure)
        parts += [
            "<h2>Timeline</h2>", f'<div class="wide">{drawing.svg(style=False)}</div>',
            '<p class="faint">A track is as high as all cycles of a stretch of time; layers that '
            "run row by row share theirs.</p>",
            _table(["", "layer", "operator", "cycles", "utilisation", *ARRAY.values(),
                    *PORT.values(), "requantiser at work", "bytes of flash"],
                   layer_rows(figure), names=3)]
    if "memory" in inference.charts:
        drawing = Drawing(WIDTH, f"memory of {inference.plan.model}; the table has its figures")
        draw_map(drawing, figure)
        parts += [
            "<h2>Memory</h2>", f'<div class="wide">{drawing.svg(style=False)}</div>',
            f'<p class="faint">{MAP}</p>',
            _table(["", "tensor", "what", "KB", "KB from", "to", "from cycle", "to"],
                   memory_rows(figure), names=3)]
    return parts


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, names: int) -> str:
    """Return a table whose first columns are names."""
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(
            f'<{tag}{" class=name" if number < names else ""} title="{escape(cell)}">'
            f"{escape(cell)}</{tag}>" if number < names else f"<{tag}>{escape(cell)}</{tag}>"
            for number, cell in enumerate(cells)) + "</tr>"

    return "\n".join([
        '<div class="wide"><table>', f"<thead>{row(head, 'th')}</thead>", "<tbody>",
        *(row(cells, "td") for cells in rows), "</tbody></table></div>"])
