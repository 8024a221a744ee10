"""Candidates: the layouts of the network's input that a first layer can have."""

from __future__ import annotations

from collections.abc import Iterator

from sw.compiler.input.geometry import FirstLayer
from sw.compiler.input.pixels import pixels
from sw.compiler.input.reads import ColumnGroup, SystolicRead
from sw.compiler.input.rows import rows
from sw.compiler.input.units import units
from sw.compiler.input.windows import windows
from sw.compiler.program.layout import InputLayout

__all__ = ["candidates"]


def candidates(first: FirstLayer) -> Iterator[tuple[InputLayout, tuple[ColumnGroup, ...]]]:
    """Yield the ways to lay out the input of a convolution, with how the layer reads each."""
    for layout, read in _read_at_once(first):
        yield layout, (ColumnGroup(read=read, width=first.output[1]),)
    compact = rows(first)
    if compact is not None:
        yield compact


def _read_at_once(first: FirstLayer) -> Iterator[tuple[InputLayout, SystolicRead]]:
    yield windows(first)
    if first.dilation == (1, 1):
        row_bytes = first.kernel[1] * first.shape[2]
        for words in range(1, -(-row_bytes // first.columns) + 1):
            found = units(first, words)
            if found is not None:
                yield found
        if not first.again:
            yield pixels(first)
