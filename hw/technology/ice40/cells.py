"""Cells of the iCE40 around the design: clock and reset from the PLL, IO cells of the flash."""

from collections.abc import Mapping
from types import MappingProxyType

from amaranth.hdl import (
    C,
    ClockDomain,
    ClockSignal,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Signal,
)
from amaranth.lib import io, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In

from hw.interfaces import FlashPins
from hw.technology.ice40.capture import CAPTURE_LUTS, CAPTURE_PLACES
from hw.technology.ice40.pll import pll_settings

__all__ = ["ClockGenerator", "FlashCells"]


class ClockGenerator(Elaboratable):
    """PLL and reset: makes the domain ``sync``, and the clock of the parent's domain ``capture``.

    That one, if it is wanted, is the same clock some nanoseconds later and inverted: it goes from
    the PLL through LUTs to a global buffer of its own.  The flash's input cells need it
    (:mod:`hw.technology.ice40.capture`, ``docs/flash.md``).

    The reset is held until the PLL has been locked for ``RESET_CYCLES``: block RAMs read as zero
    for some 3 us after configuration, and a locked PLL of this family still settles.

    Parameters
    ----------
    reference_mhz, output_mhz : float
    pin : io.SingleEndedPort
        The reference, on the PLL's own pad.
    capture : bool
        The late clock is wanted.
    """

    RESET_CYCLES = 1 << 10
    BUFFER: Mapping[str, str] = MappingProxyType({"a_BEL": CAPTURE_PLACES[-1]})
    """Attributes of the capture clock's global buffer."""

    def __init__(self, *, reference_mhz, output_mhz, pin, capture=True):
        self.settings = pll_settings(reference_mhz=reference_mhz, output_mhz=output_mhz)
        self.pin = pin
        self.capture = capture

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        late = Signal()
        # The counter starts when the PLL locks; flip-flops are 0 after configuration.
        m.domains.por = ClockDomain(reset_less=True, local=True)
        lock = Signal()
        locked = Signal()
        settings = self.settings
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE",
            p_PLLOUT_SELECT="GENCLK",
            p_DIVR=C(settings.divr, 4),
            p_DIVF=C(settings.divf, 7),
            p_DIVQ=C(settings.divq, 3),
            p_FILTER_RANGE=C(settings.filter_range, 3),
            i_RESETB=C(1, 1),
            i_BYPASS=C(0, 1),
            io_PACKAGEPIN=self.pin.io,
            o_PLLOUTGLOBAL=ClockSignal("sync"),
            o_PLLOUTCORE=late,
            o_LOCK=lock,
        )
        if self.capture:
            m.submodules.capture = Instance(
                "SB_GB", **self.BUFFER, i_USER_SIGNAL_TO_GLOBAL_BUFFER=self.delay(m, late),
                o_GLOBAL_BUFFER_OUTPUT=ClockSignal("capture"))
        m.d.comb += ClockSignal("por").eq(ClockSignal("sync"))
        m.submodules.lock = FFSynchronizer(lock, locked, o_domain="por")
        count = Signal(range(self.RESET_CYCLES + 1))
        done = count[-1]
        reset = Signal(init=1)
        with m.If(~locked):
            m.d.por += count.eq(0)
        with m.Elif(~done):
            m.d.por += count.eq(count + 1)
        m.d.por += reset.eq(~done)
        m.d.comb += ResetSignal("sync").eq(reset)
        return m

    def delay(self, m, late):
        """Return a clock later, and inverted."""
        for number, table in enumerate(CAPTURE_LUTS):
            later = Signal(name=f"late_{number}")
            # Kept: synthesis would make one of them, or a wire.
            m.submodules[f"delay_{number}"] = Instance(
                "SB_LUT4", a_keep=True, a_BEL=CAPTURE_PLACES[number],
                p_LUT_INIT=C(table, 16), i_I0=late, i_I1=C(0, 1), i_I2=C(0, 1), i_I3=C(0, 1),
                o_O=later)
            late = later
        return late


class FlashCells(wiring.Component):
    """IO cells of the flash; all registered, SCK at double data rate.

    Inputs are captured at double data rate with the clock ``capture``, which
    :class:`ClockGenerator` gives inverted, or once a cycle with the core's own.

    Parameters
    ----------
    port : object
        A quad SPI flash of the platform, requested without buffers.
    dtr : bool
        It is read at double transfer rate.

    Members
    -------
    pins : In(FlashPins())
    """

    def __init__(self, port, *, dtr=True):
        self.port = port
        self.dtr = dtr
        super().__init__({"pins": In(FlashPins())})

    def elaborate(self, platform):
        m = Module()
        if self.dtr:
            # Its rising edges are the falling ones of the core's clock, later.
            m.domains.captured = ClockDomain(reset_less=True, local=True, clk_edge="neg")
            m.d.comb += ClockSignal("captured").eq(ClockSignal("capture"))
        m.submodules.cs = cs = io.FFBuffer("o", self.port.cs)
        m.submodules.sck = sck = io.DDRBuffer("o", self.port.clk)
        m.d.comb += [
            cs.o.eq(~self.pins.cs_n),   # the port inverts
            sck.o.eq(self.pins.sck),
        ]
        for k in range(4):
            high = Signal(name=f"high_{k}")
            # D_IN_0 is of the input clock's rising edges, D_IN_1 of its falling ones.
            inputs = ({"o_D_IN_0": high, "o_D_IN_1": self.pins.i[k]} if self.dtr else
                      {"o_D_IN_0": self.pins.i[k]})
            # An output cell of single data rate, an input cell of double: io.FFBuffer and
            # io.DDRBuffer are the one or the other.
            m.submodules[f"dq_{k}"] = Instance(
                "SB_IO",
                # PIN_OUTPUT_REGISTERED_ENABLE_REGISTERED, PIN_INPUT_DDR
                p_PIN_TYPE=C(0b110100, 6),
                io_PACKAGE_PIN=self.port.dq.io[k],
                i_OUTPUT_CLK=ClockSignal("sync"),
                i_INPUT_CLK=ClockSignal("capture" if self.dtr else "sync"),
                i_D_OUT_0=self.pins.o[k],
                i_OUTPUT_ENABLE=self.pins.oe[k],
                **inputs,
            )
            if self.dtr:
                # Still with the late clock: it has half a cycle to get here, whatever the delay.
                m.d.captured += self.pins.i[4 + k].eq(high)
        return m
