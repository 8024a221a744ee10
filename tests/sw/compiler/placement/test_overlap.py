"""The next input is written while the core still runs on the one before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from support.compiled import check_program, random_inputs
from support.networks import image_network
from support.plans import load_program, save_program

import boards
from hw.contract.config import CoreConfig
from hw.contract.registers import Register
from sim.board.simulated import SimulatedBoard
from sim.functional import run_program
from sw import compile as compile_tool
from sw import golden, images, importer
from sw.compiler import Overlap, Program, compile_graph
from sw.compiler.timing import overlap as overlapping
from sw.compiler.timing import predict
from sw.compiler.timing.overlap import MARGIN
from sw.fuzz.builder import NetworkBuilder
from sw.ir import Graph

CONFIG = boards.get("icebreaker").config


Array = npt.NDArray[np.integer]


@pytest.fixture(scope="module")
def graph() -> Graph:
    return image_network()


@pytest.fixture(scope="module")
def program(graph: Graph) -> Program:
    return compile_graph(graph, CONFIG, compact_input=True)


class Line:
    """A host that keeps to a pace, on the simulated board."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.board = SimulatedBoard(CONFIG)
        self.board.write_flash(program.flash_address, program.flash)
        while not self.board.read_register(Register.STATUS) >> 1 & 1:
            self.board.run(64)
        self.board.write_register(Register.FLASH_LOW, program.flash_address & 0xFFFF)
        self.board.write_register(Register.FLASH_HIGH, program.flash_address >> 16)
        self.board.write_register(Register.RING_FIRST, program.ring[0])
        for address, words in program.constants():
            self.write(address, words)

    def write(self, address: int, words: npt.NDArray[np.int8]) -> None:
        halfwords = np.ascontiguousarray(words).view("<u2").ravel()
        self.board.write_memory(address * CONFIG.lanes, halfwords)

    def send(self, x: Array, overlap: Overlap | None) -> None:
        """Write an input: at once, or after a start, every word as early as it may be."""
        begin, number = self.board.cycle, 0
        if overlap is not None:
            self.board.write_register(Register.START, 1)
        for address, words in self.program.uploads(self.program.before(x), constants=False)[0]:
            if overlap is None:
                self.write(address, words)
                continue
            for at in range(len(words)):
                due = begin + overlap.cycle + number * overlap.pace
                self.board.run(max(0, due - self.board.cycle))
                self.write(address + at, words[at : at + 1])
                number += 1

    def result(self) -> Array:
        (output,) = self.program.outputs
        place = self.program.tensors[output]
        halfwords = self.board.read_memory(place.address * CONFIG.lanes, place.words * CONFIG.lanes)
        words = halfwords.view(np.int8).reshape(place.words, -1)
        return self.program.finish({output: words})[self.program.suffix.outputs[0]]

    def finish(self) -> int:
        self.board.wait(1_000_000)
        low = self.board.read_register(Register.CYCLES_LOW)
        return low | self.board.read_register(Register.CYCLES_HIGH) << 16


def stream(program: Program, frames: list[Array], overlap: Overlap) -> list[Array]:
    """Send each frame while the core runs on the one before; also check the cycles."""
    line = Line(program)
    line.send(frames[0], None)
    results = []
    for x in [*frames[1:], frames[0]]:
        line.send(x, overlap)
        assert line.finish() == sum(predict(program))
        results.append(line.result())
    # The last input is there, and the result stays while the core runs on it.
    line.board.write_register(Register.START, 1)
    begin = line.board.cycle
    line.result()
    line.board.run(overlap.results - 2 * (line.board.cycle - begin))
    assert line.board.busy
    np.testing.assert_array_equal(line.result(), results[-1])
    line.finish()
    np.testing.assert_array_equal(line.result(), results[0])
    return results


def expected(graph: Graph, frames: list[Array]) -> list[Array]:
    return [golden.run(graph, x)[graph.outputs[0]] for x in frames]


@pytest.mark.slow
def test_next_input_comes_while_the_core_runs(graph: Graph, program: Program) -> None:
    frames = [random_inputs(graph, seed)[0] for seed in range(3)]
    overlap = program.overlap
    assert overlap is not None and overlap.pace == 128
    assert overlap.results > sum(predict(program)[:-1]) - 50
    # Before a layer of so many cycles could be over.
    assert overlap.cycle < predict(program)[0] // 2
    for got, right in zip(stream(program, frames, overlap), expected(graph, frames), strict=True):
        np.testing.assert_array_equal(got, right)


@pytest.mark.slow
def test_an_input_that_comes_too_early(graph: Graph, program: Program) -> None:
    """The hazard is real, and seen."""
    frames = [random_inputs(graph, seed)[0] for seed in range(2)]
    overlap = program.overlap
    assert overlap is not None
    line = Line(program)
    line.send(frames[0], None)
    line.send(frames[1], replace(overlap, cycle=0))
    line.finish()
    assert not np.array_equal(line.result(), expected(graph, frames)[0])


@pytest.mark.slow
def test_layers_are_as_good_as_cycles(program: Program) -> None:
    """A host that looks at DESCRIPTORS begins when what it replaces first has been read."""
    overlap = program.overlap
    assert overlap is not None
    line = Line(program)
    begin = line.board.cycle
    line.board.write_register(Register.START, 1)
    while line.board.read_register(Register.DESCRIPTORS) < overlap.descriptors:
        pass
    assert -MARGIN <= line.board.cycle - begin - overlap.cycle < predict(program)[0] // 2


@pytest.mark.slow
def test_visual_wake_words(shared: Path) -> None:
    """A frame is 27,648 bytes, and has to come no later than 4,000 cycles after a start."""
    graph = importer.load(shared / "models" / "vww_96_int8.tflite")
    program = compile_graph(graph, CONFIG, compact_input=True)
    assert program.sent_words * 8 == 96 * 96 * 3
    assert program.overlap is not None and program.overlap.cycle < 4_000
    assert sum(predict(program)) < 500_000
    names = ("no_0", "yes_1")
    frames = [images.load(shared / "images" / f"vww_quant_test_{n}.dat", graph) for n in names]
    results = stream(program, frames, program.overlap)
    for got, right in zip(results, expected(graph, frames), strict=True):
        np.testing.assert_array_equal(got, right)
    assert [int(r.ravel()[1]) - int(r.ravel()[0]) for r in results] == [-238, 146]


def test_what_does_not_fit_twice_runs_row_by_row(shared: Path) -> None:
    """No room for its input beside its largest layers; there is, beside rows of them."""
    path = shared / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    program = compile_graph(importer.load(path), CONFIG, compact_input=True)
    assert program.pinned and program.sent_words * 8 < 68_000
    assert sum(predict(program)) < 1_150_000


def test_no_room_for_the_next_input() -> None:
    """Then the layout is compact all the same, and nothing else is promised."""
    net = NetworkBuilder(seed=1)
    x = net.input((1, 16, 16, 3))
    y = net.conv_2d(x, 8, kernel=(3, 3), stride=(2, 2))
    graph = importer.loads(net.build(outputs=[y]), "tight")
    config = replace(CoreConfig(), memory_depth=256)
    program = compile_graph(graph, config, compact_input=True)
    assert not program.pinned and program.overlap is None
    assert program.inputs[0][1].kind == "rows"
    check_program(graph, program, random_inputs(graph, 0))


@pytest.mark.parametrize(("size", "padding"), [(31, "SAME"), (33, "VALID")])
def test_rows_in_a_chain(size: int, padding: str) -> None:
    """In so little memory the first layers run row by row, each row in several passes."""
    net = NetworkBuilder(seed=5)
    x = net.input((1, size, size, 3))
    x = net.conv_2d(x, 8, kernel=(3, 3), stride=(2, 2), padding=padding)
    x = net.depthwise_conv_2d(net.conv_2d(x, 48), stride=(2, 2))
    y = net.fully_connected(net.mean(net.conv_2d(x, 16)), 10)
    graph = importer.loads(net.build(outputs=[y]), "small")
    config = replace(CoreConfig(), memory_depth=1024)
    program = compile_graph(graph, config, compact_input=True)
    assert program.inputs[0][1].kind == "rows" and program.overlap is not None
    assert len(program.work) > 40
    for seed in range(2):
        check_program(graph, program, random_inputs(graph, seed))


@pytest.mark.slow
def test_dense_inputs_overlap_too() -> None:
    """Without a first layer of its own: everything has been read before anything is written."""
    net = NetworkBuilder(seed=1)
    x = net.conv_2d(net.depthwise_conv_2d(net.input((1, 8, 8, 16))), 16)
    y = net.mean(net.conv_2d(x, 24))
    graph = importer.loads(net.build(outputs=[y]), "dense")
    program = compile_graph(graph, CONFIG, compact_input=True)
    assert program.overlap is not None and program.overlap.descriptors == 1
    frames = [random_inputs(graph, seed)[0] for seed in range(2)]
    # A host that knows no pace may come as soon as the layer is done.
    done = replace(program.overlap, pace=1)
    for got, right in zip(stream(program, frames, done), expected(graph, frames), strict=True):
        np.testing.assert_array_equal(got, right)


def test_an_input_that_is_needed_to_the_end_does_not_overlap() -> None:
    net = NetworkBuilder(seed=1)
    x = net.input((1, 8, 8, 16))
    y = net.add(net.conv_2d(x, 16), x)
    graph = importer.loads(net.build(outputs=[y]), "residual")
    program = compile_graph(graph, CONFIG, compact_input=True)
    assert program.pinned and program.overlap is None
    check_program(graph, program, random_inputs(graph, 0))


def test_files(program: Program, graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "small.prog"
    save_program(program, path)
    loaded = load_program(path)
    assert (loaded.pinned, loaded.overlap) == (True, program.overlap)
    (x,) = random_inputs(graph, 0)
    for index, value in run_program(loaded, x).items():
        np.testing.assert_array_equal(value, run_program(program, x)[index])


def test_the_margin_makes_it_later(
    graph: Graph, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlapping, "MARGIN", 0)
    without = compile_graph(graph, CONFIG, compact_input=True).overlap
    assert program.overlap is not None and without is not None
    assert program.overlap.cycle - without.cycle == 64


def test_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, report = tmp_path / "small.tflite", tmp_path / "report.json"
    net = NetworkBuilder(seed=5)
    x = net.conv_2d(net.input((1, 16, 16, 3)), 8, kernel=(3, 3), stride=(2, 2))
    path.write_bytes(net.build(outputs=[net.fully_connected(net.mean(x), 10)]))
    arguments = [str(path), "--board", "icebreaker", "--json", str(report)]
    assert compile_tool.main(arguments) == 0
    assert "are sent" not in capsys.readouterr().out
    before = json.loads(report.read_text())
    assert before["overlap"] is None
    assert compile_tool.main([*arguments, "--compact-input"]) == 0
    after = json.loads(report.read_text())
    assert "768 bytes are sent for each inference, from " in capsys.readouterr().out
    assert after["input_bytes"] == 16 * 16 * 3 < before["input_bytes"]
    assert set(after["overlap"]) == {"cycle", "pace", "descriptors", "results"}
