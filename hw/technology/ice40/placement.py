"""Placement as nextpnr-ice40 writes it (``--write``)."""

import re
from collections import defaultdict
from typing import Any

from hw.flow.placement import PlacedCell, module_of

__all__ = ["KINDS", "module_names", "read_placement"]

KINDS = {
    "ICESTORM_LC": "LC", "ICESTORM_RAM": "RAM", "ICESTORM_SPRAM": "SPRAM", "ICESTORM_DSP": "DSP",
    "SB_IO": "IO", "ICESTORM_PLL": "PLL", "SB_GB": "GB",
}
"""nextpnr's names of cells, and ours."""

MODULE = re.compile(r"^module \\top\.(\S+)$", flags=re.MULTILINE)
BEL = re.compile(r"X(\d+)/Y(\d+)/.*?(\d*)$")


def module_names(rtlil: str) -> frozenset[str]:
    """Return the paths of all modules of a design that Amaranth wrote, without the top's name."""
    return frozenset(MODULE.findall(rtlil))


def read_placement(top: dict[str, Any], modules: frozenset[str]) -> tuple[PlacedCell, ...]:
    """Read where the cells of a routed design are.

    Synthesis flattens the design, and names cells after the signals that they drive: a cell is of
    the module that the signal is of, and a signal between two modules is of the outer one.  The
    ends of carry chains, which have no names, are of the module of the chain.

    Parameters
    ----------
    top : dict
        The top module of nextpnr's JSON.
    modules : frozenset of str
        From :func:`module_names`.
    """
    nets: dict[int, list[str]] = defaultdict(list)
    for name, net in top["netnames"].items():
        for bit in net["bits"]:
            nets[bit].append(name)
    return tuple(_cell(name, cell, nets, modules) for name, cell in top["cells"].items())


def _cell(
    name: str, cell: dict[str, Any], nets: dict[int, list[str]], modules: frozenset[str]
) -> PlacedCell:
    match = BEL.match(cell["attributes"]["NEXTPNR_BEL"])
    assert match is not None
    names = [name]
    if name.startswith("$"):
        names += [net for bits in cell["connections"].values() for bit in bits
                  for net in nets.get(bit, ())]
    parameters = cell["parameters"]
    return PlacedCell(
        module=module_of((n.replace("\\", "") for n in names), modules),
        kind=KINDS.get(cell["type"], cell["type"]),
        x=int(match[1]), y=int(match[2]), place=int(match[3] or 0),
        carry=parameters.get("CARRY_ENABLE") == "1",
        register=parameters.get("DFF_ENABLE") == "1",
    )
