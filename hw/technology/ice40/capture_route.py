"""The capture clock as it was routed: which way, and how late it is."""

import re
from typing import Any

from hw.flow.report import Pin
from hw.technology.ice40.capture import CaptureClock, through
from hw.technology.ice40.sdf import Delays, TimingError

__all__ = ["read_capture"]

BUFFER = "USER_SIGNAL_TO_GLOBAL_BUFFER", "GLOBAL_BUFFER_OUTPUT"


def read_capture(delays: Delays, routed: dict[str, Any]) -> CaptureClock | None:
    """Return the clock of input cells that is not that of their outputs; None if there is none.

    Its way is followed back, from its global buffer through LUTs to the PLL.  Both clocks take
    what the router has for the way from their buffers to the cells, which is the same.

    Parameters
    ----------
    delays : Delays
    routed : dict
        The top module of nextpnr's JSON: its routes say which of a LUT's inputs is used.

    Raises
    ------
    TimingError
        If something else is on the way.
    """
    buffers = {driver for (name, port), (driver, _) in delays.drivers.items()
               if port == "INPUT_CLK"
               and delays.drivers.get((name, "OUTPUT_CLK"), (driver, 0.0))[0] != driver}
    if not buffers:
        return None
    if len(buffers) > 1:
        raise TimingError(f"{len(buffers)} clocks capture the flash's answers, not one")
    ((name, _),) = buffers
    tables: list[int] = []
    inputs: list[int] = []
    pin, wire = _driver(delays, (name, BUFFER[0]))
    wires = [wire]
    total = wire + dict(delays.cells[name].arcs[BUFFER[0]])[BUFFER[1]]
    while (cell := delays.cells[pin[0]]).kind != "ICESTORM_PLL":
        if cell.kind != "ICESTORM_LC" or len(cell.arcs) != 1:
            raise TimingError(f"{pin[0]} is between the PLL and the capture clock's buffer")
        ((source, arcs),) = cell.arcs.items()
        total += dict(arcs)[pin[1]]
        tables.insert(0, int(routed["cells"][pin[0]]["parameters"]["LUT_INIT"], 2))
        inputs.insert(0, _physical_input(routed, pin[0], source))
        pin, wire = _driver(delays, (pin[0], source))
        wires.insert(0, wire)
        total += wire
    return CaptureClock(delay_ns=total, edges_ns=through(tables, inputs, wires))


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
