"""Address generator against nested loops."""

import random

import pytest
from support.block_bench import BlockBench
from support.descriptors import SIZE, words_of

from hw.memory.addresses import AddressGenerator


def check(cases, *, idle=lambda: 0):
    """Read every word of each case's blocks, with ``idle()`` cycles between two reads.

    The contract: the last words of the inner level are at least two cycles apart.
    """
    async def scenario(bench):
        for blocks, layer in cases:
            counts = {name: layer[name] - 1 for name in ("inner", "middle", "width", "height")}
            steps = {name: layer[name] % SIZE for name in layer if name.startswith("step")}
            flags = {name: layer.get(name, 0) for name in ("windows", "double", "next_block")}
            bench.set(base=layer["base"], **counts, **steps, **flags)
            await bench.tick()
            await bench.pulse(load=1)
            # Only ``load`` looks at it.
            bench.set(base=0x1234)
            await bench.tick()
            before = None
            for word in words_of(blocks, **layer):
                gap = idle()
                if before == bench.cycle - 1 and word[2]:
                    gap = max(gap, 1)
                await bench.tick(gap)
                got = tuple(bench.get(n) for n in ("address", "filled", "inner_last",
                                                   "inner_index"))
                # The address of an empty column is nobody's.
                assert got[1:] == word[1:]
                assert not word[1] or got[0] == word[0]
                if word[2]:
                    before = bench.cycle
                await bench.pulse(advance=1)

    BlockBench(AddressGenerator(), limit=100_000).run(scenario)


STEPS = {"step_inner": 3, "step_middle": 50, "step_column": -700, "step_row": 1001}


@pytest.mark.parametrize("changes", [
    {},
    # Levels of one turn.
    {"inner": 1}, {"middle": 1}, {"width": 1}, {"height": 1},
    {"inner": 1, "middle": 1, "width": 1, "height": 1},
    {"next_block": 1},
    # Modulo the address space, up and down.
    {"base": SIZE - 1, "step_inner": 1},
    {"base": 0, "step_inner": -1, "step_middle": -SIZE + 1},
    {"step_row": SIZE - 1},
    {"inner": 256, "middle": 1, "width": 2, "height": 1},
    {"inner": 1, "middle": 256, "width": 2, "height": 1},
    {"inner": 2, "middle": 1, "width": 256, "height": 1},
    {"inner": 2, "middle": 1, "width": 1, "height": 256},
])
def test_four_levels(changes):
    layer = {"base": 100, "inner": 3, "middle": 2, "width": 3, "height": 2, **STEPS, **changes}
    check([(3, layer)])


@pytest.mark.parametrize("double", [0, 1])
@pytest.mark.parametrize(("middle", "width"), [(4, 4), (1, 1), (3, 5), (1, 4), (256, 256)])
def test_windows(middle, width, double):
    """Columns beyond the input's are empty: nothing is read, but the turns are counted."""
    if double:
        width = (width + 1) // 2
    layer = {"base": SIZE - 20, "inner": 3, "middle": middle, "width": width, "height": 2, **STEPS,
             "windows": 1, "double": double, "next_block": 1}
    check([(2, layer)])


@pytest.mark.parametrize("pace", [0, 3])
def test_random_layers(pace):
    rng = random.Random(pace)
    cases = []
    for _ in range(40):
        windows = rng.randint(0, 1)
        double = windows and rng.randint(0, 1)
        width = rng.randint(1, 5)
        columns = width * (1 + double)
        layer = {
            "inner": 3 if windows else rng.randint(1, 4),
            "middle": rng.randint(1, columns) if windows else rng.randint(1, 4),
            "width": width, "height": rng.randint(1, 4), "base": rng.randrange(SIZE),
            "windows": windows, "double": double, "next_block": rng.randint(0, 1),
            **{name: rng.randrange(-SIZE + 1, SIZE) for name in STEPS},
        }
        cases.append((rng.randint(1, 3), layer))
    check(cases, idle=lambda: rng.randint(0, pace))
