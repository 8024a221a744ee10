"""The flash's status register 2: what reader and driver want of it before they trust the flash.

Source: data sheet of the W25Q128JV-DTR, section 7.1 (status registers).
"""

__all__ = ["STATUS2_MASK", "STATUS2_READY"]

STATUS2_READY = 0x02
"""QE alone, as it is written: quad commands are obeyed."""

STATUS2_MASK = 0xC3
"""The bits that have to be so: QE (1), and with it SRL (0), CMP (6) and SUS (7), so that no line
that is stuck, or rises or falls while it is read, passes for a flash.  The others are one-time
programmable, or reserved."""
