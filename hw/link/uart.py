"""Serial line, 8N1, one direction at a time, bit by bit.

Up to a third of the clock: bits are a fractional number of cycles long, and the line is sampled
and driven twice a cycle (double data rate in the IO cells).
"""

import math

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.link import RATES

__all__ = ["SerialLine", "increment"]

PHASE_BITS = 10
"""A bit at the highest rate is ``2**PHASE_BITS`` steps of the phase."""

LOWEST = 3.2
"""Cycles that a bit has at least."""


def increment(*, clock_mhz, baud):
    """Return the steps of the phase per cycle.

    Raises
    ------
    ValueError
        If a bit has less than ``LOWEST`` cycles, or the rate would be more than 0.5 % off.
    """
    if clock_mhz * 1e6 < LOWEST * baud:
        raise ValueError(f"baud must be at most {clock_mhz * 1e6 / LOWEST:.0f} at a clock of "
                         f"{clock_mhz} MHz, not {baud!r}")
    exact = baud / (clock_mhz * 1e6) * (1 << PHASE_BITS)
    if abs(round(exact) / exact - 1) > 0.005:
        raise ValueError(f"baud must be higher at a clock of {clock_mhz} MHz, not {baud!r}")
    return round(exact)


class SerialLine(wiring.Component):
    """Both directions of a serial line, one at a time.

    A phase accumulator counts ``2**PHASE_BITS`` steps a bit.  While nothing happens it is held at
    a value that depends on when in the cycle the line is seen to fall; half a bit later the start
    bit is sampled, and then every bit a bit later.

    Error budget of a sample, in cycles, at 12 Mbaud and 39 MHz (a bit is 3.25 cycles, so a
    sample may be 1.625 off): the falling edge is known to half a cycle (0.25), a sample is taken
    up to half a cycle from where it should be (0.30), constants are rounded (0.08), the
    increment is 0.02 % off (0.008 in 9.5 bits).  The rest, 1.0 cycles or
    25 ns, is 3.2 % of the 9.5 bits to the stop bit: for the clocks of both sides (100 ppm) and
    unequal edges.  Edges that are sent are up to a quarter of a cycle (6.4 ns, 8 % of a bit) from
    where they should be.

    The samples pass the IO cell's register and one more before they are looked at.

    Parameters
    ----------
    clock_mhz : float
    baud : int
        The highest rate.

    Members
    -------
    samples : In(2)
        The line in the two halves of a cycle, the earlier one in bit 0.
    levels : Out(2)
        What the line is to be in the two halves of a cycle.
    rate : In(log2(RATES))
        A bit is ``2**rate`` times as long as at the highest rate.
    sending : In(1)
        The direction: out.  The line is not listened to.
    begin : In(1)
        Pulse in the cycle before ``sending``: what is being received is dropped.
    go : In(1)
        While sending: there is another byte.
    outgoing : In(1)
        The bit to send.
    bit, bit_valid : Out(1)
        Pulse: a data bit was received (``bit``), or ``outgoing`` was taken.  Lowest bit first.
    place : Out(3)
        Which one of the byte it is.
    byte : Out(1)
        Pulse: a byte is over; its stop bit was right, or begins.
    failed : Out(1)
        Pulse instead of ``byte``: the stop bit was low.  A break does this, once.
    """

    def __init__(self, *, clock_mhz, baud):
        self.increment = increment(clock_mhz=clock_mhz, baud=baud)
        super().__init__({
            "samples": In(2, init=3),
            "levels": Out(2, init=3),
            "rate": In(range(RATES)),
            "sending": In(1),
            "begin": In(1),
            "go": In(1),
            "outgoing": In(1),
            "bit": Out(1),
            "bit_valid": Out(1),
            "place": Out(3),
            "byte": Out(1),
            "failed": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        count = Signal(4, init=15)      # 15: start bit or none, 0 to 7: data bits, 8: stop bit
        active = Signal()               # a byte is being received
        low = Signal()                  # after a break, until the line is high
        starting = Signal()
        stopping = Signal()
        strobe, half, resting = self._phase(m, active, stopping)
        m.d.comb += [
            starting.eq(count[3] & count[0]),
            stopping.eq(count[3] & ~count[0]),
            self.place.eq(count[:3]),
            self.bit_valid.eq(strobe & ~count[3]),
            self.byte.eq(strobe & stopping & (self.sending | self.bit)),
            self.failed.eq(strobe & stopping & ~self.sending & ~self.bit),
        ]
        with m.If(strobe & ~(starting & Mux(self.sending, ~self.go, self.bit))):
            m.d.sync += count.eq(Mux(stopping, 15, count + 1))
        with m.If(self.begin):
            m.d.sync += count.eq(15)
        with m.If(self.samples[1]):
            m.d.sync += low.eq(0)
        with m.If(resting):
            m.d.sync += active.eq(~(self.samples[1] | low))
        with m.If(strobe & starting & self.bit | self.failed | self.begin):
            m.d.sync += active.eq(0)
        with m.If(self.failed):
            m.d.sync += low.eq(1)

        line = Signal(init=1)
        following = Signal()
        m.d.comb += following.eq(line)
        with m.If(strobe & self.sending):
            m.d.comb += following.eq(
                Mux(count[3], Mux(count[0], ~self.go, 1), self.outgoing))
        m.d.sync += [
            line.eq(following),
            self.levels[0].eq(Mux(half, following, line)),
            self.levels[1].eq(following),
        ]
        return m

    def _phase(self, m, active, stopping):
        """Return the moment of a bit, whether it was in the first half of the cycle, and whether
        a start bit is waited for: from the middle of a stop bit on, seen before all else."""
        step = self.increment
        phase = Signal(PHASE_BITS + RATES - 1)
        level = Signal()
        was_level = Signal()
        early = Signal()
        strobe = Signal()
        half = Signal()
        rising = Signal()
        resting = Signal()
        late = Signal(2)
        # From the cycle in which the line is seen low to that in which its phase can be seen to
        # have come to half a bit, the samples a cycle older: rounded, for the sake of cells.
        seen_low, seen_high = (
            32 * round(((1 << PHASE_BITS - 1) - cycles * step) / 32) for cycles in (0.70, 1.20))
        first = max(round(math.log2(step / 2)), 0)
        m.d.comb += [
            level.eq(Array(phase[PHASE_BITS - 1 + rate] for rate in range(RATES))[self.rate]),
            early.eq(phase[first:PHASE_BITS - 1].any()),
            rising.eq(level & ~was_level & (active | self.sending)),
            resting.eq(~self.sending & (~active | (rising & stopping))),
        ]
        m.d.sync += [
            late.eq(self.samples),
            was_level.eq(level),
            strobe.eq(rising),
            half.eq(early),
            self.bit.eq(Mux(early, late[0], late[1])),
            phase.eq(phase + step),
        ]
        with m.If(resting):
            m.d.sync += phase.eq(Mux(self.samples[0], seen_high, seen_low))
        return strobe, half, resting
