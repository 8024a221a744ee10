"""Widths of what is stored and addressed."""

HALFWORD_BITS = 16
ADDRESS_BITS = 14
"""Bits of a word address of the activation memory."""
