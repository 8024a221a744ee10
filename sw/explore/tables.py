"""Tables of the explorer: for terminals, for documents, for spreadsheets."""

from collections.abc import Sequence
from dataclasses import asdict

from common import files
from common.tables import Table, new_table
from sw.explore.sweep import Point, front

__all__ = ["markdown", "table", "write_csv"]


def _number(value: float | None, pattern: str) -> str:
    return "" if value is None else pattern.format(value)


def table(points: Sequence[Point], title: str) -> Table:
    """Return the table of the explorer, for a terminal."""
    result = new_table(
        ("network",),
        ("α", "ρ", "top-1", "8 bits", "M MACs", "KB weights", "cycles", "inf/s", "utilisation",
         "KB on chip", "KB flash"),
        title=title,
        give_way=("KB weights", "KB on chip", "8 bits", "KB flash", "M MACs", "utilisation"),
    )
    result.add_column("front", justify="center", no_wrap=True)
    best = front(points)
    for before, point in zip((None, *points), points, strict=False):
        if before is not None and (before.arch, before.alpha) != (point.arch, point.alpha):
            result.add_section()
        result.add_row(
            f"MobileNet {point.arch.upper()}",
            f"{point.alpha:g}",
            str(point.size),
            _number(point.top1, "{:.1f}"),
            _number(point.top1_quantized, "{:.1f}"),
            f"{point.macs / 1e6:,.1f}",
            f"{point.weights / 1024:,.0f}",
            _number(point.cycles, "{:,}") or "does not fit",
            _number(point.inferences_per_second, "{:.1f}"),
            _number(point.utilization, "{:.1%}"),
            _number(point.memory_bytes and point.memory_bytes / 1024, "{:.1f}"),
            _number(point.flash_bytes and point.flash_bytes / 1024, "{:,.0f}"),
            "●" if point in best else "",
        )
    return result


def markdown(points: Sequence[Point]) -> str:
    """Return the table as Markdown, as docs/explore.md has it."""
    columns = [[str(column.header), *map(str, column.cells)]
               for column in table(points, "").columns]
    rows = [f"| {' | '.join(row)} |".replace("  ", " ") for row in zip(*columns, strict=True)]
    return "\n".join((rows[0], "|---" * len(columns) + "|", *rows[1:]))


def write_csv(path: str, points: Sequence[Point]) -> None:
    """Write the points, a row each."""
    best = front(points)
    rows = [{**asdict(point), "front": point in best} for point in points]
    files.write_csv(path, rows)
