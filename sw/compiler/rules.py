"""Rules of the core: for each kind of operator whether it runs there, and what it has to keep.

Each rule stands beside the check that enforces it; here it is listed for the operators that can
break it.  ``tests/sw/compiler/test_rules.py`` breaks each, and holds that there are no others.
"""

from __future__ import annotations

from enum import StrEnum

from hw.contract.config import CoreConfig
from sw import ir
from sw.compiler.exact import requantisation as scaling
from sw.compiler.exact.requantiser import RequantiserSpec
from sw.compiler.graph import partition
from sw.compiler.graph.channels import CONSTANTS_DEFINED
from sw.compiler.graph.operands import ELEMENTWISE, FOLDED, LAYERS
from sw.compiler.graph.refusals import Rule
from sw.compiler.input_choice import DESCRIPTORS
from sw.compiler.lowering import average_site, layers, pooling, site
from sw.compiler.lowering.addition import SUMS_FOUND
from sw.compiler.lowering.depthwise import INPUT_SIZE
from sw.compiler.lowering.frames import PADDED_SIZE
from sw.compiler.lowering.maximum import PIXEL_WORDS
from sw.compiler.lowering.pieces import RUN_TWICE
from sw.compiler.lowering.products import SUMS_FIT
from sw.compiler.lowering.reading_order import step_limit
from sw.compiler.lowering.table_site import OUTPUTS_FOUND
from sw.compiler.network import ENDS
from sw.compiler.placement.addresses import MEMORY

__all__ = ["LIMITS", "Runs", "limits", "rules_of", "runs"]


class Runs(StrEnum):
    """Where an operator runs."""

    CORE = "core"
    BETWEEN = "core between layers, host elsewhere"
    NOWHERE = "nowhere: folded into its neighbours, host elsewhere"
    HOST = "host"


_EVERY = (
    partition.ONE_IMAGE,
    partition.PIXELS_STAY,
    layers.DESCRIPTOR_ROOM,
    MEMORY,
    DESCRIPTORS,
)
_WEIGHTED = (
    SUMS_FIT,
    layers.OUTPUT_SIZE,
    layers.WEIGHTS_SPLIT,
    scaling.SUMS_DEFINED,
    scaling.SHIFTS_DEFINED,
    scaling.WITHIN_REACH,
    scaling.MULTIPLIERS_FOUND,
    RUN_TWICE,
    CONSTANTS_DEFINED,
)
_AVERAGE = (
    pooling.AVERAGED_PIXELS,
    pooling.WINDOW_FITS,
    layers.OUTPUT_SIZE,
    pooling.AVERAGES_FOUND,
)
_BETWEEN = (ENDS, OUTPUTS_FOUND)

_RULES: dict[type[ir.Operator], tuple[Rule, ...]] = {
    ir.Conv2D: (*_WEIGHTED, PADDED_SIZE),
    ir.DepthwiseConv2D: (*_WEIGHTED, INPUT_SIZE, PADDED_SIZE),
    ir.FullyConnected: (*_WEIGHTED, site.WHOLE_PIXELS),
    ir.Add: (site.SAME_SHAPE, SUMS_FOUND, partition.ONE_OPERAND, *_BETWEEN),
    ir.AveragePool2D: (average_site.WHOLE_WINDOWS, *_AVERAGE),
    ir.Mean: (average_site.AXES, *_AVERAGE),
    ir.MaxPool2D: (PADDED_SIZE, PIXEL_WORDS),
    ir.Quantize: (partition.STORED_TYPE, *_BETWEEN),
    ir.Sub: (partition.ONE_OPERAND, *_BETWEEN),
    ir.Mul: (partition.ONE_OPERAND, *_BETWEEN),
    ir.Prelu: (partition.ONE_OPERAND, *_BETWEEN),
    ir.Maximum: (partition.ONE_CLAMP, *_BETWEEN),
    ir.Minimum: (partition.ONE_CLAMP, *_BETWEEN),
    ir.Pad: (partition.NOT_FOLDED,),
}
"""Rules besides those of every operator on the core; others of the core have :data:`_BETWEEN`."""


LIMITS = {
    "products": "products of an output, in one sum",
    "averaged_pixels": "pixels of an averaged image, row or column",
    "averaged_window": "pixels of an averaged window",
    "memory_bytes": "bytes of activation memory",
    "scaled_sum": "greatest sum that the requantiser scales",
}
"""What a core limits, in words."""


def limits(config: CoreConfig) -> dict[str, int]:
    """Return what the rules' words amount to on a core; :data:`LIMITS` says what of."""
    return {
        "products": config.rows * step_limit(config),
        "averaged_pixels": pooling.most_pixels(config),
        "averaged_window": pooling.most_window_pixels(config),
        "memory_bytes": config.memory_depth * config.word_bytes,
        "scaled_sum": RequantiserSpec.of(config).limit,
    }


def runs(kind: type[ir.Operator]) -> Runs:
    """Return where operators of a kind run."""
    if kind in LAYERS:
        return Runs.CORE
    if kind in ELEMENTWISE:
        return Runs.BETWEEN
    return Runs.NOWHERE if kind in FOLDED else Runs.HOST


def rules_of(kind: type[ir.Operator]) -> tuple[Rule, ...]:
    """Return the rules that operators of a kind keep on the core; what keeps one not is the host's.

    The host's own operators have the rules that say so.
    """
    match runs(kind):
        case Runs.HOST:
            return (partition.HOST_ONLY, partition.IN_BETWEEN)
        case Runs.NOWHERE:
            return _RULES.get(kind, ())
        case _:
            return (*_RULES.get(kind, _BETWEEN), *_EVERY)


