"""What the host runs of a network: tables, sentences and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.tables import Table, add_figures, add_text, new_table
from sw.compiler import Plan
from sw.host_time import ERROR, plan_seconds

__all__ = ["computes", "inferences_per_second", "report", "seconds", "table", "warnings"]


def computes(plan: Plan) -> bool:
    """Whether the host takes anything away from the device, or does more than a SOFTMAX."""
    return len(plan.programs) != 1 or any(op.macs for op in plan.host)


def seconds(plan: Plan) -> float:
    """Return about the seconds that the host takes for an inference."""
    return sum(plan_seconds(plan).values())


def inferences_per_second(cycles: int, clock_mhz: float, host_seconds: float) -> float | None:
    """Return the rate of inferences that follow each other, or None if they take no time."""
    taken = cycles / (clock_mhz * 1e6) + host_seconds
    return 1 / taken if taken else None


def table(plan: Plan) -> Table | None:
    """Return a table of the host's operators, with the rules that sent them there, if any."""
    if not plan.host:
        return None
    estimates = plan_seconds(plan)
    result = new_table(
        ("operator", "kind"), title="on the host, exactly; times are estimates",
        give_way=("MACs", "kind"),
    )
    add_figures(result, "MACs", "about ms")
    add_text(result, "why")
    for op in plan.host:
        result.add_row(
            op.name, op.kind, f"{op.macs:,}" if op.macs else "", f"{estimates[op.name] * 1e3:.2f}",
            op.rule.partition(";")[0],
        )
    return result


def warnings(plan: Plan, cycles: int) -> list[str]:
    """Return what has to be said before the network is run."""
    on_core = cycles / (plan.config.core_mhz * 1e6)
    on_host = seconds(plan)
    texts = []
    if not plan.programs:
        texts.append("nothing of this network runs on the core; the host runs all of it")
    elif computes(plan) and on_host > on_core:
        texts.append(
            f"the host takes longer than the core: about {on_host * 1e3:.1f} ms (within a factor "
            f"of {ERROR}) and {on_core * 1e3:.1f} ms for each inference"
        )
    if len(plan.programs) > 1:
        texts.append(
            f"{len(plan.programs)} programs with the host between them: "
            f"{plan.carried_bytes:,} bytes are carried to the host and back for each inference, "
            "which the serial line adds to the time"
        )
    return texts


def report(plan: Plan, measured: Sequence[float] = ()) -> dict[str, Any]:
    """Return the host's part as JSON has it.

    Parameters
    ----------
    plan : Plan
    measured : sequence of float
        Seconds that the host took for each inference, if there were any.
    """
    estimates = plan_seconds(plan)
    entries = [
        {
            "name": op.name, "op": op.kind, "macs": op.macs, "rule": op.rule,
            "estimated_seconds": estimates[op.name],
        }
        for op in plan.host
    ]
    estimate = sum(estimates.values())
    return {
        "programs": len(plan.programs),
        "device_macs": plan.device_macs,
        "host": entries,
        "host_seconds_estimated": estimate,
        "host_seconds_estimate_factor": ERROR,
        "host_seconds": sum(measured) / len(measured) if measured else estimate,
    }
