"""Figure of a program: its timeline, and the map of the memory under it, on one axis of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from common.drawing import Box, Drawing
from sw.compiler import Program
from sw.timeline.residents import Area, Resident, residents_of, ring_of
from sw.timeline.slices import ARRAY, PORT, Slice, segments, slices_of

__all__ = ["COLOURS", "WIDTH", "Figure", "draw_map", "draw_timeline"]

WIDTH = 1160.0
LEFT, RIGHT = 120.0, 24.0
SPAN = WIDTH - LEFT - RIGHT

COLOURS = {
    "used": "#0072b2", "idle": "#8fc1e3", "input": "#009e73", "weights": "#d55e00",
    "requantise": "#cc79a7", "fill": "#e69f00",
    "reads": "#0072b2", "results": "#cc79a7", "flash": "#d55e00", "loader": "#009e73",
}
"""Of causes and accesses: told apart by colour-blind people, too."""

PLACES = (
    "#3b6fb6", "#b0562c", "#3f8f5b", "#8a5aa8", "#a0762a", "#2f8a96", "#b24a76", "#6b7a2f",
)
"""Of tensors, in turn."""

MAP_HEIGHT = 320.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """What there is to draw of a program.

    Attributes
    ----------
    program : Program
    mhz : float
        Clock that times are given at.
    """

    program: Program
    mhz: float

    @cached_property
    def slices(self) -> list[Slice]:
        """What the parts of the core did."""
        return slices_of(self.program)

    @cached_property
    def residents(self) -> list[Resident]:
        """What lay in memory."""
        return residents_of(self.program)

    @cached_property
    def ring(self) -> list[Area]:
        """What the ring could take."""
        return ring_of(self.program)

    @property
    def cycles(self) -> int:
        """Of the program."""
        return self.slices[-1].stop

    def x(self, cycle: float) -> float:
        """Return where a cycle is drawn."""
        return LEFT + SPAN * cycle / self.cycles

    def milliseconds(self, cycle: float) -> float:
        """Return a time."""
        return cycle / self.mhz / 1000


def draw_timeline(drawing: Drawing, figure: Figure) -> None:
    """Draw what array, port, flash and requantiser do, with the layers above."""
    config = figure.program.config
    top = drawing.height + 8
    _layers(drawing, figure, top)
    at = top + 26
    at = _track(drawing, figure, at, 84, "array", "cycles by cause",
                [(name, partial(_array_share, name)) for name in ARRAY])
    at = _track(drawing, figure, at, 64, "memory port", "accesses a cycle",
                [(name, partial(_port_share, name)) for name in PORT])
    most = 2 / config.flash_read.halfword
    at = _track(drawing, figure, at, 36, "flash", f"of {most:g} byte a cycle", [
        ("flash", lambda s: s.flash_bytes(config.word_bytes) / s.cycles / most)])
    at = _track(drawing, figure, at, 36, "requantiser", "cycles at work", [
        ("requantise", lambda s: s.requantiser_cycles(config.lanes) / s.cycles)])
    for part in figure.slices:
        drawing.boxes([(figure.x(part.start), top, figure.x(part.stop) - figure.x(part.start),
                        at - top - 8)], kind="asks", title=_describe(figure, part))
    drawing.height = at
    _axis(drawing, figure)
    _legend(drawing, "array:", [(COLOURS[name], words) for name, words in ARRAY.items()])
    _legend(drawing, "port:", [(COLOURS[name], words) for name, words in PORT.items()])


Share = Callable[[Slice], float]


def _array_share(name: str, part: Slice) -> float:
    return part.array_cycles(name) / part.cycles


def _port_share(name: str, part: Slice) -> float:
    return part.port[name] / part.cycles


def _track(drawing: Drawing, figure: Figure, top: float, height: float, name: str, unit: str,
           parts: Sequence[tuple[str, Share]]) -> float:
    """Draw one part of the core, whose height is all cycles; return where the next one begins."""
    drawing.text(LEFT - 8, top + height / 2, name, kind="strong", anchor="end")
    drawing.text(LEFT - 8, top + height / 2 + 14, unit, kind="faint", anchor="end")
    drawing.boxes([(LEFT, top, SPAN, height)], kind="back")
    floor = {part.first: top + height for part in figure.slices}
    for kind, share in parts:
        boxes: list[Box] = []
        for part in figure.slices:
            tall = height * share(part)
            if tall > 0:
                floor[part.first] -= tall
                left = figure.x(part.start)
                boxes.append((left, floor[part.first], figure.x(part.stop) - left, tall))
        drawing.boxes(boxes, fill=COLOURS[kind])
    return top + height + 8


def _layers(drawing: Drawing, figure: Figure, top: float) -> None:
    """Draw the layers' numbers; those that take turns stand together."""
    drawing.text(LEFT - 8, top + 13, "layers", kind="strong", anchor="end")
    ends = {part.end: part.stop for part in figure.slices} | {0: 0}
    for number, (first, end) in enumerate(segments(figure.program)):
        left, right = figure.x(ends[first]), figure.x(ends[end])
        drawing.boxes([(left, top, right - left, 18)], kind="odd" if number % 2 else "even")
        name = layers_text(sorted({work.layer for work in figure.program.work[first:end]}))
        if right - left > 7 * len(name) + 2:
            drawing.text((left + right) / 2, top + 13, name, anchor="middle")


def layers_text(numbers: Sequence[int]) -> str:
    """Return layers' numbers, such as ``3`` or ``3–5, 8``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)


def _describe(figure: Figure, part: Slice) -> str:
    """Return all figures of a slice, as lines."""
    layers, config = figure.program.layers, figure.program.config
    if len(part.layers) == 1:
        layer = layers[part.layers[0]]
        name = f"layer {part.layers[0]}: {layer.name} ({layer.kind})"
    else:
        name = f"layers {layers_text(part.layers)}, row by row"
    lines = [name, f"cycles {part.start:,} to {part.stop:,}: {part.cycles:,}", "array:"]
    lines += [f"  {words}: {part.array_cycles(name):,.0f}" for name, words in ARRAY.items()]
    lines += ["port:", *(f"  {words}: {part.port[name]:,}" for name, words in PORT.items())]
    lines.append(f"flash: {part.flash_bytes(config.word_bytes):,} bytes")
    lines.append(f"requantiser: {part.requantiser_cycles(config.lanes):,} cycles at work")
    return "\n".join(lines)


def _axis(drawing: Drawing, figure: Figure) -> None:
    """Draw the axis of time under what was drawn last."""
    y = drawing.height
    drawing.line(LEFT, y, SPAN)
    step = _round_step(figure.cycles / 8)
    for number in range(int(figure.cycles / step) + 1):
        cycle = number * step
        x = figure.x(cycle)
        # The end has a number of its own.
        if x < WIDTH - RIGHT - 130:
            drawing.line(x, y, 5, down=True)
            drawing.text(x, y + 18, f"{cycle:,.0f}", anchor="middle")
            drawing.text(x, y + 32, f"{figure.milliseconds(cycle):.2f} ms", kind="faint",
                         anchor="middle")
    drawing.line(figure.x(figure.cycles), y, 5, down=True)
    drawing.text(WIDTH - RIGHT, y + 18, f"{figure.cycles:,}", kind="strong", anchor="end")
    drawing.text(WIDTH - RIGHT, y + 32, f"{figure.milliseconds(figure.cycles):.2f} ms",
                 kind="faint", anchor="end")
    drawing.height = y + 44


def _round_step(least: float) -> float:
    """Return a round number, no less than another."""
    size = 1.0
    while size * 10 <= least:
        size *= 10
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor >= least)


def _legend(drawing: Drawing, name: str, entries: Sequence[tuple[str, str]]) -> None:
    """Draw which colour is what."""
    x, y = LEFT, drawing.height + 12
    drawing.text(LEFT - 8, y, name, kind="faint", anchor="end")
    for colour, words in entries:
        if x + 16 + 6.6 * len(words) > WIDTH - RIGHT:
            x, y = LEFT, y + 18
            drawing.height += 18
        drawing.boxes([(x, y - 9, 11, 11)], fill=colour)
        drawing.text(x + 16, y, words)
        x += 16 + 6.6 * len(words) + 24
    drawing.height += 20


def draw_map(drawing: Drawing, figure: Figure) -> None:
    """Draw which words of memory are whose, from when to when."""
    config = figure.program.config
    top, per_word = drawing.height + 12, MAP_HEIGHT / config.memory_depth
    drawing.text(LEFT - 8, top - 2, "memory, KB", kind="strong", anchor="end")
    kilobytes = config.memory_bytes // 1024
    for number in range(9):
        y = top + MAP_HEIGHT * number / 8
        drawing.text(LEFT - 8, y + 4 + (10 if not number else 0), f"{kilobytes * number / 8:g}",
                     kind="faint", anchor="end")
        drawing.line(LEFT - 5, y, 5)
    drawing.boxes([(LEFT, top, SPAN, MAP_HEIGHT)], kind="back")

    def box(area: Area) -> Box:
        left = figure.x(area.start)
        return (left, top + area.first * per_word, figure.x(area.stop) - left,
                (area.end - area.first) * per_word)

    drawing.boxes(map(box, figure.ring), kind="ring",
                  title="ring: words of the program, read ahead of what uses them")
    labels = []
    for number, its in enumerate(figure.residents):
        boxes = [box(area) for area in its.areas]
        # Outlines of many rows would be all there is to see.
        drawing.boxes(
            boxes, fill=PLACES[number % len(PLACES)], title=_describe_resident(figure, its),
            kind="place" if len(boxes) < 5 else "rows")
        left, upper, width, height = max(boxes, key=lambda b: min(b[2], 3 * b[3]))
        if len(boxes) > 4:
            left, upper, width, _ = boxes[len(boxes) // 2]
            height = sum(box[3] for box in boxes) / 2
        name = "in" if its.layer is None else str(its.layer)
        if width > 7 * len(name) and height > 9:
            labels.append((left + width / 2, upper + min(height, boxes[0][3]) / 2 + 3.5, name))
    for x, y, name in labels:
        drawing.text(x, y, name, kind="inside", anchor="middle")
    drawing.height = top + MAP_HEIGHT
    _axis(drawing, figure)


def _describe_resident(figure: Figure, its: Resident) -> str:
    """Return what is known of a resident, as lines."""
    layers = figure.program.layers
    word = figure.program.config.word_bytes
    whose = "written by the host" if its.layer is None else (
        f"written by layer {its.layer}: {layers[its.layer].name} ({layers[its.layer].kind})")
    return "\n".join([
        f"{its.kind} {its.name}", whose, f"{its.words * word / 1024:.1f} KB",
        f"cycles {its.start:,} to {its.stop:,}"])
