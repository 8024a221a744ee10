"""UART, 8N1, with the serial bits brought out for a checksum."""

from amaranth.hdl import C, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["UARTReceiver", "UARTTransmitter", "divisor"]


def divisor(*, clock_mhz, baud):
    """Return the cycles per bit.

    Raises
    ------
    ValueError
        If the rate is more than 2 % off, or a bit has fewer than 4 cycles.
    """
    cycles = round(clock_mhz * 1e6 / baud)
    if cycles < 4:
        raise ValueError(f"baud must be at most a quarter of the clock, not {baud!r}")
    if abs(clock_mhz * 1e6 / cycles / baud - 1) > 0.02:
        raise ValueError(f"baud must divide the clock of {clock_mhz} MHz, not {baud!r}")
    return cycles


def _check(divisor):
    if not isinstance(divisor, int) or divisor < 4:
        raise ValueError(f"divisor must be an integer of at least 4, not {divisor!r}")


class UARTReceiver(wiring.Component):
    """Receiver; there is no back-pressure.

    Latency: ``valid`` pulses in the middle of the stop bit, two cycles for the synchroniser later.

    Parameters
    ----------
    divisor : int
        Cycles per bit, at least 4.

    Members
    -------
    rx : In(1)
        The line; synchronised here.
    data, valid : Out(8), Out(1)
        Pulse: a byte; ``data`` stays until the first bit of the next.
    failed : Out(1)
        Pulse instead of ``valid``: the stop bit was low.  A break does this.
    bit, bit_valid : Out(1)
        The data bits of the byte under way, one pulse each.
    """

    def __init__(self, *, divisor):
        _check(divisor)
        self.divisor = divisor
        super().__init__({
            "rx": In(1, init=1),
            "data": Out(8),
            "valid": Out(1),
            "failed": Out(1),
            "bit": Out(1),
            "bit_valid": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)
        timer = Signal(range(self.divisor))
        left = Signal(4)        # 9: start bit, 8 to 1: data bits, 0: stop bit or idle
        active = Signal()
        low = Signal()          # after a break, wait for the line to be idle
        sample = Signal()
        m.d.comb += [
            self.bit.eq(rx),
            self.bit_valid.eq(sample & (left != 9) & (left != 0)),
            self.valid.eq(sample & (left == 0) & rx),
            self.failed.eq(sample & (left == 0) & ~rx),
        ]
        # High while the timer is 0; a register, since all that is received waits for it.
        m.d.sync += [timer.eq(timer - 1), sample.eq(active & (timer == 1))]
        with m.If(~active):
            m.d.sync += [timer.eq((self.divisor - 1) // 2), left.eq(9)]
            m.d.sync += [active.eq(~rx & ~low), low.eq(low & ~rx)]
        with m.Elif(sample):
            m.d.sync += [timer.eq(self.divisor - 1), left.eq(left - 1)]
            with m.If((left == 0) | ((left == 9) & rx)):
                m.d.sync += [active.eq(0), low.eq(self.failed)]
        with m.If(self.bit_valid):
            m.d.sync += self.data.eq(Cat(self.data[1:], rx))
        return m


class UARTTransmitter(wiring.Component):
    """Transmitter.

    Parameters
    ----------
    divisor : int
        Cycles per bit, at least 4.

    Members
    -------
    tx : Out(1)
        The line.
    data : In(stream.Signature(8))
        Bytes; accepted when the stop bit of the one before is over.
    bit, bit_valid : Out(1)
        The data bits, one pulse each at the end of the bit.
    """

    def __init__(self, *, divisor):
        _check(divisor)
        self.divisor = divisor
        super().__init__({
            "tx": Out(1, init=1),
            "data": In(stream.Signature(8)),
            "bit": Out(1),
            "bit_valid": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        timer = Signal(range(self.divisor))
        left = Signal(4)        # 10: start bit, 9 to 2: data bits, 1: stop bit, 0: idle
        shift = Signal(9)
        m.d.comb += [
            self.data.ready.eq(left == 0),
            self.bit.eq(shift[0]),
            self.bit_valid.eq((timer == 0) & (left > 1) & (left != 10)),
        ]
        # The line comes from a flip-flop of its own: no glitches.
        m.d.sync += self.tx.eq((left == 0) | shift[0])
        with m.If(left == 0):
            m.d.sync += timer.eq(self.divisor - 1)
            with m.If(self.data.valid):
                m.d.sync += [left.eq(10), shift.eq(Cat(C(0, 1), self.data.payload))]
        with m.Elif(timer == 0):
            m.d.sync += [
                timer.eq(self.divisor - 1), left.eq(left - 1), shift.eq(Cat(shift[1:], C(1, 1))),
            ]
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
        return m
