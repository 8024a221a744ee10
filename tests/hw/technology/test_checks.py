"""Checks between all edges of a routed design's clocks, and at its pads."""

from collections import defaultdict

import pytest
from rich.console import Console

import boards
from hw.flow.checks import Check, Checks
from hw.flow.report import BuildResult
from hw.flow.tools import BuildError
from hw.technology.ice40 import capture as budget
from hw.technology.ice40.capture import NOMINAL
from hw.technology.ice40.checks import EARLY_WIRE, check_timing
from hw.technology.ice40.sdf import Cell, Delays

MHZ = boards.get("icebreaker").config.core_mhz
PERIOD = 1000 / MHZ
FULL = budget.PLL_JITTER / 2 * PERIOD + budget.SKEW_NS
HALF = FULL + 0.1 * PERIOD

CORE, LATE = ("gb", "GLOBAL_BUFFER_OUTPUT"), ("late", "GLOBAL_BUFFER_OUTPUT")


class Design:
    """Routed design of flip-flops and an input cell."""

    def __init__(self) -> None:
        self.delays = Delays({}, defaultdict(list), {})
        # Most cells are the core's.
        for number in range(5):
            self.register(f"other_{number}", CORE)

    def register(self, name: str, clock: tuple[str, str], *, falling: bool = False) -> None:
        cell = self.delays.cells[name] = Cell("ICESTORM_LC")
        cell.arcs["CLK"].append(("O", 1.39))
        cell.setups.append(("I0", "CLK", falling, 1.2))
        self.delays.drivers[name, "CLK"] = clock, 0.927

    def input_cell(self, name: str, clock: tuple[str, str]) -> None:
        cell = self.delays.cells[name] = Cell("SB_IO")
        cell.arcs["INPUT_CLK"] += [("D_IN_0", 1.005), ("D_IN_1", 1.005)]
        self.delays.drivers[name, "INPUT_CLK"] = clock, 0.927

    def wire(self, source: tuple[str, str], sink: tuple[str, str], time: float) -> None:
        self.delays.wires[source].append((sink, time))
        self.delays.drivers[sink] = source, time

    def check(self) -> dict[tuple[str, str], Check]:
        found = check_timing(self.delays, NOMINAL, MHZ)
        return {(check.what, check.kind): check for check in found.checks}


def test_from_edge_to_edge() -> None:
    design = Design()
    design.register("a", CORE)
    design.register("b", CORE)
    design.register("c", CORE, falling=True)
    design.wire(("a", "O"), ("b", "I0"), 10.0)
    design.wire(("b", "O"), ("c", "I0"), 3.0)
    design.wire(("c", "O"), ("a", "I0"), 2.0)
    found = design.check()
    core = found["core", "set-up"]
    assert core.slack_ns == pytest.approx(PERIOD - 1.39 - 10.0 - 1.2)
    assert core.uncertain_ns == pytest.approx(FULL) and core.path == "a/O to b/I0"
    falling = found["core to core falling", "set-up"]
    assert falling.slack_ns == pytest.approx(PERIOD / 2 - 1.39 - 3.0 - 1.2)
    assert falling.uncertain_ns == pytest.approx(HALF)
    back = found["core falling to core", "set-up"]
    assert back.slack_ns == pytest.approx(PERIOD / 2 - 1.39 - 2.0 - 1.2)
    hold = found["core", "hold"]
    fast = budget.SCALE["fast"]
    assert hold.slack_ns == pytest.approx(fast * (1.39 + EARLY_WIRE * 10.0))
    assert hold.uncertain_ns == budget.SKEW_NS


def test_from_the_capture_clock_to_the_core() -> None:
    design = Design()
    design.input_cell("dq", LATE)
    design.register("high", LATE, falling=True)
    design.register("a", CORE)
    design.register("b", CORE)
    design.wire(("dq", "D_IN_0"), ("high", "I0"), 4.0)
    design.wire(("dq", "D_IN_1"), ("a", "I0"), 3.0)
    design.wire(("high", "O"), ("b", "I0"), 2.0)
    found = design.check()
    # The capture clock is inverted: D_IN_0 comes with the falling edge of the PLL's.
    first = found["capture falling to capture", "set-up"]
    assert first.slack_ns == pytest.approx(PERIOD / 2 - 1.005 - 4.0 - 1.2)
    second = found["capture to core", "set-up"]
    assert second.path == "dq/D_IN_1 to a/I0"
    assert second.slack_ns == pytest.approx(PERIOD - NOMINAL.delay_ns - 1.005 - 3.0 - 1.2)
    hold = found["capture to core", "hold"]
    fast = budget.SCALE["fast"]
    assert hold.slack_ns == pytest.approx(
        fast * (min(NOMINAL.edges_ns[:1]) + 1.39 + EARLY_WIRE * 2.0))
    assert ("core to capture", "set-up") not in found


def test_pads() -> None:
    found = Design().check()
    window = budget.capture(NOMINAL, MHZ)
    assert found["flash to input registers", "set-up"].left_ns == pytest.approx(
        window.delay_ns - window.window_ns[0])
    assert found["flash to input registers", "hold"].left_ns == pytest.approx(
        window.window_ns[1] - window.delay_ns)
    for what, kind in [("flash lines to SCK", "set-up"), ("flash lines to SCK", "hold"),
                       ("flash /CS to SCK", "set-up"), ("flash /CS high", "width")]:
        assert found[what, kind].left_ns > 3


def test_a_check_that_fails_is_an_error() -> None:
    design = Design()
    design.register("a", CORE)
    design.register("c", CORE, falling=True)
    design.wire(("a", "O"), ("c", "I0"), 11.0)
    checks = check_timing(design.delays, NOMINAL, MHZ)
    result = BuildResult(board="icebreaker", seed=1, utilization={}, timing=checks)
    assert not result.usable and result.fits
    with pytest.raises(BuildError, match=r"^timing of core to core falling fails: set-up lacks "
                       r"0\.77 ns \(a/O to c/I0\); try other seeds \(--sweep 8\)$"):
        result.check()


def test_the_report_says_what_is_and_what_is_not_covered(
    capsys: pytest.CaptureFixture[str]
) -> None:
    checks = Checks(checks=(
        Check(what="core", kind="set-up", slack_ns=0.3, uncertain_ns=1.14, path="a to b"),
        Check(what="core", kind="hold", slack_ns=0.9, uncertain_ns=0.5)), not_covered=("the moon",))
    for table in checks.tables():
        Console(width=80).print(table)
    printed = capsys.readouterr().out
    assert "0.30" in printed and "-0.84" in printed and "the moon" in printed
    assert "no" in printed and "yes" in printed
    assert checks.json() == {
        "checks": [
            {"what": "core", "kind": "set-up", "slack_ns": 0.3, "uncertain_ns": 1.14,
             "left_ns": -0.84, "path": "a to b"},
            {"what": "core", "kind": "hold", "slack_ns": 0.9, "uncertain_ns": 0.5,
             "left_ns": 0.4, "path": ""}],
        "not_covered": ["the moon"]}
    assert BuildResult(board="x", seed=1, utilization={}, timing=checks).usable


def test_at_single_rate_a_nibble_has_a_whole_period():
    checks = check_timing(Design().delays, None, MHZ, single_rate=True).checks
    inputs = {check.kind: check for check in checks if check.what == "flash to input registers"}
    setup, hold = inputs["set-up"], inputs["hold"]
    late = budget.setup_path("slow") + budget.TCLQV_NS
    assert setup.slack_ns == pytest.approx(PERIOD - late) and setup.left_ns > 9
    assert hold.slack_ns == pytest.approx(budget.hold_path("fast") + budget.TCLQX_NS)
    assert hold.left_ns > 3
    # As at double rate.
    pins = [check for check in check_timing(Design().delays, NOMINAL, MHZ).checks
            if "SCK" in check.what or "/CS" in check.what]
    assert len(pins) == 4 and all(check in checks for check in pins)
