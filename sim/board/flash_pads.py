"""The flash's pads: edges of /CS and SCK, what the host drives, and when lines are captured."""

from abc import ABC, abstractmethod

from sim.board.flash_faults import FlashFaults, Spoiler
from sim.board.flash_part import Outputs
from sim.errors import FlashError

__all__ = ["FlashPads"]


class FlashPads(ABC):
    """Pads of a flash, stepped once per core clock, or per half of one.

    Parameters
    ----------
    clock_mhz : float
        Core clock, which is SCK.
    timing : FlashTiming
    strict : bool
        Raise :class:`FlashError` at a refusal; otherwise only append it to ``errors``.
    reset_cycles : int
        In which the design behind the pads is in reset, from the first one on: they must not move.
    """

    def __init__(self, clock_mhz, timing, *, strict, reset_cycles):
        self.timing = timing
        self.period = 1000.0 / clock_mhz
        self.clock_mhz = clock_mhz
        self.strict = strict
        self.reset_cycles = reset_cycles
        self.errors = []
        self._outputs = Outputs(timing, self.period)
        self._spoiler = Spoiler(FlashFaults())
        self._now = 1            # half cycles
        self._cs_n = 1
        self._cs_high_at = -1_000_000   # half cycles, as are the next two
        self._selected_at = self._moved_at = 0
        self._letting_go = 0     # lines that the flash still drives, behind a rise of /CS
        self._gap = timing.shsl_read
        self._sck = 0
        self._host = (0, 0)      # o, oe at the pads

    def have(self, faults):
        """From now on the lines have :class:`sim.board.flash_faults.FlashFaults`."""
        self._spoiler = Spoiler(faults)

    @property
    def _cycle(self):
        return self._now >> 1

    def step(self, cs_n, sck, o, oe):
        """Advance one core clock.

        The arguments are the reader's outputs in the cycle that ends with this clock edge; they
        reach the pads with it; bit 0 of ``sck`` is for the first half of the next cycle, bit 1
        for the second.  The result is what the input registers hold after the edge: the lines in
        the middle of the cycle (bits 7:4) and at its end (bits 3:0).
        """
        captured = self._capture(self._now) << 4 | self._capture(self._now + 1)
        self.half_step(cs_n, sck & 1, o, oe)
        self.half_step(cs_n, sck >> 1, o, oe)
        return captured

    def half_step(self, cs_n, sck, o, oe):
        """Half a core clock begins, with these levels at the pads."""
        self._now += 1
        if self._sck and not sck and not (cs_n or self._cs_n):
            self._fall(o, oe)
        if cs_n != self._cs_n:
            if cs_n:
                self._leave()
            else:
                self._enter()
            self._cs_n = cs_n
        if (o, oe) != self._host:
            self._host = (o, oe)
            self._moved_at = self._now
        self._check_release(oe)
        rises = sck and not self._sck
        self._sck = sck
        if rises:
            self._check_clock(cs_n)
            if not cs_n:
                self._rise(o, oe)

    def _since(self, then):
        """Return nanoseconds since a half cycle began."""
        return (self._now - then) * self.period / 2

    def _check_release(self, oe):
        """The host must not drive what the flash has not let go of."""
        if self._letting_go and self._since(self._cs_high_at) >= self.timing.shqz:
            self._letting_go = 0
        if self._letting_go & oe:
            self._letting_go = 0
            self._refuse(f"the host drives lines less than {self.timing.shqz:.0f} ns (tSHQZ) "
                         "after /CS went high: the flash drives them still")

    def _check_clock(self, cs_n):
        """SCK rises: it must not close to an edge of /CS, nor in reset."""
        if self._cycle < self.reset_cycles:
            self._refuse("the clock runs in reset")
        if not cs_n and self._since(self._selected_at) < self.timing.slch:
            self._refuse("clock rises too early after /CS")
        if cs_n and self._since(self._cs_high_at) < self.timing.shch:
            self._refuse("clock rises too early after /CS went high")

    @abstractmethod
    def _select(self):
        """A command begins."""

    @abstractmethod
    def _deselect(self):
        """It ends; return how long /CS has to stay high, nanoseconds."""

    @abstractmethod
    def _rise(self, o, oe):
        """SCK rises while /CS is low."""

    @abstractmethod
    def _fall(self, o, oe):
        """SCK falls while /CS is low."""

    def _enter(self):
        if self._cycle < self.reset_cycles:
            self._refuse("/CS is low in reset")
        high = self._since(self._cs_high_at)
        if high < self._gap - 1e-6:
            self._refuse(f"/CS high for {high:.0f} ns, must be at least {self._gap:.0f} ns")
        self._selected_at = self._now
        self._letting_go = 0
        self._select()

    def _leave(self):
        self._cs_high_at = self._now
        self._letting_go = self._outputs.driven
        if self._outputs.driven:
            self._outputs.launch(self._now, 0xF, 0)
        self._gap = self._deselect()

    def _capture(self, now):
        """Value of the four lines that the input registers take when a half cycle begins."""
        value, mask = self._outputs.seen(now)
        o, oe = self._host
        if oe & mask and self._outputs.driven & oe:
            self._refuse("the host drives lines that the flash drives")
        return self._spoiler.spoil((value & mask) | (((o & oe) | (~oe & 0xF)) & ~mask & 0xF))

    def _taken(self, o, oe):
        """Return the levels that the flash takes from its pads."""
        if (o, oe) != self._host or self._moved_at == self._now:
            self._refuse("the lines change while the flash takes them")
        return (o & oe) | (~oe & 0xF)

    def _refuse(self, text):
        text = f"cycle {self._cycle}: {text}"
        self.errors.append(text)
        if self.strict:
            raise FlashError(text)
