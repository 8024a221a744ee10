"""The one configuration object that hardware, compiler, cycle model and driver share.

Nothing here imports Amaranth: the compiler and the driver read the same object that the
generator elaborates.  Presets live with the boards (``boards/``).
"""

from dataclasses import dataclass
from typing import ClassVar

from hw.contract.flash import DOUBLE_RATE, SINGLE_RATE, FlashRead
from hw.contract.requantiser import ACC_BITS, FRACTION_BITS

__all__ = ["ROWS", "TECHNOLOGIES", "CoreConfig"]

TECHNOLOGIES = ("ice40", "portable")
"""Names of the families of chips that :mod:`hw.technology` knows."""

ROWS = 2
"""Rows of the array, and bytes of one lane's memory slice.

A block of multipliers is two of them, and a slice of memory two bytes wide; the datapath is made
for that.
"""


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """Size of one accelerator core; what this accepts, the hardware does.

    The array has ``rows`` rows (input channels, or kernel taps for depthwise layers) and
    ``rows * lanes`` columns (output channels).  A lane is a group of ``rows`` columns with its own
    slice of the activation memory; lane ``g`` runs ``g`` cycles behind lane 0.

    Attributes
    ----------
    lanes : int
        Lanes of the array, 2 or 4: an output takes at least 4 steps, and its results leave the
        array a lane per cycle.  UP5K: 4, one per SPRAM.
    memory_depth : int
        Words of activation memory; a word is ``word_bytes`` bytes.
    acc_bits : int
        Bits of an accumulator, 18 to 24.  The compiler refuses a network it can't prove to fit.
    weight_depth : int
        Steps of weights the array's weight memory holds (a step is one weight per cell).
    parameter_slots : int
        Blocks of requantisation parameters that can be queued.
    descriptor_slots : int
        Layer descriptors that can be queued.
    fraction_bits : int
        Bits of the requantiser's products below the unit, odd, 9 to 31 (exact).  With fewer than 31
        the compiler proves for each channel that every output is right.
    flash_dtr : bool
        The flash is read at double transfer rate, which not every part has.
    core_mhz : float
        Core clock the board asks for, in MHz.
    technology : str
        ``"ice40"`` for vendor primitives, ``"portable"`` for behavioural ones.
    """

    rows: ClassVar[int] = ROWS
    """Rows of the array: not a choice."""

    lanes: int = 4
    memory_depth: int = 16384
    acc_bits: int = 24
    weight_depth: int = 512
    parameter_slots: int = 64
    descriptor_slots: int = 8
    fraction_bits: int = 31
    flash_dtr: bool = True
    core_mhz: float = 30.0
    technology: str = "ice40"

    def __post_init__(self) -> None:
        if self.lanes not in (2, 4):
            raise ValueError(f"lanes must be 2 or 4, not {self.lanes!r}")
        for name in ("memory_depth", "weight_depth", "parameter_slots", "descriptor_slots"):
            value = getattr(self, name)
            if value < 4 or value & (value - 1):
                raise ValueError(f"{name} must be a power of two of at least 4, not {value!r}")
        if self.memory_depth > 16384:
            raise ValueError(f"memory_depth must be at most 16384, not {self.memory_depth!r}")
        if self.acc_bits not in ACC_BITS:
            raise ValueError(f"acc_bits must be 18 to 24, not {self.acc_bits!r}")
        if self.fraction_bits not in FRACTION_BITS:
            raise ValueError(f"fraction_bits must be odd, 9 to 31, not {self.fraction_bits!r}")
        if self.technology not in TECHNOLOGIES:
            names = " or ".join(map(repr, TECHNOLOGIES))
            raise ValueError(f"technology must be {names}, not {self.technology!r}")
        if not isinstance(self.flash_dtr, bool):
            raise ValueError(f"flash_dtr must be True or False, not {self.flash_dtr!r}")
        if not 1 <= self.core_mhz <= 200:
            raise ValueError(f"core_mhz must be 1 to 200, not {self.core_mhz!r}")

    @property
    def columns(self) -> int:
        """Columns of the array: output channels computed at once, and channels in a word."""
        return self.lanes * self.rows

    @property
    def word_bytes(self) -> int:
        """Bytes of one word of activation memory: one int8 per column."""
        return self.columns

    @property
    def flash_read(self) -> FlashRead:
        """Command that the flash is read with."""
        return DOUBLE_RATE if self.flash_dtr else SINGLE_RATE

    @property
    def multipliers(self) -> int:
        """Multiplications per cycle: the limit that utilisation is measured against."""
        return self.rows * self.columns

    @property
    def memory_bytes(self) -> int:
        """Bytes of activation memory."""
        return self.memory_depth * self.word_bytes
