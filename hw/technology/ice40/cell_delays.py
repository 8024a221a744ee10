"""Real delays of cells for which nextpnr-ice40 has placeholders.

icestorm's ``timings_up5k.txt``, slow corner, as also quoted by Yosys in ``ice40/cells_sim.v``.
"""

import re

from hw.technology.ice40.sdf import CLOCK_PORTS, TimingError

__all__ = ["UNTIMED", "honest_arc", "honest_setup"]

DSP_CLOCK_TO_OUTPUT = 2.12
DSP_COMBINATIONAL = 11.4

SETUP_NS: dict[str, dict[str, float]] = {
    # At least; by type of cell and name of port without its index.
    "ICESTORM_LC": {"SR": 0.53},
    "ICESTORM_RAM": {"RADDR": 0.384, "RCLKE": 0.503, "RE": 0.185, "WADDR": 0.424, "WCLKE": 0.503,
                     "WDATA": 0.305, "WE": 0.252, "MASK": 0.517},
    "ICESTORM_SPRAM": {"ADDRESS": 0.268, "CHIPSELECT": 0.404, "DATAIN": 0.143,
                       "MASKWREN": 0.143, "WREN": 0.289},
}

# Set-up of registers that nextpnr does not time at all: port, clock, falling edge, nanoseconds.
UNTIMED = {"SB_IO": [("OUTPUT_ENABLE", "OUTPUT_CLK", False, 0.205)]}

# Ports of SB_MAC16 whose registered set-up is below nextpnr's 0.1 ns.  Any other is refused.
DSP_REGISTERED_INPUTS = {"A", "B", "CE"}


def _base(port: str) -> str:
    return re.sub(r"_\d+$", "", port)


def honest_arc(kind: str, source: str, sink: str, time: float) -> float:
    if kind == "ICESTORM_DSP":
        return max(time, DSP_CLOCK_TO_OUTPUT if source in CLOCK_PORTS else DSP_COMBINATIONAL)
    return time


def honest_setup(kind: str, port: str, time: float) -> float:
    if kind == "ICESTORM_DSP" and _base(port) not in DSP_REGISTERED_INPUTS:
        raise TimingError(f"no set-up time is known for port {port} of SB_MAC16")
    return max(time, SETUP_NS.get(kind, {}).get(_base(port), 0.0))
