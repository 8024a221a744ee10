"""Platform of the pico-ice, which amaranth-boards has not.

Pins are those of its circuit diagram (revision 3) and of ``rtl/pico_ice.pcf`` in its SDK.
"""

from typing import Any, ClassVar

from amaranth.build import Attrs, Clock, Pins, PinsN, Resource
from amaranth.vendor import LatticeICE40Platform
from amaranth_boards.resources import SPIFlashResources, UARTResource

__all__ = ["PicoIcePlatform"]

CMOS = Attrs(IO_STANDARD="SB_LVCMOS")


class PicoIcePlatform(LatticeICE40Platform):
    """What the accelerator needs of the board."""

    device = "iCE40UP5K"
    package = "SG48"
    default_clk = "clk12"
    resources: ClassVar[list[Any]] = [
        # From the RP2040.
        Resource("clk12", 0, Pins("35", dir="i"), Clock(12e6),
                 Attrs(GLOBAL=True, IO_STANDARD="SB_LVCMOS")),
        Resource("led_g", 0, PinsN("39", dir="o"), CMOS),
        UARTResource(0, rx="27", tx="25", attrs=Attrs(IO_STANDARD="SB_LVCMOS", PULLUP=1)),
        *SPIFlashResources(0, cs_n="16", clk="15", copi="14", cipo="17", wp_n="12", hold_n="13",
                           attrs=CMOS),
    ]
    connectors: ClassVar[list[Any]] = []
