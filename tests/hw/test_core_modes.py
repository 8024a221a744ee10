"""Programs of several layers, and what surrounds them: ring, restart, shared weights."""

import numpy as np
import pytest
from support.core_bench import CoreBench, program
from support.core_layers import Maker
from support.marks import slow

from hw.contract.config import CoreConfig

pytestmark = pytest.mark.slow

CONFIG = CoreConfig(technology="portable")
ONE_WORD = CONFIG.memory_depth - 1
"""First word of a ring of one word."""


def as_words(x, config=CONFIG):
    return np.asarray(x).reshape(-1, config.columns)


def check(layers, inputs, *, config=CONFIG, **options):
    """Run layers and compare the output of every one of them; return the cycles."""
    layers = [*layers[:-1], layers[-1].last()]
    expected = {layer.descriptor.output_base: as_words(layer.output, config) for layer in layers}
    stream = program([(layer.descriptor, layer.blocks) for layer in layers], config)
    results, cycles = CoreBench(config).run(
        stream, {base: as_words(x, config) for base, x in inputs.items()},
        {base: len(x) for base, x in expected.items()}, **options)
    for got, wanted in zip(results, expected.values(), strict=True):
        np.testing.assert_array_equal(got, wanted)
    return cycles


def chain(seed=1, config=CONFIG):
    """SYSTOLIC, DEPTHWISE, SYSTOLIC, POOL, ADD: every mode works on what others wrote."""
    make = Maker(config, seed)
    block = config.columns
    x = make.tensor(3, 4, block)
    a = make.serial(x, 2 * block, input_base=10, output_base=100)
    b = make.depthwise(a.output, input_base=100, output_base=200)
    c = make.serial(b.output, 2 * block, input_base=200, output_base=300)
    d = make.pool(c.output, input_base=300, output_base=400)
    e = make.add(b.output, c.output, x_base=200, y_base=300, output_base=500)
    return [a, b, c, d, e], {10: x}


@pytest.mark.parametrize("gap", [0, slow(30)])
def test_all_modes(gap):
    layers, inputs = chain()
    check(layers, inputs, halfword_gap=gap)


@pytest.mark.slow
def test_two_lanes():
    """A word of two halfwords is taken before the flash reader says so."""
    config = CoreConfig(technology="portable", lanes=2)
    layers, inputs = chain(config=config)
    check(layers, inputs, config=config)


@pytest.mark.parametrize("ring", [*map(slow, (ONE_WORD, ONE_WORD - 1)), ONE_WORD - 2])
def test_smallest_rings(ring):
    """Every word of the program goes through one to three words of memory."""
    layers, inputs = chain(seed=ring)
    check(layers, inputs, ring=ring)


@pytest.mark.slow
def test_small_memory_and_queues():
    """One slot of each queue in use."""
    config = CoreConfig(technology="portable", memory_depth=1024, weight_depth=32,
                        parameter_slots=4, descriptor_slots=4)
    layers, inputs = chain(seed=3, config=config)
    check(layers, inputs, config=config, ring=1020)


@pytest.mark.parametrize(("kernel", "last_steps"), [
    slow(1, None), slow(1, 1), slow(2, 4), (3, 2),
])
def test_convolution(kernel, last_steps):
    make = Maker(CONFIG, kernel)
    x = make.tensor(4, 5, 16)
    check([make.serial(x, 16, input_base=10, output_base=1000, kernel=kernel, shift=8,
                       last_steps=last_steps)], {10: x})


@pytest.mark.parametrize(("shape", "shared"), [
    ((1, 1, 8), True), ((2, 3, 24), True), ((3, 3, 16), False), ((1, 1, 24), False),
])
def test_pool(shape, shared):
    make = Maker(CONFIG, shape[0])
    x = make.tensor(*shape)
    check([make.pool(x, input_base=77, output_base=1000, shared=shared)], {77: x})


@pytest.mark.parametrize(("shape", "shared", "extra"), [
    ((1, 1, 8), False, 0), slow((2, 3, 24), False, 0), ((2, 3, 24), False, 3),
    slow((3, 2, 16), True, 0),
])
def test_add(shape, shared, extra):
    make = Maker(CONFIG, shape[-1])
    x, y = make.tensor(*shape), make.tensor(*shape)
    layer = make.add(x, y, x_base=200, y_base=40, output_base=1000, shared=shared, extra=extra)
    # With the same parameters everywhere a layer of several blocks is one of many windows.
    check([layer], {200: x, 40: y})


def test_addresses_wrap():
    """The second tensor is at the end of memory, its successor's address at the beginning."""
    make = Maker(CONFIG, 9)
    x, y = make.tensor(1, 4, 8), make.tensor(1, 4, 8)
    layer = make.add(x, y, x_base=0, y_base=16380 - 40, output_base=1000)
    check([layer], {0: x, 16380 - 40: y}, ring=16380)


def test_full_weight_memory():
    """Blocks of 512 steps: the next one's weights come as the first one's are done."""
    make = Maker(CONFIG, 4)
    x = make.tensor(1, 1, 1024)
    layer = make.serial(x, 16, input_base=10, output_base=1000, shift=9)
    assert layer.descriptor.steps == CONFIG.weight_depth
    check([layer], {10: x}, ring=16383 - 99)


@pytest.mark.parametrize("gap", [0, 5])
@pytest.mark.parametrize(("depth", "parts"), [(64, 2), (96, 3), (40, 5), (16, 1)])
def test_sums_in_parts(depth, parts, gap):
    """Between layers that have one part; the shortest parts take four steps."""
    make = Maker(CONFIG, parts)
    x = make.tensor(1, 1, depth)
    a = make.serial(x, 24, input_base=10, output_base=1000, shift=7)
    b = make.partial(x, 40, parts=parts, input_base=10, output_base=1100, shift=7)
    c = make.serial(b.output, 8, input_base=1100, output_base=1200, shift=7)
    d = make.partial(c.output, 16, parts=1, input_base=1200, output_base=1300, shift=6)
    check([a, b, c, d], {10: x}, halfword_gap=gap)


def test_sums_of_more_products_than_weights_are_stored():
    make = Maker(CONFIG, 13)
    x = make.tensor(1, 1, 2048)
    layer = make.partial(x, 16, parts=2, input_base=10, output_base=1000)
    assert layer.descriptor.steps == CONFIG.weight_depth
    check([layer], {10: x}, ring=16383 - 99)


def test_parts_with_small_queues():
    config = CoreConfig(technology="portable", lanes=2, memory_depth=1024, weight_depth=32,
                        parameter_slots=4, descriptor_slots=4)
    make = Maker(config, 14)
    x = make.tensor(1, 1, 64)
    layers = [make.partial(x, 32, parts=parts, input_base=10, output_base=100 * parts, shift=7)
              for parts in (2, 8, 4)]
    check(layers, {10: x}, config=config, ring=1019)


@pytest.mark.parametrize("steps", [1, 7])
def test_long_weights_wrap_a_small_ring(steps):
    make = Maker(CONFIG, steps)
    x = make.tensor(1, 2, 64)
    layer = make.serial(x, 24, input_base=10, output_base=1000, shift=8)
    check([layer], {10: x}, ring=ONE_WORD - steps, halfword_gap=steps)


def test_single_rounding():
    """One rounding and two differ somewhere, in layers that follow each other."""
    make = Maker(CONFIG, 5)
    x = make.tensor(4, 4, 8)
    once = make.serial(x, 16, input_base=10, output_base=1000, shift=2, single_rounding=True)
    # The same weights and parameters.
    make = Maker(CONFIG, 5)
    make.tensor(4, 4, 8)
    twice = make.serial(x, 16, input_base=10, output_base=1200, shift=2)
    assert once.blocks == twice.blocks
    check([once, twice], {10: x})


def test_activation_limits():
    make = Maker(CONFIG, 6)
    x = make.tensor(3, 3, 8)
    layers = [
        make.serial(x, 8, input_base=10, output_base=1000, act_min=-20, act_max=31),
        make.depthwise(x, input_base=10, output_base=1100, act_min=127, act_max=127),
        make.depthwise(x, input_base=10, output_base=1200, output_zero_point=-128),
    ]
    check(layers, {10: x})


@pytest.mark.parametrize("value", [-128, 127])
def test_extreme_activations(value):
    make = Maker(CONFIG, 7)
    x = np.full((3, 3, 16), value)
    layers = [
        make.serial(x, 8, input_base=10, output_base=1000, shift=10),
        make.depthwise(x, input_base=10, output_base=1100, shift=9),
        make.pool(x, input_base=10, output_base=1200, shift=8),
    ]
    check(layers, {10: x})


def test_restarts():
    """Wherever a program is when it is started again, the next run is right."""
    layers, inputs = chain(seed=8)
    rng = np.random.default_rng(8)
    restarts = [0, 1, 2, 3, 5, 8, 13, *rng.integers(20, 700, 7).tolist()]
    again = check(layers, inputs, restarts=restarts)
    assert again == check(layers, inputs)


def test_restarts_with_a_small_ring():
    """Words of the old stream are in the ring, and on their way there."""
    layers, inputs = chain(seed=8)
    restarts = np.random.default_rng(9).integers(1, 300, 15).tolist()
    check(layers, inputs, restarts=restarts, ring=ONE_WORD, halfword_gap=3)


@pytest.mark.parametrize("seed", range(2))
def test_host_reads_while_the_program_runs(seed):
    """The host has what the core leaves of the memory, and changes no results."""
    layers, inputs = chain(seed=seed)
    check(layers, inputs, probe=inputs)


def test_many_layers():
    """More descriptors than there are slots, the same layer over and over."""
    make = Maker(CONFIG, 10)
    x = make.tensor(1, 1, 8)
    layers = [make.serial(x, 8, input_base=10, output_base=100)]
    while len(layers) < 2 * CONFIG.descriptor_slots + 1:
        before = layers[-1]
        layers.append(make.serial(
            before.output, 8, input_base=before.descriptor.output_base,
            output_base=before.descriptor.output_base + 10))
    check(layers, {10: x})


def test_result_in_place():
    """A pointwise layer may write over its own input."""
    make = Maker(CONFIG, 11)
    x = make.tensor(3, 3, 8)
    layer = make.serial(x, 8, input_base=50, output_base=50)
    check([layer], {50: x})
