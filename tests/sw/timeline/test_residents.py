"""The map of memory: what is nobody's can be overwritten, what is somebody's is in its place."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.timelines import PLANS, plan

from sim.functional import FunctionalCore
from sw import golden
from sw.compiler import Collector, Program
from sw.compiler.timing import descriptor_timings
from sw.images import random_inputs
from sw.timeline.residents import Area, Resident, residents_of, ring_of

FREE = 0x55


@pytest.fixture(scope="module", params=PLANS)
def programs(request: pytest.FixtureRequest) -> tuple[Program, ...]:
    programs = plan(request.param).programs
    assert programs
    return programs


def taken(residents: list[Resident], cycle: int, depth: int) -> np.ndarray:
    """Return which words are somebody's in a cycle."""
    found = np.zeros(depth, np.bool_)
    for its in residents:
        for area in its.areas:
            if area.start <= cycle < area.stop:
                found[area.first : area.end] = True
    return found


def test_nothing_else_is_needed(programs: tuple[Program, ...]) -> None:
    """All words that the map leaves free are overwritten, behind each descriptor."""
    for program in programs:
        frame = random_inputs(program.network, 1)
        wanted = golden.run(program.network, frame)
        core = FunctionalCore(program.config)
        uploads, chunks = program.uploads(program.before(frame))
        for address, words in uploads:
            core.write(address, words)

        def bring(number: int, chunks: list = chunks, core: FunctionalCore = core) -> None:
            while chunks and chunks[0][0].after_descriptor <= number:
                chunk, words = chunks.pop(0)
                core.write(chunk.address, words)

        residents, collector = residents_of(program), Collector(program)
        timings = descriptor_timings(program)
        free = 0
        for number, _ in enumerate(core.run(program.flash, program.ring, bring)):
            if (complete := collector.take(number, core.memory)) is not None:
                index = program.layers[complete[0]].output
                np.testing.assert_array_equal(complete[1], wanted[index])
            if number + 1 < len(program.work):
                idle = ~taken(residents, timings[number].end + 1, program.config.memory_depth)
                core.memory[idle] = FREE
                free += int(idle.sum())
        assert free or len(program.work) == 1


def test_nothing_comes_into_the_ring(programs: tuple[Program, ...]) -> None:
    for program in programs:
        ring = ring_of(program)
        assert ring[0].start == 0 and ring[-1].end == program.config.memory_depth
        assert all(a.stop == b.start and a.first > b.first
                   for a, b in itertools.pairwise(ring))
        for its in residents_of(program):
            for area in its.areas:
                for other in ring:
                    apart = area.stop <= other.start or other.stop <= area.start
                    assert apart or area.end <= other.first, (its.name, area, other)


def meet(a: Area, b: Area) -> bool:
    return a.first < b.end and b.first < a.end and a.start < b.stop and b.start < a.stop


def test_two_share_words_only_while_one_layer_reads_and_writes(
    programs: tuple[Program, ...]
) -> None:
    for program in programs:
        ends = [0, *(timing.end + 1 for timing in descriptor_timings(program))]
        areas = [area for its in residents_of(program) for area in its.areas]
        for number, a in enumerate(areas):
            for b in areas[number + 1 :]:
                if meet(a, b):
                    first, end = max(a.start, b.start), min(a.stop, b.stop)
                    assert ends.index(end) == ends.index(first) + 1


def test_whole_tensors_lie_where_the_program_says() -> None:
    (program,) = plan("whole").programs
    residents = residents_of(program)
    its, = (r for r in residents if r.kind == "input")
    address, layout = program.inputs[0]
    assert (its.areas[0].first, its.words, its.start) == (address, layout.words, 0)
    tensors = {r.layer: r for r in residents if r.kind == "tensor"}
    ends = [timing.end + 1 for timing in descriptor_timings(program)]
    for number, layer in enumerate(program.layers):
        tensor = program.tensors[layer.output]
        (area,) = tensors[number].areas
        assert (area.first, area.end) == (tensor.address, tensor.address + tensor.words)
        # Each is read by the next layer, and the last one by the host.
        assert area.stop == ends[min(number + 1, len(ends) - 1)]
        assert tensors[number].name == tensor.name and tensors[number].words == tensor.words


def test_rows_take_turns() -> None:
    (program,) = plan("rows").programs
    whole = {tensor.name: tensor.words for tensor in program.tensors.values()}
    few = [r for r in residents_of(program) if r.kind == "tensor" and r.words < whole[r.name]]
    assert few
    (program,) = plan("chunks").programs
    assert program.chunks
    (its,) = (r for r in residents_of(program) if r.kind == "input")
    assert its.words < program.inputs[0][1].words
