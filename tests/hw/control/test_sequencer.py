"""Sequencer: when words are read, which steps are made, what it waits for."""

import random
from dataclasses import replace

import pytest
from support.block_bench import BlockBench
from support.descriptors import stored, words_of

from hw.contract.config import CoreConfig
from hw.contract.descriptors import LAYOUT, Descriptor
from hw.contract.modes import Mode, minimum_steps
from hw.contract.registers import Cause
from hw.contract.taps import window_steps
from hw.control.sequencer import Sequencer
from hw.interfaces import LayerLayout

WINDOWS = (Mode.DEPTHWISE, Mode.DEPTHWISE_STRIDE2)


def config(lanes=4, **changes):
    return CoreConfig(technology="portable", lanes=lanes, **changes)


def layer(mode, **changes):
    values = {
        "mode": mode, "steps": minimum_steps(mode), "inner": 3, "middle": 1, "width": 1,
        "height": 1, "blocks": 1, "input_zero_point": 0, "output_zero_point": 0, "act_min": 0,
        "act_max": 0, "input_base": 0, "output_base": 0, "output_step": 0,
    }
    values["inner"] = {Mode.SYSTOLIC: 1, Mode.POOL: 1, Mode.ADD: 2}.get(mode, 3)
    if mode == Mode.SYSTOLIC:
        values["last_steps"] = 4
    return Descriptor(**values | changes)


def words(d, cfg):
    """Return (filled, inner_last, inner_index) of all words that the layer's blocks read."""
    kinds = words_of(
        d.blocks + 1, base=0, inner=d.inner, middle=d.middle, width=d.width, height=d.height,
        step_inner=0, step_middle=0, step_column=0, step_row=0, windows=d.mode in WINDOWS,
        double=d.mode == Mode.DEPTHWISE_STRIDE2)
    return [kind[1:] for kind in kinds]


def prologue_words(d):
    return {Mode.DEPTHWISE: 3, Mode.DEPTHWISE_STRIDE2: 3, Mode.ADD: 1}.get(d.mode, 0)


def read_steps(d, cfg):
    """Return the steps of a window in which a word is due."""
    match d.mode:
        case Mode.SYSTOLIC:
            row = cfg.lanes * (d.inner - 1) + d.last_steps
            assert d.steps == d.middle * row
            return {k for k in range(d.steps) if k % row % cfg.lanes == 0}
        case Mode.DEPTHWISE:
            return {1, 2, 3}
        case Mode.DEPTHWISE_STRIDE2:
            return set(range(6))
        case Mode.POOL:
            return set(range(d.inner))
        case Mode.ADD:
            return {0, 1}


class Trace(BlockBench):
    """Runs layers and notes the outputs of every cycle.

    Parameters
    ----------
    layers : list of Descriptor
    load : callable
        Cycles from one block's weights being loaded to the next one's.
    fetch : callable
        Cycles until a descriptor is available.
    write : callable
        Cycles from an output to its result being written.
    hold : callable
        Whether the host holds the core in a cycle.
    """

    SIGNALS = ("descriptor_fetch", "descriptor_done", "layer_start", "address_advance", "read",
               "output", "next_block", "block_freed", "block_loaded", "written", "layer_done",
               "finished", "steps_done", "hold", "held", "cause")

    def __init__(self, cfg, layers, *, load=lambda: 1, fetch=lambda: 0, write=lambda: 20,
                 hold=lambda: False):
        super().__init__(Sequencer(cfg), limit=60_000)
        self.cfg, self.layers = cfg, layers
        self.load, self.fetch, self.write, self.hold = load, fetch, write, hold
        self.rows = []

    def trace(self):
        self.run(self.scenario)
        return self.rows

    async def scenario(self, bench):
        loads = sum(d.records for d in self.layers)
        next_load = self.load()
        pending = []
        available = self.fetch()
        done_at = None
        queue = list(self.layers)
        ahead, tail = [], 40
        while tail:
            now = self.cycle
            loaded = loads > 0 and next_load <= now
            if loaded:
                loads -= 1
                next_load = now + self.load()
            written = bool(pending) and pending[0] <= now
            if written:
                pending.pop(0)
            self.set(block_loaded=int(loaded), written=int(written),
                     descriptor_available=int(bool(queue) and available <= now),
                     hold=int(self.hold()),
                     descriptor_done=int(done_at == now))
            if ahead:
                filled, last, index = ahead[0]
                self.set(filled=int(filled), inner_last=int(last), inner_index=index)
            row = {name: self.get(name) for name in self.SIGNALS}
            row["request"] = self.get("request")
            self.rows.append(row)
            if row["output"]:
                pending.append(max(now + self.write(), *pending[-1:], now + 1))
                if len(pending) > 1:
                    pending[-1] = max(pending[-1], pending[-2] + 1)
            if row["address_advance"]:
                ahead.pop(0)
            if row["layer_done"]:
                available = now + 1 + self.fetch()
            tail -= row["finished"]
            await self.tick()
            if row["descriptor_fetch"]:
                d = queue.pop(0)
                done_at = now + 5
                self.set(layer={n: stored(d, n) for n in LAYOUT if n in LayerLayout.members})
                ahead = words(d, self.cfg)


class Checker:
    """Compares a trace with what the layers ask for; cycle by cycle, nothing else may happen."""

    PULSES = ("descriptor_fetch", "layer_start", "address_advance", "read", "output",
              "next_block", "block_freed", "layer_done", "steps_done")

    def __init__(self, cfg, layers, rows):
        self.cfg, self.layers, self.rows = cfg, layers, rows
        self.seen = {name: set() for name in self.PULSES}
        self.weight_base = 0
        self.loaded = [t for t, row in enumerate(rows) if row["block_loaded"]]
        self.writes = [t for t, row in enumerate(rows) if row["written"]]
        self.outputs = 0
        self.waited = 0

    def see(self, name, cycle):
        assert self.rows[cycle][name], (name, cycle)
        self.seen[name].add(cycle)

    def check(self):
        now = 0
        self.causes = {}
        for d in self.layers:
            now = self.layer(d, now)
        self.spend(Cause.FILL, now)
        for cycle, cause in self.causes.items():
            assert self.rows[cycle]["cause"] == cause, cycle
        assert sorted(self.causes) == list(range(now + 1))
        for cycle, row in enumerate(self.rows):
            for name in self.PULSES:
                assert not row[name] or cycle in self.seen[name], (name, cycle)
            assert row["finished"] == (cycle >= now)
        return self.waited

    def spend(self, cause, first, last=None):
        """Cycles ``first`` to ``last`` have a cause."""
        for cycle in range(first, (first if last is None else last) + 1):
            assert cycle not in self.causes
            self.causes[cycle] = cause

    def layer(self, d, now):
        held = False
        while not self.rows[now]["descriptor_fetch"]:
            assert self.rows[now]["held"] == held
            self.spend(Cause.HELD if held else Cause.FILL, now)
            held = self.rows[now]["hold"]
            now += 1
        assert not self.rows[now]["hold"]
        self.see("descriptor_fetch", now)
        self.spend(Cause.HELD if held else Cause.FILL, now)
        begin = now + 1
        while not self.rows[now]["descriptor_done"]:
            now += 1
            assert not self.rows[now]["held"]
        self.spend(Cause.FILL, begin, now)
        self.see("layer_start", now)
        now += 1
        self.words = iter(words(d, self.cfg))
        for k in range(prologue_words(d)):
            self.word(d, now + k)
            ask = self.rows[now + k + 1]["request"]
            assert ask.prologue and not ask.running
        self.slot = (self.rows[now + 1]["request"].slot + 1) % 4
        self.spend(Cause.INPUT, now, now + max(prologue_words(d), 1) - 1)
        now += max(prologue_words(d), 1)
        running = False
        self.first = True
        # A part of a sum is a block of one window.
        for block in range(d.blocks * (d.width if d.partial else 1)):
            if not d.shared or block == 0:
                # Seen in the cycle after the pulse; a running block is then followed without a gap.
                there = self.loaded.pop(0) + 1
                start = now if running and there < now else max(now, there) + 1
                self.waited += start - now
                if start > now:
                    for cycle in range(now, start):
                        assert not self.rows[cycle + 1]["request"].running
                    self.spend(Cause.WEIGHTS, now, start - 2)
                    self.spend(Cause.FILL, start - 1)
                now = start
                self.first = True
            running = True
            end = self.block(d, block, now)
            self.spend(Cause.STEPS, now, end - 1)
            now = end
        self.see("steps_done", now - 1)
        begin = now
        # Drained.
        if self.outputs:
            now = max(now, self.writes[self.outputs - 1] + 1)
        self.see("layer_done", now)
        self.spend(Cause.REQUANTISE, begin, now)
        return now + 1

    def block(self, d, block, now):
        due = read_steps(d, self.cfg)
        for y in range(d.height):
            for x in [block % d.width] if d.partial else range(d.width):
                for k in range(d.steps):
                    if k in due:
                        self.word(d, now + k)
                    self.step(d, now + k, x, y, k)
                now += d.steps
                self.slot += 2 if d.mode == Mode.DEPTHWISE_STRIDE2 else 1
                skipped = (d.skip_first and x == 0) or (d.skip_last and x == d.width - 1)
                if not skipped:
                    if not d.partial or x == d.width - 1:
                        self.see("output", now - 1)
                        self.outputs += 1
                    if self.first:
                        self.see("next_block", now - 1)
                        self.first = False
        if not d.shared or block == d.blocks - 1:
            self.see("block_freed", now - 1)
            self.weight_base += d.steps
        return now

    def word(self, d, cycle):
        """A word is due; the request of the next cycle says which kernel row it is."""
        filled, _last, index = next(self.words)
        self.see("address_advance", cycle)
        ask = self.rows[cycle + 1]["request"]
        assert ask.read == filled
        if filled:
            self.see("read", cycle)
            assert ask.read_row == index

    def step(self, d, cycle, x, y, k):
        ask = self.rows[cycle + 1]["request"]
        assert ask.running and not ask.prologue
        assert ask.phase == min(k, 31)
        assert ask.weight_address == (self.weight_base + k) % self.cfg.weight_depth
        if d.mode == Mode.SYSTOLIC:
            row = self.cfg.lanes * (d.inner - 1) + d.last_steps
            assert ask.word_phase == k % row % self.cfg.lanes
        elif d.mode != Mode.POOL:
            assert ask.slot == self.slot % 4
        edges = ask.edges
        assert (edges.first_column, edges.last_column) == (x == 0, x == d.width - 1)
        assert (edges.first_row, edges.last_row) == (y == 0, y == d.height - 1)


def check(layers, *, cfg=None, **delays):
    """Run layers; return in how many cycles the array waited for weights."""
    cfg = cfg or config()
    layers = [replace(d, last=k == len(layers) - 1) for k, d in enumerate(layers)]
    return Checker(cfg, layers, Trace(cfg, layers, **delays).trace()).check()


LAYERS = {
    "one window": layer(Mode.SYSTOLIC),
    "serial": layer(Mode.SYSTOLIC, inner=3, middle=1, steps=12, width=3, height=2, blocks=2),
    "rows of one word": layer(Mode.SYSTOLIC, middle=3, steps=6, last_steps=2, width=2, blocks=2),
    "part of the last word": layer(
        Mode.SYSTOLIC, inner=2, middle=3, steps=15, last_steps=1, width=2, height=2),
    "two pairs of the last word": layer(
        Mode.SYSTOLIC, inner=3, middle=2, steps=20, last_steps=2, width=2, height=2, blocks=2),
    "three pairs of the last word": layer(
        Mode.SYSTOLIC, inner=2, middle=2, steps=14, last_steps=3, width=3),
    "parts of a sum": layer(
        Mode.SYSTOLIC, partial=True, inner=3, steps=12, width=3, blocks=2),
    "a sum in one part": layer(Mode.SYSTOLIC, partial=True, inner=2, steps=8, blocks=2),
    "long": layer(Mode.SYSTOLIC, inner=20, middle=1, steps=77, last_steps=1, width=2, blocks=2),
    "depthwise": layer(Mode.DEPTHWISE, middle=4, width=4, height=3, blocks=2),
    "one pixel": layer(Mode.DEPTHWISE, middle=1, width=1, height=1, blocks=3),
    "valid": layer(Mode.DEPTHWISE, middle=5, width=5, height=2, skip_first=True, skip_last=True),
    "every step": layer(
        Mode.DEPTHWISE, middle=3, width=3, steps=len(window_steps(Mode.DEPTHWISE)), blocks=2),
    "empty columns": layer(Mode.DEPTHWISE, middle=2, width=5, height=2, blocks=2),
    "stride 2": layer(Mode.DEPTHWISE_STRIDE2, middle=6, width=3, height=2, blocks=2),
    "an empty column": layer(
        Mode.DEPTHWISE_STRIDE2, middle=5, width=3, height=2, blocks=2, odd=True),
    "stride 2, every step": layer(
        Mode.DEPTHWISE_STRIDE2, middle=2, width=2, steps=len(window_steps(Mode.DEPTHWISE_STRIDE2)),
        skip_last=True),
    "one word": layer(Mode.POOL, blocks=3),
    "pool": layer(Mode.POOL, inner=9, steps=12, blocks=3, shared=True),
    "separate pools": layer(Mode.POOL, inner=40, steps=50, blocks=2),
    "add": layer(Mode.ADD, width=4, height=2, blocks=2, shared=True),
    "separate adds": layer(Mode.ADD, width=1, height=1, steps=9, blocks=3),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("loading", [1, 60])
def test_layer(name, loading):
    """Weights that are there at once, and weights that blocks have to wait for."""
    waited = check([LAYERS[name]], load=lambda: loading)
    blocks = LAYERS[name].records
    # The first block waits a cycle in any case; its weights are there before the layer is.
    assert waited == 1 if loading == 1 else waited > 1
    assert loading == 1 or waited >= 60 * blocks - sum(
        d.steps * d.width * d.height * d.blocks + 30 for d in [LAYERS[name]])


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_programs(lanes, seed):
    """All kinds of layers one after another, in any order, all at different paces."""
    rng = random.Random(seed)
    cfg = config(lanes, weight_depth=128)
    layers = [d for d in LAYERS.values() if d.mode != Mode.SYSTOLIC or lanes == 4]
    if lanes == 2:
        layers += [
            layer(Mode.SYSTOLIC, inner=3, steps=6, last_steps=2, width=2, height=2, blocks=2),
            layer(Mode.SYSTOLIC, inner=3, middle=2, steps=10, last_steps=1, width=2, blocks=2),
        ]
    rng.shuffle(layers)
    pace = rng.choice((10, 40, 80))
    check(layers, cfg=cfg, load=lambda: rng.randint(1, pace), fetch=lambda: rng.randint(0, 9),
          write=lambda: rng.randint(15, 30))


@pytest.mark.parametrize("offset", range(-4, 5))
def test_weights_arrive_at_the_end_of_a_block(offset):
    """No gap as long as the pulse comes before the block's last step."""
    d = layer(Mode.SYSTOLIC, inner=2, steps=8, width=2, blocks=2)
    # Block 0 is there at once; descriptor at 0, in force at 5, window steps from 8 to 23.
    times = iter([0, 22 + offset, 1])
    waited = check([d], load=lambda: next(times))
    assert waited == 1 + max(0, offset)


@pytest.mark.parametrize("seed", range(3))
def test_held_by_the_host(seed):
    """No layer begins while it is held; nothing else changes."""
    rng = random.Random(seed)
    chance = rng.choice((0.1, 0.5, 0.9))
    check([*LAYERS.values()][seed::3], hold=lambda: rng.random() < chance,
          fetch=lambda: rng.randint(0, 9))


def test_slow_writes():
    """The layer is not done before its last result is written."""
    check([LAYERS["serial"], LAYERS["add"]], write=lambda: 45)
