"""Layout ``windows``: all bytes of each window, one window behind the other (*im2col*).

Bytes that several windows share are there several times, and padding is there too: a window is
read from its first word to its last, in the fewest steps of all layouts, from the most memory.
"""

from __future__ import annotations

from sw.compiler.input.geometry import FirstLayer, Tap
from sw.compiler.input.layout import layout_of
from sw.compiler.input.reads import SystolicRead, slots_of
from sw.compiler.program.layout import InputLayout

__all__ = ["windows"]


def _taps(first: FirstLayer, rows: range) -> list[Tap]:
    return [(i, j, c) for i in rows for j in range(first.kernel[1]) for c in range(first.shape[2])]


def windows(first: FirstLayer) -> tuple[InputLayout, SystolicRead]:
    """Lay out all windows, and return how they are read."""
    taps = _taps(first, range(first.kernel[0])) + sorted(first.again)
    columns = first.columns
    words = -(-len(taps) // columns)
    rows = []
    for y in range(first.output[0]):
        for x in range(first.output[1]):
            top, left = y * first.stride[0], x * first.stride[1]
            rows.append(
                [
                    first.element(top + i * first.dilation[0], left + j * first.dilation[1], c)
                    for i, j, c in taps
                ]
            )
    lanes = columns // 2
    steps = max(-(-len(taps) // 2), lanes)
    read = SystolicRead(
        inner=words,
        middle=1,
        last_steps=steps - lanes * (words - 1),
        step_inner=1,
        step_middle=0,
        step_column=1,
        step_row=1,
        slots=slots_of([first.tap_index(tap) for tap in taps], steps, 2),
    )
    layout = layout_of(
        "windows", first, rows, rows=first.output[0], kernel=1, stride=1
    )
    return layout, read
