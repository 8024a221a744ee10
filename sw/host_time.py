"""Time that the host takes for its operators: an estimate before they are run.

The golden model is timed on two small operators, and an operator's time follows from its
multiplications and elements; of a choice among boxes, from the most that it may choose.  The
estimate is meant to be right within a factor of ``ERROR`` either way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from sw import golden, ir
from sw.compiler import Plan

__all__ = ["ERROR", "operator_seconds", "plan_seconds"]

ERROR = 4
"""Factor that an estimate may be off, either way."""

OVERHEAD_SECONDS = 300e-6
"""Of any operator, on a computer whose rates are those below."""
USUAL_ELEMENT_SECONDS = 10e-9
REPEATS = 5
REPEAT_SECONDS = 0.1
"""Repeats go on for so long: the shortest of few is that of a moment when others computed too."""
WEIGHTED_ELEMENTS = 3
"""Elements of an operator with weights count so many times besides its multiplications."""
OVERLAP_ELEMENTS = 8
"""Elements that the overlap of two boxes counts as."""


@dataclass(frozen=True, kw_only=True)
class _Rates:
    """Rates of the golden model on this computer: seconds per multiplication and per element."""

    mac: float
    element: float


def _best(work: Callable[[], object]) -> float:
    times: list[float] = []
    while len(times) < REPEATS or sum(times) < REPEAT_SECONDS:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


@cache
def _rates() -> _Rates:
    """Time a 3×3 convolution of 24 channels and a requantisation, 0.2 s in all."""
    image = ir.Quantization(scales=(0.5,), zero_points=(0,))
    size, channels = 48, 24
    x = np.zeros((1, size, size, channels), np.int8)
    weights = np.zeros((channels, 3, 3, channels), np.int8)

    def tensor(index: int, data: npt.NDArray[np.int8] | None = None) -> ir.Tensor:
        return ir.Tensor(
            index=index, name=str(index), shape=x.shape if data is None else data.shape,
            dtype="int8", quantization=image, data=data,
        )

    graph = ir.Graph(
        name="rates",
        tensors=(tensor(0), tensor(1, weights), tensor(2), tensor(3)),
        ops=(),
        inputs=(0,),
        outputs=(2, 3),
    )
    convolution = ir.Conv2D(
        name="convolution", output=2, input=0, weights=1, padding=((1, 1), (1, 1))
    )
    quantize = ir.Quantize(name="quantize", output=3, input=0)
    element = _best(lambda: golden.compute(graph, quantize, [x])) / (2 * x.size)
    whole = _best(lambda: golden.compute(graph, convolution, [x, weights]))
    mac = max(whole - element * 2 * x.size * WEIGHTED_ELEMENTS, whole / 4) / graph.macs(convolution)
    return _Rates(mac=mac, element=element)


def operator_seconds(graph: ir.Graph, op: ir.Operator) -> float:
    """Return about the seconds that the host takes for an operator."""
    rates = _rates()
    elements = sum(
        graph.tensors[i].size for i in (*op.inputs, op.output) if not graph.tensors[i].is_constant
    )
    weight = WEIGHTED_ELEMENTS if isinstance(op, ir.WeightedOp) else 1
    overhead = OVERHEAD_SECONDS * rates.element / USUAL_ELEMENT_SECONDS
    whole = overhead + elements * weight * rates.element + graph.macs(op) * rates.mac
    if isinstance(op, ir.Detection):
        boxes = graph.tensors[op.boxes].shape[1]
        rounds = _most_rounds(op.suppression, boxes)
        whole += rounds * (overhead / 4 + boxes * OVERLAP_ELEMENTS * rates.element)
    return whole


def _most_rounds(suppression: ir.Suppression, boxes: int) -> int:
    """Return how often, at most, a box is compared with all that are left."""
    if suppression.per_class is None:
        return min(suppression.detections, boxes)
    return suppression.classes * min(suppression.per_class, boxes)


def plan_seconds(plan: Plan) -> dict[str, float]:
    """Return about the seconds of each of the host's operators, by name."""
    wanted = {op.name for op in plan.host}
    return _seconds(plan.network, (op for op in plan.network.ops if op.name in wanted))


def _seconds(graph: ir.Graph, ops: Iterable[ir.Operator]) -> dict[str, float]:
    return {op.name: operator_seconds(graph, op) for op in ops}
