"""Cycles of a program whose input is written while it runs: they depend on the host.

``cycles`` of a program are those with all of its input on the chip.
"""

from __future__ import annotations

import math

from sw.compiler import Program
from sw.compiler.timing import BUS_PACE, descriptor_timings, predict

__all__ = ["cycles_with_input", "sentence"]

BYTE_BITS = 10
"""Of a byte on the serial line, with start and stop bit."""


def cycles_with_input(program: Program, baud: int) -> dict[str, int] | None:
    """Return the cycles from the start to the result, with the time in which input arrives.

    Parameters
    ----------
    program : Program
    baud : int
        The board's highest rate.

    Returns
    -------
    dict or None
        ``sim``: exactly those of the backend ``sim``.  ``line_at_least``: a bound for ``sim:link``
        and boards, from what their line's bits take; answers, USB and the computer come on top.
        ``None`` if all of the input is there at the start.
    """
    if not program.streams_input:
        return None
    during = [chunk for chunk in program.chunks if chunk.after_descriptor]
    timings = descriptor_timings(program)
    begun = timings[during[0].after_descriptor - 1].end
    bits = BYTE_BITS * program.config.word_bytes * sum(chunk.words for chunk in during)
    line = begun + math.floor(bits * program.config.core_mhz * 1e6 / baud)
    return {
        "sim": sum(predict(program, BUS_PACE)),
        "line_at_least": max(line, sum(predict(program))),
    }


def sentence(program: Program, baud: int) -> str:
    """Return what to say of such a program; nothing of others."""
    taken = cycles_with_input(program, baud)
    if taken is None:
        return ""
    hertz = program.config.core_mhz * 1e6
    part = sum(chunk.words for chunk in program.chunks if chunk.after_descriptor)
    sim, line = taken["sim"], taken["line_at_least"]
    return (
        f"the input does not fit into memory: {part * program.config.word_bytes:,} bytes are "
        f"written while the core runs, and it waits for them. {sum(predict(program)):,} cycles are "
        f"those with the input on the chip; with the host on the core's bus (sim) it takes {sim:,} "
        f"({hertz / sim:.1f} inferences per second), over the serial line at {baud / 1e6:g} Mbaud "
        f"at least {line:,} ({hertz / line:.1f})"
    )
