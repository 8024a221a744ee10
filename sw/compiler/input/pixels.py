"""Layout ``pixels``: the padded image, each pixel in whole words.

That is how all other tensors lie in memory, but for the padding.  An image of three channels wastes
most of a word.
"""

from __future__ import annotations

from sw.compiler.input.geometry import FirstLayer
from sw.compiler.input.layout import layout_of
from sw.compiler.input.reads import SystolicRead, dense_read
from sw.compiler.program.layout import InputLayout

__all__ = ["pixels"]


def pixels(first: FirstLayer) -> tuple[InputLayout, SystolicRead]:
    """Lay out the padded image pixel by pixel, and return how it is read."""
    height = (first.output[0] - 1) * first.stride[0] + first.kernel[0]
    width = (first.output[1] - 1) * first.stride[1] + first.kernel[1]
    channels = first.shape[2]
    rows = [
        [first.element(y, x, c) for c in range(channels)]
        for y in range(height)
        for x in range(width)
    ]
    read = dense_read(width, channels, first.kernel, first.stride, first.output[1], first.columns)
    layout = layout_of(
        "pixels", first, rows,
        rows=height, kernel=first.kernel[0], stride=first.stride[0],
    )
    return layout, read
