"""The result of a build: as JSON, as a table, and as an error if it is not good enough."""

from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from common.tables import Table, add_names, add_text, new_table
from hw.flow.capture import Capture
from hw.flow.checks import Checks
from hw.flow.placement import PlacedCell, usages
from hw.flow.tools import BuildError

__all__ = ["BuildResult", "Clock", "PathEnd", "Pin", "Sweep", "Usage"]

MODULE_KINDS = ("LC", "carry", "register", "RAM", "DSP", "SPRAM")
"""What is counted of each module; the second and third are those of the first."""

Pin = tuple[str, str]
"""Cell and port, as the router names them."""


@dataclass(frozen=True)
class PathEnd:
    """The longest path of a clock.

    ``period`` is the shortest period it allows, nanoseconds; ``launch`` and ``capture`` are cell
    and port; the kinds are the router's names of the cells.
    """

    period: float
    launch: Pin
    launch_kind: str
    capture: Pin
    capture_kind: str

    @property
    def mhz(self) -> float:
        """Highest frequency."""
        return 1000 / self.period


@dataclass(frozen=True, kw_only=True)
class Clock:
    """One clock.

    ``reported_mhz`` is the router's, ``achieved_mhz`` what the hardware can do: from a path by
    path proof if ``proven``, else by the global correction.  ``path`` is the path that limits it.
    """

    target_mhz: float
    reported_mhz: float
    achieved_mhz: float
    proven: bool
    path: PathEnd | None = None

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.achieved_mhz >= self.target_mhz


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Used and available cells of a kind; ``words`` says which in words, as in "logic cells"."""

    used: int
    available: int
    words: str = "cells"


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """Result of a build.

    ``placement`` has every cell that is used; none if the design does not fit.  ``capture`` is
    the flash's capture clock, if the design has one, ``timing`` what was checked besides how fast
    the clocks may be; ``taps`` are all capture clocks, if the design has a choice.
    """

    board: str
    seed: int
    utilization: dict[str, Usage]
    clocks: dict[str, Clock] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    bitstream: str | None = None
    sweep: "Sweep | None" = None
    placement: tuple[PlacedCell, ...] = ()
    capture: Capture | None = None
    timing: Checks = field(default_factory=Checks)
    taps: tuple[Capture, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether nothing is used more than is available, and the flash can be read."""
        return (all(usage.used <= usage.available for usage in self.utilization.values())
                and (self.capture is None or self.capture.fits))

    @property
    def usable(self) -> bool:
        """Whether it fits and is fast enough."""
        try:
            self.check()
        except BuildError:
            return False
        return True

    @property
    def margin(self) -> float:
        """Achieved by target frequency, of the clock that is worst off."""
        return min((c.achieved_mhz / c.target_mhz for c in self.clocks.values()), default=0.0)

    def check(self) -> None:
        """Raise :class:`BuildError`, in one line, if it does not fit or is too slow."""
        for usage in self.utilization.values():
            if usage.used > usage.available:
                raise BuildError(
                    f"the design does not fit {self.board}: {usage.used} {usage.words} "
                    f"of {usage.available}, {usage.used - usage.available} too many; build a "
                    f"smaller core (hw.contract.config.CoreConfig in boards/{self.board}.py)")
        if self.capture is not None and not self.capture.fits:
            raise BuildError(self.capture.complaint(self.board))
        for name, clock in self.clocks.items():
            if not clock.met:
                raise BuildError(
                    f"the {name} clock reaches {clock.achieved_mhz:.2f} MHz of "
                    f"{clock.target_mhz:g} MHz, {clock.target_mhz - clock.achieved_mhz:.2f} MHz "
                    f"too little{_limit(clock)}; try other seeds (--sweep 8), or a slower clock "
                    f"(core_mhz in boards/{self.board}.py)")
        failing = self.timing.failing()
        if failing is not None:
            raise BuildError(
                f"timing of {failing.what} fails: {failing.kind} lacks {-failing.slack_ns:.2f} ns "
                f"({failing.path or 'pins'}); try other seeds (--sweep 8)")

    def json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        clocks: dict[str, dict[str, Any]] = {}
        for name, clock in self.clocks.items():
            clocks[name] = {
                "target_mhz": clock.target_mhz,
                "reported_mhz": round(clock.reported_mhz, 3),
                "achieved_mhz": round(clock.achieved_mhz, 3),
                "proven": clock.proven,
            }
            if clock.path is not None:
                clocks[name]["critical_path"] = {
                    "from": "/".join(clock.path.launch), "from_cell": clock.path.launch_kind,
                    "to": "/".join(clock.path.capture), "to_cell": clock.path.capture_kind,
                }
        return {
            "board": self.board,
            "fits": self.fits,
            "clocks": clocks,
            **({} if self.capture is None else {"capture": self.capture.json()}),
            "timing": self.timing.json(),
            **({"taps": [tap.json() for tap in self.taps]} if self.taps else {}),
            "utilization": {name: {"used": usage.used, "available": usage.available}
                            for name, usage in self.utilization.items()},
            "bitstream": self.bitstream,
            "seed": self.seed,
            "versions": self.versions,
            "modules": [{"module": name, **{kind: counts[kind] for kind in MODULE_KINDS}}
                        for name, counts in usages(self.placement).items()],
            **({} if self.sweep is None else {"sweep": self.sweep.json()}),
        }

    def tables(self) -> list[Table]:
        """Return the tables for the terminal."""
        clocks = new_table(("clock",), ("target MHz", "reported MHz", "achieved MHz"))
        add_text(clocks, "limited by")
        for name, clock in self.clocks.items():
            clocks.add_row(name, f"{clock.target_mhz:g}", f"{clock.reported_mhz:.2f}",
                           f"{clock.achieved_mhz:.2f}", _limit(clock).removeprefix(", limited by "))
        usage = new_table(("resource",), ("used", "available", "%"))
        for name, row in self.utilization.items():
            usage.add_row(name, f"{row.used:,}", f"{row.available:,}",
                          f"{100 * row.used / row.available:.0f}")
        return [clocks, usage, self._parts(),
                *([self.capture.table()] if self.capture is not None else []),
                *self.timing.tables()]

    def _parts(self) -> Table:
        """Return what each part of the design uses; without rows if nothing is placed."""
        table = new_table(
            ("part",), ("logic cells", "with carry", "flip-flops", "RAM", "DSP", "SPRAM"),
            give_way=("with carry",),
        )
        for name, counts in usages(self.placement, parts=True).items():
            table.add_row(name, *(f"{counts[kind]:,}" if counts[kind] else ""
                                  for kind in MODULE_KINDS))
        if self.placement:
            total = usages(replace(cell, module="") for cell in self.placement)["top"]
            table.add_section()
            table.add_row("all", *(f"{total[kind]:,}" if total[kind] else ""
                                   for kind in MODULE_KINDS))
        return table


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The seeds of a sweep.

    Attributes
    ----------
    results : tuple of BuildResult
        Of the seeds that were done, in order.
    wanted : int
        How many seeds there were to be; more than ``results`` after an interrupt.
    """

    results: tuple[BuildResult, ...]
    wanted: int

    def spread(self) -> dict[str, dict[str, float]]:
        """Return least, median and greatest achieved frequency of each clock, MHz."""
        speeds: dict[str, list[float]] = {}
        for result in self.results:
            for name, clock in result.clocks.items():
                speeds.setdefault(name, []).append(clock.achieved_mhz)
        return {name: {"min": round(min(mhz), 3), "median": round(median(mhz), 3),
                       "max": round(max(mhz), 3)} for name, mhz in speeds.items()}

    def json(self) -> dict[str, Any]:
        """Return the sweep as plain data."""
        seeds = [{
            "seed": result.seed, "fits": result.fits,
            "lc": result.utilization["LC"].used if "LC" in result.utilization else None,
            **({} if result.capture is None else
               {"capture": {"delay_ns": round(result.capture.delay_ns, 3),
                            "fits": result.capture.fits}}),
            "clocks": {name: {"reported_mhz": round(clock.reported_mhz, 3),
                              "achieved_mhz": round(clock.achieved_mhz, 3),
                              "proven": clock.proven} for name, clock in result.clocks.items()},
        } for result in self.results]
        return {"wanted": self.wanted, "seeds": seeds, "achieved_mhz": self.spread()}

    def table(self, best: int) -> Table:
        """Return the table for the terminal; ``best`` is the seed that is kept."""
        table = new_table(("seed", "clock"),
                          ("reported MHz", "achieved MHz", "capture ns", "LC"))
        add_names(table, "")
        for result in self.results:
            cells = f"{result.utilization['LC'].used:,}" if "LC" in result.utilization else ""
            late = "" if result.capture is None else f"{result.capture.delay_ns:.2f}"
            state = "kept" if result.seed == best else "" if result.usable else "not usable"
            for name, clock in result.clocks.items():
                table.add_row(str(result.seed), name, f"{clock.reported_mhz:.2f}",
                              f"{clock.achieved_mhz:.2f}", late, cells, state)
        for name, mhz in self.spread().items():
            table.add_section()
            for word in ("min", "median", "max"):
                table.add_row(word, name, "", f"{mhz[word]:.2f}", "", "", "")
        return table


def _limit(clock: Clock) -> str:
    if clock.path is None:
        return "" if clock.proven else ", limited by the global correction (no path is proven)"
    return f", limited by {_place(clock.path.launch)} to {_place(clock.path.capture)}"


def _place(pin: tuple[str, str]) -> str:
    """Shorten nextpnr's name of a cell to the signal that it is about."""
    name = pin[0].replace("\\", "")
    for mark in ("_SB_", "_DSP", "_RAM", "_DFFLC", "_LC"):
        name = name.split(mark)[0]
    return name or pin[0]
