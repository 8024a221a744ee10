"""Host link: requests of the host over a UART to accesses on the core's host bus and the flash.

The protocol is in :mod:`hw.link.protocol`.
"""

from amaranth.hdl import C, Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.control.host import HostRequest

from .protocol import HEADER_BYTES, Opcode, Space, Status
from .uart import UARTReceiver, UARTTransmitter

__all__ = ["HostLink", "LinkEngine"]

DEVICE = {
    "request": Out(stream.Signature(HostRequest)),
    "response": In(stream.Signature(16)),
    "raw_select": Out(1),
    "raw_start": Out(1),
    "raw_tx": Out(8),
    "raw_busy": In(1),
    "raw_rx": In(8),
}


class LinkEngine(wiring.Component):
    """Requests in bytes to accesses, and replies in bytes.  Its reset is the host's break.

    Members
    -------
    received, received_valid : In(8), In(1)
        Bytes from the host.
    reply : Out(stream.Signature(8))
        Bytes to the host; accepted when the byte before is gone.
    received_bit, received_bit_valid, sent_bit, sent_bit_valid : In(1)
        The bits of these bytes, as they pass: what the checksums are made of.
    request, response, raw_select, raw_start, raw_tx, raw_busy, raw_rx
        As in :class:`HostLink`.
    """

    def __init__(self):
        super().__init__({
            "received": In(8),
            "received_valid": In(1),
            "reply": Out(stream.Signature(8)),
            "received_bit": In(1),
            "received_bit_valid": In(1),
            "sent_bit": In(1),
            "sent_bit_valid": In(1),
            **DEVICE,
        })

    def elaborate(self, platform):
        m = Module()
        header = Signal(32)     # opcode, address, count
        write, space = header[0], header[1:3]
        address, count = header[8:24], header[24:32]
        flash = Signal()
        data = Signal(16)
        pending = Signal()      # an access of the core is requested
        overrun = Signal()
        place = Signal(3)       # byte of the header, of an item, of the checksum
        status = Signal(2)      # low bits of Status
        restart = Signal()      # of the checksum
        crc_right = Signal()
        done = Signal()
        listening = Signal()
        crc = self._checksum(m, restart, listening)
        m.d.comb += [
            flash.eq(space == Space.FLASH),
            crc_right.eq(crc == 0),
            done.eq(count == 0),
            self.request.valid.eq(pending),
            self.request.payload.write.eq(write),
            self.request.payload.register.eq(space[0]),
            self.request.payload.address.eq(address),
            self.request.payload.data.eq(data),
            # What comes late, after a break, is dropped.
            self.response.ready.eq(1),
            self.raw_tx.eq(data[8:]),
        ]
        with m.If(pending & self.request.ready):
            m.d.sync += [pending.eq(0), address.eq(address + 1)]
        with m.If(listening & self.received_valid | self.reply.ready & self.reply.valid):
            m.d.sync += place.eq(place + 1)

        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += listening.eq(1)
                m.d.sync += overrun.eq(0)
                with m.If(self.received_valid):
                    with m.If(~place[2]):
                        m.d.sync += header.eq(Cat(header[8:], self.received))
                    with m.If(place == HEADER_BYTES - 1):
                        m.next = "CHECK"
            with m.State("CHECK"):
                good = crc_right & (header[3:8] == Opcode.MARK >> 3)
                m.d.comb += restart.eq(1)
                m.d.sync += [place.eq(0), self.raw_select.eq(flash & good)]
                m.next = "STATUS"
                with m.If(~good):
                    m.d.sync += [status.eq(Status.BAD_HEADER & 3), write.eq(1)]
                with m.Elif(write):
                    m.next = "RECEIVE"
            self._writing(m, flash, data, pending, overrun, place, status, restart, listening,
                          count, done, crc_right)
            self._reading(m, flash, data, pending, place, count, done)
            with m.State("STATUS"):
                m.d.comb += [
                    self.reply.valid.eq(1),
                    self.reply.payload.eq(Cat(status, C(Status.OK >> 2, 6))),
                ]
                m.d.sync += place.eq(0)
                with m.If(self.reply.ready):
                    m.next = "FETCH"
                    with m.If(write):
                        m.next = "CRC"
            with m.State("CRC"):
                # The checksum moves on as it is sent: its second byte is where the first was.
                m.d.comb += [self.reply.valid.eq(1), self.reply.payload.eq(crc[:8])]
                with m.If(self.reply.ready & place[0]):
                    m.next = "END"
            with m.State("END"):
                m.d.sync += place.eq(0)
                with m.If(self.reply.ready):
                    m.d.comb += restart.eq(1)
                    m.d.sync += [
                        status.eq(Status.OK & 3),
                        self.raw_select.eq(self.raw_select & address[0]),
                    ]
                    m.next = "HEADER"
                    with m.If(status == Status.BAD_HEADER & 3):
                        m.next = "DEAF"
            with m.State("DEAF"):
                pass
        return m

    def _checksum(self, m, restart, listening):
        """CRC-16/MCRF4XX, a bit at a time."""
        crc = Signal(16, init=0xFFFF)
        bit, bit_valid = Signal(), Signal()
        m.d.comb += [
            bit.eq(Mux(listening, self.received_bit, self.sent_bit)),
            bit_valid.eq(Mux(listening, self.received_bit_valid, self.sent_bit_valid)),
        ]
        with m.If(restart):
            m.d.sync += crc.eq(0xFFFF)
        with m.Elif(bit_valid):
            m.d.sync += crc.eq((crc >> 1) ^ Mux(bit ^ crc[0], 0x8408, 0))
        return crc

    def _writing(self, m, flash, data, pending, overrun, place, status, restart, listening,
                 count, done, crc_right):
        """Items of a write, and their checksum."""
        with m.State("RECEIVE"):
            m.d.comb += listening.eq(1)
            with m.If(self.received_valid):
                m.d.sync += data.eq(Cat(data[8:], self.received))
                with m.If(flash | place[0]):
                    m.d.sync += [
                        count.eq(count - 1),
                        pending.eq(~flash),
                        overrun.eq(overrun | pending),
                    ]
                    m.next = "RECEIVED"
        with m.State("RECEIVED"):
            m.d.comb += self.raw_start.eq(flash)
            m.d.sync += place.eq(0)
            m.next = "RECEIVE"
            with m.If(done):
                m.next = "CHECKSUM"
        with m.State("CHECKSUM"):
            m.d.comb += listening.eq(1)
            with m.If(self.received_valid & place[0]):
                m.next = "VERDICT"
        with m.State("VERDICT"):
            m.d.comb += restart.eq(1)
            with m.If(~crc_right):
                m.d.sync += status.eq(Status.BAD_DATA & 3)
            with m.Elif(overrun):
                m.d.sync += status.eq(Status.OVERRUN & 3)
            m.next = "STATUS"

    def _reading(self, m, flash, data, pending, place, count, done):
        """Items of a read."""
        with m.State("FETCH"):
            m.d.comb += self.raw_start.eq(flash)
            m.d.sync += [pending.eq(~flash), count.eq(count - 1), place.eq(0)]
            m.next = "WAIT"
        with m.State("WAIT"):
            with m.If(flash):
                m.d.sync += data[:8].eq(self.raw_rx)
            with m.Elif(self.response.valid):
                m.d.sync += data.eq(self.response.payload)
            with m.If(Mux(flash, ~self.raw_busy, self.response.valid)):
                m.next = "SEND"
        with m.State("SEND"):
            m.d.comb += [self.reply.valid.eq(1), self.reply.payload.eq(data[:8])]
            with m.If(self.reply.ready):
                m.d.sync += data.eq(Cat(data[8:], self.received))
                with m.If(flash | place[0]):
                    m.d.sync += place.eq(0)
                    m.next = "FETCH"
                    with m.If(done):
                        m.next = "CRC"


class HostLink(wiring.Component):
    """Endpoint of the link: one request at a time, no memory.

    Parameters
    ----------
    divisor : int
        Cycles per bit of the line.

    Members
    -------
    rx, tx : In(1), Out(1)
        The line.
    request : Out(stream.Signature(HostRequest))
    response : In(stream.Signature(16))
        The core's host bus.
    raw_select, raw_start, raw_tx : Out
    raw_busy, raw_rx : In
        The flash reader's raw access (``hw.memory.flash``).
    """

    def __init__(self, *, divisor):
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), **DEVICE})

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(divisor=self.divisor)
        transmitter = UARTTransmitter(divisor=self.divisor)
        engine = LinkEngine()
        m.submodules.transmitter = ResetInserter(receiver.failed)(transmitter)
        m.submodules.engine = ResetInserter(receiver.failed)(engine)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            engine.received.eq(receiver.data),
            engine.received_valid.eq(receiver.valid),
            engine.received_bit.eq(receiver.bit),
            engine.received_bit_valid.eq(receiver.bit_valid),
            engine.sent_bit.eq(transmitter.bit),
            engine.sent_bit_valid.eq(transmitter.bit_valid),
            self.raw_select.eq(engine.raw_select),
            self.raw_start.eq(engine.raw_start),
            self.raw_tx.eq(engine.raw_tx),
            engine.raw_busy.eq(self.raw_busy),
            engine.raw_rx.eq(self.raw_rx),
        ]
        wiring.connect(m, engine.reply, transmitter.data)
        wiring.connect(m, engine.request, wiring.flipped(self.request))
        wiring.connect(m, engine.response, wiring.flipped(self.response))
        return m
