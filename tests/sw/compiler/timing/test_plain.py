"""The cycle model against its plain form, which asks every part of the core at every event."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support import plain_timing
from support.marks import slow
from support.programs import CONFIGS, ICEBREAKER, SMALL, falling, layer, random_layer, work_of

import boards
from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode
from sw import importer
from sw.compiler import compile_graph
from sw.compiler.program.work import Work
from sw.compiler.timing import core, port
from sw.compiler.timing.cycles import tasks_of
from sw.explore.graphs import random_graph
from sw.networks.architecture import Architecture, mobilenet_v1, mobilenet_v2
from sw.networks.shipped import default_model

PROGRAMS = 40


def check(work: list[Work] | tuple[Work, ...], ring_words: int, config: CoreConfig) -> None:
    tasks = tasks_of(work, config)
    assert core.simulate(tasks, ring_words, config) == plain_timing.simulate(
        tasks, ring_words, config)


def random_config(rng: random.Random) -> CoreConfig:
    return CoreConfig(
        lanes=rng.choice((2, 4)), weight_depth=rng.choice((32, 64, 512)),
        parameter_slots=rng.choice((4, 8, 64)), descriptor_slots=rng.choice((4, 8)),
        flash_dtr=rng.random() < 0.5)


@pytest.mark.parametrize("kind", [*CONFIGS, "random"])
def test_random_programs(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(PROGRAMS):
        config = CONFIGS[kind] if kind in CONFIGS else random_config(rng)
        layers = [random_layer(rng, config) for _ in range(rng.choice((1, 3, 8, 20)))]
        if rng.random() < 0.3:
            layers = [rng.choice(layers) for _ in range(40)]
        words = rng.choice((1, 2, 3, 4, rng.randint(5, 60), 400, 3000))
        if rng.random() < 0.5:
            layers = falling(rng, layers, config.memory_depth - words)
        check(work_of(layers, config), words, config)


@pytest.mark.parametrize("config", [ICEBREAKER, SMALL])
def test_single_columns(config: CoreConfig) -> None:
    """Windows that are all at an edge."""
    for mode in (Mode.DEPTHWISE, Mode.DEPTHWISE_STRIDE2):
        for middle in (1, 2):
            check(work_of([layer(mode, config, middle=middle, height=3, blocks=5)] * 3, config),
                  30, config)


def test_reads_that_leave_no_room_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flash and results wait, and the past is forgotten on the way."""
    monkeypatch.setattr(port, "LONGEST", 100)
    config = ICEBREAKER
    pool = layer(Mode.POOL, config, inner=200, steps=203, blocks=3)
    add = layer(Mode.ADD, config, width=100, height=7, output_step=0)
    check(work_of([pool, add, pool, pool], config), 50, config)


def test_blocks_that_never_fit() -> None:
    """More steps than the weight memory holds: the loader waits for ever."""
    d: Descriptor = layer(Mode.SYSTOLIC, SMALL, inner=20, steps=40)
    work = work_of([d], SMALL)
    for simulate in (core.simulate, plain_timing.simulate):
        with pytest.raises(RuntimeError, match="does not fit weight memory"):
            simulate(tasks_of(work, SMALL), 100, SMALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [mobilenet_v1(0.25, 96, classes=10), mobilenet_v2(0.35, 96, classes=10)],
    ids=["v1", "v2"],
)
def test_networks_of_the_explorer(network: Architecture) -> None:
    program = compile_graph(random_graph(network), boards.get("icebreaker").config)
    check(program.work, program.ring_words, program.config)


@pytest.mark.slow
def test_the_default_network() -> None:
    program = compile_graph(importer.load(default_model()), ICEBREAKER)
    check(program.work, program.ring_words, program.config)


@pytest.mark.parametrize(
    "name", [slow("vww_96_int8"), "person_detect", slow("mobilenetv2_160_035")]
)
def test_networks(shared: Path, name: str) -> None:
    program = compile_graph(
        importer.load(shared / "models" / f"{name}.tflite"), ICEBREAKER, board="icebreaker")
    check(program.work, program.ring_words, program.config)
