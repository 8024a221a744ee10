"""Inputs sent as they are, and while the core still runs on the one before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from support.compiled import check_program, random_inputs
from support.networks import image_network

import boards
from hw.contract.config import CoreConfig
from sw import importer
from sw.compiler import Program, compile_graph, pipeline
from sw.compiler.graph.partition import partition
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.dispatch import first_layer_options
from sw.compiler.program.layout import InputLayout
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

CONFIG = boards.get("icebreaker").config
Array = npt.NDArray[np.integer]


def first_convolution(width: int, channels: int, **options) -> Graph:
    net = NetworkBuilder(seed=channels)
    y = net.conv_2d(net.input((1, 11, width, channels)), 12, **options)
    return importer.loads(net.build(outputs=[y]), "first")


def options_of(graph: Graph) -> dict[str, tuple]:
    ctx = Context.of(partition(graph), CoreConfig())
    return {option[0].kind: option for option in first_layer_options(ctx, graph.ops[0])}


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("width", "kernel", "stride", "dilation", "padding"),
    [
        (16, (3, 3), (2, 2), 1, "SAME"),     # padding on the right
        (17, (3, 3), (2, 2), 1, "VALID"),    # none
        (15, (3, 3), (2, 2), 1, "SAME"),     # on both sides; a row ends within a word
        (24, (5, 5), (1, 1), 1, "SAME"),     # two columns on each side
        (32, (7, 3), (1, 2), 1, "SAME"),
        (32, (3, 3), (1, 1), 2, "SAME"),
        (18, (3, 3), (2, 2), 1, "SAME"),     # columns by themselves
        (28, (3, 3), (1, 1), 1, "SAME"),
    ],
)
def test_rows_of_bytes(
    channels: int, width: int, kernel: tuple[int, int], stride: tuple[int, int], dilation: int,
    padding: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = first_convolution(
        width, channels, kernel=kernel, stride=stride, dilation=(dilation, dilation),
        padding=padding,
    )
    option = options_of(graph)["rows"]
    monkeypatch.setattr(pipeline, "first_layer_options", lambda *_: [option])
    for compact in (False, True):
        program = compile_graph(graph, CoreConfig(), compact_input=compact)
        assert program.inputs[0][1] is option[0]
        for extremes in (False, True):
            check_program(graph, program, random_inputs(graph, channels, extremes))


def test_rows_are_not_for_every_width() -> None:
    """Columns of a phase must be as many in every row; few columns can be run one by one."""
    for width, passes in ((16, 4), (18, 9), (80, 4), (82, None)):
        options = options_of(first_convolution(width, 3, kernel=(2, 2), stride=(2, 2)))
        if passes is None:
            assert "rows" not in options
        else:
            _, layer = options["rows"]
            assert len(layer.commands) == passes


def test_rows_are_not_for_weights_beyond_int8() -> None:
    net = NetworkBuilder(seed=1, dtype="uint8")
    y = net.conv_2d(net.input((1, 16, 16, 3)), 8, kernel=(3, 3), stride=(2, 2))
    weights = net[net.file.operators[-1].inputs[1]]
    assert weights.data is not None
    weights.zero_points = [100]
    weights.data = np.clip(weights.data, 0, 227)
    assert "rows" in options_of(importer.loads(net.build(outputs=[y]), "test"))
    weights.data.flat[0] = 228
    assert "rows" not in options_of(importer.loads(net.build(outputs=[y]), "test"))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return image_network()


@pytest.fixture(scope="module")
def program(graph: Graph) -> Program:
    return compile_graph(graph, CONFIG, compact_input=True)


def test_only_the_bytes_of_the_input_are_sent(graph: Graph, program: Program) -> None:
    ((address, layout),) = program.inputs
    assert (layout.kind, layout.runs) == ("rows", [(0, 48 * 18)])
    assert program.sent_words * 8 == 48 * 48 * 3
    plain = compile_graph(graph, CONFIG)
    assert (plain.pinned, plain.overlap, plain.constants()) == (False, None, [])
    assert plain.sent_words == plain.inputs[0][1].words > 2 * program.sent_words
    # What is sent for every input and what is written once are all there is.
    (x,) = random_inputs(graph, 0)
    ((at, whole),) = program.prepare(x)
    memory = np.zeros_like(whole)
    runs, _ = program.uploads(program.before(x), constants=False)
    for start, words in [*program.constants(), *runs]:
        memory[start - at : start - at + len(words)] = words
    assert at == address
    np.testing.assert_array_equal(memory, whole)
    # They are no secret to programs that know nothing of it.
    assert len(plain.uploads(plain.before(x), constants=False)[0][0][1]) == plain.sent_words


def layout_of(used: list[int]) -> InputLayout:
    index = np.full((20, 8), -1, np.int32)
    index[used, 3] = np.arange(len(used))
    return InputLayout(kind="test", tensor=0, index=index, zero_point=0, row_pitch=20)


@pytest.mark.parametrize(
    ("used", "runs"),
    [
        ([], []),
        ([0], [(0, 1)]),
        ([1, 2, 3, 19], [(1, 3), (19, 1)]),
        ([4, 9, 15], [(4, 6), (15, 1)]),    # four words of padding are sent, five are not
    ],
)
def test_runs(used: list[int], runs: list[tuple[int, int]]) -> None:
    assert layout_of(used).runs == runs


def test_every_tensor(graph: Graph, program: Program) -> None:
    assert program.pinned and program.overlap is not None
    for seed in range(2):
        check_program(graph, program, random_inputs(graph, seed))


def test_nothing_else_is_where_inputs_and_outputs_are(program: Program) -> None:
    ((address, layout),) = program.inputs
    (output,) = program.outputs
    result = program.tensors[output]
    kept = [(address, layout.words), (result.address, result.words)]
    others = [(program.ring[0], program.ring_words)]
    others += [(t.address, t.words) for t in program.tensors.values() if t.index != output]
    others += [(w.descriptor.ring_first, CONFIG.memory_depth) for w in program.work
               if w.descriptor.ring_moves]
    for start, words in kept:
        for other, size in others:
            assert start + words <= other or other + size <= start
