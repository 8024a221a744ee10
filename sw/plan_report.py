"""Report of a compiled network, as JSON has it; nothing ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sw import arrival, host_report
from sw.compiler import Plan
from sw.compiler.timing import predict_plan
from sw.report import LayerReport, network_report

__all__ = ["layer_reports", "plan_json"]


def layer_reports(plan: Plan) -> list[LayerReport]:
    """Return one report per layer of the device, with predicted cycles.

    ``exact`` is ``None``: nothing ran that could be compared.
    """
    return [
        LayerReport.of(layer, cycles, plan.config.multipliers)
        for layer, cycles in zip(plan.layers, predict_plan(plan), strict=True)
    ]


def plan_json(plan: Plan, layers: Sequence[LayerReport], baud: int) -> dict[str, Any]:
    """Return the report.

    Parameters
    ----------
    plan : Plan
    layers : sequence of LayerReport
        What :func:`layer_reports` returned for it.
    baud : int
        The board's highest rate.
    """
    return network_report(
        model=plan.model,
        board=plan.board,
        macs=plan.macs,
        cycles=sum(layer.cycles or 0 for layer in layers),
        multipliers=plan.config.multipliers,
        layers=layers,
        flash_bytes=plan.flash_bytes,
        **_of_program(plan),
        cycles_with_input=arrival.cycles_with_input(plan, baud),
        **host_report.report(plan),
    )


def _of_program(plan: Plan) -> dict[str, Any]:
    """Return what of the report is about a program: the first one, which has the input."""
    if not plan.programs:
        return {}
    first, word = plan.programs[0], plan.config.word_bytes
    return {
        "ring_bytes": first.ring_words * word,
        "input_bytes": first.sent_words * word,
        "overlap": None if first.overlap is None else asdict(first.overlap),
    }
