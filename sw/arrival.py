"""Cycles of a program whose input is written while it runs: they depend on the host.

``cycles`` of a program are those with all of its input on the chip.
"""

from __future__ import annotations

import math

from sw.compiler import Plan, Program
from sw.compiler.timing import BUS_PACE, descriptor_timings, predict, predict_plan

__all__ = ["cycles_with_input", "sentence"]

BYTE_BITS = 10
"""Of a byte on the serial line, with start and stop bit."""


def cycles_with_input(plan: Plan, baud: int) -> dict[str, int] | None:
    """Return the cycles from the start to the result, with the time in which input arrives.

    Parameters
    ----------
    plan : Plan
    baud : int
        The board's highest rate.

    Returns
    -------
    dict or None
        ``sim``: exactly those of the backend ``sim``.  ``line_at_least``: a bound for ``sim:link``
        and boards, from what their line's bits take; answers, USB and the computer come on top.
        ``None`` if all of the input is there at the start.
    """
    streaming = [program for program in plan.programs if program.streams_input]
    if not streaming:
        return None
    rest = sum(sum(predict(p)) for p in plan.programs if not p.streams_input)
    taken = [_with_input(program, baud) for program in streaming]
    return {name: rest + sum(entry[name] for entry in taken) for name in taken[0]}


def _with_input(program: Program, baud: int) -> dict[str, int]:
    """Return the cycles of one program."""
    during = [chunk for chunk in program.chunks if chunk.after_descriptor]
    timings = descriptor_timings(program)
    begun = timings[during[0].after_descriptor - 1].end
    bits = BYTE_BITS * program.config.word_bytes * sum(chunk.words for chunk in during)
    line = begun + math.floor(bits * program.config.core_mhz * 1e6 / baud)
    return {
        "sim": sum(predict(program, BUS_PACE)),
        "line_at_least": max(line, sum(predict(program))),
    }


def sentence(plan: Plan, baud: int) -> str:
    """Return what to say of a plan with such a program; nothing of others."""
    taken = cycles_with_input(plan, baud)
    if taken is None:
        return ""
    hertz = plan.config.core_mhz * 1e6
    chunks = [chunk for program in plan.programs for chunk in program.chunks]
    part = sum(chunk.words for chunk in chunks if chunk.after_descriptor)
    ideal = sum(predict_plan(plan))
    sim, line = taken["sim"], taken["line_at_least"]
    return (
        f"the input does not fit into memory: {part * plan.config.word_bytes:,} bytes are "
        f"written while the core runs, and it waits for them. {ideal:,} cycles are "
        f"those with the input on the chip; with the host on the core's bus (sim) it takes {sim:,} "
        f"({hertz / sim:.1f} inferences/s), over the serial line at {baud / 1e6:g} Mbaud "
        f"at least {line:,} ({hertz / line:.1f})"
    )
