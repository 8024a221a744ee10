"""Blocks that FPGAs have in silicon, each in a vendor's form and a portable one.

Both forms have the same interface and timing.  Amaranth's simulator ignores vendor cells, so the
portable form is the one to simulate in Python; tests compare the two in Verilator.
"""

from amaranth.lib import wiring

from hw.technology import portable
from hw.technology.ice40 import primitives

__all__ = ["TECHNOLOGIES", "dual_multiplier", "single_port_memory"]

TECHNOLOGIES = ("ice40", "portable")

_MODULES = {"ice40": primitives, "portable": portable}


def _module(technology: str):
    if technology not in _MODULES:
        raise ValueError(f"technology must be 'ice40' or 'portable', not {technology!r}")
    return _MODULES[technology]


def dual_multiplier(*, technology: str) -> wiring.Component:
    """Return two signed 8×8 multipliers: see :class:`hw.technology.portable.DualMultiplier`."""
    return _module(technology).DualMultiplier()


def single_port_memory(
    *, depth: int = 16384, width: int = 16, technology: str
) -> wiring.Component:
    """Return a memory: see :class:`hw.technology.portable.SinglePortMemory`."""
    return _module(technology).SinglePortMemory(depth=depth, width=width)
