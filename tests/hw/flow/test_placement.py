"""Placement: which module cells belong to, tables of them, and the floorplan."""

import re
from collections import Counter
from xml.etree import ElementTree

from hw.flow.floorplan import BLOCKS, COLOURS, REST, TILE, floorplan
from hw.flow.placement import PlacedCell, module_of, part_of, usages
from hw.flow.report import BuildResult
from hw.technology.ice40.placement import module_names, read_placement

SVG = "{http://www.w3.org/2000/svg}"
MODULES = frozenset({"core", "core.array", "core.array.lane_0", "link", "link.engine"})


def test_modules_of_cells():
    assert module_of(["core.array.lane_0.sum_SB_LUT4_O_LC"], MODULES) == "core.array.lane_0"
    assert module_of(["core.array.lane_00.sum"], MODULES) == "core.array"
    assert module_of(["bus_SB_DFF_Q"], MODULES) == ""
    assert module_of(["$nextpnr_LC_3", "bus[2]", "link.engine.count[0]"], MODULES) == "link.engine"
    assert [part_of(m) for m in ("core.array.lane_0", "core", "link.engine", "")] == [
        "core.array", "core", "link", "top"]


def test_module_names():
    text = "module \\top\n  wire \\x\nmodule \\top.core\nmodule \\top.core.array\nmodule \\other\n"
    assert module_names(text) == {"core", "core.array"}


def cell(kind, bel, connections=None, **parameters):
    return {"type": kind, "attributes": {"NEXTPNR_BEL": bel}, "parameters": parameters,
            "connections": connections or {}}


def test_what_nextpnr_writes_is_read():
    top = {
        "netnames": {"core.array.acc[0]": {"bits": [7]}, "$x": {"bits": [7, 8]}},
        "cells": {
            "core.array.acc_LC": cell("ICESTORM_LC", "X3/Y9/lc6", DFF_ENABLE="1", CARRY_ENABLE="0"),
            "$nextpnr_LC_1": cell("ICESTORM_LC", "X3/Y10/lc0", {"I1": [7]}, CARRY_ENABLE="1"),
            "core.array.lane_0.mac_DSP": cell("ICESTORM_DSP", "X25/Y5/mac16_0"),
            "core.array.lane_0.memory_RAM": cell("ICESTORM_SPRAM", "X0/Y0/spram_2"),
            "clk": cell("SB_IO", "X12/Y31/io1"),
        }}
    assert read_placement(top, MODULES) == (
        PlacedCell("core.array", "LC", 3, 9, 6, register=True),
        PlacedCell("core.array", "LC", 3, 10, 0, carry=True),
        PlacedCell("core.array.lane_0", "DSP", 25, 5, 0),
        PlacedCell("core.array.lane_0", "SPRAM", 0, 0, 2),
        PlacedCell("", "IO", 12, 31, 1),
    )


CELLS = (
    *(PlacedCell(f"core.m{n % 20}", "LC", n % 24 + 1, n // 24 + 1, n % 8, carry=n % 2 == 0)
      for n in range(300)),
    PlacedCell("core.m1", "RAM", 6, 5), PlacedCell("link", "DSP", 0, 10),
    PlacedCell("", "IO", 3, 0, 1), PlacedCell("core.m2", "SPRAM", 25, 0, 3),
)


def test_usages():
    found = usages(CELLS, parts=True)
    assert sum(counts["LC"] for counts in found.values()) == 300
    assert found["core.m1"] == Counter(LC=15, RAM=1, carry=0, register=0)
    assert list(found)[-1] in ("link", "top")
    result = BuildResult(board="x", seed=1, utilization={}, placement=CELLS)
    assert {m["module"] for m in result.json()["modules"]} == set(usages(CELLS))
    parts = result.tables()[2]
    assert parts.row_count == len(found) + 1
    assert [list(column.cells)[-1] for column in parts.columns] == [
        "all", "300", "150", "", "1", "1", "1"]
    assert BuildResult(board="x", seed=1, utilization={}).tables()[2].row_count == 0


def test_every_cell_is_drawn_once():
    root = ElementTree.fromstring(floorplan(CELLS, title="a chip & more"))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert "a chip & more" in texts and "core.m1" in texts and texts.count("RAM") == 1
    drawn, colours = 0, set()
    for shape in root.iter(f"{SVG}path"):
        if (title := shape.find(f"{SVG}title")) is not None and title.text:
            boxes = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)", shape.get("d", ""))
            drawn += len(boxes)
            colours.add(shape.get("fill"))
            assert all(0 < float(h) <= max(BLOCKS.values()) * TILE for _, _, _, h in boxes)
    assert drawn == len(CELLS)
    assert colours == {*COLOURS, REST}
