"""The routed design as a netlist that can be simulated: cells and what is connected to them."""

from __future__ import annotations

from typing import Any

from sim.board.routed import LATE, unpacked


def cell(kind: str, directions: str, connections: dict[str, list[int]], **parameters: str) -> Any:
    names = directions.split()
    return {
        "type": kind, "parameters": parameters, "attributes": {},
        "port_directions": {name.strip(">"): "output" if name.endswith(">") else "input"
                            for name in names},
        "connections": {name.strip(">"): connections.get(name.strip(">"), []) for name in names},
    }


def routed() -> dict[str, Any]:
    buffer = cell("SB_GB", "USER_SIGNAL_TO_GLOBAL_BUFFER GLOBAL_BUFFER_OUTPUT>",
                  {"GLOBAL_BUFFER_OUTPUT": [4]})
    buffer["attributes"]["FOR_PAD_IN"] = "1"
    return {
        "ports": {"clk": {"direction": "input", "bits": [2]},
                  "pin": {"direction": "inout", "bits": [3]}},
        "netnames": {"all": {"bits": [2, 3, 4, 5, 6, 7, 8]}},
        "cells": {
            "pll": cell("ICESTORM_PLL", "PLLOUT_A> LOCK> RESETB BYPASS REFERENCECLK SDI",
                        {"PLLOUT_A": [5], "RESETB": [6]}, DIVR="0000"),
            "buffer": buffer,
            "pad": cell("SB_IO", "PACKAGE_PIN D_IN_0>", {"PACKAGE_PIN": [2]}),
            "io": cell("SB_IO", "PACKAGE_PIN CLOCK_ENABLE D_OUT_0", {"PACKAGE_PIN": [3]}),
            "lut": cell("ICESTORM_LC", "I0 I1 CEN CIN O> LO>", {"I0": [7], "O": [8]},
                        LUT_INIT="1010101010101010"),
            "ram": cell("ICESTORM_RAM", "RDATA_0> RDATA_2> WADDR_0 WADDR_1 WE",
                        {"RDATA_0": [6], "RDATA_2": [7], "WADDR_1": [8], "WE": [6]},
                        NEG_CLK_R="0", READ_MODE="00"),
        },
    }


def test_cells_have_models_and_all_of_their_inputs() -> None:
    top = unpacked(routed())["modules"]["top"]
    cells = top["cells"]
    assert "pad" not in cells, "the PLL's pad is the clock"
    late = top["ports"][LATE]["bits"]
    assert late == [9] and top["ports"]["clk"]["bits"] == [2]
    pll = cells["pll"]
    assert pll["type"] == "NetlistPll" and pll["parameters"] == {}
    assert pll["connections"] == {
        "PLLOUT_A": [5], "RESETB": [6], "BYPASS": ["0"], "REFERENCECLK": [2], "LATE": late}
    assert pll["port_directions"]["PLLOUT_A"] == "output"
    assert cells["buffer"]["connections"]["USER_SIGNAL_TO_GLOBAL_BUFFER"] == [2]
    assert cells["io"]["connections"]["CLOCK_ENABLE"] == ["1"]
    assert cells["io"]["port_directions"]["PACKAGE_PIN"] == "inout"
    assert cells["lut"]["connections"] == {
        "I0": [7], "I1": ["0"], "CEN": ["1"], "CIN": ["0"], "O": [8]}


def test_memories_have_vectors() -> None:
    ram = unpacked(routed())["modules"]["top"]["cells"]["ram"]
    assert ram["type"] == "NetlistRam" and ram["parameters"] == {"READ_MODE": "00"}
    first, unused, third = ram["connections"]["RDATA"]
    assert (first, third) == (6, 7) and unused > 9, "an output that nothing reads has a wire"
    assert ram["connections"]["WADDR"] == ["0", 8] and ram["connections"]["WE"] == [6]
    assert ram["port_directions"] == {"RDATA": "output", "WADDR": "input", "WE": "input"}
