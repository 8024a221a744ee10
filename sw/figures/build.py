"""The report of the bitstream, and whether the sources still give the design that it is of."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boards
from common import process, progress
from common.errors import SeparableError
from hw import technology
from hw.flow.rtlil import without_comments
from hw.technology import Flow
from sw.figures.store import BOARD, Figures, digest

__all__ = [
    "HOW", "PARTS", "cells_by_part", "design", "draw_floorplan", "measure_build", "same_tools",
]

FLOORPLAN = "floorplan.svg"
"""Beside a bitstream."""

SEEDS = ("--sweep", "2", "--first-seed", "1")
HOW = f"python -m hw.build --board {BOARD} {' '.join(SEEDS)} --json FILE"

PARTS = {
    "two requantisers (17 fraction bits)": ("core.drain.requantise_",),
    "accumulators to requantisers, results held": ("core.drain.",),
    "systolic array: operands, partial sums, accumulators, skew": ("core.array.", "core.acc"),
    "depthwise engine: schedule, taps, padding, skew": (
        "core.depthwise.", "core.sequencer.schedule."),
    "sequencer, step decoder": ("core.sequencer.", "core.decoder."),
    "descriptors in force": ("core.descriptors.",),
    "address generator": ("core.addresses.",),
    "loader, ring, word reader, write-back": (
        "core.loader.", "core.ring.", "core.word_reader.", "core.writeback.",
        # Their addresses have the arbiter's names.
        "core.arbiter.pop", "core.arbiter.push", "core.arbiter.result"),
    "activation memory and arbiter": ("core.scratchpad.", "core.arbiter."),
    "requantisation parameters: addresses, marks of outputs": (
        "core.parameters.", "core.outputs.", "core.next_block_"),
    "host port": ("core.host.", "core.flash_address", "bus__response"),
    "serial link": ("link.", "rx.", "tx.", "bus__request"),
    "flash reader and its pins": ("flash.", "cells."),
}
"""Parts of the design, and how the names of their cells begin; the first that fits counts."""


def _flow() -> Flow:
    return technology.get(boards.get(BOARD).config.technology).flow


def _elaborate(folder: Path) -> None:
    # Only now: it takes a while.
    from hw.top import Top

    board = boards.get(BOARD)
    _flow().elaborate(board, Top(board), folder)


def design() -> str:
    """Return the digest of what is given to synthesis, place and route.

    That is the design as Amaranth writes it, without comments and places in the sources, its
    pins, the chip, the script and the board's clock and seed.
    """
    board = boards.get(BOARD)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _elaborate(folder)
        parts = [(folder / file).read_text() for file in ("top.il", "top.pcf", "device.json")]
    return digest([without_comments(part) for part in parts]
                  + [_flow().SYNTHESIS, board.config.core_mhz, board.seed])


def same_tools(figures: Figures) -> bool:
    """Return whether the report was made with the tools that are installed."""
    return bool(figures["build"]["figures"]["versions"] == _flow().versions())


def cells_by_part(netlist: dict[str, Any]) -> dict[str, int]:
    """Return the logic cells of each part before packing.

    A look-up table is a cell, and so is a flip-flop that is not fed by a table of its own.

    Parameters
    ----------
    netlist : dict
        As Yosys writes it, flattened.
    """
    cells = netlist["modules"]["top"]["cells"]
    users: Counter[int] = Counter()
    tables = set()
    for cell in cells.values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                users.update(bit for bit in bits if isinstance(bit, int))
            elif cell["type"] == "SB_LUT4":
                tables.update(bits)
    for port in netlist["modules"]["top"]["ports"].values():
        users.update(bit for bit in port["bits"] if isinstance(bit, int))
    parts = dict.fromkeys((*PARTS, "the rest"), 0)
    for name, cell in cells.items():
        kind = cell["type"]
        data = cell["connections"]["D"][0] if kind.startswith("SB_DFF") else None
        if kind == "SB_LUT4" or (data is not None and not (data in tables and users[data] == 1)):
            parts[_part(name)] += 1
    return parts


def _part(name: str) -> str:
    plain = name.replace("\\", "")
    return next((part for part, starts in PARTS.items() if plain.startswith(starts)), "the rest")


def measure_build(say: Callable[[str], None]) -> tuple[dict[str, str], dict[str, Any]]:
    """Build the bitstream: returns the design's digest, and the report without paths.

    Raises
    ------
    SeparableError
        If the build fails, or another seed than the board's is the best.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("synthesis")
        _elaborate(folder)
        _flow().synthesize(folder)
        parts = cells_by_part(json.loads((folder / "top.json").read_text()))
        say("place and route, two seeds")
        report = folder / "report.json"
        _build(str(folder / "build"), *SEEDS, "--json", str(report))
        data = json.loads(report.read_text())
    seed = boards.get(BOARD).seed
    if data["seed"] != seed:
        raise SeparableError(
            f"seed {data['seed']} is better than the board's, {seed}; write it into "
            f"boards/{BOARD}.py and measure again")
    return {"design": design()}, from_report(data, parts)


def draw_floorplan(path: Path) -> None:
    """Place and route the board's design with its seed, and write where its cells are."""
    with tempfile.TemporaryDirectory() as name:
        _build(name)
        shutil.copyfile(Path(name) / FLOORPLAN, path)


def _build(output: str, *options: str) -> None:
    """Run :mod:`hw.build`."""
    line = [sys.executable, "-m", "hw.build", "--board", BOARD, "--output", output, *options]
    done = process.run(line, env={**os.environ, progress.VARIABLE: "no"})
    if done.returncode:
        raise SeparableError(f"hw.build failed: {done.stderr.strip()}")


def from_report(report: dict[str, Any], parts: dict[str, int]) -> dict[str, Any]:
    """Return a report of :mod:`hw.build` as figures."""
    # Modules are in the report of every build; the documents have parts.
    del report["bitstream"], report["modules"]
    usage = report["utilization"]["LC"]
    return {**report, "free_cells": usage["available"] - usage["used"], "parts": parts,
            "cells_before_packing": sum(parts.values())}
