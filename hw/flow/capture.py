"""The flash's capture clock in a routed design: how late it is, and how late it may be."""

from dataclasses import dataclass
from typing import Any

from common.tables import Table, new_table

__all__ = ["Capture", "CaptureCorner", "CaptureTaps"]

MARGIN_NS = 1.0
"""What has to be left on each side of the window."""


@dataclass(frozen=True, kw_only=True)
class CaptureCorner:
    """Delay of the capture clock, and the window for it, in one corner, nanoseconds."""

    delay_ns: float
    window_ns: tuple[float, float]

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"delay_ns": round(self.delay_ns, 3),
                "window_ns": [round(end, 3) for end in self.window_ns]}


@dataclass(frozen=True, kw_only=True)
class Capture:
    """Capture clock of a routed design.

    Attributes
    ----------
    delay_ns : float
        As the router has it: slow corner, the later edge of every cell.
    window_ns : tuple of float
        Least and greatest such delay with which the flash is read rightly in every corner; duty
        cycle, jitter and skew are counted, and that edges are earlier than the router has them.
    edges_ns : tuple of float
        The same for the rising and the falling edge by themselves, slow corner.
    corners : dict
        By name: slow, typical, fast.
    """

    delay_ns: float
    window_ns: tuple[float, float]
    edges_ns: tuple[float, float]
    corners: dict[str, CaptureCorner]

    @property
    def margin_ns(self) -> float:
        """What is left on the worse side; negative outside of the window."""
        return min(self.delay_ns - self.window_ns[0], self.window_ns[1] - self.delay_ns)

    @property
    def fits(self) -> bool:
        """Whether enough is left on both sides."""
        return self.margin_ns >= MARGIN_NS

    def complaint(self, board: str) -> str:
        """Return what is wrong with a delay that does not fit, and what to do."""
        low, high = (self.window_ns[0] + MARGIN_NS, self.window_ns[1] - MARGIN_NS)
        if low > high:
            return (f"the flash cannot be read at this clock: its window is {low - high:.2f} ns "
                    f"too narrow; choose a slower clock (core_mhz in boards/{board}.py)")
        return (f"the flash's capture clock is late by {self.delay_ns:.2f} ns and must be by "
                f"{low:.2f} to {high:.2f} ns; try other seeds (--sweep 8)")

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "delay_ns": round(self.delay_ns, 3),
            "window_ns": [round(end, 3) for end in self.window_ns],
            "edges_ns": [round(edge, 3) for edge in self.edges_ns],
            "corners": {name: corner.json() for name, corner in self.corners.items()},
        }

    def table(self) -> Table:
        """Return the table for the terminal."""
        table = new_table(("flash capture clock",), ("late by ns", "window ns", "left ns"))
        for name, corner in self.corners.items():
            _row(table, f"{name} corner", corner.delay_ns, corner.window_ns)
        table.add_section()
        _row(table, "all, in ns of the slow one", self.delay_ns, self.window_ns)
        return table


@dataclass(frozen=True, kw_only=True)
class CaptureTaps:
    """Capture clocks that a self-test chooses from.

    Attributes
    ----------
    chosen : int
        The one that other designs have.
    taps : tuple of Capture
        All, the earliest first.
    """

    chosen: int
    taps: tuple[Capture, ...]


def _row(table: Table, name: str, delay: float, window: tuple[float, float]) -> None:
    low, high = window
    table.add_row(name, f"{delay:.2f}", f"{low:.2f} to {high:.2f}",
                  f"{delay - low:.2f} and {high - delay:.2f}")
