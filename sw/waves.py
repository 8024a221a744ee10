"""Waves of a run: what of it is recorded, as commands are told and as the core counts."""

from __future__ import annotations

import argparse
import re
from itertools import accumulate

from common.errors import InputError
from sim.board import verilate
from sim.board.waves import Wave, check_file, check_headers
from sw.compiler import Plan, Program
from sw.compiler.timing import BUS_PACE, by_layer
from sw.compiler.timing.arrivals import arrivals
from sw.compiler.timing.cycles import work_timings

__all__ = ["add_options", "check_options", "wave_of"]

CYCLES = re.compile(r"(\d+)\.\.(\d+)")


def add_options(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Add the options of waves; ``what`` is what is recorded without a window."""
    group = parser.add_argument_group("waveforms")
    group.add_argument(
        "--wave", metavar="FILE",
        help=f"record the simulated core's signals, of {what}, as .fst or .vcd; a cycle is 10 ns "
        "of the file's time",
    )
    group.add_argument(
        "--wave-window", metavar="LAYER|A..B",
        help="only while this layer runs, or only cycles A to B, B not included",
    )
    group.add_argument(
        "--wave-signals", metavar="PATTERN", action="append", default=[],
        help="only signals whose name, or its end from a module on, fits, such as 'array*' or "
        "'host.cycles'; may be given several times",
    )


def check_options(options: argparse.Namespace) -> None:
    """Refuse what cannot be recorded, before anything is done.

    Raises
    ------
    InputError
    """
    if options.wave is None:
        if options.wave_window is not None or options.wave_signals:
            raise InputError("--wave-window and --wave-signals say what --wave FILE records; give "
                             "that, too")
        return
    check_file(options.wave)
    if (match := CYCLES.fullmatch(options.wave_window or "")) and int(match[1]) >= int(match[2]):
        raise InputError(f"--wave-window {options.wave_window}: there are no cycles in it; give "
                         "the first one, and the one behind the last")
    wave = Wave(path=options.wave)
    check_headers(wave.kind, verilate.compiler())


def wave_of(options: argparse.Namespace, plan: Plan) -> Wave:
    """Return what is to be recorded of the first inference of a network.

    Cycles are counted as the command's report counts them: from the first program's start, without
    the host's time between programs.

    Raises
    ------
    InputError
        If there is no such layer, the window is not within one program, or nothing runs on the
        core.
    """
    if not plan.programs:
        raise InputError(f"{plan.model}: nothing of this network runs on the core, so there is no "
                         "wave of it; leave --wave out")
    totals = [sum(cycles) for cycles in map(_cycles, plan.programs)]
    befores = [0, *accumulate(totals)]
    text = options.wave_window
    patterns = tuple(options.wave_signals)
    if text is None:
        if len(plan.programs) > 1:
            raise InputError(f"the network runs as {len(plan.programs)} programs, and a wave is of "
                             "one: name a layer of it with --wave-window, or cycles")
        return Wave(path=options.wave, end=totals[0], patterns=patterns)
    if (match := CYCLES.fullmatch(text)) is None:
        number, first, end = _of_layer(plan, text)
        return Wave(path=options.wave, first=first, end=end, patterns=patterns, start=number)
    first, end = map(int, match.groups())
    if end > befores[-1]:
        raise InputError(f"--wave-window {text}: an inference takes {befores[-1]:,} cycles, and "
                         f"the last is {befores[-1] - 1}; end at {befores[-1]}, or before")
    number = next(n for n, before in enumerate(befores[1:]) if first < before)
    if end > befores[number + 1]:
        raise InputError(
            f"--wave-window {text}: program {number + 1} ends after {befores[number + 1]:,} "
            "cycles, and a wave is of one program; end there")
    return Wave(path=options.wave, first=first - befores[number],
                end=end - befores[number], patterns=patterns, start=number)


def _ends(program: Program) -> list[int]:
    """Return the cycles after which each descriptor is done, with the simulated board's host."""
    host = arrivals(program.chunks, BUS_PACE, program.config)
    timings = work_timings(program.work, program.ring_words, program.config, host)
    return [timing.end + 1 for timing in timings]


def _cycles(program: Program) -> list[int]:
    return by_layer(program.work, _ends(program))


def _of_layer(plan: Plan, name: str) -> tuple[int, int, int]:
    """Return a layer's program, and its first cycle and the one behind its last."""
    for number, program in enumerate(plan.programs):
        layers = [n for n, layer in enumerate(program.layers) if layer.name == name]
        if layers:
            ends = [0, *_ends(program)]
            its = [n for n, work in enumerate(program.work) if work.layer == layers[0]]
            return number, ends[its[0]], ends[its[-1] + 1]
    names = [layer.name for layer in plan.layers]
    listed = ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:7])}, … {names[-1]}"
    raise InputError(f"--wave-window {name!r}: the core has no such layer, and it is not A..B; "
                     f"layers are {listed}")
