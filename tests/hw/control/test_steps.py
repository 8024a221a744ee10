"""Decoders of a step: which words the array sees, mode by mode, window by window."""

import itertools
import random

import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.contract.modes import DEPTHWISE_MODES, Mode
from hw.contract.taps import window_steps
from hw.control.steps import StepDecoder
from hw.depthwise.decoder import TapDecoder

CONFIG = CoreConfig(technology="portable")
PADS = ("pad_left", "pad_right", "pad_top", "pad_bottom")
EDGES = ("first_column", "last_column", "first_row", "last_row")


def padded(mode, layer, edges, tap):
    """Return whether a tap (age of the column, kernel row) is in the padding."""
    age, row = tap
    # Ages of the left, middle and right column of the window.
    even = mode == Mode.DEPTHWISE_STRIDE2 and not layer["odd"]
    left, _middle, right = (1, 0, -1) if even else (2, 1, 0)
    return any((
        age == left and layer["pad_left"] and edges["first_column"],
        age == right and layer["pad_right"] and edges["last_column"],
        row == 0 and layer["pad_top"] and edges["first_row"],
        row == 2 and layer["pad_bottom"] and edges["last_row"],
    ))


def at(column, row):
    """Return an address of the window memory."""
    return column % 4 << 2 | row


def array_step(layer, ask):
    """Return what is defined of the array's step."""
    begins = ask["phase"] == 0 and (not layer.get("partial") or ask["edges"]["first_column"])
    result = {"first": int(begins),
              "serial": int(layer["mode"] == Mode.SYSTOLIC and ask["running"]),
              "weight_address": ask["weight_address"]}
    if layer["mode"] == Mode.SYSTOLIC:
        result["word_phase"] = ask["word_phase"]
    return result


def window_step(layer, ask):
    """Return what is defined of the window memory's step."""
    mode, phase, slot = layer["mode"], ask["phase"], ask["slot"]
    if mode == Mode.SYSTOLIC:
        return {"bypass": 3, "write_enable": 0}
    result = {"bypass": 0}
    to_window, is_newest = mode.is_depthwise, True
    column = slot
    if to_window:
        if phase < len(window_steps(mode)):
            upper, lower = window_steps(mode)[phase]
            result["read"] = at(slot - upper[0], upper[1])
            result["bypass"] = sum(padded(mode, layer, ask["edges"], tap) << row
                                   for row, tap in enumerate((upper, lower)))
        else:
            del result["bypass"]
        # The second of the two columns that a window reads.
        if mode == Mode.DEPTHWISE_STRIDE2 and not ask["prologue"] and phase >= 3:
            column = slot + 1
    elif mode == Mode.ADD:
        # Tensor 1, a word ahead, goes to the window memory, tensor 2 straight to row 1.
        to_window = bool(ask["prologue"] or phase == 1)
        is_newest = not to_window
        result["read"] = at(slot - 1, 0)
    result["write_enable"] = int(ask["read"] and to_window)
    result["keep"] = int(ask["read"] and is_newest)
    if result["write_enable"]:
        result["write"] = at(column, ask["read_row"])
    return result


def check(cases):
    """Let both decoders decode the cases."""
    for decoder, expected in ((StepDecoder, array_step), (TapDecoder, window_step)):

        async def scenario(bench, expected=expected):
            before = None
            for layer, ask in [*cases, cases[0]]:
                bench.set(layer={k: int(v) for k, v in layer.items()}, request=ask)
                if before is not None:
                    step = bench.get("step")
                    for name, value in expected(*before).items():
                        assert step[name] == value, (name, before)
                before = layer, ask
                await bench.tick()

        assert decoder.LATENCY == 1
        BlockBench(decoder(CONFIG)).run(scenario)


def request(rng, phase, edges):
    """Return a step of a layer whose other controls are at random; rows are 0 to 2."""
    read = rng.randint(0, 1)
    return {
        "running": rng.randint(0, 1), "phase": phase, "read": read,
        "prologue": int(phase == 0 and rng.random() < 0.3),
        "read_row": rng.randrange(3), "slot": rng.randrange(4), "edges": edges,
        "word_phase": rng.randrange(CONFIG.lanes),
        "weight_address": rng.randrange(CONFIG.weight_depth),
    }


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "odd"), [
    (Mode.DEPTHWISE, 0), (Mode.DEPTHWISE_STRIDE2, 0), (Mode.DEPTHWISE_STRIDE2, 1),
])
def test_windows(mode, odd):
    """Every step of windows at every edge, each padding alone and all of them."""
    rng = random.Random(odd)
    cases = []
    pads = [{name: int(name == only) for name in PADS} for only in (*PADS, None)]
    pads.append(dict.fromkeys(PADS, 1))
    for pad in pads:
        for flags in itertools.product((0, 1), repeat=4):
            edges = dict(zip(EDGES, flags, strict=True))
            for phase in range(len(window_steps(mode))):
                cases.append(({"mode": mode, "odd": odd, **pad}, request(rng, phase, edges)))
    check(cases)


@pytest.mark.parametrize("mode", [Mode.SYSTOLIC, Mode.POOL, Mode.ADD])
def test_other_modes(mode):
    """Flags of paddings have no effect."""
    rng = random.Random(mode)
    cases = []
    for _ in range(300):
        edges = {name: rng.randint(0, 1) for name in EDGES}
        layer = {"mode": mode, "odd": rng.randint(0, 1), **{n: rng.randint(0, 1) for n in PADS},
                 "partial": rng.randint(0, 1) if mode == Mode.SYSTOLIC else 0}
        cases.append((layer, request(rng, rng.choice((0, 1, 2, 3, 4, 30, 31)), edges)))
    check(cases)


@pytest.mark.parametrize("mode", DEPTHWISE_MODES)
def test_beyond_the_optional_steps(mode):
    """Weights of later steps are 0; writes go on as they should."""
    rng = random.Random(mode)
    edges = dict.fromkeys(EDGES, 1)
    check([({"mode": mode, "odd": 0, **dict.fromkeys(PADS, 1)}, request(rng, phase, edges))
           for phase in range(32) for _ in range(4)])


@pytest.mark.parametrize("mode", DEPTHWISE_MODES)
def test_all_taps_are_visited(mode):
    """The ordinary steps see each tap of a window once, the optional ones once more."""
    taps = [tap for step in window_steps(mode) for tap in step]
    ages = (2, 1, 0) if mode == Mode.DEPTHWISE else (2, 1, 0, -1)
    assert set(taps) == {(age, row) for age in ages for row in range(3)}
