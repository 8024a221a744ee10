"""The capture clock's taps: what the documents say of them, and what the router makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io, wiring
from support.places import REPOSITORY

import boards
from hw import technology
from hw.interfaces import FlashPins
from hw.technology.ice40.capture import NOMINAL
from hw.technology.ice40.tap_delays import DELAYS_NS, capture_taps
from hw.technology.ice40.taps import TappedClockGenerator

BOARD = boards.get("icebreaker")
FOUND = capture_taps(BOARD.config.core_mhz)


def test_the_chosen_tap_is_the_cores_clock() -> None:
    chosen = FOUND.taps[FOUND.chosen]
    assert chosen.fits
    assert chosen.delay_ns == pytest.approx(NOMINAL.delay_ns, abs=0.1)
    assert chosen.edges_ns == pytest.approx(NOMINAL.edges_ns, abs=0.1)


def test_each_side_of_it_has_a_tap() -> None:
    assert 0 < FOUND.chosen < len(FOUND.taps) - 1
    assert list(DELAYS_NS) == sorted(DELAYS_NS)
    assert len(FOUND.taps) == TappedClockGenerator.TAPS <= 8


def test_the_documents_say_so() -> None:
    text = (REPOSITORY / "docs" / "selftest.md").read_text()
    for number, delay in enumerate(DELAYS_NS):
        name = f"{number}, as in the core's bitstream" if number == FOUND.chosen else number
        assert f"| {name} | {number + 1} | {delay:.2f} |" in text


class Small(Elaboratable):
    """Nothing but the clocks and the flash's cells."""

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        family = technology.get("ice40")
        m.domains.capture = ClockDomain(reset_less=True)
        m.submodules.clock = clock = family.tapped_clock_generator(
            reference_mhz=BOARD.oscillator_mhz, output_mhz=BOARD.config.core_mhz,
            pin=platform.request(platform.default_clk, dir="-"))
        m.submodules.cells = cells = family.flash_cells(platform.request("spi_flash_4x", dir="-"))
        pins = FlashPins().create()
        wiring.connect(m, pins, cells.pins)
        m.submodules.led = led = io.FFBuffer("o", platform.request("led_g", dir="-"))
        count = Signal(8)
        m.d.sync += count.eq(count + pins.i)
        m.d.comb += [clock.tap.eq(count[5:]), pins.sck.eq(count), led.o.eq(count[-1])]
        return m


# A clock generator defines the clocks of its neighbours, here as in every design.
@pytest.mark.filterwarnings("ignore:Domain .* is used in:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_router_makes_them_so(seed: int, tmp_path: Path) -> None:
    flow = technology.get("ice40").flow
    flow.elaborate(BOARD, Small(), tmp_path)
    flow.synthesize(tmp_path)
    result = flow.place_and_route(BOARD, tmp_path, seed=seed)
    assert [tap.delay_ns for tap in result.taps] == pytest.approx(DELAYS_NS, abs=0.3)
    assert result.capture == result.taps[FOUND.chosen]
    assert len(result.json()["taps"]) == len(DELAYS_NS)
