"""Host link: requests of the host over a serial line to accesses of the core's bus and the flash.

The protocol is that of ``docs/protocol.md``, its constants are in :mod:`hw.contract.link`.
Everything is done bit by bit, as the bits come and go: what has to be kept are shift registers.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.config import CoreConfig
from hw.contract.link import MARK, ONES, POLYNOMIAL, RATES, REPLY_MARK, SAFE_RATE, Space, digest
from hw.interfaces import HostBus, RawFlash
from hw.link.uart import SerialLine

__all__ = ["HostLink", "LinkEngine"]

DEVICE = {
    "bus": Out(HostBus()),
    "raw": Out(RawFlash()),
    "busy": In(1),
}


class LinkEngine(wiring.Component):
    """The protocol, between the bits of the line and the bus.

    Parameters
    ----------
    config : CoreConfig
    seed : int
        Of the replies' checksums.

    Members
    -------
    bit, bit_valid, bit_place, byte, failed : In
    sending, begin, go, outgoing, rate : Out
        As :class:`hw.link.uart.SerialLine` has them.
    bus, raw, busy
        As in :class:`HostLink`.  Items are shifted through: that of a write is in
        ``bus.request.payload.data`` for ``hw.contract.latency.HOST_ITEM`` cycles, since no bit
        comes earlier behind a byte (at ``uart.LOWEST`` cycles a bit, with unequal edges).
    """

    def __init__(self, config: CoreConfig, *, seed: int):
        self.config = config
        self.seed = seed
        super().__init__({
            "bit": In(1),
            "bit_valid": In(1),
            "bit_place": In(3),
            "byte": In(1),
            "failed": In(1),
            "sending": Out(1),
            "begin": Out(1),
            "go": Out(1),
            "outgoing": Out(1),
            "rate": Out(range(RATES), init=SAFE_RATE),
            **DEVICE,
        })
        self.header = Signal(32)
        self.number = Signal(2)     # of a byte in a field, checksum or item
        # What the bits under way are.
        self.is_fields = Signal()
        self.is_checksum = Signal()
        self.is_sequence = Signal()
        self.is_counted = Signal()
        self.data = Signal(16)
        self.mismatch = Signal()    # not the expected sequence number
        self.wrong = Signal()       # a checksum was wrong
        self.overrun = Signal()
        self.pending = Signal()     # an access of the core is requested
        self.last = Signal()        # no item follows
        self.fresh = Signal(init=1)
        self.ok = Signal()
        self.carry = Signal()       # the sequence number is to be one more

    @property
    def count(self):
        """Items after the one under way."""
        return self.header[:11]

    @property
    def address(self):
        """Of the item under way."""
        return self.header[16:]

    def elaborate(self, platform):
        m = Module()
        write, space = self.header[11], self.header[12:14]
        plain = Signal()            # items are bytes, not halfwords of the core
        flash = Signal()
        m.d.comb += [
            plain.eq(space[1]),
            flash.eq(space == Space.FLASH),
            self.ok.eq(~(self.mismatch | self.wrong | self.overrun)),
            self.bus.request.valid.eq(self.pending),
            self.bus.request.payload.write.eq(write),
            self.bus.request.payload.register.eq(space[0]),
            self.bus.request.payload.address.eq(self.address),
            self.bus.request.payload.data.eq(self.data),
            self.bus.response.ready.eq(1),
            self.raw.tx.eq(self.data[8:]),
        ]
        with m.If(self.pending & self.bus.request.ready):
            m.d.sync += [
                self.pending.eq(0),
                self.address.eq(self.address + 1),
            ]

        serial = Signal()
        m.d.comb += serial.eq(Mux(self.sending, self.outgoing, self.bit))
        with m.If(self.bit_valid):
            m.d.sync += self.data.eq(Cat(self.data[1:], serial))
        with m.If(self.bit_valid & self.is_fields):
            m.d.sync += self.header.eq(Cat(self.header[1:], serial))
        with m.If(~self.is_counted):
            m.d.sync += self.number.eq(0)
        with m.Elif(self.byte):
            m.d.sync += self.number.eq(self.number + 1)
        restart = Signal()
        answer = Signal()
        crc = self._checksum(m, serial, restart, answer)
        expected = self._sequence(m, serial)
        with m.FSM() as fsm:
            self._listening(m, write, plain, flash, restart)
            self._answering(m, write, space, plain, flash, answer)
        self._outgoing(m, fsm, crc, expected)
        return m

    def _checksum(self, m, serial, restart, answer):
        """CRC-32, a bit at a time.  Over itself its feedback is always 0."""
        crc = Signal(32)
        feedback = Signal()
        m.d.comb += feedback.eq(serial ^ crc[0])
        with m.If(restart | answer):
            m.d.sync += crc.eq(Mux(answer, C(self.seed, 32), C(ONES, 32)))
        with m.Elif(self.bit_valid):
            m.d.sync += crc.eq((crc >> 1) ^ Mux(feedback, POLYNOMIAL, 0))
        with m.If(self.bit_valid & self.is_checksum & feedback):
            m.d.sync += self.wrong.eq(1)
        return crc

    def _sequence(self, m, serial):
        """The expected sequence number turns once when it is compared, and once when it is sent."""
        expected = Signal(8)
        number = Signal()
        m.d.comb += number.eq(expected[0] ^ self.carry)
        with m.If(self.bit_valid & self.is_sequence):
            m.d.sync += [
                expected.eq(Cat(expected[1:], number)),
                self.carry.eq(self.carry & expected[0]),
            ]
            with m.If(serial ^ expected[0]):
                m.d.sync += self.mismatch.eq(self.mismatch | ~self.sending)
        return number

    def _outgoing(self, m, fsm, crc, expected):
        """What the bits under way are, and the bit to send."""
        status = Cat(
            self.mismatch | (~self.wrong & self.overrun),
            ~self.mismatch & (self.wrong | self.overrun),
            self.busy, self.fresh, C(REPLY_MARK >> 4, 4))

        def any_of(*states):
            return Cat(fsm.ongoing(state) for state in states).any()

        checksums = ("HEADER CHECKSUM", "ITEMS CHECKSUM", "CHECKSUM")
        m.d.comb += [
            self.is_fields.eq(fsm.ongoing("FIELDS")),
            self.is_checksum.eq(any_of(*checksums)),
            self.is_sequence.eq(any_of("SEQUENCE", "EXPECTED")),
            self.is_counted.eq(any_of("FIELDS", "RECEIVE", "SEND", *checksums)),
        ]
        with m.If(self.is_checksum):
            m.d.comb += self.outgoing.eq(crc[0])
        with m.Elif(self.is_sequence):
            m.d.comb += self.outgoing.eq(expected)
        with m.Elif(fsm.ongoing("STATUS")):
            m.d.comb += self.outgoing.eq(status.bit_select(self.bit_place, 1))
        with m.Else():
            m.d.comb += self.outgoing.eq(self.data[0])

    def _listening(self, m, write, plain, flash, restart):
        """A request, until it is known what to answer."""
        fourth = self.byte & self.number.all()
        with m.State("HUNT"):
            m.d.comb += restart.eq(1)
            m.d.sync += [self.wrong.eq(0), self.mismatch.eq(0), self.carry.eq(0)]
            with m.If(self.failed):
                m.d.sync += self.rate.eq(SAFE_RATE)
            with m.If(self.byte & (self.data[8:] == MARK)):
                m.next = "SEQUENCE"
        with m.State("SEQUENCE"):
            with m.If(self.byte):
                m.next = "FIELDS"
            self._break(m)
        with m.State("FIELDS"):
            with m.If(fourth):
                m.next = "HEADER CHECKSUM"
            self._break(m)
        with m.State("HEADER CHECKSUM"):
            with m.If(fourth):
                m.next = "CHECK"
            self._break(m)
        with m.State("CHECK"):
            m.d.comb += restart.eq(1)
            m.d.sync += self.overrun.eq(0)
            with m.If(self.wrong):
                m.next = "HUNT"
            with m.Else():
                with m.If(flash & ~self.mismatch):
                    m.d.sync += self.raw.select.eq(1)
                m.next = "ANSWER"
                with m.If(write):
                    m.next = "RECEIVE"
        with m.State("RECEIVE"):
            with m.If(self.byte & (plain | self.number[0])):
                self._count(m)
                m.next = "ITEM"
            self._break(m)
        with m.State("ITEM"):
            m.d.sync += self.overrun.eq(self.overrun | self.pending)
            with m.If(~self.mismatch):
                m.d.comb += self.raw.start.eq(flash)
                m.d.sync += self.pending.eq(self.pending | ~plain)
            m.next = "RECEIVE"
            with m.If(self.last):
                m.next = "ITEMS CHECKSUM"
        with m.State("ITEMS CHECKSUM"):
            with m.If(fourth):
                m.next = "ANSWER"
            self._break(m)

    def _break(self, m):
        """Give up at a break."""
        with m.If(self.failed):
            m.d.sync += [self.wrong.eq(1), self.rate.eq(SAFE_RATE)]
            m.next = "END"

    def _count(self, m):
        """Go on to the next item."""
        m.d.sync += Cat(self.count, self.last).eq(Cat(self.count, C(0, 1)) - 1)

    def _answering(self, m, write, space, plain, flash, answer):
        """A reply, and what was to be done after all was found right."""
        read = Signal()
        m.d.comb += read.eq(self.ok & ~write)
        with m.State("ANSWER"):
            m.d.comb += [answer.eq(1), self.begin.eq(1)]
            m.d.sync += [self.sending.eq(1), self.carry.eq(self.ok)]
            with m.If(self.ok & write & (space == Space.CONTROL)):
                m.d.sync += self.pending.eq(1)
            m.next = "STATUS"
        with m.State("STATUS"):
            m.d.comb += self.go.eq(1)
            with m.If(self.byte):
                m.next = "EXPECTED"
        with m.State("EXPECTED"):
            m.d.comb += self.go.eq(1)
            with m.If(self.byte):
                m.next = "CHECKSUM"
                with m.If(read):
                    m.next = "FETCH"
        with m.State("FETCH"):
            m.d.comb += self.raw.start.eq(flash)
            m.d.sync += self.pending.eq(~plain)
            self._count(m)
            m.next = "WAIT"
        with m.State("WAIT"):
            with m.If(plain):
                m.d.sync += self.data[:8].eq(self.raw.rx)
            with m.Elif(self.bus.response.valid):
                m.d.sync += self.data.eq(self.bus.response.payload)
            with m.If(Mux(plain, ~self.raw.busy, self.bus.response.valid)):
                m.next = "SEND"
        with m.State("SEND"):
            m.d.comb += self.go.eq(1)
            with m.If(self.byte & (plain | self.number[0])):
                m.next = "FETCH"
                with m.If(self.last):
                    m.d.sync += self.number.eq(0)
                    m.next = "CHECKSUM"
        with m.State("CHECKSUM"):
            m.d.comb += self.go.eq(1)
            with m.If(self.byte & self.number.all()):
                m.next = "END"
        with m.State("END"):
            m.d.sync += self.sending.eq(0)
            # Nothing may touch the header before.
            with m.If(~self.pending):
                with m.If(self.ok):
                    m.d.sync += self.raw.select.eq(self.raw.select & ~(flash & ~self.address[0]))
                    with m.If(write & (space == Space.CONTROL) & self.address[8]):
                        m.d.sync += [self.rate.eq(self.address[9:]), self.fresh.eq(0)]
                m.next = "HUNT"


class HostLink(wiring.Component):
    """Endpoint of the link: one request at a time, no memory.

    Parameters
    ----------
    config : CoreConfig
    baud : int
        The highest rate.
    seed : int, optional
        Of the replies' checksums; without, the configuration's digest.

    Members
    -------
    samples, levels : In(2), Out(2)
        The line from and to the host: see :class:`hw.link.uart.SerialLine`.
    bus : Out(HostBus)
        To the core.
    raw : Out(RawFlash)
        To the flash reader.
    busy : In(1)
        The core is at work.
    """

    def __init__(self, config: CoreConfig, *, baud: int, seed: int | None = None):
        self.config = config
        self.baud = baud
        self.seed = digest(config, baud) if seed is None else seed
        super().__init__({"samples": In(2, init=3), "levels": Out(2, init=3), **DEVICE})

    def elaborate(self, platform):
        m = Module()
        m.submodules.line = line = SerialLine(clock_mhz=self.config.core_mhz, baud=self.baud)
        m.submodules.engine = engine = LinkEngine(self.config, seed=self.seed)
        m.d.comb += [
            line.samples.eq(self.samples),
            self.levels.eq(line.levels),
            *(getattr(line, name).eq(getattr(engine, name))
              for name in ("rate", "sending", "begin", "go", "outgoing")),
            *(getattr(engine, name).eq(getattr(line, name))
              for name in ("bit", "bit_valid", "byte", "failed")),
            engine.bit_place.eq(line.place),
            engine.busy.eq(self.busy),
        ]
        wiring.connect(m, engine.bus, wiring.flipped(self.bus))
        wiring.connect(m, engine.raw, wiring.flipped(self.raw))
        return m
