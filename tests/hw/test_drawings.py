"""Drawings in the documentation: tables of schedules and latencies, as the contract has them."""

import re
from pathlib import Path

import pytest

from hw.contract import latency
from hw.contract.config import CoreConfig
from hw.contract.modes import DEPTHWISE_MODES, Mode, minimum_steps
from hw.contract.taps import FETCH_STEPS, PROLOGUE_WORDS, STRIDES, window_steps
from hw.requantise.requantiser import Requantiser

DOCS = Path(__file__).resolve().parents[2] / "docs"


def table(page, mark):
    """Return the cells of the table behind a mark."""
    text = (DOCS / page).read_text()
    (body,) = re.findall(rf"<!-- {mark} -->\n+(.*?)\n+<!-- end -->", text, re.DOTALL)
    lines = body.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("mode", DEPTHWISE_MODES)
def test_schedule_of_windows(mode):
    words = [(-column, row) for column in range(STRIDES[mode]) for row in range(3)]
    fetched = dict(zip(FETCH_STEPS[mode], words, strict=True))
    expected = []
    for step, taps in enumerate(window_steps(mode)[: minimum_steps(mode)]):
        came = [fetched[step]] if step in fetched else [()]
        cells = [", ".join(map(str, tap)) for tap in (*came, *taps)]
        expected.append([str(step), *cells])
    assert table("depthwise.md", f"schedule: {mode.name}") == expected


@pytest.mark.parametrize(("mode", "ages"), [
    (Mode.DEPTHWISE, (2, 1, 0)), (Mode.DEPTHWISE_STRIDE2, (2, 1, 0)),
    (Mode.DEPTHWISE_STRIDE2, (1, 0, -1)),
])
def test_ordinary_steps_have_all_taps(mode, ages):
    """The page's claims: 9 taps in 10 slots; with stride 2 all of them in the first six steps."""
    steps = window_steps(mode)[: 5 if mode == Mode.DEPTHWISE else 6]
    seen = [tap for step in steps for tap in step]
    assert {(age, row) for age in ages for row in range(3)} <= set(seen)
    assert len(seen) == (10 if mode == Mode.DEPTHWISE else 12)


def test_wavefront():
    lanes = CoreConfig().lanes
    expected = [
        [str(cycle), *(str((cycle - g) % lanes) if cycle >= g else "" for g in range(lanes))]
        for cycle in range(2 * lanes)
    ]
    assert table("systolic.md", "wavefront") == expected


def test_latencies():
    for name, cycles, _ in table("systolic.md", "latencies"):
        assert getattr(latency, name.strip("`")) == int(cycles), name
    for page in DOCS.glob("*.md"):
        for name, cycles in re.findall(r"`hw\.contract\.latency\.(\w+)` = (\d+)", page.read_text()):
            assert getattr(latency, name) == int(cycles), (page.name, name)
    manual = (DOCS / "architecture.md").read_text()
    (descriptor,) = re.findall(r"the next descriptor is read\s+\((\d+)\)", manual)
    (column,) = re.findall(r"the first column \(depthwise: (\d+)\)", manual)
    assert int(descriptor) == latency.DESCRIPTOR
    assert {int(column)} == {PROLOGUE_WORDS[mode] for mode in DEPTHWISE_MODES}


def test_stages_of_the_requantiser():
    text = (DOCS / "requantiser.md").read_text()
    body = text[text.index("| cycle | what is registered |") :].split("\n\n")[0]
    stages = [line.split("|")[1].strip() for line in body.splitlines()[2:]]
    assert stages == [str(stage + 1) for stage in range(Requantiser.LATENCY)]
