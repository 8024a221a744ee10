"""The simulated board with the design as it was placed and routed, instead of its RTL.

What is between the pads is what nextpnr made of it: logic cells, block RAMs, multipliers, IO cells,
with their models in ``netlist.v`` and Yosys' (:mod:`sim.board.routed`).  Block RAMs read anything
from an address that is being written, and the PLL locks twice.  The capture clock's edges come
after the core's, as late as they are routed; other delays are not simulated.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hw.contract.board import Board
from sim.board import verilate
from sim.board.flash_part import FlashTiming
from sim.board.routed import routed
from sim.board.serial_port import SimulatedSerialPort
from sim.board.simulated import SimulatedBoard
from sim.errors import BuildError

__all__ = ["NetlistBoard", "port"]


def _verilog(netlist: str) -> str:
    with TemporaryDirectory() as name:
        (Path(name) / "top.json").write_text(netlist)
        return verilate.yosys("read_json top.json\nwrite_verilog -noattr", Path(name))


class NetlistBoard(SimulatedBoard):
    """A board whose FPGA is simulated as routed: the pads are the only way in.

    Parameters
    ----------
    board : Board
    seed : int
        Of what the memory holds at power-on.
    top : Elaboratable, optional
        Instead of the board's :class:`hw.top.Top`.
    corner : str, optional
        Of the flash and the way to it; without, the worst of all.

    Attributes
    ----------
    mhz : float
        Of the clock that the PLL makes.
    capture : CaptureClock
        As it is routed.

    Raises
    ------
    BuildError
        If the design does not fit, or its capture clock is late by half a period or more.
    """

    def __init__(
        self, board: Board, *, seed: int = 0, top: Any = None, corner: str | None = None
    ) -> None:
        design = routed(board, top)
        clock = board.platform().default_clk
        library = verilate.board_library(
            design.netlist,
            lambda: _verilog(design.netlist),
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
            compiler_flags=["-DPADS", *([] if board.config.flash_dtr else ["-DONE_CLOCK"])],
        )
        self.mhz, self.capture = design.mhz, design.capture
        if max(self.capture.edges_ns) >= 500 / self.mhz:
            raise BuildError("the capture clock is late by half a period or more")
        self._power_on(board.config, library, seed, self.mhz,
                       FlashTiming(capture=self.capture, corner=corner), board.flash)


def port(
    board: Board, *, seed: int = 0, top: Any = None, corner: str | None = None
) -> SimulatedSerialPort:
    """Return the serial port of a new :class:`NetlistBoard`."""
    return SimulatedSerialPort(NetlistBoard(board, seed=seed, top=top, corner=corner))
