"""The capture clock with a choice of delays: for a self-test, which looks for the edges."""

from types import MappingProxyType

from amaranth.hdl import C, Instance, Signal

from hw.technology.ice40.cells import ClockGenerator
from hw.technology.ice40.tap_delays import DELAYS_NS

__all__ = ["TappedClockGenerator"]

PASS, ENTER = 0xCCCC, 0xAAAA
"""Tables of a LUT that passes on the clock before it (I1), or lets the PLL's in (I0)."""


BESIDE_PLL = "X12/Y30"
"""Tile of an iCE40UP5K beside its PLL, where the LUTs of a fixed delay are put by the router."""

BUFFER = "X12/Y31/gb"
"""Global buffer beside that tile."""


class TappedClockGenerator(ClockGenerator):
    """Clock generator whose capture clock passes 1 to ``TAPS`` LUTs.

    The LUTs are a line; the PLL's clock comes in at the one that ``tap`` selects, and what is
    before it does not matter.  So a tap has no more LUTs on its way than a fixed delay has, and
    one of them is the way of :class:`ClockGenerator`.  The last LUT inverts.  LUTs and buffer
    have their places, so that the delays are the same for every seed.

    Attributes
    ----------
    tap : Signal
        LUTs on the way, less one; any other number selects the last tap.  The clock may have a
        glitch when it changes: to be changed while nothing is captured.
    """

    TAPS = len(DELAYS_NS)
    BUFFER = MappingProxyType({"a_BEL": BUFFER})

    def __init__(self, *, reference_mhz, output_mhz, pin):
        super().__init__(reference_mhz=reference_mhz, output_mhz=output_mhz, pin=pin)
        self.tap = Signal(3)

    def delay(self, m, late):
        """Return the clock of the tap."""
        before = late
        for number in reversed(range(self.TAPS)):
            after = Signal(name=f"tapped_{number}")
            if number == self.TAPS - 1:
                table = ENTER
                enter = C(0, 1)
            else:
                table = ENTER & 0xF0F0 | PASS & 0x0F0F
                enter = Signal(name=f"enter_{number}")
                # A register: what comes from one is not taken for a part of the clock's way.
                m.d.sync += enter.eq(self.tap == number)
            m.submodules[f"tap_{number}"] = Instance(
                "SB_LUT4", a_keep=True, a_BEL=f"{BESIDE_PLL}/lc{number}",
                p_LUT_INIT=C(table if number else table ^ 0xFFFF, 16),
                i_I0=late, i_I1=before if before is not late else C(0, 1), i_I2=enter,
                i_I3=C(0, 1), o_O=after)
            before = after
        return before
