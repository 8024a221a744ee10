"""The layouts of the network's input that a first layer can have."""

from __future__ import annotations

from collections.abc import Iterator

from sw.compiler.input.layout import ColumnGroup, FirstLayer, SystolicRead, pixels, windows
from sw.compiler.input.rows import rows
from sw.compiler.input.units import units
from sw.compiler.program.layout import InputLayout
from sw.compiler.program.tensors import Place

__all__ = ["candidates"]


def candidates(
    first: FirstLayer, tensor: Place, zero_point: int, columns: int
) -> Iterator[tuple[InputLayout, tuple[ColumnGroup, ...]]]:
    """Yield the ways to lay out the input of a convolution, with how the layer reads each.

    - ``windows``: all bytes of a window, one after another.  Fewest steps, most memory.
    - ``units``: for every column of windows and row of the image one unit of a few words.
    - ``pixels``: one or more whole words per pixel.
    - ``rows``: the bytes of the image.  Least memory, most steps.
    """
    for layout, read in _read_at_once(first, tensor, zero_point, columns):
        yield layout, (ColumnGroup(read=read, width=first.output[1]),)
    compact = rows(first, tensor, zero_point, columns)
    if compact is not None:
        yield compact


def _read_at_once(
    first: FirstLayer, tensor: Place, zero_point: int, columns: int
) -> Iterator[tuple[InputLayout, SystolicRead]]:
    yield windows(first, tensor, zero_point, columns)
    if first.dilation == (1, 1):
        row_bytes = first.kernel[1] * first.shape[2]
        for words in range(1, -(-row_bytes // columns) + 1):
            found = units(first, words, tensor, zero_point, columns)
            if found is not None:
                yield found
        if not first.again:
            yield pixels(first, tensor, zero_point, columns)
