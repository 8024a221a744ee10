"""Delays of a routed design, as nextpnr writes them (``--sdf``)."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from hw.flow.report import Pin

__all__ = ["CLOCK_PORTS", "Cell", "Delays", "TimingError", "read_sdf"]

CLOCK_PORTS = {"CLK", "RCLK", "WCLK", "CLOCK", "INPUT_CLK", "OUTPUT_CLK"}


class TimingError(Exception):
    """The delays can't be analysed; only the global correction is left."""


@dataclass
class Cell:
    """Delays of a cell, nanoseconds."""

    kind: str
    arcs: dict[str, list[tuple[str, float]]] = field(default_factory=lambda: defaultdict(list))
    setups: list[tuple[str, str, bool, float]] = field(default_factory=list)
    """Port, clock port, falling edge, set-up."""


@dataclass
class Delays:
    """Delays of a routed design."""

    cells: dict[str, Cell]
    wires: dict[Pin, list[tuple[Pin, float]]]
    drivers: dict[Pin, tuple[Pin, float]]


NUMBERS = r"\((-?[\d.]+):[^)]*\)"
SDF_LINES = [
    ("wire", re.compile(rf"\(INTERCONNECT (\S+) (\S+) {NUMBERS} {NUMBERS}\)")),
    ("arc", re.compile(rf"\(IOPATH (\S+) (\S+) {NUMBERS} {NUMBERS}\)")),
    ("setup", re.compile(rf"\(SETUPHOLD \(\w+ (\S+)\) \((\w+) (\S+)\) {NUMBERS}")),
    ("kind", re.compile(r'\(CELLTYPE "(.*)"\)')),
    ("instance", re.compile(r"\(INSTANCE (\S*)\)")),
]


def _pin(text: str) -> Pin:
    cell, _, port = text.rpartition("/")
    return cell, port


def read_sdf(path: Path) -> Delays:
    """Read nextpnr's SDF (``--sdf``)."""
    delays = Delays({}, defaultdict(list), {})
    kind = ""
    cell = Cell("")
    with path.open() as lines:
        for line in lines:
            for what, pattern in SDF_LINES:
                match = pattern.search(line)
                if match is None:
                    continue
                groups = match.groups()
                if what == "wire":
                    source = _pin(groups[0])
                    sink = _pin(groups[1])
                    time = max(float(groups[2]), float(groups[3])) / 1000
                    delays.wires[source].append((sink, time))
                    delays.drivers[sink] = source, time
                elif what == "arc":
                    time = max(float(groups[2]), float(groups[3])) / 1000
                    cell.arcs[groups[0]].append((groups[1], time))
                elif what == "setup":
                    port, edge, clock, setup = groups
                    cell.setups.append((port, clock, edge == "negedge", float(setup) / 1000))
                elif what == "kind":
                    kind = groups[0]
                else:
                    cell = Cell(kind)
                    delays.cells[groups[0]] = cell
                break
    if not delays.wires:
        raise TimingError(f"no delays in {path.name}")
    return delays
