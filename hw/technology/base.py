"""Technology: the seam between the design and a family of chips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from common.errors import SeparableError

if TYPE_CHECKING:
    from amaranth.hdl import Elaboratable
    from amaranth.lib import wiring

    from hw.contract.board import Board
    from hw.flow.capture import CaptureTaps
    from hw.flow.report import BuildResult

__all__ = ["Flow", "Technology", "TechnologyError"]


class TechnologyError(SeparableError):
    """The technology has no such part."""


class Flow(Protocol):
    """Flow: from a design to a bitstream.  What it does is kept in files of one folder."""

    @property
    def SYNTHESIS(self) -> str:
        """Script of the synthesis."""

    def elaborate(self, board: Board, top: Any, folder: Path) -> None:
        """Write the design and its pins."""

    def synthesize(self, folder: Path) -> None:
        """Make a netlist, ``top.json``."""

    def place_and_route(self, board: Board, folder: Path, *, seed: int) -> BuildResult:
        """Place, route, pack and time the netlist; files are named after the seed."""

    def versions(self) -> dict[str, str]:
        """Return the versions of what a bitstream depends on."""


class Technology:
    """Family of chips: its blocks in silicon, its clock and IO cells, its tools.

    A family overrides what it has; the core needs the first two.

    Attributes
    ----------
    name : str
        As :class:`hw.contract.config.CoreConfig` has it.
    """

    name: str

    def single_port_memory(self, *, depth: int = 16384, width: int = 16) -> wiring.Component:
        """Return a memory: see :class:`hw.technology.portable.SinglePortMemory`."""
        self._lacks("single-port memory")

    def dual_multiplier(self) -> wiring.Component:
        """Return two signed 8×8 multipliers: see :class:`hw.technology.portable.DualMultiplier`."""
        self._lacks("multiplier")

    def clock_generator(
        self, *, reference_mhz: float, output_mhz: float, pin: Any, capture: bool = True
    ) -> Elaboratable:
        """Return what makes the domain ``sync`` from a pin, and with ``capture`` that one's clock.

        ``capture``, a domain of the parent's, is for the flash's input cells at double transfer
        rate, which know how late it is and which of its edges is which: ``docs/flash.md``.
        """
        self._lacks("clock generator")

    def tapped_clock_generator(
        self, *, reference_mhz: float, output_mhz: float, pin: Any
    ) -> Elaboratable:
        """Return the same, with a choice of delays for the clock of ``capture``.

        Its attribute ``tap`` is a signal: the choice, to be made while the flash is idle.
        """
        self._lacks("clock generator with taps")

    def capture_taps(self, clock_mhz: float) -> CaptureTaps:
        """Return what the choice is, with the windows at a clock."""
        self._lacks("clock generator with taps")

    def flash_cells(self, port: Any, *, dtr: bool = True) -> wiring.Component:
        """Return IO cells of a quad flash, with ``pins : In(FlashPins())``.

        Without ``dtr`` there is nothing in ``pins.i[4:]``, and no domain ``capture``.
        """
        self._lacks("flash cells")

    @property
    def flow(self) -> Flow:
        """The tools."""
        self._lacks("flow to a bitstream")

    def _lacks(self, part: str) -> NoReturn:
        raise TechnologyError(
            f"the technology {self.name!r} has no {part}; choose another one in the board's file "
            "(technology of its CoreConfig)")
