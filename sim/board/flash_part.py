"""The W25Q128JV's numbers: commands, delays, and outputs that come late."""

import math
from dataclasses import dataclass

from hw.technology.ice40.capture import (
    NOMINAL,
    SAME_CLOCK,
    TCLQV_NS,
    TCLQX_NS,
    CaptureClock,
    paths,
)

__all__ = [
    "BUSY",
    "DTR_JEDEC_ID",
    "DTR_READ",
    "ERASES",
    "JEDEC_ID",
    "MAX_MHZ",
    "QE",
    "READS",
    "SIZE",
    "STATUS_READS",
    "STATUS_WRITES",
    "WEL",
    "FlashTiming",
    "Outputs",
    "StatusRegisters",
]

SIZE = 1 << 24
JEDEC_ID = (0xEF, 0x40)     # behind them is the size's logarithm
DTR_JEDEC_ID = (0xEF, 0x70)
BUSY, WEL, QE = 0x01, 0x02, 0x02  # SR1, SR1, SR2

# Opcode: (address lines, transfers of mode bits, dummy clocks, data lines, needs QE).
READS = {
    0x03: (1, 0, 0, 1, False),
    0x0B: (1, 0, 8, 1, False),
    0x6B: (1, 0, 8, 4, True),
    0xEB: (4, 2, 4, 4, True),
    0xED: (4, 2, 7, 4, True),
}
DTR_READ = 0xED
MAX_MHZ = {0x03: 50, DTR_READ: 66}
ERASES = {0x20: ("se", 1 << 12), 0x52: ("be1", 1 << 15), 0xD8: ("be2", 1 << 16)}
STATUS_READS = {0x05: 0, 0x35: 1, 0x15: 2}
STATUS_WRITES = {0x01: 0, 0x31: 1, 0x11: 2}
WRITE_MASKS = (0xFC, 0x43, 0x64)


@dataclass(frozen=True, kw_only=True)
class FlashTiming:
    """Delays of the flash and of the way to it, nanoseconds.

    The way is that of the iCE40 UltraPlus and of the capture clock of a routed design
    (:mod:`hw.technology.ice40.capture`): in one corner, or the worst of all.
    """

    capture: CaptureClock | None = None  # of a board: what its rate of transfer needs
    corner: str | None = None
    longer: float = 0.0      # what the way is longer than it should be
    clqv: float = TCLQV_NS   # tCLQV: clock edge to output valid
    clqx: float = TCLQX_NS   # tCLQX: output hold
    slch: float = 5.0        # tSLCH: /CS low to clock high
    shch: float = 3.0        # tSHCH: /CS high to clock high
    shqz: float = 7.0        # tSHQZ: /CS high to outputs off
    shsl_read: float = 10.0  # tSHSL1: /CS high after a read
    shsl_write: float = 50.0  # tSHSL2: /CS high after anything else
    res1: float = 3_000.0    # tRES1: release from power-down
    dp: float = 3_000.0      # tDP: power-down
    rst: float = 30_000.0    # tRST: software reset
    w: float = 10e6          # tW: non-volatile status register write
    pp: float = 0.4e6        # tPP: page program
    se: float = 45e6         # tSE: sector erase, 4 KB
    be1: float = 120e6       # tBE1: block erase, 32 KB
    be2: float = 150e6       # tBE2: block erase, 64 KB
    ce: float = 40e9         # tCE: chip erase
    busy_scale: float = 1.0  # factor on program, erase and status write times

    def path(self, clock_mhz, *, dtr=True):
        """Return what a nibble takes besides tCLQV and tCLQX, at most and at least.

        That is clock to pad, traces, and pad to input register, less what the input registers'
        clock is behind the output registers'; and what half a period of the PLL may lack.
        """
        clock = self.capture or (NOMINAL if dtr else SAME_CLOCK)
        path_max, path_min = paths(clock_mhz, clock, self.corner)
        return path_max + self.longer, path_min + self.longer

    def model_path(self, clock_mhz, *, dtr=True):
        """Return the same for the C++ model, whose flash has the data sheet's tCLQV and tCLQX."""
        path_max, path_min = self.path(clock_mhz, dtr=dtr)
        return path_max + self.clqv - TCLQV_NS, path_min + self.clqx - TCLQX_NS


class Outputs:
    """The flash's outputs, as input registers see them some time after they changed.

    Parameters
    ----------
    timing : FlashTiming
    period : float
        Of the core clock, nanoseconds.
    """

    def __init__(self, timing, period):
        # An output that changes at a clock edge may be captured this many half cycles later (at
        # the earliest), and the one before it this many half cycles later (at the latest).
        half = period / 2
        path_max, path_min = timing.path(1000 / period)
        self._late = math.ceil((path_max + timing.clqv) / half - 1e-9)
        self._early = math.floor((path_min + timing.clqx) / half + 1e-9)
        self._launches = []      # (half cycle, value, driven lines), newest last

    @property
    def driven(self):
        """Mask of the lines that the flash drives."""
        return self._launches[-1][2] if self._launches else 0

    def launch(self, now, value, lines):
        """The outputs change at the clock edge that begins a half cycle."""
        self._launches.append((now, value, lines))
        if len(self._launches) > 16:
            del self._launches[:8]

    def seen(self, now):
        """Return value and mask of the driven lines, as taken when a half cycle begins."""
        for then, lines, drives in reversed(self._launches):
            if now - then >= self._late:
                return lines, drives
            if now - then > self._early:   # neither the old nor the new value
                return ~lines & 0xF, drives
        return 0xF, 0            # nobody drives: pulled up


class StatusRegisters(list):
    """The three status registers in force, and what they are after a reset.

    Parameters
    ----------
    quad_enabled : bool
        The non-volatile QE bit.
    """

    def __init__(self, *, quad_enabled):
        self.stored = [0, QE if quad_enabled else 0, 0x60]
        super().__init__(self.stored)

    @property
    def quad_enabled(self):
        """Whether the QE bit in force is 1."""
        return bool(self[1] & QE)

    def reset(self):
        """Take what is stored."""
        self[:] = self.stored

    def write(self, index, values, *, volatile):
        """Write register ``index`` (and, from register 0 on, the next one)."""
        for register, value in enumerate(values[:2 if index == 0 else 1], index):
            mask = WRITE_MASKS[register]
            self[register] = (self[register] & ~mask) | (value & mask)
            if not volatile:
                self.stored[register] = self[register]
