"""Random programs for the cycle model; what they compute is of no interest."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np

import boards
from hw.contract.config import CoreConfig
from hw.contract.descriptors import Descriptor
from hw.contract.modes import Mode, minimum_steps
from hw.contract.records import PARAMETER_FIELDS, Record, header
from hw.contract.sections import seal
from hw.contract.taps import window_steps
from sw.compiler.program.work import Work

ICEBREAKER = boards.get("icebreaker").config
SMALL = CoreConfig(lanes=2, weight_depth=32, parameter_slots=4, descriptor_slots=4)
"""A core in which everything is full most of the time."""

CONFIGS = {"icebreaker": ICEBREAKER, "small": SMALL,
           "single": replace(ICEBREAKER, flash_dtr=False),
           "small_single": replace(SMALL, flash_dtr=False)}


def stream(work: list[Work], config: CoreConfig, rng: random.Random) -> bytes:
    """Return a program; parameters and weights are junk."""
    words: list[list[int]] = []

    def record(kind: Record, count: int, contents: list[list[int]]) -> None:
        words.append([header(kind, count)] + [0] * (config.lanes - 1))
        words.extend(contents)

    for item in work:
        halfwords = item.descriptor.halfwords()
        lines = [halfwords[k : k + config.lanes] for k in range(0, len(halfwords), config.lanes)]
        record(Record.DESCRIPTOR, 0, lines)
        for size in item.block_words:
            junk = [rng.choices(range(1 << 16), k=config.lanes) for _ in range(size - 1)]
            record(Record.BLOCK, size - 1 - PARAMETER_FIELDS * config.rows, junk)
    record(Record.END, 0, [])
    return seal(np.array(words, "<u2").tobytes())


def work_of(descriptors: list[Descriptor], config: CoreConfig) -> list[Work]:
    """Return the layers, the last one marked."""
    result = []
    for number, d in enumerate(descriptors):
        size = 1 + PARAMETER_FIELDS * config.rows + config.rows * d.steps
        d = replace(d, last=number == len(descriptors) - 1)
        result.append(Work(layer=number, descriptor=d, block_words=(size,) * d.records))
    return result


def layer(mode: Mode, config: CoreConfig, **fields: Any) -> Descriptor:
    """Return a layer; what it computes is of no interest."""
    values: dict[str, Any] = {
        "mode": mode, "steps": minimum_steps(mode), "middle": 1, "width": 1, "height": 1,
        "blocks": 1, "input_zero_point": 0, "output_zero_point": 0, "act_min": -128,
        "act_max": 127, "input_base": 0, "output_base": 100, "step_inner": 1, "step_middle": 1,
        "step_column": 1, "step_row": 1, "output_step": 1,
    }
    values["inner"] = {Mode.SYSTOLIC: 1, Mode.POOL: 1, Mode.ADD: 2}.get(mode, 3)
    values["last_steps"] = config.lanes if mode == Mode.SYSTOLIC else 1
    return Descriptor(**values | fields)


def random_layer(rng: random.Random, config: CoreConfig) -> Descriptor:
    mode = rng.choice(list(Mode))
    fields: dict[str, Any] = {
        "width": rng.randint(1, 6), "height": rng.randint(1, 4), "blocks": rng.randint(1, 4),
    }
    match mode:
        case Mode.SYSTOLIC:
            inner, middle, last, steps = 0, 0, 0, 0
            while not 4 <= steps <= config.weight_depth or (inner == last == 1 and middle > 1):
                inner, middle = rng.choice((1, 2, 3, 9)), rng.randint(1, 3)
                last = rng.randint(1, config.lanes)
                steps = middle * (config.lanes * (inner - 1) + last)
            fields |= {"inner": inner, "middle": middle, "last_steps": last, "steps": steps}
            if rng.random() < 0.3:
                fields |= {"partial": True, "height": 1}
        case Mode.DEPTHWISE | Mode.DEPTHWISE_STRIDE2:
            columns = fields["width"] * (1 if mode == Mode.DEPTHWISE else 2)
            steps = len(window_steps(mode))
            fields |= {
                "middle": rng.choice((columns, rng.randint(1, columns))),
                "steps": rng.choice((minimum_steps(mode), steps)), "odd": rng.random() < 0.5,
                "skip_first": fields["width"] > 2 and rng.random() < 0.3,
                "skip_last": fields["width"] > 2 and rng.random() < 0.3,
            }
        case Mode.POOL:
            inner = rng.randint(1, config.weight_depth // 2 - 8)
            fields |= {"inner": inner, "steps": inner + 3 + rng.randint(0, 5),
                       "width": 1, "height": 1, "shared": rng.random() < 0.5}
        case Mode.ADD:
            fields |= {"steps": rng.choice((4, 4, 5, 9)), "shared": rng.random() < 0.5}
    return layer(mode, config, **fields)


def falling(rng: random.Random, layers: list[Descriptor], first: int) -> list[Descriptor]:
    """Let the ring begin earlier and earlier; the layers' junk needs no memory of its own."""
    result = []
    for d in layers:
        if rng.random() < 0.6:
            first = max(200, first - rng.choice((0, 1, 2, 5, 100, 3000)))
            d = replace(d, ring_moves=True, ring_first=first)
        result.append(d)
    return result
