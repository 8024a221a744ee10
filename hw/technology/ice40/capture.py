"""The clock that the flash's answers are captured with: how late it has to be.

The flash shows a nibble with each edge of SCK, and SCK is the core's clock.  A nibble that an edge
asks for is captured with the next edge of a clock of its own, which is the core's, later by ``d``.
``d`` has a window: late enough for the nibble to be there, early enough for the next one not to
be.  ``docs/flash.md`` derives it; the figures that it is made from are here, with their sources,
and nowhere else: the flash models take theirs from :func:`paths`.

Sources:

- *table*: icestorm's ``timings_up5k.txt``; its three columns are the corners.  What nextpnr takes
  is the greatest of each row.
- *chip*: iCE40 UltraPlus Family Data Sheet (FPGA-DS-02008), sysCLOCK PLL timing, and external
  switching characteristics.
- *flash*: W25Q128JV-DTR data sheet, AC electrical characteristics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hw.flow.capture import Capture, CaptureCorner

__all__ = [
    "CAPTURE_LUTS", "CAPTURE_PLACES", "CORNERS", "NOMINAL", "SAME_CLOCK", "TCLQV_NS", "TCLQX_NS",
    "CaptureClock", "capture", "edges_window", "hold_path", "paths", "setup_path", "through",
    "window",
]

CAPTURE_LUTS = (0xAAAA, 0x5555)
"""Tables of the LUTs between the PLL and the global buffer: as it is, and inverted.

Falling edges pass routing 0.3 to 0.5 ns and the buffer 0.8 ns faster than rising ones.  With the
last part of the way inverted, each edge passes half of it as a rising and half as a falling one.
"""

CAPTURE_PLACES = ("X12/Y30/lc0", "X13/Y30/lc1", "X13/Y31/gb")
"""Where the LUTs and the buffer are, beside the PLL of the UP5K: elsewhere they are later."""

CORNERS = ("slow", "typical", "fast")

SCALE = {"slow": 1.0, "typical": 0.6491, "fast": 0.3712}
"""Delay of logic and routing by that of the slow corner (table: ICE_GB, all its cells alike)."""

OUTPUT_NS = {"slow": (1.327, 1.535), "typical": (0.861, 0.996), "fast": (0.493, 0.570)}
"""Output register's clock to its pad's driver (table: PRE_IO, OUTPUTCLK to PADOUT, either edge)."""

PAD_OUTPUT_NS = (2.292, 2.353)
"""Driver to pin (table: IO_PAD, DIN to PACKAGEPIN), the same in all corners of the table."""

PAD_INPUT_NS = (0.540, 0.590)
"""Pin to the cell's input (table: IO_PAD, PACKAGEPIN to DOUT), the same in all corners."""

INPUT_SETUP_NS = {"slow": 4.183, "typical": 2.715, "fast": 1.553}
"""Set-up of the input register, the delay in front of it included (table: PRE_IO, PADIN)."""

INPUT_HOLD_NS = {"slow": -3.964, "typical": -2.573, "fast": -1.472}
"""Hold of the input register.

The table has 0, as for every cell, LUTs in front of flip-flops among them: a bound.  A register of
this cell without a delay in front of it needs 0.203, 0.132 and 0.075 ns of set-up (table: PRE_IO,
DOUT0); what the lesser of the two set-ups of PADIN exceeds them by is delay, on the side of hold.
"""

TRACES_NS = (0.0, 0.268)
"""Both ways to the flash: at most 4 cm in all, 6.7 ps a millimetre."""

TCLQV_NS = 6.0
"""Clock low to output valid, at most (flash: tCLQV)."""

TCLQX_NS = 1.5
"""Output hold, at least (flash: tCLQX)."""

PLL_DUTY = 0.4
"""Shortest half of a period of the PLL's output (chip: tDT, 40 to 60 %)."""

PLL_JITTER = 0.05
"""Period jitter, peak to peak, by the period, below 100 MHz (chip: tOPJIT)."""

SKEW_NS = 0.5
"""Between the clocks of two cells, each way (chip: tSKEW_GBUF).

For the difference of the PLL's two outputs there is no figure: it is taken to be within this one.
"""

# Rising and falling edge, slow corner (table: LocalMux, InMux, LogicCell40, ICE_GB).
LOCAL_MUX_NS = (1.099, 0.768)
INPUT_MUX_NS = (0.662, 0.503)
LUT_NS = ((1.245, 1.285), (1.179, 1.232), (1.179, 1.205), (0.865, 0.874))
"""By the physical input, which the router chooses."""
BUFFER_NS = (1.589, 0.795)

Edges = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class CaptureClock:
    """Delay of a capture clock behind the core's, slow corner, nanoseconds.

    Attributes
    ----------
    delay_ns : float
        As the router has it, which takes the later edge of every cell.
    edges_ns : tuple of float
        Of the core clock's rising and falling edge, by the table.
    """

    delay_ns: float
    edges_ns: Edges

    def at(self, delay_ns: float) -> "CaptureClock":
        """Return the same clock, so much later that its delay is another one."""
        more = delay_ns - self.delay_ns
        return CaptureClock(delay_ns=delay_ns,
                            edges_ns=(self.edges_ns[0] + more, self.edges_ns[1] + more))


def through(tables: Sequence[int], inputs: Sequence[int], wires: Sequence[float]) -> Edges:
    """Return the delays of a rising and a falling edge through LUTs and the global buffer.

    Parameters
    ----------
    tables : sequence of int
        Of the LUTs, as in :data:`CAPTURE_LUTS`.
    inputs : sequence of int
        Their physical inputs, 0 to 3.
    wires : sequence of float
        Delay of the routing in front of each LUT, and of the buffer, as the router has it.
    """
    delays = []
    for falling in (0, 1):
        total = 0.0
        for table, place, wire in zip(tables, inputs, wires[:-1], strict=True):
            # What else there is on the way is no faster for falling edges.
            total += wire - falling * (LOCAL_MUX_NS[0] - LOCAL_MUX_NS[1]
                                       + INPUT_MUX_NS[0] - INPUT_MUX_NS[1])
            falling ^= table & 1
            total += LUT_NS[place][falling]
        total += wires[-1] - falling * (LOCAL_MUX_NS[0] - LOCAL_MUX_NS[1]) + BUFFER_NS[falling]
        delays.append(total)
    return delays[0], delays[1]


NOMINAL = CaptureClock(
    delay_ns=8.778, edges_ns=through(CAPTURE_LUTS, (2, 1), (1.761, 1.761, 1.099)))
"""The iCEBreaker's, which the simulated board has; the router finds it with every seed."""


def setup_path(corner: str) -> float:
    """Return the time from a clock edge to the flash and back into the input register, at most."""
    return (OUTPUT_NS[corner][1] + PAD_OUTPUT_NS[1] + TRACES_NS[1] + PAD_INPUT_NS[1]
            + INPUT_SETUP_NS[corner])


def hold_path(corner: str) -> float:
    """Return the same time, at least.  Pads are taken to be as much faster as everything else."""
    return (OUTPUT_NS[corner][0] + SCALE[corner] * (PAD_OUTPUT_NS[0] + PAD_INPUT_NS[0])
            + TRACES_NS[0] - INPUT_HOLD_NS[corner])


def edges_window(corner: str, clock_mhz: float) -> tuple[float, float]:
    """Return how late an edge may be at least and at most, in nanoseconds of the corner."""
    period = 1000 / clock_mhz
    low = (setup_path(corner) + TCLQV_NS + SKEW_NS
           - (PLL_DUTY - PLL_JITTER / 2) * period)
    # The edge of the PLL that asks for the next nibble is the one that captures this one: neither
    # duty cycle nor jitter is between them.
    return low, hold_path(corner) + TCLQX_NS - SKEW_NS


def window(clock: CaptureClock, clock_mhz: float, corner: str) -> tuple[float, float]:
    """Return the least and the greatest delay, as the router has it, in nanoseconds of a corner.

    Parameters
    ----------
    clock : CaptureClock
        Its edges are by so much earlier than its delay.
    clock_mhz : float
    corner : str
        Of :data:`CORNERS`.
    """
    low, high = edges_window(corner, clock_mhz)
    early = [clock.delay_ns - edge for edge in clock.edges_ns]
    return low + SCALE[corner] * max(early), high + SCALE[corner] * min(early)


SAME_CLOCK = CaptureClock(delay_ns=0.0, edges_ns=(0.0, 0.0))
"""The core's own, which is enough at single transfer rate: a nibble has a whole period."""


def capture(clock: CaptureClock, clock_mhz: float) -> Capture:
    """Return a clock with its windows, of each corner and of all of them."""
    corners = {name: CaptureCorner(delay_ns=SCALE[name] * clock.delay_ns,
                                   window_ns=window(clock, clock_mhz, name)) for name in CORNERS}
    lows, highs = zip(*([end / SCALE[name] for end in corner.window_ns]
                        for name, corner in corners.items()), strict=True)
    return Capture(delay_ns=clock.delay_ns, edges_ns=clock.edges_ns,
                   window_ns=(max(lows), min(highs)), corners=corners)


def paths(clock_mhz: float, clock: CaptureClock = NOMINAL,
          corner: str | None = None) -> tuple[float, float]:
    """Return ``path_max`` and ``path_min`` of the flash models, nanoseconds.

    They are what a nibble takes besides tCLQV and tCLQX, less what the capture clock is late by:
    with the flash's time it has to be less than half a period, and not negative.  Duty cycle,
    jitter and skew are in them, as what half a period lacks.

    Parameters
    ----------
    clock_mhz : float
    clock : CaptureClock
    corner : str, optional
        Without, the worst of all corners.
    """
    corners = CORNERS if corner is None else (corner,)
    half = 500 / clock_mhz
    early = min(clock.edges_ns)
    late = max(clock.edges_ns)
    longest, shortest = [], []
    for name in corners:
        low, high = edges_window(name, clock_mhz)
        longest.append(half - TCLQV_NS + low - SCALE[name] * early)
        shortest.append(high - TCLQX_NS - SCALE[name] * late)
    return max(longest), min(shortest)
