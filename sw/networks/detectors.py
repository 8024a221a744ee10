"""Detectors over MobileNets: FOMO, which tells classes apart for each cell of a grid.

Edge Impulse's "Faster Objects, More Objects": a MobileNet that is cut where the image has an eighth
of its size, then a convolution of 1 × 1 and one that rates the classes of each cell, background
first (:mod:`sw.outputs.detections` reads them).
"""

from __future__ import annotations

from dataclasses import replace

from common.errors import InputError
from sw.networks.architecture import MAX_VALUES, Architecture, Layer

__all__ = ["CELL", "HEAD", "fomo"]

CELL = 8
"""Pixels of a cell's side."""

HEAD = 32
"""Channels of the convolution before the classes."""


def fomo(backbone: Architecture, *, head: int = HEAD, name: str | None = None) -> Architecture:
    """Return the detector that a classifier makes.

    Parameters
    ----------
    backbone : Architecture
        A MobileNet; ``classes`` is that of the detector, without the background.
    head : int
        Channels of the convolution before the classes.
    name : str, optional

    Returns
    -------
    Architecture
        Its last layer, a convolution, gives ``classes`` + 1 numbers for each cell.

    Raises
    ------
    InputError
        If ``head`` is less than 1, or nothing of the network has cells of that size.
    """
    if head < 1:
        raise InputError(f"head must be at least 1, not {head!r}")
    size = -(-backbone.size // CELL)
    layers = []
    for layer in backbone.layers:
        # The last layer at this size that the network has is the expansion before the next stride.
        if layer.kind == "linear" or layer.output_size < size:
            break
        layers.append(layer)
    if not layers or layers[-1].output_size != size:
        raise InputError(
            f"{backbone.name}: no layer has an eighth of the image's size; use a larger image"
        )
    classes = backbone.classes + 1
    if max(size**2 * max(head, classes), head * max(classes, layers[-1].outputs)) > MAX_VALUES:
        raise InputError(f"more than {MAX_VALUES:,} values in a layer; use a smaller head or image")
    layers += [
        Layer(name="head", kind="conv", inputs=layers[-1].outputs, outputs=head,
              size=size, output_size=size),
        Layer(name="classifier", kind="conv", inputs=head, outputs=classes,
              size=size, output_size=size, norm=False, relu6=False),
    ]
    return replace(
        backbone, name=name or f"fomo_{backbone.name}", classes=classes, layers=tuple(layers)
    )
