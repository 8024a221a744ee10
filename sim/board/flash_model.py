"""Model of a quad SPI flash of the W25Q kind behind the IO cells of an FPGA.

It answers what the real flash answers and refuses what the real one refuses: nothing but release
before tRES1 is over, no quad command before the quad-enable bit is set, no double transfer rate
(DTR) by a part that has none or above 66 MHz, nothing but status reads while it is busy; outputs
of the host before its own are off, clocks at edges of /CS, pins that move in reset.  Every refusal
is an error with a clear text.  ``flash_model.h`` is the same model in C++ for compiled
simulations; a test replays traces through both.

Sources: data sheets of the W25Q128JV and the W25Q128JV-DTR, sections 6.1 (status registers), 7
(instructions) and 9.6 (AC characteristics); times below carry the data sheet's symbols.
``docs/flash.md`` has more.
"""

import math

from sim.board import flash_part as part
from sim.board.flash_pads import FlashPads
from sim.board.flash_part import DTR_READ, FlashTiming, StatusRegisters

__all__ = ["FlashModel"]


class FlashModel(FlashPads):
    """W25Q128JV or a smaller one, stepped once per core clock, or per half of one.

    Parameters
    ----------
    contents : bytes
        What the array holds from address 0 on; the rest is erased.
    clock_mhz : float
        Core clock, which is SCK.
    dtr : bool
        A W25Q...-DTR (ordering codes IM and JM) and not one without double transfer rate (IQ, JQ).
    size : int
        Bytes, a power of two, up to 16 MB.
    quad_enabled : bool
        The non-volatile part.QE bit.
    powered_down : bool
        As after configuration of an iCE40.
    continuous_read : int
        In continuous-read mode: the next command has no opcode but is this one (0: no).
    strict : bool
        Raise :class:`FlashError` at a refusal; otherwise only append it to ``errors``.
    timing : FlashTiming
    reset_cycles : int
        In which the design behind the pads is in reset, from the first one on.

    Attributes
    ----------
    errors : list of str
        Refusals so far.
    array : bytearray
        The memory.
    """

    def __init__(self, contents=b"", *, clock_mhz=39.75, dtr=True, size=part.SIZE,
                 quad_enabled=False, powered_down=True, continuous_read=0, strict=True, timing=None,
                 reset_cycles=0):
        if not 1 <= clock_mhz <= 133:
            raise ValueError(f"clock_mhz must be 1 to 133, not {clock_mhz!r}")
        if len(contents) > size:
            raise ValueError(f"contents must be at most {size} bytes, not {len(contents)!r}")
        super().__init__(clock_mhz, timing or FlashTiming(), strict=strict,
                         reset_cycles=reset_cycles)
        self.dtr = dtr
        self.array = bytearray(contents) + bytearray(b"\xff") * (size - len(contents))
        self.status = StatusRegisters(quad_enabled=quad_enabled)
        self._asleep = powered_down
        self._ready_at = 0       # cycle from which commands other than status reads are obeyed
        self._busy_why = ""
        self._continuous = continuous_read
        self._enabled = self._volatile_enabled = self._reset_enabled = False
        self._begin()

    # -- commands -------------------------------------------------------------------------------

    def _begin(self):
        self._state = "opcode"
        self._left = 8           # clocks to the end of the state
        self._shift = 0
        self._opcode = None
        self._address = 0
        self._bytes = bytearray()
        self._lines = 1
        self._source = None
        self._out = 0
        self._out_bits = 0

    def _select(self):
        self._begin()
        if self._continuous and not self._asleep:
            self._open_read(self._continuous)

    def _deselect(self):
        if self._state in ("write", "erase"):
            self._execute()
        elif self._state == "address" and self._opcode not in part.READS:
            self._refuse(f"command {self._opcode:02X}h: /CS high in the middle of the address")
        quick = self._opcode is None or self._opcode in part.READS
        return self.timing.shsl_read if quick else self.timing.shsl_write

    def _rise(self, o, oe):
        if self._state == "read" and self._opcode == DTR_READ:
            self._send()
        if self._state in ("ignore", "read"):
            return
        if not self.status.quad_enabled and oe & 8 and not o & 8:
            self._refuse("IO3 is /HOLD and low: the quad-enable bit is 0")
        if self._state == "erase":
            self._state = "ignore"
            self._refuse(f"command {self._opcode:02X}h: more clocks than it takes")
            return
        self._take(o, oe)

    def _fall(self, o, oe):
        if self._state == "read":
            self._send()
        elif self._opcode == DTR_READ and self._state in ("address", "mode") and self._left & 1:
            # The second half of a byte; the first one came with the rising edge.
            self._take(o, oe)

    def _take(self, o, oe):
        """The flash takes what is on the lines."""
        if self._state != "dummy":
            pads = self._taken(o, oe)
            self._shift = (self._shift << self._lines) | (pads & ((1 << self._lines) - 1))
        self._left -= 1
        if self._left == 0:
            self._advance()

    def _send(self):
        """The flash shows its next bit or nibble."""
        if self._out_bits == 0:
            self._out = self._next_byte()
            self._out_bits = 8
        self._out_bits -= self._lines
        lines = (self._out >> self._out_bits) & ((1 << self._lines) - 1)
        if self._lines == 1:
            self._outputs.launch(self._now, lines << 1, 0b0010)
        else:
            self._outputs.launch(self._now, lines, 0b1111)

    def _next_byte(self):
        if self._source is not None:
            return self._source()
        value = self.array[self._address]
        self._address = (self._address + 1) % len(self.array)
        return value

    def _advance(self):
        """The clocks of a state are over."""
        if self._state == "opcode":
            self._decode(self._shift & 0xFF)
        elif self._state == "address":
            self._address = self._shift % len(self.array)
            self._after_address()
        elif self._state == "mode":
            self._continuous = self._opcode if (self._shift >> 4) & 0b11 == 0b10 else 0
            self._enter_dummy()
        elif self._state == "dummy":
            self._enter_read()
        elif self._state == "write":
            self._bytes.append(self._shift & 0xFF)
            self._left = 8 // self._lines

    def _decode(self, opcode):
        self._opcode = opcode
        self._shift = 0
        if opcode == 0xFF:       # continuous-read mode reset: harmless at any time
            self._state = "ignore"
            return
        if opcode == 0xAB:
            if self._asleep:
                self._asleep = False
                self._ready_at = self._cycle + math.ceil(self.timing.res1 / self.period)
                self._busy_why = "tRES1 is not over"
            self._address_then_id()
            return
        if self._asleep:
            self._state = "ignore"
            self._refuse(f"command {opcode:02X}h in power-down: only ABh is obeyed")
            return
        if self._cycle < self._ready_at and (
                opcode not in part.STATUS_READS or self._busy_why != "busy"):
            self._state = "ignore"
            self._refuse(f"command {opcode:02X}h: {self._busy_why}")
            return
        reset_enabled, self._reset_enabled = self._reset_enabled, opcode == 0x66
        if opcode in part.READS:
            self._open_read(opcode)
        elif opcode in part.STATUS_READS:
            index = part.STATUS_READS[opcode]
            self._answer(lambda: self._status_byte(index))
        elif opcode == 0x9F:
            self._answer(self._identity_byte)
        elif opcode in (0x02, 0x32) or opcode in part.ERASES:
            if not self._enabled:
                self._state = "ignore"
                self._refuse(f"command {opcode:02X}h without write enable (06h)")
            elif opcode == 0x32 and not self.status.quad_enabled:
                self._state = "ignore"
                self._refuse("command 32h: the quad-enable bit is 0")
            else:
                self._state, self._left, self._lines = "address", 24, 1
        elif opcode in part.STATUS_WRITES:
            if not (self._enabled or self._volatile_enabled):
                self._state = "ignore"
                self._refuse(f"command {opcode:02X}h without write enable (06h or 50h)")
            else:
                self._state, self._left, self._lines = "write", 8, 1
        else:
            self._simple(opcode, reset_enabled)

    def _simple(self, opcode, reset_enabled):
        """Commands that are an opcode and nothing else."""
        self._state = "ignore"
        if opcode == 0x06:
            self._enabled = True
        elif opcode == 0x04:
            self._enabled = False
        elif opcode == 0x50:
            self._volatile_enabled = True
        elif opcode == 0xB9:
            self._asleep = True
        elif opcode == 0x66:
            pass
        elif opcode == 0x99 and reset_enabled:
            self.status.reset()
            self._enabled = self._volatile_enabled = False
            self._continuous = 0
            self._ready_at = self._cycle + math.ceil(self.timing.rst / self.period)
            self._busy_why = "tRST is not over"
        elif opcode in (0xC7, 0x60) and self._enabled:
            self._state, self._left = "erase", 0
        elif opcode in (0xC7, 0x60):
            self._refuse(f"command {opcode:02X}h without write enable (06h)")
        else:
            self._refuse(f"command {opcode:02X}h is not one of the model's")

    def _open_read(self, opcode):
        lines, _, _, _, quad = part.READS[opcode]
        self._opcode = opcode
        if opcode == DTR_READ and not self.dtr:
            self._state = "ignore"
            self._refuse(f"command {opcode:02X}h: the flash has no double transfer rate")
            return
        if quad and not self.status.quad_enabled:
            self._state = "ignore"
            self._refuse(f"command {opcode:02X}h: the quad-enable bit is 0")
            return
        if self.clock_mhz > part.MAX_MHZ.get(opcode, 133):
            self._refuse(f"command {opcode:02X}h: clock above {part.MAX_MHZ[opcode]} MHz")
        self._state, self._left, self._lines = "address", 24 // lines, lines

    def _address_then_id(self):
        """Release from power-down: if clocks follow, three dummy bytes and the device ID."""
        self._state, self._left, self._lines = "dummy", 24, 1
        self._source = lambda: len(self.array).bit_length() - 2

    def _after_address(self):
        self._shift = 0
        if self._opcode in part.ERASES:
            self._state, self._left = "erase", 0
        elif self._opcode in (0x02, 0x32):
            self._lines = 4 if self._opcode == 0x32 else 1
            self._state, self._left = "write", 8 // self._lines
        elif part.READS[self._opcode][1]:
            self._state, self._left = "mode", part.READS[self._opcode][1]
        else:
            self._enter_dummy()

    def _enter_dummy(self):
        self._left = part.READS[self._opcode][2]
        self._state = "dummy"
        if self._left == 0:
            self._enter_read()

    def _enter_read(self):
        self._state, self._left = "read", 0
        self._lines = part.READS[self._opcode][3] if self._opcode in part.READS else 1

    def _answer(self, source):
        self._source = source
        self._state, self._left, self._lines = "read", 0, 1

    def _identity_byte(self):
        maker, kind = part.DTR_JEDEC_ID if self.dtr else part.JEDEC_ID
        value = (maker, kind, len(self.array).bit_length() - 1)[self._address % 3]
        self._address += 1
        return value

    def _status_byte(self, index):
        busy = self._cycle < self._ready_at
        if index == 0:
            return self.status[0] | (part.BUSY if busy else 0) | (part.WEL if self._enabled else 0)
        return self.status[index]

    # -- what happens when /CS goes high --------------------------------------------------------

    def _execute(self):
        opcode = self._opcode
        if self._state == "write" and (self._left != 8 // self._lines or not self._bytes):
            self._refuse(f"command {opcode:02X}h: /CS high in the middle of a byte")
            return
        if opcode in part.STATUS_WRITES:
            self._write_status(part.STATUS_WRITES[opcode])
            return
        self._enabled = False
        if opcode in (0x02, 0x32):
            page, offset = self._address & ~0xFF, self._address & 0xFF
            for index, value in enumerate(self._bytes[-256:]):
                start = offset + max(0, len(self._bytes) - 256)
                self.array[page + (start + index) % 256] &= value
            self._busy(self.timing.pp)
        elif opcode in part.ERASES:
            name, size = part.ERASES[opcode]
            base = self._address & ~(size - 1)
            self.array[base:base + size] = b"\xff" * size
            self._busy(getattr(self.timing, name))
        else:
            self.array[:] = b"\xff" * len(self.array)
            self._busy(self.timing.ce)

    def _write_status(self, index):
        self.status.write(index, self._bytes, volatile=not self._enabled)
        if self._enabled:
            self._busy(self.timing.w)
        self._enabled = self._volatile_enabled = False

    def _busy(self, time):
        self._ready_at = self._cycle + math.ceil(time * self.timing.busy_scale / self.period)
        self._busy_why = "busy"
