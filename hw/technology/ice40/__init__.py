"""Lattice iCE40 UltraPlus: primitives, cells, PLL, flow and timing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hw.technology.base import Flow, Technology

if TYPE_CHECKING:
    from amaranth.hdl import Elaboratable
    from amaranth.lib import wiring

    from hw.flow.capture import CaptureTaps

__all__ = ["TECHNOLOGY", "Ice40"]


class Ice40(Technology):
    """iCE40 UltraPlus, with YoWASP's Yosys and nextpnr."""

    name = "ice40"

    def single_port_memory(self, *, depth: int = 16384, width: int = 16) -> wiring.Component:
        from hw.technology.ice40.primitives import SinglePortMemory

        return SinglePortMemory(depth=depth, width=width)

    def dual_multiplier(self) -> wiring.Component:
        from hw.technology.ice40.primitives import DualMultiplier

        return DualMultiplier()

    def clock_generator(
        self, *, reference_mhz: float, output_mhz: float, pin: Any, capture: bool = True
    ) -> Elaboratable:
        from hw.technology.ice40.cells import ClockGenerator

        return ClockGenerator(reference_mhz=reference_mhz, output_mhz=output_mhz, pin=pin,
                              capture=capture)

    def tapped_clock_generator(
        self, *, reference_mhz: float, output_mhz: float, pin: Any
    ) -> Elaboratable:
        from hw.technology.ice40.taps import TappedClockGenerator

        return TappedClockGenerator(reference_mhz=reference_mhz, output_mhz=output_mhz, pin=pin)

    def capture_taps(self, clock_mhz: float) -> CaptureTaps:
        from hw.technology.ice40.tap_delays import capture_taps

        return capture_taps(clock_mhz)

    def flash_cells(self, port: Any, *, dtr: bool = True) -> wiring.Component:
        from hw.technology.ice40.cells import FlashCells

        return FlashCells(port, dtr=dtr)

    @property
    def flow(self) -> Flow:
        from hw.technology.ice40 import flow

        return flow


TECHNOLOGY = Ice40()
