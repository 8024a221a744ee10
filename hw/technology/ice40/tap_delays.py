"""The taps of :class:`hw.technology.ice40.taps.TappedClockGenerator` as the router has them."""

from hw.flow.capture import CaptureTaps
from hw.technology.ice40.capture import CAPTURE_LUTS, CaptureClock, capture, through

__all__ = ["DELAYS_NS", "capture_taps"]

WIRES_NS = (1.761, 1.761, 1.099)
"""Routing in front of the first LUT, of each other one, and of the global buffer."""

DELAYS_NS = (5.733, 8.725, 11.717, 14.709, 17.701, 20.693)
"""Of each tap, slow corner: LUTs and buffer have their places, and so the delays are always these,
but for up to 0.3 ns by the inputs of the LUTs, which the router chooses."""


def capture_taps(clock_mhz: float) -> CaptureTaps:
    """Return the taps, with the edges of their LUTs, and the windows at a clock."""
    first, other, last = WIRES_NS
    taps = []
    for number, delay in enumerate(DELAYS_NS):
        tables = (CAPTURE_LUTS[0],) * number + (CAPTURE_LUTS[-1],)
        edges = through(tables, (2,) * len(tables), (first, *[other] * number, last))
        taps.append(capture(CaptureClock(delay_ns=delay, edges_ns=edges), clock_mhz))
    return CaptureTaps(chosen=len(CAPTURE_LUTS) - 1, taps=tuple(taps))
