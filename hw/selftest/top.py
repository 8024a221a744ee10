"""A board's top level for the self-test: :class:`hw.top.Top` with another core and other clocks."""

from hw import technology
from hw.contract.selftest import digest
from hw.selftest.core import SelfTest
from hw.top import Top

__all__ = ["SelfTestTop"]


class SelfTestTop(Top):
    """Everything on the FPGA: see :class:`hw.top.Top`."""

    def core(self):
        """Return the self-test."""
        config = self.board.config
        taps = technology.get(config.technology).capture_taps(config.core_mhz)
        return SelfTest(config, tap=taps.chosen)

    def clock(self, m, core, pin):
        """Return the clock generator, which the self-test chooses the tap of."""
        family = technology.get(self.board.config.technology)
        generator = family.tapped_clock_generator(
            reference_mhz=self.board.oscillator_mhz, output_mhz=self.board.config.core_mhz,
            pin=pin)
        m.d.comb += generator.tap.eq(core.tap)
        return generator

    @property
    def seed(self) -> int:
        """Of the link's replies."""
        return digest(self.board.config, self.board.baud)
