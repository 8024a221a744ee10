"""Tables of a timeline and of a map of memory: the figures that were drawn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from sw.compiler.timing import Traffic, descriptor_timings, traffic
from sw.report import utilization
from sw.timeline.figure import Figure
from sw.timeline.slices import CAUSES, PORT, steps_used

__all__ = ["layer_figures", "layer_rows", "memory_rows"]


def layer_figures(figure: Figure) -> list[dict[str, int]]:
    """Return the cycles by cause and the accesses by kind of every layer of a program."""
    program = figure.program
    found = [dict.fromkeys([*CAUSES, *PORT], 0) for _ in program.layers]
    done = [Traffic(), *traffic(program)]
    steps = zip(program.work, descriptor_timings(program), pairwise(done), strict=True)
    for work, timing, (before, now) in steps:
        its = found[work.layer]
        for cause in CAUSES:
            its[cause] += getattr(timing, cause)
        for kind in PORT:
            its[kind] += getattr(now, kind) - getattr(before, kind)
    return found


def layer_rows(figure: Figure) -> Iterator[list[str]]:
    """Yield a row for each layer, and their sum."""
    program, figures = figure.program, layer_figures(figure)
    config = program.config
    total = {name: sum(its[name] for its in figures) for name in (*CAUSES, *PORT)}
    parts = steps_used(program, descriptor_timings(program))
    used = [part * its["steps"] for part, its in zip(parts, figures, strict=True)]
    layers = [(str(n), layer.name, layer.kind, layer.macs)
              for n, layer in enumerate(program.layers)]
    rows = [*zip(layers, used, figures, strict=True),
            (("", "all", "", program.macs), sum(used), total)]
    for (number, name, kind, macs), filled, its in rows:
        cycles = sum(its[cause] for cause in CAUSES)
        rate = utilization(macs, cycles, config.multipliers) if macs else None
        yield [number, name, kind, f"{cycles:,}", "" if rate is None else f"{rate:.1%}",
               f"{filled:,.0f}", f"{its['steps'] - filled:,.0f}",
               *(f"{its[name]:,}" for name in (*CAUSES[1:], *PORT)),
               f"{its['results'] * config.lanes:,}", f"{its['flash'] * config.word_bytes:,}"]


def memory_rows(figure: Figure) -> Iterator[list[str]]:
    """Yield a row for each tensor, and one for the ring at its largest."""
    word = figure.program.config.word_bytes / 1024
    for its in figure.residents:
        yield ["" if its.layer is None else str(its.layer), its.name, its.kind,
               f"{its.words * word:.1f}", f"{min(a.first for a in its.areas) * word:.1f}",
               f"{max(a.end for a in its.areas) * word:.1f}", f"{its.start:,}", f"{its.stop:,}"]
    last = figure.ring[-1]
    yield ["", "ring, at its largest", "", f"{(last.end - last.first) * word:.1f}",
           f"{last.first * word:.1f}", f"{last.end * word:.1f}", f"{last.start:,}",
           f"{last.stop:,}"]
