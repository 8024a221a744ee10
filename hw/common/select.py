"""Multiplexers that synthesis does not find by itself."""

from amaranth.hdl import Module, Mux, Signal, Value


def select(m: Module, index: Value, choices: list[Value], *, name: str) -> Value:
    """Return ``choices[index]``; four choices cost two four-input LUTs a bit.

    The first LUT chooses between the first two, or passes on which of the last two is meant; the
    second LUT takes that, the last two, and whether they are meant.
    """
    if len(choices) != 4:
        values = Signal(choices[0].shape(), name=name)
        with m.Switch(index):
            for number, choice in enumerate(choices):
                with m.Case(number):
                    m.d.comb += values.eq(choice)
        return values
    low, high = index[0], index[1]
    width = len(choices[0])
    first = Signal(width, name=f"{name}_first", attrs={"keep": 1})
    result = Signal(choices[0].shape(), name=name)
    m.d.comb += first.eq(Mux(high, low.replicate(width), Mux(low, choices[1], choices[0])))
    m.d.comb += Value.cast(result).eq(
        (~high.replicate(width) & first)
        | (high.replicate(width) & ((first & choices[3]) | (~first & choices[2])))
    )
    return result
