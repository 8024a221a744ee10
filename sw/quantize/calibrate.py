"""Ranges of activations, from images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common import progress
from common.errors import InputError
from sw.networks.architecture import Architecture
from sw.quantize.arithmetic import average
from sw.quantize.reference import POOL, FloatNetwork, sum_name

__all__ = ["ActivationQuantization", "calibrate", "choose", "groups"]

Floats = npt.NDArray[np.floating]
Range = tuple[float, float]

LEVELS = 255
SMALLEST_RANGE = 1e-4


@dataclass(frozen=True)
class ActivationQuantization:
    """real = scale × (integer − zero point), int8.

    Attributes
    ----------
    scale : float
        Representable as float32.
    zero_point : int
    """

    scale: float
    zero_point: int


def calibrate(
    network: FloatNetwork,
    images: npt.NDArray[np.uint8],
    *,
    quantile: float = 1.0,
    batch: int = 100,
) -> dict[str, Range]:
    """Return the range of every activation.

    Parameters
    ----------
    network : FloatNetwork
    images : (N, H, W, C) uint8
        Some hundred that the network was not tested with.
    quantile : float
        Part of a batch's values that must lie below the upper end, and above the lower one; 1
        takes the extremes.
    batch : int
        Ends are averaged over batches unless ``quantile`` is 1.

    Returns
    -------
    dict
        (low, high) by name; see :meth:`sw.quantize.reference.FloatNetwork.run`.

    Raises
    ------
    InputError
        If the quantile is out of range or the images do not fit.
    """
    if not 0.5 < quantile <= 1:
        raise InputError(f"the quantile must be more than 0.5 and at most 1, not {quantile!r}")
    ends: dict[str, list[Range]] = {}

    def observe(name: str, value: Floats) -> None:
        if quantile == 1:
            found = float(value.min()), float(value.max())
        else:
            # Their order does not matter; as they lie in memory they need not be copied.
            low, high = np.quantile(value.ravel(order="K"), [1 - quantile, quantile])
            found = float(low), float(high)
        ends.setdefault(name, []).append(found)

    with progress.stage("calibrating", total=len(images), unit="images") as stage:
        for first in range(0, len(images), batch):
            network.run(images[first : first + batch], observe)
            stage.reached(min(first + batch, len(images)))
    if not ends:
        raise InputError("there are no images to calibrate with")
    ranges = {}
    for name, found in ends.items():
        lows, highs = zip(*found, strict=True)
        if quantile == 1:
            ranges[name] = min(lows), max(highs)
        else:
            ranges[name] = average(lows), average(highs)
    return ranges


def _quantization(low: float, high: float) -> ActivationQuantization:
    """Return the finest quantisation with a zero point that covers a range and zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    high = max(high, low + SMALLEST_RANGE)
    scale = float(np.float32((high - low) / LEVELS))
    zero_point = int(np.clip(round(-128 - low / scale), -128, 127))
    return ActivationQuantization(scale, zero_point)


def choose(network: FloatNetwork, ranges: Mapping[str, Range]) -> dict[str, ActivationQuantization]:
    """Choose scale and zero point of every activation.

    The output of ReLU6 starts at 0 and ends at 6, or earlier if the values do.  Both operands of
    an ADD get the same scale: the sum is then one of integers, which the reference and any
    hardware compute alike, and cheaply.

    Parameters
    ----------
    network : FloatNetwork
    ranges : mapping
        From :func:`calibrate`.

    Returns
    -------
    dict
        By the names of ``ranges``.
    """
    layers = network.net.layers
    chosen = dict(ranges)
    for layer in layers:
        if layer.relu6:
            chosen[layer.name] = 0.0, min(6.0, ranges[layer.name][1])
    for names in groups(network.net):
        if len(names) > 1:
            range_ = min(ranges[n][0] for n in names), max(ranges[n][1] for n in names)
            chosen.update(dict.fromkeys(names, range_))
    return {name: _quantization(low, high) for name, (low, high) in chosen.items()}


def groups(net: Architecture) -> list[list[str]]:
    """Return the activations of a network in groups that must have one quantisation.

    Operands of an ADD belong together; all others are alone.
    """
    member: dict[str, list[str]] = {}
    for layer in net.layers:
        for name in {layer.name, sum_name(layer)}:
            member[name] = [name]
        if layer.skip is not None:
            both = member[sum_name(net.layer(layer.skip))] + member[layer.name]
            member.update(dict.fromkeys(both, both))
    member[POOL] = [POOL]
    return list({id(names): names for names in member.values()}.values())
