"""Depthwise engine: window memory, schedule of fetches, operands of all lanes."""

import numpy as np
import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.contract.modes import DEPTHWISE_MODES, Mode
from hw.contract.taps import FETCH_STEPS, PROLOGUE_WORDS, STRIDES, window_steps
from hw.depthwise.engine import DepthwiseEngine
from hw.depthwise.schedule import WindowSchedule
from hw.depthwise.window import WindowMemory
from hw.interfaces import WINDOW_BITS

FLAGS = {Mode.DEPTHWISE: "stride_1", Mode.DEPTHWISE_STRIDE2: "stride_2", Mode.ADD: "adding"}


def config(lanes=4):
    return CoreConfig(technology="portable", lanes=lanes)


def test_window_memory():
    """Row 0 sees the word that is addressed, row 1 the one that was kept last, a cycle later."""
    rng = np.random.default_rng(1)

    async def scenario(bench):
        words, newest = [0] * (1 << WINDOW_BITS), 0
        for _ in range(500):
            read, write = (int(x) for x in rng.choice(1 << WINDOW_BITS, 2, replace=False))
            data, enable, keep = (int(x) for x in rng.integers(0, (1 << 16, 2, 2)))
            bench.set(data=data, read=read, write=write, write_enable=enable, keep=keep)
            expected = words[read], data if keep else newest
            newest = expected[1]
            if enable:
                words[write] = data
            await bench.tick()
            assert (bench.get("words")[0], bench.get("words")[1]) == expected

    BlockBench(WindowMemory(config())).run(scenario)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("steps", [8, 40])
def test_schedule(mode, steps):
    """Words are due with the steps that the contract names; the column moves by the stride."""
    steps_due = FETCH_STEPS.get(mode, ())

    async def scenario(bench):
        bench.set(**{flag: int(mode == kind) for kind, flag in FLAGS.items()})
        slot = 0
        for _ in range(2):
            await bench.pulse(column_read=1)
            slot += 1
            assert bench.get("slot") == slot % 4
        # What is due is known a cycle ahead.
        assert bench.get("due") == (0 in steps_due)
        for _ in range(3):
            for step in range(steps):
                last = step == steps - 1
                bench.set(run=1, window_end=int(last))
                assert bench.get("phase") == min(step, 31)
                assert bench.get("due") == ((0 if last else step + 1) in steps_due)
                assert bench.get("slot") == slot % 4
                await bench.tick()
            slot += STRIDES.get(mode, 1)

    BlockBench(WindowSchedule()).run(scenario)


@pytest.mark.parametrize("mode", DEPTHWISE_MODES)
def test_taps_are_there_when_they_are_seen(mode):
    """Row 0 sees words written in an earlier step, row 1 the one that came last."""
    columns = [(age, row) for age in range(STRIDES[mode]) for row in range(3)]
    # Words of a window in the order in which they come: kernel rows of column 0, then of -1.
    order = [(-age, row) for age, row in columns]
    fetched = dict(zip(FETCH_STEPS[mode], order, strict=True))
    stride = STRIDES[mode]
    # The last word of the window before, as this one names it.
    newest = (order[-1][0] + stride, order[-1][1])
    written = set()
    for step, (upper, lower) in enumerate(window_steps(mode)):
        age = upper[0]
        assert age >= 1 or upper in written, (step, upper)
        if step in fetched:
            newest = fetched[step]
        assert lower == newest, step
        if step in fetched:
            written.add(fetched[step])
    assert written == set(order)
    assert PROLOGUE_WORDS[mode] == 3


@pytest.mark.parametrize("lanes", [2, 4])
@pytest.mark.parametrize("mode", [*DEPTHWISE_MODES, Mode.ADD])
def test_engine(lanes, mode):
    """Requests at random: each lane's operands are those of its own memory, a cycle later each."""
    cfg = config(lanes)
    rng = np.random.default_rng(lanes)
    count = 400
    layer = {"mode": mode, "pad_left": 1, "pad_bottom": 1, "odd": 1}
    asks = []
    for _ in range(count):
        phase, slot, row, read, first, last = (
            int(x) for x in rng.integers(0, (len(FETCH_STEPS[mode]) + 1, 4, 3, 2, 2, 2)))
        asks.append({"phase": phase, "slot": slot, "read": read, "read_row": row,
                     "edges": {"first_column": first, "last_row": last}})
    data = rng.integers(0, 1 << 16, (count, lanes)).tolist()
    window, newest = np.zeros((16, lanes), np.int64), np.zeros(lanes, np.int64)
    expected = []
    for ask, word in zip(asks, data, strict=True):
        phase, slot = ask["phase"], ask["slot"]
        adding = mode == Mode.ADD
        upper, lower = ((1, 0), (0, 1)) if adding else window_steps(mode)[phase]
        read = (slot - upper[0]) % 4 << 2 | upper[1]
        second = mode == Mode.DEPTHWISE_STRIDE2 and phase >= 3
        write = (slot + second) % 4 << 2 | ask["read_row"]
        to_window = not adding or phase == 1
        if to_window and write == read:
            ask["read"] = 0
        seen = window[read].copy()
        if ask["read"] and to_window:
            window[write] = word
        if ask["read"] and not (adding and to_window):
            newest = np.array(word)
        bypass = 0 if adding else sum(
            ((age == 2 and ask["edges"]["first_column"])
             or (row == 2 and ask["edges"]["last_row"])) << place
            for place, (age, row) in enumerate((upper, lower)))
        expected.append((seen, newest, bypass))

    async def scenario(bench):
        bench.set(layer=layer)
        for now in range(count + lanes + 2):
            if now < count:
                bench.set(request=asks[now])
            bench.set(memory_data=[data[now - 1 - g][g] if 0 <= now - 1 - g < count else 0xDEAD
                                   for g in range(lanes)])
            for g in range(lanes):
                t = now - DepthwiseEngine.LATENCY - g
                if 0 <= t < count:
                    upper, lower, bypass = expected[t]
                    got = bench.get("operands")[g]
                    assert got["bypass"] == bypass, t
                    assert got["words"][0] == upper[g], t
                    assert got["words"][1] == lower[g], t
            await bench.tick()

    BlockBench(DepthwiseEngine(cfg)).run(scenario)
