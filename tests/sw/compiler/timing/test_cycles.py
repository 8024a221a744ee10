"""The cycle model against the core: equal to the cycle."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.programs import CONFIGS, ICEBREAKER, falling, layer, random_layer, stream, work_of

from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode
from hw.contract.registers import HOLD_NEVER, Cause, Register
from sim.board.simulated import SimulatedBoard
from sw import importer
from sw.compiler import compile_graph
from sw.compiler.timing import predict
from sw.compiler.timing.core import DescriptorTiming
from sw.compiler.timing.cycles import layer_cycles, work_timings
from sw.driver import open_device

pytestmark = pytest.mark.slow

PROGRAMS = 60
PROFILED = 10
"""Programs of those whose causes are counted for every layer."""
FLASH_ADDRESS = 0x012346
LIMIT = 500_000


# -- the core ------------------------------------------------------------------------------------


class Bench:
    """A simulated board that is used for many programs."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.board = SimulatedBoard(config)
        while not self.board.read_register(Register.STATUS) >> 1 & 1:
            self.board.run(100)
            assert self.board.cycle < LIMIT

    def cycles(self) -> int:
        low, high = Register.CYCLES_LOW, Register.CYCLES_HIGH
        return self.board.read_register(low) | self.board.read_register(high) << 16

    def count(self, cause: Cause, descriptors: int, whole: bool) -> int:
        """Run the last program again up to a descriptor; return the cycles of a cause."""
        board = self.board
        for register, value in (
            (Register.PROFILE, cause),
            (Register.HOLD, HOLD_NEVER if whole else descriptors),
            (Register.START, 1),
        ):
            board.write_register(register, value)
        if whole:
            board.wait(LIMIT)
        else:
            # The run before is held until this one begins.
            board.run(20)
            while not board.read_register(Register.STATUS) >> 3 & 1:
                board.run(20)
                assert board.busy
            assert board.read_register(Register.DESCRIPTORS) == descriptors
        cycles = self.cycles()
        board.write_register(Register.PROFILE, Cause.ALL)
        board.write_register(Register.HOLD, HOLD_NEVER)
        return cycles

    def check_causes(self, timings: list[DescriptorTiming]) -> None:
        """Count every cause for every layer; the program is the last one that was run."""
        before = dict.fromkeys(Cause, 0)
        for number, timing in enumerate(timings, start=1):
            whole = number == len(timings)
            now = {cause: self.count(cause, number, whole) for cause in before
                   if cause not in (Cause.ALL, Cause.HELD)}
            got = {cause: now[cause] - before[cause] for cause in now}
            before = now
            assert got == {
                Cause.STEPS: timing.steps,
                Cause.WEIGHTS: timing.weights,
                Cause.INPUT: timing.input,
                Cause.REQUANTISE: timing.requantise,
                Cause.FILL: timing.fill,
                Cause.NOT_HELD: timing.cycles,
            }, number

    def ends(self, flash: bytes, ring_words: int) -> list[int]:
        """Run a program; return the cycles counted by the core at the end of each layer."""
        board = self.board
        board.write_flash(FLASH_ADDRESS, flash)
        for register, value in (
            (Register.FLASH_LOW, FLASH_ADDRESS & 0xFFFF),
            (Register.FLASH_HIGH, FLASH_ADDRESS >> 16),
            (Register.RING_FIRST, self.config.memory_depth - ring_words),
            (Register.START, 1),
        ):
            board.write_register(register, value)
        ends = board.wait(LIMIT)
        cycles = self.cycles()
        assert board.read_register(Register.DESCRIPTORS) == len(ends)
        return [end - ends[-1] + cycles for end in ends]

    def check(self, descriptors: list[Descriptor], ring_words: int, seed: int = 0,
              causes: bool = False) -> None:
        work = work_of(descriptors, self.config)
        timings = work_timings(work, ring_words, self.config)
        expected = [timing.end + 1 for timing in timings]
        got = self.ends(stream(work, self.config, random.Random(seed)), ring_words)
        assert got == expected, (ring_words, descriptors)
        assert sum(layer_cycles(work, ring_words, self.config)) == got[-1]
        for d, timing in zip(descriptors, timings, strict=True):
            assert timing.steps == d.steps * d.width * d.height * d.blocks
        starts = [0, *expected[:-1]]
        assert [timing.cycles for timing in timings] == [
            end - start for start, end in zip(starts, expected, strict=True)]
        if causes:
            self.check_causes(timings)


@pytest.fixture(scope="module", params=CONFIGS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench(CONFIGS[request.param])
    yield bench
    bench.board.close()


@pytest.mark.parametrize("ring_words", [1, 2, 5, 200])
@pytest.mark.parametrize("mode", list(Mode))
def test_one_layer(bench: Bench, mode: Mode, ring_words: int) -> None:
    fields = {"last_steps": 2, "inner": 2} if mode == Mode.SYSTOLIC else {}
    if mode == Mode.SYSTOLIC:
        fields["steps"] = bench.config.lanes + 2
    if mode not in (Mode.POOL, Mode.SYSTOLIC):
        fields |= {"width": 5, "height": 3, "blocks": 3}
    if mode in (Mode.DEPTHWISE, Mode.DEPTHWISE_STRIDE2):
        fields["middle"] = 5
    bench.check([layer(mode, bench.config, **fields)], ring_words)


@pytest.mark.parametrize("ring_words", [1, 3, 64])
def test_weights_that_fill_their_memory(bench: Bench, ring_words: int) -> None:
    config = bench.config
    full = layer(
        Mode.SYSTOLIC, config, inner=config.weight_depth // config.lanes, steps=config.weight_depth,
        width=2, blocks=3)
    bench.check([full, layer(Mode.ADD, config, width=3, blocks=4), full], ring_words)


@pytest.mark.parametrize("ring_words", [1, 8, 300])
def test_sums_in_parts(bench: Bench, ring_words: int) -> None:
    """Parts that fill the weight memory, and the smallest ones."""
    config = bench.config
    full = layer(
        Mode.SYSTOLIC, config, partial=True, inner=config.weight_depth // config.lanes,
        steps=config.weight_depth, width=3, blocks=2)
    small = layer(
        Mode.SYSTOLIC, config, partial=True, inner=4 // config.lanes, width=2, blocks=20)
    bench.check([full, small, layer(Mode.ADD, config, width=3, blocks=4), full], ring_words,
                causes=True)


def test_many_small_layers(bench: Bench) -> None:
    """More than there are slots for."""
    pool = layer(Mode.POOL, bench.config, blocks=2)
    bench.check([pool] * 30, 100)


def test_many_small_blocks(bench: Bench) -> None:
    add = layer(Mode.ADD, bench.config, blocks=150)
    bench.check([add, layer(Mode.ADD, bench.config, blocks=150, shared=True), add], 100)


def test_flash_is_far_ahead(bench: Bench) -> None:
    """A long layer first: ring and flash buffer are full when the others begin."""
    config = bench.config
    long = layer(Mode.ADD, config, width=100, height=7, output_step=0)
    short = layer(Mode.SYSTOLIC, config, inner=4, steps=4 * config.lanes, blocks=9)
    bench.check([long, short, short], 150)


@pytest.mark.parametrize("width", [2, 3])
@pytest.mark.parametrize("ring_words", [1, 8])
def test_blocks_that_wait_for_weights(bench: Bench, ring_words: int, width: int) -> None:
    """The cycle before such a block reads nothing."""
    config = bench.config
    full = layer(
        Mode.SYSTOLIC, config, inner=config.weight_depth // config.lanes, steps=config.weight_depth,
        width=width)
    for blocks in (2, 4, 9):
        bench.check([full, layer(Mode.ADD, config, width=3, blocks=blocks)], ring_words)


@pytest.mark.parametrize("several", [False, True])
def test_random_programs(bench: Bench, several: bool) -> None:
    rng = random.Random(several)
    for seed in range(PROGRAMS):
        count = rng.randint(2, 8) if several else 1
        layers = [random_layer(rng, bench.config) for _ in range(count)]
        bench.check(layers, rng.choice((1, 2, 3, 4, rng.randint(5, 60), 400)), seed,
                    causes=seed < PROFILED)


def test_rings_that_grow(bench: Bench) -> None:
    rng = random.Random(7)
    for seed in range(PROGRAMS):
        layers = [random_layer(rng, bench.config) for _ in range(rng.randint(2, 8))]
        words = rng.choice((1, 2, 3, 4, rng.randint(5, 60)))
        layers = falling(rng, layers, bench.config.memory_depth - words)
        bench.check(layers, words, seed)


def test_a_larger_ring_is_faster(bench: Bench) -> None:
    """While a long layer runs, the ring takes what weight memory has no room for."""
    config = bench.config
    long = layer(Mode.ADD, config, width=200, height=30, output_step=0)
    full = layer(
        Mode.SYSTOLIC, config, inner=config.weight_depth // config.lanes, steps=config.weight_depth,
        blocks=2)
    small = layer(Mode.POOL, config)
    ends = []
    for first in (config.memory_depth - 8, 8000):
        layers = [replace(small, ring_moves=True, ring_first=first), full, long, full, full]
        bench.check(layers, 8)
        ends.append(bench.ends(stream(work_of(layers, config), config, random.Random(0)), 8)[-1])
    assert ends[1] < ends[0] - 50


def test_a_ring_must_not_shrink() -> None:
    layers = [layer(Mode.POOL, ICEBREAKER, ring_moves=True, ring_first=first)
              for first in (16000, 16001)]
    with pytest.raises(ValueError, match=r"ring_first must be at most 16000, .* not 16001"):
        work_timings(work_of(layers, ICEBREAKER), 100, ICEBREAKER)


# -- networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vww_96_int8", "person_detect", "mobilenet_v1_0.25_128_quant"])
def test_networks(shared: Path, name: str) -> None:
    """Every layer of a whole network, whatever the data."""
    graph = importer.load(str(shared / "models" / f"{name}.tflite"))
    program = compile_graph(graph, ICEBREAKER, board="icebreaker")
    (index,) = graph.inputs
    tensor = graph.tensors[index]
    limits = np.iinfo(tensor.dtype)
    rng = np.random.default_rng(0)
    x = rng.integers(limits.min, limits.max + 1, tensor.shape).astype(tensor.dtype)
    with open_device("sim", ICEBREAKER) as device:
        device.load(program)
        result = device.infer(x)
    assert result.layer_cycles == predict(program)
    assert result.cycles == sum(predict(program))
