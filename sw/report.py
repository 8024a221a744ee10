"""Reports of networks: layers, tables and JSON, the same in all tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from common.tables import Table, add_names, new_table

__all__ = [
    "LayerReport",
    "layer_table",
    "network_report",
    "sentence",
    "utilization",
]

class Compiled(Protocol):
    """Layer of a program, as far as reports need it."""

    @property
    def name(self) -> str:
        """The operator's name."""

    @property
    def kind(self) -> str:
        """The operator's kind."""

    @property
    def macs(self) -> int:
        """Multiplications, as the network defines them."""


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer, as tables and JSON show it.

    Attributes
    ----------
    name, op : str
        Of the operator.
    macs : int
        Multiplications of the layer as the network defines it.
    cycles : int or None
    utilization : float or None
        MACs by cycles times multipliers.
    exact : bool or None
        Equal to the golden model; ``None`` if it was not compared.
    proven : bool or None
        The compiler proved that its integers are the reference's, whatever the input; ``None``
        if it did not compile the layer.
    """

    name: str
    op: str
    macs: int
    cycles: int | None
    utilization: float | None
    exact: bool | None = None
    proven: bool | None = None

    @classmethod
    def of(
        cls, layer: Compiled, cycles: int | None, multipliers: int, *, exact: bool | None = None
    ) -> LayerReport:
        """Return the report of a layer that was compiled, hence proven."""
        return cls(
            name=layer.name, op=layer.kind, macs=layer.macs, cycles=cycles,
            utilization=utilization(layer.macs, cycles, multipliers), exact=exact, proven=True,
        )


def utilization(macs: int | None, cycles: int | None, multipliers: int) -> float | None:
    """Return the part of all multipliers' work that was used."""
    return None if macs is None or not cycles else macs / (cycles * multipliers)


def sentence(macs: int, cycles: int, multipliers: int, clock_mhz: float) -> str:
    """Return the figures of a network in one line, as every tool gives them."""
    used = utilization(macs, cycles, multipliers) or 0
    return (
        f"{cycles:,} cycles: {clock_mhz * 1e6 / cycles:.1f} inferences/s at {clock_mhz:g} MHz; "
        f"{macs:,} MACs, {used:.1%} of {multipliers} multipliers"
    )


def network_report(
    *,
    model: str,
    board: str,
    macs: int | None,
    cycles: int | None,
    multipliers: int,
    layers: Sequence[LayerReport],
    **more: Any,
) -> dict[str, Any]:
    """Return the report of a network that every tool gives as JSON.

    Utilisation is that of ``layers``, which the core runs; ``macs`` may have the host's besides.
    """
    return {
        "model": model,
        "board": board,
        "macs": macs,
        "cycles": cycles,
        "utilization": utilization(sum(x.macs for x in layers), cycles, multipliers),
        "layers": [asdict(layer) for layer in layers],
        **more,
    }


def layer_table(
    layers: Sequence[LayerReport],
    title: str | None = None,
    *,
    multipliers: int,
    bands: Sequence[int] = (),
) -> Table:
    """Return a table of layers with their sum.

    Parameters
    ----------
    layers : sequence of LayerReport
    title : str, optional
    multipliers : int
    bands : sequence of int, optional
        Of how many bands of rows, run one by one, each layer is the sum.
    """
    table = new_table(
        ("layer", "operator"), ("MACs", "cycles", "utilisation"), title=title or "",
        give_way=("operator", "run in", "MACs"),
    )
    compared = any(layer.exact is not None for layer in layers)
    if compared:
        add_names(table, "exact")
    divided = any(count > 1 for count in bands)
    if divided:
        add_names(table, "run in")
    for number, layer in enumerate(layers):
        row = [
            layer.name,
            layer.op,
            f"{layer.macs:,}",
            "" if layer.cycles is None else f"{layer.cycles:,}",
            "" if not layer.macs or layer.utilization is None else f"{layer.utilization:.1%}",
        ]
        if compared:
            row.append({True: "yes", False: "NO", None: ""}[layer.exact])
        if divided:
            row.append(f"{bands[number]} bands" if bands[number] > 1 else "")
        table.add_row(*row)
    if len(layers) > 1 and all(layer.cycles is not None for layer in layers):
        macs, cycles = sum(x.macs for x in layers), sum(x.cycles or 0 for x in layers)
        table.add_section()
        table.add_row(
            "total", "", f"{macs:,}", f"{cycles:,}", f"{macs / (cycles * multipliers):.1%}"
        )
    return table
