"""The way out of the array against the golden requantisation."""

import numpy as np
import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.contract.records import PARAMETER_FIELDS
from hw.contract.requantiser import encode_channel
from hw.requantise.drain import LATENCY, PARAMETER_DELAY, Drain
from hw.requantise.parameters import ParameterMemory
from hw.requantise.requantiser import Requantiser
from hw.systolic import array
from sw.golden.requantisation import Requantisation

ROWS = 2


def golden(acc, multiplier, shift, bias, layer):
    names = ("zero_point", "act_min", "act_max", "single_rounding")
    requantisation = Requantisation(**{name: layer[name] for name in names})
    return requantisation.outputs(acc + bias, multiplier, -shift)


def follow(cfg, acc, starts, layer, seed=0):
    """Drain outputs, ``acc`` (outputs, columns), whose last steps are in the cycles ``starts``.

    Accumulators and fields are there only in the cycles in which they are due; otherwise they are
    random.
    """
    rng = np.random.default_rng(seed)
    shape = (len(acc), cfg.columns)
    multiplier = rng.integers(1 << 30, 1 << 31, shape)
    shift, bias = rng.integers(0, 13, shape), rng.integers(-5000, 5000, shape)
    expected = golden(acc, multiplier, shift, bias, layer)
    fields_at, acc_at, result_at = {}, {}, {}
    for n, start in enumerate(starts):
        for g in range(cfg.lanes):
            result_at[start + LATENCY + g] = result_at.get(start + LATENCY + g, [])
            result_at[start + LATENCY + g].append((n, g))
            for c in range(ROWS):
                column = 2 * g + c
                acc_at.setdefault(start + array.LATENCY + g, {})[column] = int(acc[n, column])
                fields = encode_channel(multiplier=int(multiplier[n, column]),
                                        shift=int(shift[n, column]), bias=int(bias[n, column]))
                for field, stage in enumerate(Requantiser.FIELD_STAGE):
                    at = start + PARAMETER_DELAY + ParameterMemory.LEAD + stage + g
                    fields_at.setdefault(at, {})[c, field] = fields[field]
    end = starts[-1] + LATENCY + cfg.lanes + 6

    async def scenario(bench):
        in_place = {}
        bench.set(layer=layer)
        # The layer is in force for a while before its first result.
        await bench.tick(2)
        for now in range(end):
            noise = rng.integers(-(1 << 20), 1 << 20, cfg.columns).tolist()
            bench.set(output=int(now in starts))
            bench.set(acc=[acc_at.get(now, {}).get(c, noise[c]) for c in range(cfg.columns)])
            noise = rng.integers(0, 1 << 16, (ROWS, PARAMETER_FIELDS)).tolist()
            for (c, field), value in fields_at.get(now, {}).items():
                noise[c][field] = value
            bench.set(fields=noise)
            for n, g in result_at.get(now, ()):
                in_place[g] = expected[n, 2 * g : 2 * g + 2].tolist()
            for g, values in in_place.items():
                got = np.array([bench.get("results")[g]], np.uint16).view(np.int8)
                assert got.tolist() == values, (now, g)
            assert bench.get("done") == (now - LATENCY in starts)
            await bench.tick()

    BlockBench(Drain(cfg)).run(scenario)


LAYER = {"zero_point": -3, "act_min": -128, "act_max": 127, "single_rounding": 0}


def test_constants():
    assert LATENCY == array.LATENCY + 2 + Requantiser.LATENCY
    assert PARAMETER_DELAY + ParameterMemory.LEAD == array.LATENCY + 1


@pytest.mark.parametrize("lanes", [2, 4])
@pytest.mark.parametrize("changes", [
    {}, {"single_rounding": 1}, {"act_min": -3, "act_max": 40}, {"zero_point": 127},
    {"zero_point": -128, "act_min": -128, "act_max": -128},
])
def test_outputs_follow_each_other(lanes, changes):
    """One output every ``lanes`` cycles."""
    cfg = CoreConfig(technology="portable", lanes=lanes)
    rng = np.random.default_rng(lanes)
    acc = rng.integers(-60_000, 60_000, (30, cfg.columns))
    follow(cfg, acc, [5 + k * lanes for k in range(30)], LAYER | changes)


@pytest.mark.parametrize("lanes", [2, 4])
def test_random_pauses(lanes):
    """A result stays in place until the next one."""
    cfg = CoreConfig(technology="portable", lanes=lanes)
    rng = np.random.default_rng(lanes)
    acc = rng.integers(-1_000_000, 1_000_000, (60, cfg.columns))
    starts = np.cumsum(lanes + rng.choice([0, 0, 1, 2, 30], 60)).tolist()
    follow(cfg, acc, starts, LAYER)


def test_columns_are_kept_apart():
    """One column at an extreme at a time."""
    cfg = CoreConfig(technology="portable")
    acc = np.concatenate([np.eye(8, dtype=np.int64) * value for value in (2_000_000, -2_000_000)])
    follow(cfg, acc, [4 * k for k in range(1, 17)], LAYER)
