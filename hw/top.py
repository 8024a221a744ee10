"""A board's top level: clock, reset, IO cells, flash reader, host link, core."""

from amaranth.hdl import Cat, ClockDomain, Elaboratable, Module
from amaranth.lib import io, wiring

from hw import technology
from hw.contract.board import Board
from hw.core import Core
from hw.link.engine import HostLink
from hw.program.flash_reader import FlashReader

__all__ = ["Top"]


class Top(Elaboratable):
    """Everything on the FPGA.

    Parameters
    ----------
    board : Board
    """

    def __init__(self, board: Board):
        self.board = board

    def elaborate(self, platform):
        m = Module()
        board, config = self.board, self.board.config
        family = technology.get(config.technology)
        resources = board.resources
        if config.flash_dtr:
            m.domains.capture = ClockDomain(reset_less=True)
        core = self.core()
        m.submodules.clock = self.clock(m, core, platform.request(platform.default_clk, dir="-"))
        m.submodules.core = core
        m.submodules.flash = flash = FlashReader(read=config.flash_read, word=config.lanes)
        m.submodules.cells = cells = family.flash_cells(
            platform.request(resources.flash, dir="-"), dtr=config.flash_dtr)
        m.submodules.link = link = HostLink(config, baud=board.baud, seed=self.seed)
        uart = platform.request(resources.uart, dir="-")
        # Both at double data rate: a bit may have hardly more than three cycles.
        m.submodules.rx = rx = io.DDRBuffer("i", uart.rx)
        m.submodules.tx = tx = io.DDRBuffer("o", uart.tx)
        m.submodules.led = led = io.FFBuffer("o", platform.request(resources.busy_led, dir="-"))

        wiring.connect(m, flash.pins, cells.pins)
        wiring.connect(m, flash.program, core.program)
        wiring.connect(m, link.bus, core.host)
        wiring.connect(m, link.raw, flash.raw)
        m.d.comb += [
            link.busy.eq(core.busy),
            link.samples.eq(Cat(rx.i[0], rx.i[1])),
            Cat(tx.o[0], tx.o[1]).eq(link.levels),
            led.o.eq(core.busy),
        ]
        return m

    def core(self):
        """Return what the host's bus and the flash belong to."""
        return Core(self.board.config)

    def clock(self, m, core, pin):
        """Return the clock generator."""
        family = technology.get(self.board.config.technology)
        return family.clock_generator(
            reference_mhz=self.board.oscillator_mhz, output_mhz=self.board.config.core_mhz,
            pin=pin, capture=self.board.config.flash_dtr)

    @property
    def seed(self) -> int | None:
        """Of the link's replies, if not the configuration's."""
        return None
