"""Networks in little memory: row by row, outputs over inputs, inputs in chunks; all exact."""

from __future__ import annotations

import dataclasses
import itertools
import random

import pytest
from support.compiled import check_program, random_inputs

from common.errors import UnsupportedError
from hw.contract.config import CoreConfig
from hw.contract.modes import Mode
from sw import importer
from sw.compiler import Program, compile_graph
from sw.compiler.lowering.layers import Command, Geometry, LoweredLayer, Trail
from sw.compiler.placement.addresses import Buffer, plan_memory
from sw.compiler.placement.chains import Segment
from sw.compiler.placement.segments import BETWEEN_DESCRIPTORS, Division, Needs
from sw.compiler.program import encoding
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph


def separable(seed: int, size: int, *, dtype: str = "int8", padding: str = "SAME") -> Graph:
    """Return a V1: first convolution, then pairs with strides 1, 2, 1, 2."""
    net = NetworkBuilder(seed=seed, dtype=dtype)
    x = net.conv_2d(net.input((1, size, size + 2, 3)), 8, kernel=(3, 3), stride=(2, 2))
    for number, channels in enumerate((16, 16, 24, 24)):
        step = number % 2 + 1
        x = net.depthwise_conv_2d(x, stride=(step, step), padding=padding)
        x = net.conv_2d(x, channels)
    return importer.loads(net.build(outputs=[x]), "separable")


def inverted(seed: int, size: int, *, dtype: str = "int8") -> Graph:
    """Return a V2: three inverted residuals, the second with a shortcut, linear bottlenecks."""
    net = NetworkBuilder(seed=seed, dtype=dtype)
    x = net.conv_2d(net.input((1, size, size, 3)), 8, kernel=(3, 3), stride=(2, 2),
                    activation="RELU6")
    for stride, channels, residual in ((1, 8, False), (1, 8, True), (2, 16, False)):
        y = net.conv_2d(x, 32, activation="RELU6")
        y = net.depthwise_conv_2d(y, stride=(stride, stride), activation="RELU6")
        y = net.conv_2d(y, channels)
        if residual:
            scale = (net[x].scales[0] + net[y].scales[0]) * float(net.rng.uniform(0.5, 1.1))
            y = net.add(x, y, output_scale=scale)
        x = y
    return importer.loads(net.build(outputs=[x]), "inverted")


def smallest(graph: Graph, low: int = 256) -> Program:
    """Compile for the smallest memory, a power of two, in which a network fits."""
    for exponent in itertools.count(low.bit_length() - 1):
        config = dataclasses.replace(CoreConfig(), memory_depth=1 << exponent)
        try:
            return compile_graph(graph, config)
        except UnsupportedError as error:
            assert "needs at least" in str(error)
    raise AssertionError


def rolled(program: Program) -> set[str]:
    return {program.layers[work.layer].name for work in program.work if work.rows == 1}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("size", [26, 31, 40])
@pytest.mark.parametrize("make", [separable, inverted])
def test_in_the_smallest_memory(make: object, size: int, dtype: str) -> None:
    graph = make(size, size, dtype=dtype)  # type: ignore[operator]
    program = smallest(graph)
    whole = compile_graph(graph, CoreConfig())
    assert len(rolled(program)) > len(rolled(whole))
    assert program.macs == whole.macs
    for seed in range(2):
        check_program(graph, program, random_inputs(graph, seed, extremes=seed == 1))


@pytest.mark.parametrize("size", [37, 44, 53])
def test_valid_padding(size: int) -> None:
    graph = separable(size, size, padding="VALID")
    check_program(graph, smallest(graph), random_inputs(graph, 0))


@pytest.mark.slow
@pytest.mark.parametrize("size", [70, 76])
def test_inputs_that_do_not_fit_come_in_chunks(size: int) -> None:
    graph = inverted(size, size)
    program = smallest(graph)
    assert program.chunks
    memory = program.config.memory_depth
    assert program.inputs[0][1].words > memory or len(program.chunks) > 1
    check_program(graph, program, random_inputs(graph, size))


def test_what_never_fits_says_what_it_needs() -> None:
    graph = inverted(1, 200)
    with pytest.raises(UnsupportedError, match=r"run row by row|needs at least \d+ KB") as caught:
        compile_graph(graph, dataclasses.replace(CoreConfig(), memory_depth=256))
    assert "the core has 2 KB" in str(caught.value)


def test_rows_are_made_once_and_in_time() -> None:
    graph = inverted(5, 40)
    program = smallest(graph)
    done: dict[int, int] = {}
    for work in program.work:
        assert work.first_row == (done.get(work.layer, 0) if work.rows else work.first_row)
        done[work.layer] = done.get(work.layer, 0) + work.rows
    for number, layer in enumerate(program.layers):
        assert done[number] == program.tensors[layer.output].rows


def test_a_single_layer_is_no_chain() -> None:
    program = compile_graph(inverted(2, 20), CoreConfig())
    assert not rolled(program)
    assert not Segment(layers=()).is_chain


def test_trails() -> None:
    trail = Trail(gap=10, unit=4)
    assert trail.allows(12) and not trail.allows(8) and not trail.allows(13)
    buffers = [
        Buffer(tensor=0, name="in", words=100, first=0, last=1),
        Buffer(tensor=1, name="out", words=100, first=1, last=2, trails={0: Trail(12, 4)}),
    ]
    result = plan_memory(buffers, 256, 8, 8)
    distance = result.addresses[0] - result.addresses[1]
    assert distance == 12 and result.tops == (112, 112, 100)


def linked(tensor: int, source: tuple[int, ...], geometry: Geometry) -> LoweredLayer:
    return LoweredLayer(name=f"layer {tensor}", kind="any", macs=0, inputs=source, output=tensor,
                 output_rows=1, commands=(), geometry=geometry)


def random_chain(rng: random.Random) -> Segment:
    """Some layers, the last one perhaps with a shortcut past the others."""
    rows, layers = rng.randint(3, 20), []
    for tensor in range(1, rng.randint(3, 5)):
        kernel, stride = rng.choice(((1, 1), (1, 1), (1, 2), (3, 1), (3, 2), (2, 3)))
        top = rng.randint(0, 1) if kernel == 3 else 0
        output_rows = max(1, (rows + top - kernel) // stride + 1 + rng.randint(0, top))
        layers.append(linked(tensor, (tensor - 1,), Geometry(
            kernel=kernel, stride=stride, top=top, input_rows=rows, output_rows=output_rows,
            input_pitch=4, output_pitch=rng.choice((4, 6)))))
        rows = output_rows
    if rng.random() < 0.5:
        first = layers[-1]
        layers += [
            linked(10, (first.output,), Geometry(
                kernel=3, top=1, input_rows=rows, output_rows=rows, input_pitch=4,
                output_pitch=4)),
            linked(11, (first.output, 10), Geometry(
                input_rows=rows, output_rows=rows, input_pitch=4, output_pitch=4)),
        ]
    return Segment(layers=tuple(layers), kept=frozenset((layers[-1].output,)))


def plain_last_reads(segment: Segment, tensor: int, rows: int) -> list[int]:
    result: list[int] = []
    for number, row in enumerate(segment.rows):
        if tensor in row.layer.inputs:
            assert row.layer.geometry is not None and row.row is not None
            first, end = row.layer.geometry.needs(row.row)
            result.extend([number] * (end - len(result)))
            result[first:end] = [number] * (end - first)
    return result + [-1] * (rows - len(result))


def plain_live(segment: Segment, tensor: int, last_read: list[int]) -> int:
    made = most = first = 0
    for number, row in enumerate(segment.rows):
        if row.layer.output == tensor:
            made += 1
            most = max(most, made - first)
        while first < made and last_read[first] <= number:
            first += 1
    return most


def test_rows_that_are_needed_at_the_same_time() -> None:
    rng = random.Random(0)
    for _ in range(300):
        segment = random_chain(rng)
        for layer in segment.layers:
            tensor, geometry = layer.output, layer.geometry
            assert geometry is not None
            expected = plain_last_reads(segment, tensor, geometry.output_rows)
            assert segment._last_reads(tensor, geometry.output_rows).tolist() == expected
            assert segment._live(tensor) == plain_live(segment, tensor, expected)
        first = segment.layers[0].geometry
        assert first is not None
        assert segment._last_reads(0, first.input_rows).tolist() == plain_last_reads(
            segment, 0, first.input_rows)


@pytest.mark.parametrize("lanes", [2, 4])
def test_costs_count_the_words_of_descriptors(lanes: int) -> None:
    config = CoreConfig(lanes=lanes)
    program = compile_graph(separable(1, 24), config)
    descriptor = program.work[0].descriptor
    words = len(encoding.descriptor_words(descriptor, config.word_bytes))
    command = Command(fields={"mode": Mode.ADD, "steps": 4, "width": 1, "height": 1, "blocks": 0},
                      input=0, output=1, blocks=())
    layer = dataclasses.replace(
        linked(1, (0,), Geometry(input_rows=1, output_rows=1, input_pitch=1, output_pitch=1)),
        commands=(command, command))
    needs = Needs(layers=[layer], words={0: 1, 1: 1}, inputs=(0,), outputs=(1,))
    division = Division(needs=needs, config=config)
    from_flash = 2 * words * config.flash_read.halfword * lanes
    assert division._cycles(0, 1) == max(from_flash, 2 * BETWEEN_DESCRIPTORS)
    assert division._loads == [(0, 2, 2 * words, 1)]


def test_a_window_has_three_slots() -> None:
    """Even where no two of its rows are needed at the same time but by padding."""
    first = linked(1, (0,), Geometry(input_rows=3, output_rows=3, input_pitch=4, output_pitch=4))
    window = dataclasses.replace(
        linked(2, (1,), Geometry(kernel=3, stride=2, top=1, input_rows=3, output_rows=2,
                                 input_pitch=4, output_pitch=4)),
        rotated=lambda shift: ())
    segment = Segment(layers=(first, window), kept=frozenset((2,)))
    assert segment._live(1) == 2 and segment.slots == {1: 3}
