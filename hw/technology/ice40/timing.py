"""Static timing analysis of a routed iCE40 design, with honest cell delays.

nextpnr-ice40 times some cells with placeholders: 0.1 ns from clock to output of SB_MAC16, 0.1 ns
of set-up for block RAMs, SPRAM, clock enables and resets, and an SPRAM clock that arrives 0.9 ns
before everybody else's.  Its MHz flatter every path through them.

It also writes all routed delays (SDF).  From those this module computes the longest path of every
clock, once with nextpnr's cell delays and once with the real ones.  If the first result agrees
with nextpnr's own, the second is proven, path by path.  If not, what is left is
:func:`global_correction`.

Clocks that are not the core's, and what is between clocks, is for
:mod:`hw.technology.ice40.checks`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from hw.flow.report import PathEnd, Pin
from hw.technology.ice40.cell_delays import UNTIMED, honest_arc, honest_setup
from hw.technology.ice40.sdf import CLOCK_PORTS, Delays, TimingError

__all__ = ["global_correction", "levels", "longest_paths"]

GLOBAL_CORRECTION_NS = 2.02
"""What SB_MAC16's clock to output (2.12 ns) exceeds nextpnr's (0.1 ns) by."""


def global_correction(mhz: float) -> float:
    """Return the honest frequency where no path is known: every path may leave an SB_MAC16."""
    return 1 / (1 / mhz + GLOBAL_CORRECTION_NS / 1000)

def levels(delays: Delays) -> Iterable[Pin]:
    """Yield output pins so that every pin comes after those that it depends on."""
    inputs: dict[Pin, list[Pin]] = defaultdict(list)
    for name, cell in delays.cells.items():
        for source, arcs in cell.arcs.items():
            if source in CLOCK_PORTS:
                continue
            driver = delays.drivers.get((name, source))
            for sink, _ in arcs:
                if driver is not None:
                    inputs[name, sink].append(driver[0])
    state: dict[Pin, int] = {}
    for root in delays.wires:
        stack = [root]
        while stack:
            pin = stack[-1]
            if state.get(pin) == 2:
                stack.pop()
                continue
            if state.get(pin) == 1:
                state[pin] = 2
                stack.pop()
                yield pin
                continue
            state[pin] = 1
            for before in inputs[pin]:
                if state.get(before) == 1:
                    raise TimingError("there is a combinational loop")
                if before not in state:
                    stack.append(before)


def longest_paths(delays: Delays, *, honest: bool) -> dict[Pin, PathEnd]:
    """Return the longest path of each clock (named by the pin that drives it).

    Parameters
    ----------
    honest : bool
        With the real delays of cells; otherwise as nextpnr has it, which includes the clock's
        skew as routed.
    """
    arrival: dict[Pin, dict[Pin, tuple[float, Pin]]] = defaultdict(dict)
    arc_time: Callable[[str, str, str, float], float] = (
        honest_arc if honest else lambda kind, source, sink, time: time)

    latest: dict[Pin, float] = defaultdict(float)   # arrival of each clock, anywhere
    for (_, port), (driver, time) in delays.drivers.items():
        if port in CLOCK_PORTS:
            latest[driver] = max(latest[driver], time)

    def offer(pin: Pin, clock: Pin, time: float, launch: Pin) -> None:
        known = arrival[pin].get(clock)
        if known is None or time > known[0]:
            arrival[pin][clock] = time, launch

    for name, cell in delays.cells.items():
        for source, arcs in cell.arcs.items():
            if source not in CLOCK_PORTS or (name, source) not in delays.drivers:
                continue
            clock, skew = delays.drivers[name, source]
            if honest and cell.kind == "ICESTORM_SPRAM":
                skew = latest[clock]    # its own is a placeholder of 0
            for sink, time in arcs:
                offer((name, sink), clock, skew + arc_time(cell.kind, source, sink, time),
                      (name, sink))

    into: dict[Pin, list[tuple[str, float]]] = defaultdict(list)
    for name, cell in delays.cells.items():
        for source, arcs in cell.arcs.items():
            if source not in CLOCK_PORTS:
                for sink, time in arcs:
                    into[name, sink].append((source, arc_time(cell.kind, source, sink, time)))
    for pin in levels(delays):
        for source, time in into[pin]:
            wire = delays.drivers.get((pin[0], source))
            if wire is None:
                continue
            for clock, (before, launch) in arrival[wire[0]].items():
                offer(pin, clock, before + wire[1] + time, launch)

    return _worst(delays, arrival, honest=honest)


def _worst(
    delays: Delays, arrival: dict[Pin, dict[Pin, tuple[float, Pin]]], *, honest: bool
) -> dict[Pin, PathEnd]:
    """Return the longest path of each clock, from when everything arrives."""
    worst: dict[Pin, PathEnd] = {}
    for name, cell in delays.cells.items():
        setups = cell.setups + (UNTIMED.get(cell.kind, []) if honest else [])
        for port, clock_port, falling, setup in setups:
            wire = delays.drivers.get((name, port))
            clocked = delays.drivers.get((name, clock_port))
            if wire is None or clocked is None or clocked[0] not in arrival[wire[0]]:
                continue
            if honest:
                setup = honest_setup(cell.kind, port, setup)
            clock, skew = clocked
            before, launch = arrival[wire[0]][clock]
            period = before + wire[1] + setup - skew
            period *= 2 if falling else 1
            if clock not in worst or period > worst[clock].period:
                worst[clock] = PathEnd(period, launch, delays.cells[launch[0]].kind,
                                       (name, port), cell.kind)
    return worst
