"""Layout ``units``: a few words, a *unit*, for every column of windows and row of the image.

Windows side by side share pixels.  A unit has the pixels of its window's kernel row that the next
window does not share, then as many of the others as there is room.  What is missing stands at the
beginning of the next unit, which a window reads on into.  So a kernel row is one stretch of words
that begins at a word, and less is there twice than in ``windows``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from sw.compiler.input.geometry import FirstLayer
from sw.compiler.input.layout import layout_of
from sw.compiler.input.reads import SystolicRead, row_steps, slots_of
from sw.compiler.program.layout import NOTHING, InputLayout

__all__ = ["units"]

Byte = tuple[int, int, int]
"""What is in a unit: an image row, counted from the unit's own; kernel column; input channel."""

EMPTY: Byte = (0, -1, -1)


def _unit_bytes(
    first: FirstLayer, extra: Collection[Byte], borrowed: int, size: int
) -> list[Byte] | None:
    """Choose the bytes of a unit, for one class of image rows.

    Parameters
    ----------
    extra : collection of Byte
        What is wanted once more than a kernel row has it, or from another row.
    borrowed : int
        Bytes that a window reads of the next unit.
    size : int
        Bytes of a unit.

    Returns
    -------
    list of Byte, or None
        ``None`` if they do not fit.
    """
    stride, width, channels = first.stride[1], first.kernel[1], first.shape[2]
    own = [(0, j, c) for j in range(width) for c in range(channels)]
    wanted = Counter(own) + Counter(extra)

    def further_right(byte: Byte) -> Byte:
        return byte[0], byte[1] + stride, byte[2]

    # What stands first is met twice: as itself, and by the window before, further right.
    shared = [byte for byte in own if byte[1] + stride < width]
    front = sorted(shared, key=lambda b: wanted[further_right(b)], reverse=True)[:borrowed]
    for byte in front:
        wanted[byte] -= 1
        wanted[further_right(byte)] -= 1
    unit = front + sorted((+wanted).elements())
    if len(unit) > size:
        return None
    # The front must be whole even if there is nothing useful to put there.
    return unit + [EMPTY] * (size - len(unit))


def _extra_bytes(first: FirstLayer, *, spread: bool) -> list[set[Byte]]:
    """Return what units hold for taps that are met twice, by class of image rows.

    With ``spread`` a tap may be met in the unit of another row, which then has a byte that is not
    its own, so that no class has many more than the others.
    """
    stride = first.stride[0]
    result: list[set[Byte]] = [set() for _ in range(min(stride, first.kernel[0]))]
    for row, column, channel in sorted(first.again):
        homes = range(first.kernel[0]) if spread else (row,)
        # A byte that is there already costs nothing, and one of the row itself is as good as any.
        home = min(
            homes,
            key=lambda i: (
                len(result[i % stride] | {(row - i, column, channel)}),
                abs(row - i),
            ),
        )
        result[home % stride].add((row - home, column, channel))
    return result


def _unit_classes(first: FirstLayer, size: int) -> tuple[list[list[Byte]], int] | None:
    """Return the units of each class of image rows, and how many bytes windows borrow."""
    ways = [_extra_bytes(first, spread=spread) for spread in (False, True)]
    for borrowed in range(0, size + 1, 2):
        for classes in ways:
            found = [_unit_bytes(first, extra, borrowed, size) for extra in classes]
            units = [unit for unit in found if unit is not None]
            if len(units) == len(found):
                return units, borrowed
    return None


def units(first: FirstLayer, words: int) -> tuple[InputLayout, SystolicRead] | None:
    """Lay the input out in units of so many words, and return how they are read.

    Returns
    -------
    (layout, read) or None
        ``None`` if a unit has no room for what it has to hold.
    """
    columns = first.columns
    size = words * columns
    chosen = _unit_classes(first, size)
    if chosen is None:
        return None
    every, borrowed = chosen
    stride, lanes = first.stride[1], columns // 2
    used = max(i for unit in every for i, byte in enumerate(unit) if byte != EMPTY) + 1
    row_bytes = size + borrowed if borrowed else used
    steps = row_steps(row_bytes, first.kernel[0], lanes)
    inner = -(-steps // lanes)
    tail = inner - words
    pitch = first.output[1] * words + max(tail, 0)
    image_rows = (first.output[0] - 1) * first.stride[0] + first.kernel[0]
    rows = []
    for y in range(image_rows):
        # Image rows that no kernel row meets (stride beyond the kernel) are left empty.
        unit = every[y % first.stride[0]] if y % first.stride[0] < len(every) else []
        line = [
            first.element(y + down, x * stride + j, c) if j >= 0 else NOTHING
            for x in range(first.output[1] + 1)
            for down, j, c in unit
        ]
        rows.append((line + [NOTHING] * (pitch * columns))[: pitch * columns])
    taps: list[int] = []
    for i in range(first.kernel[0]):
        unit = every[i % first.stride[0]]
        ahead = [b if b == EMPTY else (b[0], b[1] + stride, b[2]) for b in unit]
        line_taps = [
            first.tap_index((i + down, j, c))
            if 0 <= j < first.kernel[1] and 0 <= i + down < first.kernel[0]
            else NOTHING
            for down, j, c in (unit + ahead)[: steps * 2]
        ]
        taps += line_taps + [NOTHING] * (steps * 2 - len(line_taps))
    last_word = (first.kernel[0] - 1) * pitch + inner - 1
    read = SystolicRead(
        inner=inner,
        middle=first.kernel[0],
        last_steps=steps - lanes * (inner - 1),
        step_inner=1,
        step_middle=pitch - (inner - 1),
        step_column=words - last_word,
        step_row=first.stride[0] * pitch - (first.output[1] - 1) * words - last_word,
        slots=slots_of(taps, steps * first.kernel[0], 2),
    )
    layout = layout_of(
        "units", first, rows,
        rows=image_rows, kernel=first.kernel[0], stride=first.stride[0],
    )
    return layout, read
