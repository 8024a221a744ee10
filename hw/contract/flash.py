"""The flash: how the core reads it, and what reader and driver want of it before they trust it.

Source: data sheets of the W25Q128JV-DTR and the W25Q128JV, sections 7.1 (status registers) and 8.2
(instructions).
"""

from dataclasses import dataclass

__all__ = ["DOUBLE_RATE", "SINGLE_RATE", "STATUS2_MASK", "STATUS2_READY", "FlashRead"]


@dataclass(frozen=True, kw_only=True)
class FlashRead:
    """Command that the core reads the flash with, and its latencies in cycles.

    Command, address and mode bits take 8 cycles each way: 8 bits, and 8 nibbles.

    Attributes
    ----------
    command : int
        Its first byte.
    dummy : int
        Clocks between mode bits and data.
    halfword : int
        Between two halfwords of an unpaused stream.
    """

    command: int
    dummy: int
    halfword: int

    @property
    def first(self) -> int:
        """From the stream's start to its first data: 8 command, 6 address, 2 mode, dummy."""
        return 1 + 8 + 8 + self.dummy

    @property
    def transfer(self) -> int:
        """From the beginning of a halfword to its being offered, with an empty buffer."""
        return self.halfword + 3

    @property
    def trailer(self) -> int:
        """From the transfer of a checksum until it does not count as buffered any more."""
        return self.halfword + 2

    @property
    def check(self) -> int:
        """From the transfer of a checksum to its verdict."""
        return self.halfword + 4


DOUBLE_RATE = FlashRead(command=0xED, dummy=7, halfword=2)
"""DTR Fast Read Quad I/O: a nibble per edge of the clock."""

SINGLE_RATE = FlashRead(command=0xEB, dummy=4, halfword=4)
"""Fast Read Quad I/O: a nibble per clock.  Every quad flash has it."""

STATUS2_READY = 0x02
"""QE alone, as it is written: quad commands are obeyed."""

STATUS2_MASK = 0xC3
"""The bits that have to be so: QE (1), and with it SRL (0), CMP (6) and SUS (7), so that no line
that is stuck, or rises or falls while it is read, passes for a flash.  The others are one-time
programmable, or reserved."""
