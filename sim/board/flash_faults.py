"""Faults of the flash's four lines, between the flash and the input registers."""

from dataclasses import dataclass

__all__ = ["FlashFaults", "Spoiler"]

STEP, START = 6364136223846793005, 1442695040888963407
"""Of a linear congruential generator of 64 bits: the C++ model's is the same."""


@dataclass(frozen=True, kw_only=True)
class FlashFaults:
    """Faults of the flash's lines.

    Attributes
    ----------
    flip : float
        Probability that one of the lines is inverted when a nibble is captured, 0 to 1.
    high, low : int
        Masks of lines, 0 to 15, that are stuck.
    late : int
        Mask of lines that are half a cycle late.
    seed : int
        Of which nibble and line it is.
    """

    flip: float = 0.0
    high: int = 0
    low: int = 0
    late: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            raise ValueError(f"flip must be 0 to 1, not {self.flip!r}")
        for name in ("high", "low", "late"):
            if getattr(self, name) not in range(16):
                raise ValueError(f"{name} must be a mask of four lines, not {getattr(self, name)}")


class Spoiler:
    """What faults make of nibbles, in the order in which they are captured."""

    def __init__(self, faults: FlashFaults) -> None:
        self._faults = faults
        self._state = faults.seed & (1 << 64) - 1
        self._before = 0xF

    def spoil(self, nibble: int) -> int:
        """Return what is captured instead of four levels."""
        faults = self._faults
        nibble, self._before = nibble & ~faults.late | self._before & faults.late, nibble
        if faults.flip:
            self._state = (self._state * STEP + START) & (1 << 64) - 1
            if self._state >> 11 < faults.flip * (1 << 53):
                nibble ^= 1 << (self._state >> 5 & 3)
        return (nibble | faults.high) & ~faults.low
