"""The capture clock as it was routed: which way, and how late it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hw.flow.report import Pin
from hw.technology.ice40.capture import CaptureClock, through
from hw.technology.ice40.sdf import CLOCK_PORTS, Delays, TimingError

__all__ = ["read_captures"]

BUFFER = "USER_SIGNAL_TO_GLOBAL_BUFFER", "GLOBAL_BUFFER_OUTPUT"


def read_captures(delays: Delays, routed: dict[str, Any]) -> list[CaptureClock]:
    """Return the clock of input cells that is not that of their outputs; none if there is none.

    Its way is followed back, from its global buffer through LUTs to the PLL.  Both clocks take
    what the router has for the way from their buffers to the cells, which is the same.

    Parameters
    ----------
    delays : Delays
    routed : dict
        The top module of nextpnr's JSON: its routes say which of a LUT's inputs is used.

    Returns
    -------
    list of CaptureClock
        One for each way on which the clock can come, those through fewer LUTs first.

    Raises
    ------
    TimingError
        If something else is on the way.
    """
    buffers = {driver for (name, port), (driver, _) in delays.drivers.items()
               if port == "INPUT_CLK"
               and delays.drivers.get((name, "OUTPUT_CLK"), (driver, 0.0))[0] != driver}
    if not buffers:
        return []
    if len(buffers) > 1:
        raise TimingError(f"{len(buffers)} clocks capture the flash's answers, not one")
    ((name, _),) = buffers
    pin, wire = _driver(delays, (name, BUFFER[0]))
    buffer = dict(delays.cells[name].arcs[BUFFER[0]])[BUFFER[1]]
    way = Way(pin=pin, wires=(wire,), total=wire + buffer)
    ways = sorted(_ways(delays, routed, way), key=lambda way: len(way.tables))
    if not ways:
        raise TimingError("the capture clock does not come from the PLL")
    return [CaptureClock(delay_ns=way.total, edges_ns=through(way.tables, way.inputs, way.wires))
            for way in ways]


@dataclass(frozen=True, kw_only=True)
class Way:
    """Way of a clock from a pin to the global buffer: LUTs, and the routing in front of each.

    ``tables``, ``inputs`` and ``wires`` are those of :func:`through`; ``total`` is the delay.
    """

    pin: Pin
    tables: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    wires: tuple[float, ...]
    total: float


def _ways(delays: Delays, routed: dict[str, Any], way: Way) -> Iterator[Way]:
    """Yield the ways from the PLL that end in one that is known."""
    name, output = way.pin
    cell = delays.cells[name]
    if cell.kind == "ICESTORM_PLL":
        yield way
        return
    if cell.kind != "ICESTORM_LC":
        raise TimingError(f"{name} is between the PLL and the capture clock's buffer")
    table = int(routed["cells"][name]["parameters"]["LUT_INIT"], 2)
    for source, arcs in cell.arcs.items():
        # A register selects a way; it is none.
        if source in CLOCK_PORTS or output not in dict(arcs):
            continue
        pin, wire = _driver(delays, (name, source))
        yield from _ways(delays, routed, Way(
            pin=pin, wires=(wire, *way.wires), tables=(table, *way.tables),
            inputs=(_physical_input(routed, name, source), *way.inputs),
            total=way.total + dict(arcs)[output] + wire))


def _driver(delays: Delays, pin: Pin) -> tuple[Pin, float]:
    """Return what drives a pin, and the delay from there."""
    if pin not in delays.drivers:
        raise TimingError(f"nothing drives {'/'.join(pin)}")
    return delays.drivers[pin]


def _physical_input(routed: dict[str, Any], name: str, port: str) -> int:
    """Return which input of its LUT a signal is routed to: the router may change them."""
    cell = routed["cells"][name]
    (bit,) = cell["connections"][port]
    place = cell["attributes"]["NEXTPNR_BEL"].replace("/lc", "/lutff_")
    for net in routed["netnames"].values():
        if net["bits"] == [bit]:
            match = re.search(rf"{place}:in_(\d);", net["attributes"].get("ROUTING", ""))
            if match:
                return int(match[1])
    raise TimingError(f"the route to {name} is not known")
