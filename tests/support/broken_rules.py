"""Networks of which one operator breaks one rule of the core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import boards
from hw.contract.config import CoreConfig
from sw.compiler.exact import requantisation as scaling
from sw.compiler.graph import partition
from sw.compiler.graph.channels import CONSTANTS_DEFINED
from sw.compiler.graph.refusals import Rule
from sw.compiler.input_choice import DESCRIPTORS
from sw.compiler.lowering import average_site, layers, pooling, site
from sw.compiler.lowering.addition import SUMS_FOUND
from sw.compiler.lowering.depthwise import INPUT_SIZE
from sw.compiler.lowering.frames import PADDED_SIZE
from sw.compiler.lowering.maximum import PIXEL_WORDS
from sw.compiler.lowering.pieces import RUN_TWICE
from sw.compiler.lowering.products import SUMS_FIT
from sw.compiler.lowering.table_site import OUTPUTS_FOUND
from sw.compiler.network import ENDS
from sw.compiler.placement.addresses import MEMORY
from sw.fuzz.builder import NetworkBuilder

__all__ = ["CASES", "Case"]

Make = Callable[[NetworkBuilder], int]

WEIGHTS_IN_PIECES = (-86, -7, 10, 34, 60, 108, -105, -106, 96)
SCALE_IN_PIECES = 1641199488 * 2.0**-39
"""Of a channel that has no multiplier which is right for all of its outputs."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """An operator that breaks a rule.

    Attributes
    ----------
    kind : str
        The operator.
    rule : Rule
    make : callable
        Adds the network to a builder; returns its output.
    dtype : str
    config : CoreConfig
    options : dict
        Of the compiler.
    also : tuple of Rule
        That other operators break when this one is the host's.
    instead : tuple or None
        What is put in the place of a limit, or of a search for integers where no network is known
        for which it finds none.
    """

    kind: str
    rule: Rule
    make: Make
    dtype: str = "int8"
    config: CoreConfig = boards.get("icebreaker").config
    options: dict[str, bool] = field(default_factory=dict)
    also: tuple[Rule, ...] = ()
    instead: tuple[str, object] | None = None


def conv(shape: tuple[int, ...], channels: int = 8, **options: Any) -> Make:
    """Return a convolution of the input."""
    return lambda net: net.conv_2d(net.input(shape), channels, **options)


def between(make: Callable[[NetworkBuilder, int], int]) -> Make:
    """Return an operator between two convolutions."""
    return lambda net: net.conv_2d(make(net, net.conv_2d(net.input((1, 2, 2, 8)), 8)), 8)


def far_weights(net: NetworkBuilder) -> int:
    """Add weights that are twice as far from their zero point as int8 goes."""
    y = net.depthwise_conv_2d(net.input((1, 5, 5, 8)))
    spec = net[net.file.operators[-1].inputs[1]]
    spec.zero_points = [0]
    spec.data = np.full(spec.shape, 255, np.uint8)
    return y


def wrapping(net: NetworkBuilder) -> int:
    """Add a bias with which sums wrap."""
    y = net.conv_2d(net.input((1, 2, 2, 8)), 8)
    bias = net[net.file.operators[-1].inputs[2]]
    bias.data = np.full(bias.shape, (1 << 31) - 1, np.int32)
    return y


def shifted(net: NetworkBuilder) -> int:
    """Add sums of ten millions that are multiplied by a hundred."""
    y = net.conv_2d(net.input((1, 1, 1, 1280), scale=1.0), 8, output_scale=1.0)
    spec = net[net.file.operators[-1].inputs[1]]
    spec.data = np.full(spec.shape, 127, np.int8)
    spec.scales = [100.0] * 8
    return y


def beyond(net: NetworkBuilder) -> int:
    """Add sums beyond the requantiser whose outputs are not saturated."""
    y = net.fully_connected(net.input((1, 1280)), 2)
    spec = net[net.file.operators[-1].inputs[1]]
    spec.data = np.full(spec.shape, 100, np.int8)
    limit = scaling.RequantiserSpec.of(boards.get("icebreaker").config).limit
    net[y].scales = [net[0].scales[0] * spec.scales[0] * 2.2 * limit / 255]
    net[y].zero_points = [0]
    return y


def pieces_and_guard(net: NetworkBuilder) -> int:
    """Add a channel in pieces beside one with a guard."""
    x = net.input((1, 1, 1, 1280), scale=1.0, zero_point=0)
    y = net.conv_2d(x, 8, output_scale=1.0)
    net[y].zero_points = [-128]
    spec, bias = (net[i] for i in net.file.operators[-1].inputs[1:])
    bias.data = np.zeros(bias.shape, np.int32)
    spec.scales = [float(np.float32(SCALE_IN_PIECES * 0.9)), *[SCALE_IN_PIECES] * 7]
    data = np.zeros(spec.shape, np.int8)
    data[0, 0, 0] = 127
    data[1, 0, 0, :9] = WEIGHTS_IN_PIECES
    spec.data = data
    return y


def dropped(net: NetworkBuilder) -> int:
    """Add sums that overflow by what constant channels add to the bias."""
    x = net.conv_2d(net.input((1, 2, 2, 8)), 8, activation="RELU")
    weights, bias = (net[i] for i in net.file.operators[-1].inputs[1:])
    weights.data[:4], bias.data[:4] = 0, 1 << 24
    y = net.conv_2d(x, 8)
    last = net[net.file.operators[-1].inputs[2]]
    last.data[:] = (1 << 31) - 1
    last.data[1::2] = -(1 << 31)
    return y


def pixels_moved(net: NetworkBuilder) -> int:
    """Add a reshape of channels between two layers."""
    x = net.conv_2d(net.input((1, 4, 4, 6)), 6)
    return net.depthwise_conv_2d(net.reshape(x, (1, 4, 2, 12)))


def parts_of_pixels(net: NetworkBuilder) -> int:
    """Add a fully connected layer that reads pixels and halves of pixels."""
    x = net.input((1, 2, 3, 8))
    y = net.fully_connected(net.reshape(x, (4, 12)), 4)
    reshape, layer = net.file.operators
    layer.inputs[0] = x
    net.file.operators.remove(reshape)
    return y


def sums_of(a: tuple[int, ...], b: tuple[int, ...], scale: float) -> Make:
    """Return an ADD of two inputs."""

    def make(net: NetworkBuilder) -> int:
        x = net.input(a, scale=0.02)
        return net.add(x, net.input(b, scale=scale), output_scale=0.04)

    return make


def no_sum(net: NetworkBuilder) -> int:
    """Add a sum for which no integers are found."""
    net.rng = np.random.default_rng(1)
    x = net.input((1, 4), scale=0.02)
    return net.add(x, net.input((1, 4), scale=0.025), output_scale=0.02)


def from_float(net: NetworkBuilder) -> int:
    """Add a QUANTIZE of a tensor that is float32 between two layers."""
    x = net.dequantize(net.conv_2d(net.input((1, 2, 2, 8)), 8))
    return net.conv_2d(net.quantize(x, "int8", output_scale=0.05, zero_point=0), 8)


def many_rows(net: NetworkBuilder) -> int:
    """Add layers that run row by row in a small memory."""
    x = net.conv_2d(net.input((1, 20, 16, 8)), 24)
    return net.conv_2d(net.depthwise_conv_2d(x, kernel=(5, 5)), 8)


def average(shape: tuple[int, ...], window: tuple[int, int], **options: Any) -> Make:
    """Return an average over windows of the input."""
    return lambda net: net.average_pool_2d(net.input(shape), window=window, **options)


def mean(shape: tuple[int, ...], *axes: int) -> Make:
    """Return an average over dimensions of the input."""
    return lambda net: net.mean(net.input(shape), axes=axes)


def nothing(*_: object) -> None:
    """Find no integers."""


IMAGE = (1, 2, 2, 8)

CASES = (
    Case(kind="CONV_2D", rule=partition.ONE_IMAGE, make=conv((2, 4, 4, 8))),
    Case(kind="DEPTHWISE_CONV_2D", rule=partition.PIXELS_STAY, make=pixels_moved),
    Case(kind="FULLY_CONNECTED", rule=layers.DESCRIPTOR_ROOM,
         make=lambda net: net.fully_connected(net.input((1, 256, 100, 3)), 8)),
    Case(kind="CONV_2D", rule=MEMORY, make=conv((1, 120, 120, 8))),
    Case(kind="DEPTHWISE_CONV_2D", rule=DESCRIPTORS, make=many_rows,
         config=CoreConfig(memory_depth=1024), also=(MEMORY,),
         instead=("sw.compiler.input_choice.HOLD_NEVER", 100)),
    Case(kind="CONV_2D", rule=SUMS_FIT, make=conv((1, 5, 13, 1280))),
    Case(kind="CONV_2D", rule=layers.OUTPUT_SIZE, make=conv((1, 1, 257, 8))),
    Case(kind="FULLY_CONNECTED", rule=layers.OUTPUT_SIZE,
         make=lambda net: net.fully_connected(net.input((257, 8)), 8)),
    Case(kind="AVERAGE_POOL_2D", rule=layers.OUTPUT_SIZE,
         make=average((1, 4, 600, 8), (2, 2), stride=(2, 2), padding="VALID")),
    Case(kind="MEAN", rule=layers.OUTPUT_SIZE, make=mean((1, 257, 2, 8), 2)),
    Case(kind="DEPTHWISE_CONV_2D", rule=layers.WEIGHTS_SPLIT, make=far_weights, dtype="uint8"),
    Case(kind="CONV_2D", rule=scaling.SUMS_DEFINED, make=wrapping),
    Case(kind="CONV_2D", rule=scaling.SHIFTS_DEFINED, make=shifted),
    Case(kind="FULLY_CONNECTED", rule=scaling.WITHIN_REACH, make=beyond),
    Case(kind="CONV_2D", rule=scaling.MULTIPLIERS_FOUND, make=pieces_and_guard,
         instead=("sw.compiler.exact.requantisation.find_pieces", nothing)),
    Case(kind="CONV_2D", rule=RUN_TWICE, make=pieces_and_guard),
    Case(kind="CONV_2D", rule=CONSTANTS_DEFINED, make=dropped,
         options={"remove_constant_channels": True}),
    Case(kind="CONV_2D", rule=PADDED_SIZE, make=lambda net: net.conv_2d(
        net.conv_2d(net.input((1, 3, 256, 8)), 8), 8, kernel=(3, 3))),
    Case(kind="DEPTHWISE_CONV_2D", rule=PADDED_SIZE,
         make=lambda net: net.depthwise_conv_2d(
             net.conv_2d(net.input((1, 5, 256, 8)), 8), kernel=(5, 5))),
    Case(kind="MAX_POOL_2D", rule=PADDED_SIZE,
         make=lambda net: net.max_pool_2d(net.input((1, 2, 257, 8)), window=(2, 2))),
    Case(kind="DEPTHWISE_CONV_2D", rule=INPUT_SIZE,
         make=lambda net: net.depthwise_conv_2d(net.input((1, 3, 257, 8)))),
    Case(kind="FULLY_CONNECTED", rule=site.WHOLE_PIXELS,
         make=parts_of_pixels),
    Case(kind="ADD", rule=site.SAME_SHAPE, make=sums_of((1, 4, 4, 8), (1, 1, 1, 8), 0.02)),
    Case(kind="ADD", rule=SUMS_FOUND, make=no_sum),
    Case(kind="AVERAGE_POOL_2D", rule=average_site.WHOLE_WINDOWS,
         make=average((1, 7, 7, 8), (3, 3), stride=(1, 1), padding="SAME")),
    Case(kind="AVERAGE_POOL_2D", rule=pooling.AVERAGED_PIXELS,
         make=average((1, 17, 17, 8), (17, 17), padding="VALID")),
    Case(kind="MEAN", rule=pooling.AVERAGED_PIXELS, make=mean((1, 17, 17, 8), 1, 2)),
    Case(kind="AVERAGE_POOL_2D", rule=pooling.WINDOW_FITS,
         make=average((1, 14, 14, 8), (12, 12), stride=(2, 2), padding="VALID")),
    Case(kind="MEAN", rule=pooling.WINDOW_FITS, make=mean((1, 65, 129, 8), 2)),
    Case(kind="AVERAGE_POOL_2D", rule=pooling.AVERAGES_FOUND, make=average(IMAGE, (2, 2)),
         instead=("sw.compiler.lowering.average_site.find_codes", nothing)),
    Case(kind="MEAN", rule=pooling.AVERAGES_FOUND, make=mean(IMAGE, 1, 2),
         instead=("sw.compiler.lowering.average_site.find_codes", nothing)),
    Case(kind="MEAN", rule=average_site.AXES, make=mean(IMAGE, 1, 3)),
    Case(kind="MAX_POOL_2D", rule=PIXEL_WORDS,
         make=lambda net: net.max_pool_2d(net.input((1, 2, 2, 2056)), window=(2, 2))),
    Case(kind="QUANTIZE", rule=partition.STORED_TYPE, make=from_float),
    *(
        Case(kind=kind.upper(), rule=partition.ONE_OPERAND,
             make=between(lambda net, x, kind=kind: getattr(net, kind)(
                 x, net.constant((1, 2, 2, 8)))))
        for kind in ("add", "sub", "mul", "prelu")
    ),
    *(
        Case(kind=kind, rule=partition.ONE_CLAMP,
             make=between(lambda net, x, kind=kind: net.extremum(kind, x, net.constant((8,)))))
        for kind in ("MAXIMUM", "MINIMUM")
    ),
    Case(kind="RELU", rule=ENDS, make=lambda net: net.conv_2d(
        net.function("RELU", net.input(IMAGE)), 8)),
    Case(kind="RELU", rule=OUTPUTS_FOUND, make=between(lambda net, x: net.function("RELU", x)),
         instead=("sw.compiler.lowering.table_site.find_table_codes", lambda *_: 3)),
    Case(kind="SOFTMAX", rule=partition.HOST_ONLY, make=lambda net: net.softmax(net.input((1, 4)))),
    Case(kind="SOFTMAX", rule=partition.IN_BETWEEN, options={"fallback": False},
         make=between(lambda net, x: net.softmax(x))),
    Case(kind="PAD", rule=partition.NOT_FOLDED, make=lambda net: net.conv_2d(
        net.pad(net.input((1, 4, 4, 3)), [(0, 0), (0, 0), (0, 0), (0, 5)]), 8)),
)
"""Every rule of the core, with an operator that breaks it, and nothing else."""
