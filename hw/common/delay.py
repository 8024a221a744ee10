"""Shift registers for signals that travel beside the data."""

from amaranth.hdl import Module, Signal


def delayed(m: Module, value, cycles: int, *, name: str):
    """Return ``value`` as it was ``cycles`` cycles ago; same shape, 0 after reset."""
    for k in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{k + 1}")
        m.d.sync += register.eq(value)
        value = register
    return value


def taps(m: Module, value, cycles: int, *, name: str) -> list:
    """Return ``value`` as it is now, a cycle ago, ... ``cycles`` cycles ago."""
    values = [value]
    for k in range(cycles):
        values.append(delayed(m, values[-1], 1, name=f"{name}_{k}"))
    return values
