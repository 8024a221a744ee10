"""Inference: one input of a network on a device, compared with the golden model if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sw import golden, report
from sw.compiler import Plan
from sw.driver import GoldenDevice, NetworkDevice, Result, infer_verified
from sw.ir import Graph
from sw.networks.samples import Sample
from sw.outputs.classes import TOP, best
from sw.outputs.detections import Found
from sw.verify import Difference

__all__ = ["Run", "golden_reports", "layer_reports", "run"]

Array = npt.NDArray[np.integer]


@dataclass(kw_only=True)
class Run:
    """One input's results.

    Attributes
    ----------
    input : str
        The file.
    outputs : list of ndarray
        The network's outputs.
    cycles : int or None
    layer_cycles : list of int or None
    host_seconds : float
        What the host took for its operators.
    exact : bool or None
        Every tensor compared is equal; ``None`` if nothing was compared.
    layers_exact : dict
        By number of the layer, as far as they were compared.
    difference : str
        The first one.
    sample : Sample or None
        The test image that it was.
    found : list of Found or None
        What a detector's outputs say; ``None`` if they were not read, or it is no detector.
    """

    input: str
    outputs: list[Array] = field(default_factory=list)
    cycles: int | None = None
    layer_cycles: list[int] | None = None
    host_seconds: float = 0.0
    exact: bool | None = None
    layers_exact: dict[int, bool] = field(default_factory=dict)
    difference: str = ""
    sample: Sample | None = None
    found: list[Found] | None = None

    def top(self, count: int = TOP) -> list[int]:
        """Return the classes with the greatest values of the first output; see :func:`best`."""
        return best(self.outputs[0], count)


def run(
    graph: Graph,
    plan: Plan | None,
    device: NetworkDevice | GoldenDevice,
    name: str,
    x: Array | dict[int, Array],
    *,
    verify: bool = False,
) -> Run:
    """Run one input on a device.

    Parameters
    ----------
    graph : Graph
    plan : Plan or None
        The one that is loaded into the device; ``None`` for the golden model.
    device : NetworkDevice or GoldenDevice
    name : str
        The input's, for the report.
    x : ndarray or dict
        The only input, or all by tensor.
    verify : bool
        Compare every tensor that is in memory at the end of a layer, and the outputs, with the
        golden model; but not with itself.
    """
    result = Run(input=name)
    try:
        if verify and plan is not None:
            _run_verified(graph, plan, device, x, result)
        else:
            _take(result, graph, device.infer(x))
    except Difference as difference:
        result.exact = False
        result.difference = f"{name}: {difference}"
    return result


def _run_verified(
    graph: Graph, plan: Plan, device: NetworkDevice | GoldenDevice,
    x: Array | dict[int, Array], result: Run,
) -> None:
    seen = result.layers_exact
    try:
        infer_verified(
            plan, device, x, golden.run(graph, x), seen, lambda got: _take(result, graph, got)
        )
    except Difference as difference:
        wrong = next((plan.layers[number] for number, equal in seen.items() if not equal), None)
        where = "" if wrong is None else f"layer {wrong.name!r} ({wrong.kind}): "
        raise Difference(f"{where}{difference}") from None
    result.exact = True


def _take(result: Run, graph: Graph, got: Result) -> None:
    result.outputs = [got.tensors[i] for i in graph.outputs]
    result.cycles, result.layer_cycles = got.cycles, got.layer_cycles
    result.host_seconds = got.host_seconds


def layer_reports(
    plan: Plan, results: Sequence[Run], multipliers: int
) -> list[report.LayerReport]:
    """Return the layers, with the cycles of the first input that has them."""
    cycles = next((r.layer_cycles for r in results if r.layer_cycles), None)
    layers = []
    for number, layer in enumerate(plan.layers):
        verdicts = [r.layers_exact[number] for r in results if number in r.layers_exact]
        taken = cycles[number] if cycles else None
        exact = all(verdicts) if verdicts else None
        layers.append(report.LayerReport.of(layer, taken, multipliers, exact=exact))
    return layers


def golden_reports(graph: Graph) -> list[report.LayerReport]:
    """Return the operators of a network that runs on no device."""
    layers = []
    for op in graph.ops:
        layers.append(
            report.LayerReport(
                name=op.name, op=op.kind, macs=graph.macs(op), cycles=None, utilization=None
            )
        )
    return layers
