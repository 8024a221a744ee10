"""Capture clock: its window, how it is read from a routed design, and what a build says of it."""

import dataclasses
import itertools

import pytest
from support.places import REPOSITORY

import boards
from hw.flow.report import BuildResult, Clock, Sweep, Usage
from hw.flow.tools import BuildError
from hw.technology.ice40 import capture as timing
from hw.technology.ice40.capture import (
    CAPTURE_LUTS,
    CORNERS,
    NOMINAL,
    SCALE,
    CaptureClock,
    capture,
    paths,
    through,
)
from hw.technology.ice40.capture_route import read_captures
from hw.technology.ice40.sdf import Cell, Delays, TimingError
from sim.board.flash_part import FlashTiming

MHZ = boards.get("icebreaker").config.core_mhz
NONE = CaptureClock(delay_ns=0, edges_ns=(0, 0))
TIMING = FlashTiming()


def test_the_window_of_the_board_has_room_on_both_sides() -> None:
    found = capture(NOMINAL, MHZ)
    assert found.window_ns == pytest.approx((7.26, 10.29), abs=0.01)
    assert found.fits and found.margin_ns == pytest.approx(1.51, abs=0.01)
    assert list(found.corners) == list(CORNERS)
    for name, corner in found.corners.items():
        assert corner.delay_ns == pytest.approx(SCALE[name] * NOMINAL.delay_ns)
        assert corner.window_ns[0] < corner.delay_ns < corner.window_ns[1]
    # Every corner's window, in nanoseconds of the slow one, has all of the common one.
    for name, corner in found.corners.items():
        assert corner.window_ns[0] / SCALE[name] <= found.window_ns[0] + 1e-9
        assert corner.window_ns[1] / SCALE[name] >= found.window_ns[1] - 1e-9


def test_edges_are_about_alike_only_with_an_inverter() -> None:
    rising, falling = NOMINAL.edges_ns
    assert abs(rising - falling) < 0.2
    rising, falling = through((0xAAAA, 0xAAAA), (2, 1), (1.761, 1.761, 1.099))
    assert rising - falling > 2


def test_one_pair_of_inputs_is_too_fast() -> None:
    """Which of a LUT's inputs is used is the router's choice, and not in its delay."""
    unfit = []
    for pair in itertools.product(range(4), repeat=2):
        edges = through(CAPTURE_LUTS, pair, (1.761, 1.761, 1.099))
        if not capture(CaptureClock(delay_ns=NOMINAL.delay_ns, edges_ns=edges), MHZ).fits:
            unfit.append(pair)
    assert unfit == [(3, 3)]


@pytest.mark.parametrize("luts", range(4))
def test_the_number_of_luts_is_the_one_that_fits(luts: int) -> None:
    wires = [1.761] * luts + [1.099 if luts else 1.747]
    edges = through((0xAAAA, 0x5555, 0xAAAA)[:luts], (2, 1, 1)[:luts], wires)
    clock = CaptureClock(delay_ns=sum(wires) + 1.284 * luts + 1.589, edges_ns=edges)
    assert capture(clock, MHZ).fits == (luts == len(CAPTURE_LUTS))


def test_flash_models_are_right_exactly_within_the_window() -> None:
    """A nibble is there half a period later, and the one before it is gone no earlier."""
    found = capture(NOMINAL, MHZ)
    half = 500 / MHZ
    for corner in CORNERS:
        low, high = (end / SCALE[corner] for end in found.corners[corner].window_ns)
        path_max, _ = paths(MHZ, NOMINAL.at(low), corner)
        # The later edge decides about the one side, the earlier one about the other.
        assert path_max + TIMING.clqv == pytest.approx(half)
        _, path_min = paths(MHZ, NOMINAL.at(high), corner)
        assert path_min + TIMING.clqx == pytest.approx(0, abs=1e-9)
    worst = paths(MHZ, NOMINAL)
    each = [paths(MHZ, NOMINAL, corner) for corner in CORNERS]
    assert worst == (max(a for a, _ in each), min(b for _, b in each))


def routed(*, names: tuple[str, ...] = ("a", "b"), kinds: str = "ICESTORM_LC"):
    """A PLL, LUTs and a buffer in front of an input cell, as the router has them."""
    cells = {"pll": Cell("ICESTORM_PLL"), "io": Cell("SB_IO"), "gb": Cell("SB_GB"),
             "sync": Cell("SB_GB")}
    cells["gb"].arcs["USER_SIGNAL_TO_GLOBAL_BUFFER"].append(("GLOBAL_BUFFER_OUTPUT", 1.589))
    drivers = {("io", "INPUT_CLK"): (("gb", "GLOBAL_BUFFER_OUTPUT"), 0.927),
               ("io", "OUTPUT_CLK"): (("sync", "GLOBAL_BUFFER_OUTPUT"), 0.927)}
    before, wire = ("pll", "PLLOUT_A"), 1.761
    top = {"cells": {}, "netnames": {}}
    for number, name in enumerate(names):
        cells[name] = Cell(kinds)
        cells[name].arcs["I0"].append(("O", 1.284))
        drivers[name, "I0"] = before, wire
        before = name, "O"
        top["cells"][name] = {
            "parameters": {"LUT_INIT": f"{CAPTURE_LUTS[number]:016b}"},
            "attributes": {"NEXTPNR_BEL": f"X1/Y2/lc{number}"}, "connections": {"I0": [number]}}
        top["netnames"][f"n{number}"] = {"bits": [number], "attributes": {
            "ROUTING": f"X1/Y2/local_g0_0;;1;X1/Y2/lutff_{number}:in_{2 - number};x;1"}}
    drivers["gb", "USER_SIGNAL_TO_GLOBAL_BUFFER"] = before, 1.099
    return Delays(cells, {}, drivers), top


def test_the_delay_is_read_from_the_routed_design() -> None:
    (found,) = read_captures(*routed())
    assert found is not None
    assert found.delay_ns == pytest.approx(NOMINAL.delay_ns, abs=1e-3)
    assert found.edges_ns == pytest.approx(NOMINAL.edges_ns)


def test_each_tap_is_a_way_of_its_own() -> None:
    """The PLL's clock comes in at either LUT; which of them, a register says."""
    delays, top = routed()
    delays.cells["chosen"] = Cell("ICESTORM_LC")
    delays.cells["chosen"].arcs["CLK"].append(("O", 1.391))
    for port, driver in (("I1", ("pll", "PLLOUT_A")), ("I2", ("chosen", "O"))):
        delays.cells["b"].arcs[port].append(("O", 1.205))
        delays.drivers["b", port] = driver, 1.5
        top["cells"]["b"]["connections"][port] = [7]
    top["netnames"]["n7"] = {"bits": [7], "attributes": {
        "ROUTING": "X1/Y2/local_g0_1;;1;X1/Y2/lutff_1:in_3;x;1"}}
    short, long = read_captures(delays, top)
    assert short.delay_ns == pytest.approx(1.5 + 1.205 + 1.099 + 1.589)
    assert long.delay_ns == pytest.approx(NOMINAL.delay_ns, abs=1e-3)


def test_a_design_without_a_capture_clock() -> None:
    delays, top = routed()
    del delays.drivers["io", "INPUT_CLK"]
    assert read_captures(delays, top) == []


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(TimingError, match="b is between the PLL and the capture clock's buffer"):
        read_captures(*routed(kinds="ICESTORM_RAM"))
    delays, top = routed()
    del delays.drivers["a", "I0"]
    with pytest.raises(TimingError, match="nothing drives a/I0"):
        read_captures(delays, top)
    delays, top = routed()
    top["netnames"]["n0"]["attributes"] = {}
    with pytest.raises(TimingError, match="the route to a is not known"):
        read_captures(delays, top)


def result(seed: int, delay_ns: float, mhz: float) -> BuildResult:
    return BuildResult(
        board="icebreaker", seed=seed, utilization={"LC": Usage(used=5000, available=5280)},
        clocks={"core": Clock(target_mhz=MHZ, reported_mhz=mhz, achieved_mhz=mhz, proven=True)},
        capture=capture(NOMINAL.at(delay_ns), MHZ))


def test_outside_of_the_window_a_seed_does_not_fit() -> None:
    good, bad = result(1, 8.8, 40.0), result(2, 5.7, 42.0)
    good.check()
    assert good.fits and not bad.fits
    with pytest.raises(BuildError) as caught:
        bad.check()
    assert str(caught.value) == (
        "the flash's capture clock is late by 5.70 ns and must be by 8.26 to 9.29 ns; "
        "try other seeds (--sweep 8)")
    assert bad.json()["fits"] is False
    assert bad.json()["capture"] == {
        "delay_ns": 5.7, "window_ns": [7.259, 10.287], "edges_ns": [4.418, 4.536],
        "corners": {"slow": {"delay_ns": 5.7, "window_ns": [7.096, 10.287]},
                    "typical": {"delay_ns": 3.7, "window_ns": [4.639, 7.028]},
                    "fast": {"delay_ns": 2.116, "window_ns": [2.694, 4.448]}}}


def test_a_sweep_says_which_seeds_are_not_usable(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    sweep = Sweep(results=(result(1, 8.8, 40.0), result(2, 5.7, 42.0)), wanted=2)
    assert [row["capture"] for row in sweep.json()["seeds"]] == [
        {"delay_ns": 8.8, "fits": True}, {"delay_ns": 5.7, "fits": False}]
    Console(width=80).print(sweep.table(1))
    for table in sweep.results[0].tables():
        Console(width=80).print(table)
    printed = capsys.readouterr().out
    assert "not usable" in printed and "8.80" in printed and "all, in ns of the slow" in printed
    assert all(len(line) <= 80 for line in printed.splitlines())
    best = max(sweep.results, key=lambda found: (found.fits, found.margin))
    assert best.seed == 1


def test_at_a_faster_clock_nothing_fits() -> None:
    with pytest.raises(BuildError, match=r"the flash cannot be read at this clock: its window is "
                       r"\d\.\d\d ns too narrow; choose a slower clock \(core_mhz in boards/"):
        dataclasses.replace(result(1, 8.8, 48.0), capture=capture(NOMINAL, 48)).check()


def figures() -> list[str]:
    """Return the figures of the page's timing budget, as it writes them."""
    def row(*values: float, digits: int) -> str:
        return "| " + " | ".join(f"{value:.{digits}f}" for value in values).replace("-", "−")

    scaled = [SCALE[name] for name in CORNERS]
    rows = [
        row(*(timing.OUTPUT_NS[name][1] for name in CORNERS), digits=3),
        row(*(timing.OUTPUT_NS[name][0] for name in CORNERS), digits=3),
        row(*3 * [timing.PAD_OUTPUT_NS[1]], digits=3),
        row(*(timing.PAD_OUTPUT_NS[0] * scale for scale in scaled), digits=3),
        row(*3 * [timing.TRACES_NS[1]], digits=3),
        row(*3 * [timing.TCLQV_NS], digits=1),
        row(*3 * [timing.TCLQX_NS], digits=1),
        row(*3 * [timing.PAD_INPUT_NS[1]], digits=3),
        row(*(timing.PAD_INPUT_NS[0] * scale for scale in scaled), digits=3),
        row(*(timing.INPUT_SETUP_NS[name] for name in CORNERS), digits=3),
        row(*(timing.INPUT_HOLD_NS[name] for name in CORNERS), digits=3),
        row(*(timing.setup_path(name) + timing.TCLQV_NS for name in CORNERS), digits=3),
        row(*(timing.hold_path(name) + timing.TCLQX_NS for name in CORNERS), digits=3),
        row(timing.PLL_DUTY * 1000 / MHZ, digits=3),
        row(timing.PLL_JITTER / 2 * 1000 / MHZ, digits=3),
        row(timing.SKEW_NS, digits=3),
        *(row(*(timing.edges_window(name, MHZ)[end] for name in CORNERS), digits=2)
          for end in (0, 1)),
        "late by {:.2f} and {:.2f} ns where the router has {:.2f}".format(
            *NOMINAL.edges_ns, NOMINAL.delay_ns),
    ]
    found = capture(NOMINAL, MHZ)
    for delay, (low, high) in [*((c.delay_ns, c.window_ns) for c in found.corners.values()),
                               (found.delay_ns, found.window_ns)]:
        rows.append(f"| {delay:.2f} | {low:.2f} to {high:.2f} | "
                    f"{delay - low:.2f} and {high - delay:.2f} |")
    return rows


@pytest.mark.parametrize("figure", figures())
def test_the_page_has_these_figures(figure: str) -> None:
    text = " ".join((REPOSITORY / "docs" / "flash.md").read_text().split())
    assert figure in text
