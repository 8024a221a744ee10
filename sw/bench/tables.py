"""Tables of ``sw.bench``."""

from __future__ import annotations

from collections.abc import Sequence

from common import files
from common.tables import Table, add_text, new_table
from common.terminal import printable
from sw.bench.measure import CAUSES, Measurement
from sw.bench.rivals import RIVALS, rivals_of

__all__ = [
    "layer_table", "legend", "lost_table", "rivals_table", "summary_table", "write_csv",
]

WORDS = {
    "idle": "multipliers idle within steps",
    "input": "waiting for activations",
    "weights": "waiting for weights (flash)",
    "requantise": "waiting for the requantiser",
    "fill": "fill and drain, descriptors",
}

SOURCES = {"counters": "the core's counters", "model": "cycle model"}


def summary_table(results: Sequence[Measurement]) -> Table:
    """Return cycles, inferences per second and utilisation of all networks."""
    table = new_table(
        ["network", "measured by"],
        ["MACs", "limit cycles", "cycles", "inferences/s", "limit inf/s", "utilisation"],
        title=f"{results[0].board}, {results[0].multipliers} multipliers, {results[0].clock}",
        give_way=("limit inf/s", "limit cycles", "MACs", "measured by"))
    for result in results:
        # A network of which parts are left out may be faster than the limit.
        table.add_row(
            printable(result.model), result.source, f"{sum(result.macs):,}", f"{result.limit:,.0f}",
            f"{result.cycles:,}", f"{result.inferences_per_second:.1f}",
            f"{result.clock.mhz * 1e6 / result.limit:.1f}", f"{result.utilization:.1%}")
    return table


def lost_table(results: Sequence[Measurement]) -> Table:
    """Return where the cycles above the limit went; :func:`legend` has the causes in words."""
    table = new_table(["cycles above the limit"], [*WORDS, "all of them", "of all cycles"])
    for result in results:
        lost = result.lost()
        table.add_row(
            result.model, *(f"{lost[cause]:,.0f}" for cause in WORDS),
            f"{result.cycles - result.limit:,.0f}", f"{1 - result.limit / result.cycles:.1%}")
    return table


def legend() -> str:
    """Return what the causes of :func:`lost_table` and :func:`layer_table` are."""
    return "; ".join(f"{cause}: {words}" for cause, words in WORDS.items())


def layer_table(result: Measurement) -> Table:
    """Return all layers of a network."""
    table = new_table(
        ["layer"], ["MACs", "cycles", "utilisation", "steps", "idle", *CAUSES],
        title=f"{result.model}, layer by layer",
        give_way=("steps", "MACs", "fill", "requantise", "input"))
    for layer, macs in zip(result.layers, result.macs, strict=True):
        used = macs / (layer.cycles * result.multipliers) if layer.cycles and macs else None
        table.add_row(
            printable(layer.name), f"{macs:,}", f"{layer.cycles:,}",
            "" if used is None else f"{used:.1%}", f"{layer.steps:,}",
            f"{layer.steps - macs / result.multipliers:,.0f}",
            *(f"{getattr(layer, cause):,}" for cause in CAUSES))
    lost = result.lost()
    table.add_section()
    table.add_row(
        "total", f"{sum(result.macs):,}", f"{result.cycles:,}", f"{result.utilization:.1%}",
        f"{sum(layer.steps for layer in result.layers):,}", f"{lost['idle']:,.0f}",
        *(f"{lost[cause]:,.0f}" for cause in CAUSES))
    return table


def write_csv(path: str, results: Sequence[Measurement]) -> None:
    """Write all layers of all networks as CSV, a row each; columns are the keys of the JSON.

    Raises
    ------
    SeparableError
        If it cannot be written.
    """
    rows = [{"network": result.model, "source": result.source, **layer}
            for result in results for layer in result.json()["layers"]]
    files.write_csv(path, rows)


def rivals_table(results: Sequence[Measurement]) -> Table:
    """Return the published figures of the same tasks, and ours among them."""
    table = new_table(["who", "task"], ["inferences/s", "utilisation", "cycles"],
                      title="Beside the published figures of others",
                      give_way=("cycles", "utilisation"))
    add_text(table, "what to know")
    rows: list[tuple[str, str, float | None, float | None, str, str]] = []
    for result in results:
        if rivals := rivals_of(result.model):
            rows.append((f"this, {result.board}, {result.clock.mhz:g} MHz ({result.clock.kind})",
                         rivals[0].task, result.inferences_per_second, result.utilization,
                         f"{result.cycles:,}", f"{result.model}, {SOURCES[result.source]}"))
    rows += [(r.name, r.task, r.inferences_per_second, r.utilization, r.cycles, r.note)
             for r in RIVALS]
    for who, task, speed, used, cycles, note in rows:
        table.add_row(who, task, "" if speed is None else f"{speed:,.1f}",
                      "" if used is None else f"{used:.1%}", cycles, note)
    return table
