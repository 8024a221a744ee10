"""The taps of :class:`hw.technology.ice40.taps.TappedClockGenerator` as the router has them."""

from hw.flow.capture import Capture
from hw.technology.ice40.capture import CAPTURE_LUTS, CaptureClock, capture, through

__all__ = ["CHOSEN", "DELAYS_NS", "simulated"]

CHOSEN = len(CAPTURE_LUTS) - 1
"""The tap that is the delay of other designs."""

WIRES_NS = (1.761, 1.761, 1.099)
"""Routing in front of the first LUT, of each other one, and of the global buffer."""

DELAYS_NS = (5.733, 8.725, 11.717, 14.709, 17.701, 20.693)
"""Of each tap; the LUTs' places are given, and so are their delays, but for the LUT's input."""


def simulated(clock_mhz: float) -> list[Capture]:
    """Return the taps, with the edges that such LUTs have, and the windows at a clock."""
    first, other, last = WIRES_NS
    taps = []
    for number, delay in enumerate(DELAYS_NS):
        luts = number + 1
        tables = (CAPTURE_LUTS[0],) * number + (CAPTURE_LUTS[-1],)
        edges = through(tables, (2,) * luts, (first, *[other] * number, last))
        taps.append(capture(CaptureClock(delay_ns=delay, edges_ns=edges), clock_mhz))
    return taps
