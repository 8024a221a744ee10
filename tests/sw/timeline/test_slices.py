"""Slices of an inference: they are all cycles, and all accesses, of the cycle model."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from support.timelines import PLANS, plan

from hw.contract.config import CoreConfig
from sw import importer
from sw.compiler import Program, compile_graph
from sw.compiler.timing import descriptor_timings, predict, traffic
from sw.compiler.timing.core import simulate
from sw.compiler.timing.cycles import tasks_of
from sw.fuzz.builder import NetworkBuilder
from sw.timeline.slices import ARRAY, CAUSES, PORT, segments, slices_of, steps_used


@pytest.fixture(params=PLANS)
def programs(request: pytest.FixtureRequest) -> tuple[Program, ...]:
    programs = plan(request.param).programs
    assert programs
    return programs


def outputs_of(program: Program) -> int:
    """Return the words of results that a program's descriptors make."""
    count = 0
    for work in program.work:
        d = work.descriptor
        columns = 1 if d.partial else d.width - d.skip_first - d.skip_last
        count += d.height * columns * d.blocks
    return count


def test_traffic(programs: tuple[Program, ...]) -> None:
    for program in programs:
        done, timings = traffic(program), descriptor_timings(program)
        tasks = tasks_of(program.work, program.config)
        # Who looks changes nothing.
        assert simulate(tasks, program.ring_words, program.config, traffic=[]) == timings
        assert done[-1].results == outputs_of(program)
        # Every word of the program, and the end's.
        assert done[-1].loader == sum(task.words(program.config) for task in tasks) + 1
        assert done[-1].flash >= done[-1].loader
        for before, now in itertools.pairwise(done):
            assert now.flash >= now.loader and now.flash >= before.flash


def test_slices_are_all_there_is(programs: tuple[Program, ...]) -> None:
    for program in programs:
        slices, done = slices_of(program), traffic(program)[-1]
        assert slices[0].start == 0 and slices[-1].stop == sum(predict(program))
        for part, following in itertools.pairwise(slices):
            assert part.stop == following.start and part.end == following.first
        for part in slices:
            assert set(part.array) == set(CAUSES) and set(part.port) == set(PORT)
            assert sum(part.array.values()) == part.cycles > 0
            assert np.isclose(sum(map(part.array_cycles, ARRAY)), part.cycles)
            assert 0 <= part.used <= part.array["steps"]
            # One access a cycle; two requantisers take a lane's results a cycle.
            assert sum(part.port.values()) <= part.cycles
            assert part.requantiser_cycles(program.config.lanes) <= part.cycles
        for kind in PORT:
            assert sum(part.port[kind] for part in slices) == getattr(done, kind)
        used = sum(part.used for part in slices)
        assert np.isclose(used, program.macs / program.config.multipliers)


def test_layers_of_slices() -> None:
    (whole,) = plan("whole").programs
    assert [part.layers for part in slices_of(whole)] == [(n,) for n in range(len(whole.layers))]
    (rows,) = plan("rows").programs
    turns = [(first, end) for first, end in segments(rows)
             if len({work.layer for work in rows.work[first:end]}) > 1]
    assert turns
    assert len([part for part in slices_of(rows) if len(part.layers) > 1]) > 1
    layers = [{work.layer for work in rows.work[first:end]} for first, end in segments(rows)]
    assert sum(map(len, layers)) == len(set().union(*layers)) == len(rows.layers)


def test_flash_bytes_are_what_the_flash_can() -> None:
    (program,) = plan("whole").programs
    for part in slices_of(program):
        # A word that began to come before may end in a slice.
        assert part.flash_bytes(program.config.word_bytes) <= part.cycles + 2 * 8


def test_channels_that_are_left_out_leave_no_place_idle() -> None:
    net = NetworkBuilder(seed=3)
    data = net.build(outputs=[net.conv_2d(net.input((1, 6, 6, 8)), 64, kernel=(1, 1))])
    program = compile_graph(importer.loads(data, "wide"), CoreConfig())
    few = replace(program, layers=(replace(program.layers[0], macs=10 * program.macs),))
    assert steps_used(few, descriptor_timings(few)) == [1.0]
    (part,) = slices_of(few)
    assert part.array_cycles("idle") == 0
