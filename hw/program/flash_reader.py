"""Streaming reader for a quad SPI NOR flash of the W25Q kind, at double or single transfer rate.

The reader brings the flash out of power-down and continuous-read mode, sets its quad-enable bit,
over and over until the flash shows it, and then streams little-endian halfwords from any byte
address for as long as the buffer has room: with DTR Fast Read Quad I/O (EDh), a nibble per edge of
SCK, a byte per clock, or with Fast Read Quad I/O (EBh), a nibble per clock.  Behind each section
there is a checksum, which the reader checks and removes (:mod:`hw.contract.sections`).
``docs/flash.md`` has the commands, the start-up, the timing budget and their sources.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.contract.flash import DOUBLE_RATE, STATUS2_MASK, STATUS2_READY
from hw.contract.sections import CRC_LAST, CRC_MARK, CRC_START, SECTION_BYTES, crc_residue
from hw.interfaces import FlashPins, ProgramSource, RawFlash
from hw.program.buffer import HalfwordBuffer

__all__ = ["FlashReader"]


class FlashReader(wiring.Component):
    """Quad SPI flash reader with a buffer of 256 halfwords in one block RAM.

    The buffer gives up one word of its block RAM for ``word_ready``.  All of it runs in ``sync``;
    SCK runs at the core clock (data sheet: up to 66 MHz for EDh, 133 MHz for EBh), but for address
    and mode bits of EDh, which the flash takes at both edges: those go out at half of it.

    Timing, exact to the cycle (this is what the compiler's cycle model relies on), with ``read``
    for the command's latencies (:class:`hw.contract.flash.FlashRead`).  Let ``start``
    be high in cycle 0; let ``b(h)`` be the cycle in which the transfer of halfword ``h`` begins
    and ``t(h)`` the cycle in which the consumer takes it (``valid`` and ``ready``).  Then

    - ``b(0) = read.first``;
    - ``b(h) = max(b(h-1) + read.halfword, t(h - BUFFER_HALFWORDS) + 1)``: a transfer begins
      iff no more than ``BUFFER_HALFWORDS - 1`` halfwords are begun and not yet taken, counted in
      registers; once begun it runs for ``read.halfword`` cycles without a pause;
    - a checksum is a transfer like any other.  Nobody takes it: it counts until the first transfer
      that begins ``read.trailer`` cycles after it or later, which does not count instead;
    - ``verified`` or ``corrupt`` is high ``read.check`` cycles after the checksum's transfer
      began, and no transfer begins from then on;
    - ``valid`` for halfword ``h`` is high from ``max(b(h) + read.transfer, t(h-1) + 1)``.

    ``word_ready`` for word ``w`` (of ``n`` halfwords) is high from the later of
    ``b(n*w + n - 1) + read.transfer`` and two cycles after the first halfword of the word
    before was taken.

    This holds for the default ``sample_latency`` of 2; each further cycle adds one to
    ``read.transfer``; ``BUFFER_HALFWORDS`` is that of words of 4.

    In the data phase SCK falls at the start of a core cycle, whereupon the flash shows a byte's
    high nibble, and rises in the middle, whereupon it shows the low nibble; each is captured half
    a cycle later.  At single rate it shows a nibble when SCK falls, which is captured at the
    cycle's end, as ``pins.i[:4]``.  From ``pins.sck`` to ``pins.i`` that is the output register,
    the capture, hence ``sample_latency=2``.

    Parameters
    ----------
    read : FlashRead
        What the flash is read with.
    word : int
        Halfwords of a word of the consumer, a power of two, 2 to 64.
    sample_latency : int
        Cycles from ``pins.sck`` to the byte of that pulse on ``pins.i``, 2 to 6.

    Members
    -------
    program : Out(ProgramSource)
        The stream.  ``ready``: the flash is released, its status register 2 was read back with
        its quad-enable bit ``READ_BACKS`` times in a row, and commands are accepted; until a flash
        does so the start-up begins again and again, every ``ATTEMPT_CYCLES`` or less.  ``start``
        is ignored unless ``ready`` and not ``busy``.  ``stop``: /CS goes high, the buffer is
        emptied, ``busy`` is low from the next cycle on, and ``start`` is accepted from then on
        (/CS is then high for one cycle; tSHSL1 is 10 ns).
    raw : In(RawFlash)
        Exchanges of the host, while ``program.ready`` and not ``busy``.  A host that selects the
        flash before it is ready takes over: the start-up ends within ``ATTEMPT_CYCLES``,
        ``program.ready`` is high from then on, and what it says is the host's to make true.
    busy : Out(1)
        A stream is open; it closes behind its last checksum, or the first wrong one.
    pins : Out(FlashPins())
        The flash.
    """

    BUFFER_HALFWORDS = HalfwordBuffer.DEPTH - 4
    """Halfwords that may be begun and not yet taken."""

    RELEASE_CYCLES = HalfwordBuffer.DEPTH - 64
    """Cycles waited at least for tRES1 (3 us): enough up to 64 MHz."""

    READ_BACKS = 4
    """Times in a row that status register 2 has to be right: a floating line may be, once."""

    # The start-up sequence, one byte per step: continuous-read mode reset; release from
    # power-down (then tRES1); read status register 2, its value; volatile write enable; write
    # status register 2, its value (QE alone: the other bits are one-time-programmable, read-only
    # or CMP, and a volatile write lasts until power-off); from the beginning, since whatever kept
    # the flash from hearing one of them may have kept it from hearing all.  Behind them is the
    # command that it is read with.
    _STEPS = (0xFF, 0xAB, 0x35, 0x00, 0x50, 0x31, STATUS2_READY)
    _BEGIN, _RELEASE, _READ_SR2, _SR2, _ENABLE, _WRITE_SR2, _NEW_SR2, _IDLE = range(8)

    ATTEMPT_CYCLES = HalfwordBuffer.DEPTH + 16 * _IDLE
    """Cycles of an attempt that fails, at most."""

    def __init__(self, *, read=DOUBLE_RATE, word=4, sample_latency=2):
        if not isinstance(sample_latency, int) or not 2 <= sample_latency <= 6:
            raise ValueError(f"sample_latency must be an integer from 2 to 6, "
                             f"not {sample_latency!r}")
        self.read = read
        self.word = word
        self.sample_latency = sample_latency
        super().__init__({
            "program": Out(ProgramSource()),
            "raw": In(RawFlash()),
            "busy": Out(1),
            "pins": Out(FlashPins()),
        })

    def elaborate(self, platform):
        m = Module()
        step = Signal(3)                # place in _STEPS
        count = Signal(4)               # clocks: 0 to 7 a byte, 8 to 15 rest or address and mode
        reading = self.busy             # the flash's stream is under way
        exchanging = Signal()           # a single-bit byte is under way
        resting = Signal()              # neither, and ready
        turning = Signal()              # from the dummy clocks on, to a cycle after reading
        data_phase = Signal()           # reading, from the first data byte on
        waiting = Signal(init=1)        # tRES1; in reset, with all pins at rest
        shift = Signal(32)              # nibbles, out and in; single bits come in on IO1
        # Halfwords begun and not yet taken, above an offset: the buffer is full when the top bit
        # is set.  The same counter times tRES1.
        level = Signal(range(HalfwordBuffer.DEPTH + 1), init=self.word)
        hold = Signal()
        begin = Signal()
        flush = Signal()
        waited = Signal()

        # Halfwords begin where the dummy clocks end.
        double = self.read == DOUBLE_RATE
        boundary = data_phase & (count[0] if double else count[:2] == 0)
        last = data_phase & (~count[0] if double else count[:2] == 3)
        m.d.comb += [
            hold.eq(boundary & level[-1]),
            begin.eq(boundary & ~level[-1]),
            waited.eq(waiting & level[-1]),
            flush.eq(self.program.stop | waited),
            self.raw.busy.eq(exchanging & self.program.ready),
            self.raw.rx.eq(Cat(shift[4 * bit + 1] for bit in range(8))),
        ]
        self._drive_pins(m, step, count, exchanging, turning, hold, shift)
        drop, close = self._collect(m, last, shift, flush)

        with m.If(exchanging | (reading & ~hold)):
            m.d.sync += count.eq(count + 1)
        # A cycle longer than reading: the flash drives its outputs for tSHQZ (7 ns) behind /CS.
        with m.If(~reading):
            m.d.sync += turning.eq(0)
        with m.Elif(count == 15):
            m.d.sync += turning.eq(1)
        with m.If(turning & (count[:3] == self.read.dummy - 1)):
            m.d.sync += data_phase.eq(1)

        with m.If(exchanging & (count == 15)):
            self._next_step(m, step, exchanging, resting, waiting)
        with m.If(waited):
            # A host that selects the flash gets it as it is; in no other moment, so that no
            # command is cut off.
            m.d.sync += [waiting.eq(0), exchanging.eq(~self.raw.select)]
            with m.If(self.raw.select):
                m.d.sync += [step.eq(self._IDLE), resting.eq(1), self.program.ready.eq(1)]
        with m.If(resting):
            m.d.sync += [
                resting.eq(~(self.program.start | self.raw.start)),
                reading.eq(self.program.start),
                exchanging.eq(self.raw.start & ~self.program.start),
            ]
        with m.If(reading & (self.program.stop | close)):
            m.d.sync += [
                resting.eq(1), reading.eq(0), data_phase.eq(0), count.eq(0),
            ]

        # An address goes out when the count reaches 8; what comes in follows it.
        with m.If(reading & (count[3] | turning) | exchanging & (count < 8 + self.sample_latency)):
            m.d.sync += shift.eq(Cat(self.pins.i[:4], shift))
        with m.If(resting & self.program.start):
            m.d.sync += shift[:28].eq(Cat(C(0xF, 4), self.program.address))

        self._count_level(m, level, begin, waiting, drop, flush)
        return m

    def _count_level(self, m, level, begin, waiting, drop, flush):
        """Count what is begun and not yet taken, or the cycles of a wait."""
        dropped = Signal()              # a checksum was begun but will not be taken
        with m.If(drop):
            m.d.sync += dropped.eq(1)
        with m.Elif(begin):
            m.d.sync += dropped.eq(0)
        up = (begin & ~dropped) | waiting
        down = self.program.words.valid & self.program.words.ready
        with m.If(flush):
            m.d.sync += [level.eq(self.word), dropped.eq(0)]
        with m.Elif(up ^ down):
            m.d.sync += level.eq(level + Cat(C(1, 1), down.replicate(len(level) - 1)))

    def _next_step(self, m, step, exchanging, resting, waiting):
        """At the end of a byte: go on with the start-up sequence, or rest."""
        right = Signal()
        seen = Signal(range(self.READ_BACKS))   # times that it was, in a row
        m.d.comb += right.eq((self.raw.rx & STATUS2_MASK) == STATUS2_READY)
        proven = right & (seen == self.READ_BACKS - 1)
        with m.Switch(step):
            with m.Case(self._RELEASE):
                m.d.sync += [step.eq(step + 1), exchanging.eq(0), waiting.eq(1)]
            with m.Case(self._SR2):
                m.d.sync += [
                    seen.eq(Mux(right, seen + 1, 0)),
                    step.eq(Mux(proven, self._IDLE, Mux(right, self._READ_SR2, self._ENABLE))),
                    self.program.ready.eq(proven),
                    resting.eq(proven),
                    exchanging.eq(~proven),
                ]
            with m.Case(self._NEW_SR2):
                m.d.sync += step.eq(self._BEGIN)
            with m.Case(self._IDLE):
                m.d.sync += [exchanging.eq(0), resting.eq(1)]
            with m.Default():
                m.d.sync += step.eq(step + 1)

    def _drive_pins(self, m, step, count, exchanging, turning, hold, shift):
        """Clock, chip select and the outgoing bits and nibbles."""
        reading = self.busy
        double = self.read == DOUBLE_RATE
        steps = (*self._STEPS, self.read.command)
        commands = C(int.from_bytes(steps, "little"), 8 * len(steps))
        bit = count[:3]
        fall = Signal()         # EDh: half of an address or mode byte is out, SCK falls
        outgoing = Signal()     # single-bit output, most significant bit first
        quad = Signal()         # address and mode
        keep = Signal()         # /CS stays low after the byte
        m.d.comb += [
            outgoing.eq(Mux(self.raw.busy, self.raw.tx.bit_select(~bit, 1),
                            commands.bit_select(Cat(~bit, step), 1))),
            quad.eq(reading & count[3]),
            keep.eq((step == self._READ_SR2) | (step == self._WRITE_SR2)),
            # Between bytes /CS is high for four cycles: tSHSL2 is 50 ns.
            self.pins.cs_n.eq(~(reading | (exchanging & (keep | (count[2:] != 3)))
                                | (self.program.ready & self.raw.select))),
            fall.eq(reading & count[3] & ~turning & count[0] if double else 0),
            self.pins.sck.eq(Cat(fall, (reading & ~hold & ~fall) | (exchanging & ~count[3]))),
            # /WP and /HOLD are high wherever they are not data.
            self.pins.o.eq(Mux(quad, shift[24:28], Cat(outgoing, C(0b111, 3)))),
            self.pins.oe.eq(Mux(turning, 0, Cat(C(1, 1), quad, C(0b11, 2)))),
        ]

    def _collect(self, m, last, shift, flush):
        """Store a halfword when the last of it arrives, unless it is a checksum.

        Return whether it is one, and whether the stream is to be closed.
        """
        for stage in range(self.sample_latency):
            delayed = Signal(name=f"last_byte_{stage}")
            m.d.sync += delayed.eq(last & ~flush)
            before, last = last, delayed
        if self.read == DOUBLE_RATE:
            # The byte before: the low nibble has gone into the shift register.
            high = Signal(4)
            m.d.sync += high.eq(self.pins.i[4:])
            byte = Cat(shift[:4], high)
            first = last
            halfword = Cat(byte, self.pins.i)
        else:
            # A byte is whole when the first nibble of the next one arrives.
            byte, first = shift[:8], before
            halfword = Cat(shift[4:12], self.pins.i[:4], shift[:4])
        m.submodules.buffer = buffer = HalfwordBuffer(word=self.word)
        assert 2 * buffer.DEPTH == SECTION_BYTES
        trailer = Signal()
        drop = Signal()
        with m.If(last):
            m.d.sync += trailer.eq(~trailer & buffer.section_end)
        with m.If(flush):
            m.d.sync += trailer.eq(0)
        close = self._check(m, byte, first, last, drop, flush)
        m.d.comb += [
            drop.eq(last & trailer),
            buffer.write.eq(last & ~trailer),
            buffer.halfword.eq(halfword),
            buffer.flush.eq(flush),
            self.program.word_ready.eq(buffer.word_ready),
        ]
        wiring.connect(m, buffer.output, wiring.flipped(self.program.words))
        return drop, close

    def _check(self, m, byte, first, arrived, drop, flush):
        """Follow the checksum; return whether it ends the stream, rightly or wrongly.

        The bytes of a halfword are in ``byte`` with ``first``, and in the cycle after it has
        ``arrived``.
        """
        crc = Signal(16, init=CRC_START)
        second = Signal()
        dropped = Signal()
        check = Signal()
        close = Signal()
        top = crc[8:] ^ byte
        top = top ^ (top >> 4)
        with m.If(first | second):
            # CRC-16, polynomial 0x1021, eight bits at once.
            m.d.sync += crc.eq(Cat(C(0, 8), crc[:8]) ^ (top << 12) ^ (top << 5) ^ top)
        m.d.sync += [second.eq(arrived), dropped.eq(drop), check.eq(dropped)]
        good = crc_residue(CRC_MARK)
        last = crc_residue(CRC_LAST)
        assert good == CRC_START        # so that nothing resets it between sections
        m.d.comb += close.eq(check & (crc != good))
        with m.If(close):
            m.d.sync += [
                self.program.verified.eq(crc == last), self.program.corrupt.eq(crc != last),
            ]
        with m.If(flush):
            m.d.sync += [
                crc.eq(CRC_START), second.eq(0), dropped.eq(0), check.eq(0),
                self.program.verified.eq(0), self.program.corrupt.eq(0),
            ]
        return close
