"""Checks of a routed iCE40 design between all edges of its clocks, and at its pads.

:mod:`hw.technology.ice40.timing` says how fast the core's clock may be.  Here are both edges of
both clocks, the ways between them, set-up and hold, and what duty cycle, jitter and skew of the
clocks may take.  Hold is checked in the fast corner: every delay times its scale, routing as fast
as the earlier of its edges.  All hold times are 0, the table's bound.
"""

from collections import defaultdict
from dataclasses import dataclass

from hw.flow.checks import Check, Checks
from hw.flow.report import Pin
from hw.technology.ice40 import capture as budget
from hw.technology.ice40.capture import CaptureClock
from hw.technology.ice40.cell_delays import UNTIMED, honest_arc, honest_setup
from hw.technology.ice40.sdf import CLOCK_PORTS, Cell, Delays
from hw.technology.ice40.timing import levels

__all__ = ["check_timing"]

EARLY_WIRE = 0.698
"""The earlier edge of routing by the later one, at least (table: LocalMux, the worst)."""

FALLING_OUTPUTS = {("SB_IO", "D_IN_1")}
"""Outputs that change with the falling edge of a cell whose others change with the rising one."""

FLASH_SETUP_NS, FLASH_HOLD_NS = 1.0, 2.0
"""Of the flash's inputs (flash: tDVCH, tCHDX)."""

FLASH_SELECT_NS, FLASH_HIGH_NS = 5.0, 10.0
"""/CS low to clock high, and /CS high after a read (flash: tSLCH, tSHSL1)."""

INPUTS = "flash to input registers"

NOT_COVERED = (
    "the PLL's two outputs against each other: no data sheet has a figure; it is taken to be "
    "within the skew between clocks",
    "the clock's arrival at SPRAMs, for which the router has none: it is taken to be that at "
    "other cells",
    "the serial line's pins: they are asynchronous, hw/link/uart.py has their budget",
    "the PLL's lock signal: asynchronous, through two registers",
    "crosstalk, noise of the supply, and loads of the pads other than the table's",
    "settling of the PLL before it says that it has locked: the design stays in reset 1,024 cycles",
)


@dataclass(frozen=True)
class Edge:
    """Edge of a clock within the core clock's period: of its first or second half, and later."""

    clock: str
    half: int
    late_ns: float
    early_ns: float


Start = tuple[Pin, bool]
"""Pin that drives a clock, and whether its edge is the falling one."""

Arrivals = dict[Pin, dict[Start, tuple[float, Pin]]]


def check_timing(
    delays: Delays, clock: CaptureClock | None, clock_mhz: float, *, single_rate: bool = False
) -> Checks:
    """Return all checks of a routed design.

    Parameters
    ----------
    delays : Delays
    clock : CaptureClock, optional
        Of the design, if there is one.
    clock_mhz : float
        The core's.
    single_rate : bool
        The flash is read at single transfer rate, with the core's own clock.

    Raises
    ------
    TimingError
        As :func:`hw.technology.ice40.timing.longest_paths`.
    """
    edges = _edges(delays, clock)
    checks = [*_between(delays, edges, clock_mhz, hold=False),
              *_between(delays, edges, clock_mhz, hold=True)]
    if clock is not None:
        checks += [*_outputs(clock_mhz), *_late_inputs(clock, clock_mhz)]
    elif single_rate:
        checks += [*_outputs(clock_mhz), *_inputs(clock_mhz)]
    return Checks(checks=tuple(checks), not_covered=NOT_COVERED)


def _edges(delays: Delays, clock: CaptureClock | None) -> dict[Start, Edge]:
    """Return the edges of all clocks: that of most cells is the core's."""
    loads: dict[Pin, int] = defaultdict(int)
    for (_, port), (driver, _) in delays.drivers.items():
        if port in CLOCK_PORTS:
            loads[driver] += 1
    if not loads:
        return {}
    core = max(loads, key=lambda pin: loads[pin])
    edges = {(core, False): Edge("core", 0, 0.0, 0.0), (core, True): Edge("core", 1, 0.0, 0.0)}
    for pin in loads:
        if pin != core and clock is not None:
            rising, falling = clock.edges_ns
            # It is inverted: its falling edge is the core's rising one.
            edges[pin, True] = Edge("capture", 0, clock.delay_ns, rising)
            edges[pin, False] = Edge("capture", 1, clock.delay_ns, falling)
    return edges


def _starts(name: str, cell: Cell, delays: Delays) -> dict[str, tuple[Start, float]]:
    """Return by clock port with which edge a cell's outputs change, and when that arrives."""
    falling = {port for _, port, falling, _ in cell.setups if falling}
    rising = {port for _, port, falling, _ in cell.setups if not falling}
    return {port: ((driver, port in falling - rising), skew) for port in cell.arcs
            if port in CLOCK_PORTS and (name, port) in delays.drivers
            for driver, skew in [delays.drivers[name, port]]}


def _arrivals(delays: Delays, *, hold: bool) -> Arrivals:
    """Return when what each edge sends arrives at output pins: at the latest, or the earliest."""
    found: Arrivals = defaultdict(dict)
    scale = budget.SCALE["fast"] if hold else 1.0
    wire_scale = scale * (EARLY_WIRE if hold else 1.0)

    def offer(pin: Pin, start: Start, time: float, launch: Pin) -> None:
        known = found[pin].get(start)
        if known is None or (time < known[0] if hold else time > known[0]):
            found[pin][start] = time, launch

    into: dict[Pin, list[tuple[str, float]]] = defaultdict(list)
    for name, cell in delays.cells.items():
        starts = _starts(name, cell, delays)
        for source, arcs in cell.arcs.items():
            for sink, time in arcs:
                time = scale * honest_arc(cell.kind, source, sink, time)
                if source not in CLOCK_PORTS:
                    into[name, sink].append((source, time))
                elif source in starts:
                    (driver, falling), skew = starts[source]
                    falling ^= (cell.kind, sink) in FALLING_OUTPUTS
                    offer((name, sink), (driver, falling), scale * skew + time, (name, sink))
    for pin in levels(delays):
        for source, time in into[pin]:
            wire = delays.drivers.get((pin[0], source))
            if wire is not None:
                for start, (before, launch) in found[wire[0]].items():
                    offer(pin, start, before + wire_scale * wire[1] + time, launch)
    return found


def _between(
    delays: Delays, edges: dict[Start, Edge], clock_mhz: float, *, hold: bool
) -> list[Check]:
    """Return the worst path between each two edges."""
    arrivals = _arrivals(delays, hold=hold)
    scale = budget.SCALE["fast"] if hold else 1.0
    worst: dict[str, Check] = {}
    for name, cell in delays.cells.items():
        for port, clock_port, falling, setup in cell.setups + UNTIMED.get(cell.kind, []):
            wire = delays.drivers.get((name, port))
            clocked = delays.drivers.get((name, clock_port))
            if wire is None or clocked is None or (clocked[0], falling) not in edges:
                continue
            end = edges[clocked[0], falling]
            for start, (before, launch) in arrivals[wire[0]].items():
                if start not in edges:
                    continue
                time = before - scale * clocked[1] + wire[1] * scale * (EARLY_WIRE if hold else 1)
                if not hold:
                    time += honest_setup(cell.kind, port, setup)
                slack, uncertain = _slack(edges[start], end, time, 1000 / clock_mhz, hold=hold)
                what = _words(edges[start], end)
                if what not in worst or slack < worst[what].slack_ns:
                    worst[what] = Check(
                        what=what, kind="hold" if hold else "set-up", slack_ns=slack,
                        uncertain_ns=uncertain, path=f"{'/'.join(launch)} to {name}/{port}")
    return [worst[what] for what in sorted(worst)]


def _slack(
    start: Edge, end: Edge, time: float, period: float, *, hold: bool
) -> tuple[float, float]:
    """Return what a path leaves, and what is uncertain of that."""
    late = 0.0 if start.clock == end.clock else start.late_ns - end.early_ns
    early = 0.0 if start.clock == end.clock else (
        budget.SCALE["fast"] * (start.early_ns - end.late_ns))
    between = (end.half - start.half) * period / 2
    if hold:
        # The capturing edge before, or at the same time.
        gap = between - early
        return time - (gap - period * (gap > 1e-9)), _uncertain(start, end, period, same=gap == 0)
    gap = between - late
    return (gap if gap > 1e-9 else gap + period) - time, _uncertain(start, end, period, same=False)


def _uncertain(start: Edge, end: Edge, period: float, *, same: bool) -> float:
    """Return what duty cycle, jitter and skew may take of the time between two edges."""
    lost = budget.SKEW_NS
    if not same:
        lost += budget.PLL_JITTER / 2 * period
    if start.half != end.half:
        lost += (0.5 - budget.PLL_DUTY) * period
    return lost


def _words(start: Edge, end: Edge) -> str:
    def name(edge: Edge) -> str:
        return edge.clock + (" falling" if edge.half else "")

    return name(start) if start == end else f"{name(start)} to {name(end)}"


def _outputs(clock_mhz: float) -> list[Check]:
    """Return what is left at the flash's pins that the core drives.

    Lines and /CS change with the core clock's rising edge, SCK rises with the falling one.
    """
    period = 1000 / clock_mhz
    half = period / 2
    spread = max(high - low for low, high in budget.OUTPUT_NS.values())
    apart = spread + budget.PAD_OUTPUT_NS[1] - budget.PAD_OUTPUT_NS[0] + budget.TRACES_NS[1] / 2
    uncertain = _half_uncertain(clock_mhz)
    return [
        _pad("flash lines to SCK", "set-up", half - apart - FLASH_SETUP_NS, uncertain),
        _pad("flash lines to SCK", "hold", half - apart - FLASH_HOLD_NS, uncertain),
        _pad("flash /CS to SCK", "set-up", half - apart - FLASH_SELECT_NS, uncertain),
        _pad("flash /CS high", "width", period - FLASH_HIGH_NS, budget.PLL_JITTER / 2 * period),
    ]


def _late_inputs(clock: CaptureClock, clock_mhz: float) -> list[Check]:
    """Return what is left of the capture clock's window."""
    found = budget.capture(clock, clock_mhz)
    ideal = _half_uncertain(clock_mhz)
    return [
        _pad(INPUTS, "set-up", found.delay_ns - found.window_ns[0] + ideal, ideal),
        _pad(INPUTS, "hold", found.window_ns[1] - found.delay_ns + budget.SKEW_NS, budget.SKEW_NS),
    ]


def _inputs(clock_mhz: float) -> list[Check]:
    """Return what is left of a period between the edge that asks for a nibble and the next one."""
    period = 1000 / clock_mhz
    late = max(map(budget.setup_path, budget.CORNERS)) + budget.TCLQV_NS
    early = min(map(budget.hold_path, budget.CORNERS)) + budget.TCLQX_NS
    return [
        _pad(INPUTS, "set-up", period - late, budget.PLL_JITTER / 2 * period + budget.SKEW_NS),
        _pad(INPUTS, "hold", early, budget.SKEW_NS),
    ]


def _half_uncertain(clock_mhz: float) -> float:
    """Return what duty cycle, jitter and skew may take of half a period."""
    period = 1000 / clock_mhz
    return (0.5 - budget.PLL_DUTY + budget.PLL_JITTER / 2) * period + budget.SKEW_NS


def _pad(what: str, kind: str, slack: float, lost: float) -> Check:
    return Check(what=what, kind=kind, slack_ns=slack, uncertain_ns=lost)
