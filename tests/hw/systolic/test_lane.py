"""Cells of the array: one lane cycle by cycle, all lanes against NumPy."""

import numpy as np
import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.systolic import array
from hw.systolic.array import SystolicArray
from hw.systolic.lane import ACC_DELAY, Lane

DEPTH = 16


def config(lanes=4, **changes):
    return CoreConfig(**{"technology": "portable", "lanes": lanes, "weight_depth": DEPTH,
                         **changes})


def halfword(low, high):
    return (low & 0xFF) | (high & 0xFF) << 8


def pair(word):
    """Return the two int8 of a halfword."""
    return np.array([word], np.uint16).view(np.int8).astype(np.int64)


# -- one lane ------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize(("activation", "weight"), [
    ((-128, -128), (-128, -128)), ((127, -128), (-128, 127)), ((1, 2), (3, 4)), ((-1, 5), (-1, 1)),
])
def test_lane(row, serial, activation, weight):
    """Operands and result of one step are in the cycles that the lane's docstring names."""
    async def scenario(bench):
        # Weights, and zeros for the other row.
        for load_row, value in ((1 << row, halfword(*weight)), (2 >> row, 0)):
            bench.set(memory_data=value, load={"row": load_row, "address": 5})
            await bench.tick()
        bench.set(load=NOTHING)
        bench.set(memory_data=0x5A5A)
        # Cycle 0.
        await bench.pulse(weight_address=5)
        # Cycle 1.
        words = [0x5A5A, 0x5A5A]
        words[row] = 0x7777 if serial else halfword(*activation)
        # The lane's columns see the same byte of the serial path.
        byte = (activation[0] & 0xFF) << 8 * row | 99 << 8 * (1 - row)
        bench.set(serial=byte, operands={"words": words, "bypass": serial << row})
        await bench.tick()
        bench.set(serial=0x7777, operands={"words": [0x1234, 0x1234], "bypass": 0})
        await bench.tick(ACC_DELAY - 2)
        # Cycle 4.
        assert [bench.get("acc")[c] for c in range(2)] == [0, 0]
        await bench.pulse(first=1)
        # Cycle 5, and on: weights of 0 add nothing.
        seen = [activation[0]] * 2 if serial else activation
        expected = [a * w for a, w in zip(seen, weight, strict=True)]
        for _ in range(3):
            assert [bench.get("acc")[c] for c in range(2)] == expected
            await bench.tick()
        await bench.pulse(first=1)
        assert [bench.get("acc")[c] for c in range(2)] == [0, 0]

    BlockBench(Lane(config())).run(scenario)


def test_constants():
    assert array.LATENCY == ACC_DELAY + 1


# -- all lanes -----------------------------------------------------------------------------------


def model(cfg, steps, data, zero_point):
    """Return what the accumulators hold after each step, int64 (steps, columns).

    ``data[t]`` is the memory's word that lane 0 sees in step t; lane g sees its part g cycles
    later.  The serial path takes lane p's halfword while it passes: it is part of the word of p
    steps ago.
    """
    lanes, columns = cfg.lanes, cfg.columns
    weights = np.zeros((2, cfg.weight_depth, columns), np.int64)
    acc = np.zeros(columns, np.int64)
    words = np.array([np.concatenate([pair(h) for h in word]) for word in data])
    result = []
    for t, (step, load) in enumerate(steps):
        serial = np.full(2, zero_point)
        if step["serial"]:
            p = step["word_phase"]
            serial = words[t - p][2 * p : 2 * p + 2] if t >= p else np.zeros(2, np.int64)
        total = np.zeros(columns, np.int64)
        for row, word in enumerate(step["words"]):
            own = np.concatenate([pair(h) for h in word[:lanes]])
            seen = np.full(columns, serial[row]) if step["bypass"] >> row & 1 else own
            total += seen * weights[row, step["weight_address"]]
        acc = total if step["first"] else acc + total
        result.append(acc)
        for row in range(2):
            if load["row"] >> row & 1:
                weights[row, load["address"]] = words[t]
    assert lanes * 2 == columns
    return np.array(result)


def check(cfg, steps, data, zero_point=0):
    """Make one step per cycle; the accumulators of lane g are due ``LATENCY + g`` cycles later."""
    expected = model(cfg, steps, data, zero_point)
    controls = ("weight_address", "first", "serial", "word_phase")

    async def scenario(bench):
        bench.set(zero_point=zero_point)
        for now in range(len(steps) + array.LATENCY + cfg.lanes):
            made, loading = steps[now] if now < len(steps) else (step(first=0), NOTHING)
            skewed, operands = [], []
            for g in range(cfg.lanes):
                t = now - g
                skewed.append(data[t][g] if 0 <= t < len(data) else 0xDEAD)
                # A cycle after the step.
                seen = steps[t - 1][0] if 0 < t <= len(steps) else step()
                operands.append({"words": [word[g] for word in seen["words"]],
                                 "bypass": seen["bypass"]})
            bench.set(step={name: made[name] for name in controls}, load=loading,
                      memory_data=skewed, operands=operands)
            for g in range(cfg.lanes):
                t = now - array.LATENCY - g
                if 0 <= t < len(steps):
                    got = [bench.get("acc")[2 * g + c] for c in range(2)]
                    assert got == expected[t, 2 * g : 2 * g + 2].tolist(), (t, g)
            await bench.tick()

    BlockBench(SystolicArray(cfg)).run(scenario)


ANY = [[0x1234] * 4] * 2
"""Words of the window for both rows."""


def step(**changes):
    return {"weight_address": 0, "words": ANY, "bypass": 0, "first": 1, "serial": 0,
            "word_phase": 0, **changes}


NOTHING = {"row": 0, "address": 0}


def load(row, address):
    return {"row": 1 << row, "address": address}


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [2, 4])
def test_random_steps(lanes):
    """All controls at random; only what is written is not read in the same cycle."""
    cfg = config(lanes)
    rng = np.random.default_rng(lanes)

    def number(limit):
        return int(rng.integers(limit))

    steps = []
    for t in range(1500):
        made = step(
            weight_address=number(DEPTH), bypass=number(4),
            words=rng.integers(0, 1 << 16, (2, lanes)).tolist(),
            first=int(t == 0 or number(10) == 0), serial=number(2), word_phase=number(lanes),
        )
        loading = {"row": number(4), "address": number(DEPTH)}
        if loading["address"] == made["weight_address"]:
            loading["row"] = 0
        if made["serial"] and made["word_phase"] > t:
            made["serial"] = 0
        steps.append((made, loading))
    data = rng.integers(0, 1 << 16, (len(steps), lanes)).tolist()
    check(cfg, steps, data, zero_point=-77)


@pytest.mark.parametrize("lanes", [2, 4])
def test_serial_dot_product(lanes):
    """Channels of a word pass one pair a cycle: the sum is a plain matrix product."""
    cfg = config(lanes)
    rng = np.random.default_rng(lanes)
    weights = rng.integers(-128, 128, (2 * lanes, cfg.columns))
    pixels = rng.integers(-128, 128, (3, 2 * lanes))
    as_words = [w.astype(np.int8).view(np.uint16).tolist() for w in weights]
    data = list(as_words)
    steps = [(step(), load(k % 2, k // 2)) for k in range(2 * lanes)]
    for pixel in pixels:
        # The word is there in the cycle of its first step; what follows is anything.
        data.append(pixel.astype(np.int8).view(np.uint16).tolist())
        data += rng.integers(0, 1 << 16, (lanes - 1, lanes)).tolist()
        steps += [
            (step(serial=1, word_phase=k, weight_address=k, bypass=3, first=int(k == 0)), NOTHING)
            for k in range(lanes)
        ]
    ends = model(cfg, steps, data, 0)[2 * lanes + lanes - 1 :: lanes]
    np.testing.assert_array_equal(ends, pixels @ weights)
    check(cfg, steps, data)


@pytest.mark.parametrize(("activation", "weight"), [
    (-128, -128), (127, -128), (-128, 127), (127, 127),
])
def test_extremes(activation, weight):
    """Products and their sums have room; accumulators go to the ends of their range."""
    cfg = config()
    limit = 1 << cfg.acc_bits - 1
    count = (limit - 1) // abs(2 * activation * weight)
    word = [halfword(weight, weight)] * cfg.lanes
    words = [[halfword(activation, activation)] * cfg.lanes] * 2
    data = [word] * (count + 2)
    steps = [(step(), load(0, 0)), (step(), load(1, 0))]
    steps += [(step(words=words, first=int(k == 0)), NOTHING) for k in range(count)]
    final = model(cfg, steps, data, 0)[-1]
    assert final.tolist() == [2 * activation * weight * count] * cfg.columns
    check(cfg, steps, data)


def test_zero_point_fills_the_serial_path():
    for zero_point in (-128, 127, -1):
        word = [halfword(1, 3)] * 4
        steps = [(step(), load(0, 2)), (step(), load(1, 2)),
                 (step(bypass=3, weight_address=2), NOTHING)]
        assert model(config(), steps, [word] * 3, zero_point)[-1].tolist() == [
            2 * zero_point, 6 * zero_point] * 4
        check(config(), steps, [word] * 3, zero_point)
