"""Floorplan: the chip with every cell that a design uses, coloured by part."""

from collections.abc import Iterator, Sequence

from common.drawing import Box, Drawing
from hw.flow.placement import PlacedCell, part_of, usages

__all__ = ["floorplan"]

TILE = 26.0
LEFT, TOP = 14.0, 40.0
LEGEND = 300.0

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a5aa8", "#6b7a2f",
    "#b24a76", "#2f8a96", "#a0762a", "#3b6fb6", "#7f3f1f", "#4f9f4f", "#9a4fd0", "#c0b020",
)
"""Of parts, those with most logic cells first; the others are grey."""
REST = "#8c959f"

CELLS = 8
"""Logic cells of a tile."""

BLOCKS = {"RAM": 2, "DSP": 4, "SPRAM": 2}
"""Tiles that a block is drawn as, upwards."""


def floorplan(cells: Sequence[PlacedCell], *, title: str) -> str:
    """Return a floorplan as SVG.

    Parameters
    ----------
    cells : sequence of PlacedCell
        At least one.
    title : str
    """
    parts = usages(cells, parts=True)
    colours = {part: COLOURS[n] if n < len(COLOURS) else REST for n, part in enumerate(parts)}
    columns, rows = (max(getattr(c, axis) for c in cells) + 1 for axis in "xy")
    drawing = Drawing(LEFT + columns * TILE + LEGEND, title)
    drawing.text(LEFT, 24, title, kind="strong")
    drawing.boxes([(LEFT, TOP, columns * TILE, rows * TILE)], kind="back")
    for part, colour in colours.items():
        its = [cell for cell in cells if part_of(cell.module) == part]
        drawing.boxes(_boxes(its, rows), fill=colour, title=f"{part}: {_words(parts[part])}")
    for cell in cells:
        if cell.kind in BLOCKS:
            x, y, width, height = _block(cell, rows)
            drawing.text(x + width / 2, y + height / 2 + 3.5, cell.kind[:3], kind="inside",
                         anchor="middle")
    for number, (part, counts) in enumerate(parts.items()):
        y = TOP + 14 + 24 * number
        x = LEFT + columns * TILE + 20
        drawing.boxes([(x, y - 10, 12, 12)], fill=colours[part])
        drawing.text(x + 20, y, part)
        drawing.text(x + 270, y, _words(counts), kind="faint", anchor="end")
    drawing.height = TOP + max(rows * TILE, 24 * len(parts)) + 14
    return drawing.svg(style=True) + "\n"


def _words(counts: dict[str, int]) -> str:
    """Return counts in words."""
    kinds = [kind for kind in ("LC", *BLOCKS) if counts.get(kind)]
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in kinds) or "pins, clocks"


def _boxes(cells: Sequence[PlacedCell], rows: int) -> Iterator[Box]:
    for cell in cells:
        if cell.kind in BLOCKS:
            yield _block(cell, rows)
        elif cell.kind == "LC":
            # Cells of a tile stand on each other.
            high = TILE / CELLS
            x, y = LEFT + cell.x * TILE, TOP + (rows - cell.y) * TILE - (cell.place + 1) * high
            yield x + 1, y + 0.3, TILE - 2, high - 0.6
        elif cell.kind == "IO":
            x, y = LEFT + cell.x * TILE, TOP + (rows - cell.y - 1) * TILE
            yield x + TILE * (0.1 + 0.45 * cell.place), y + TILE * 0.3, TILE * 0.35, TILE * 0.4


def _block(cell: PlacedCell, rows: int) -> Box:
    """Return where a block is drawn; the router has all single-port memories in the corners."""
    up = cell.y
    if cell.kind == "SPRAM":
        up = 1 + BLOCKS["SPRAM"] * ((cell.place - 1) % 2)
    tall = BLOCKS[cell.kind]
    return (LEFT + cell.x * TILE + 1, TOP + (rows - up - tall) * TILE + 1, TILE - 2,
            tall * TILE - 2)
