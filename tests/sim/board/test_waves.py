"""Waves of the simulated core: names of signals, windows, and what is in the file."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from support.command import BOARD, error_of
from support.divided import host_alone, host_between
from support.networks import tiny_model
from support.waves import Waveform

import boards
import sim.layer
import sw.run
from common.errors import InputError
from sim.board import verilate
from sim.board.waves import Wave, Waves, check_file, check_headers, choose
from sw import golden, importer
from sw.compiler import Program, compile_network
from sw.compiler.timing import predict
from sw.waves import wave_of

DECLARATIONS = """
    VL_TRACE_PUSH_PREFIX(tracep, "$rootio", VerilatedTracePrefixType::SCOPE_MODULE, 0, 0);
    VL_TRACE_DECL_BIT(tracep,c+1875,0,"clk",-1, VerilatedTraceSigDirection::INPUT);
    VL_TRACE_POP_PREFIX(tracep);
    VL_TRACE_PUSH_PREFIX(tracep, "board", VerilatedTracePrefixType::SCOPE_MODULE, 0, 0);
    VL_TRACE_PUSH_PREFIX(tracep, "core", VerilatedTracePrefixType::SCOPE_MODULE, 0, 0);
    VL_TRACE_DECL_BUS(tracep,c+9,0,"layer.width",-1, VerilatedTraceSigDirection::NONE, 7,0);
    VL_TRACE_DECL_BUS(tracep,c+9,0,"$12",-1, VerilatedTraceSigDirection::NONE, 7,0);
    VL_TRACE_PUSH_PREFIX(tracep, name, VerilatedTracePrefixType::ARRAY_UNPACKED, 15, 0);
    VL_TRACE_DECL_BUS_ARRAY(tracep,c+0+i*1,fidx,"",-1, direction, (15 - i), 15,0);
    VL_TRACE_POP_PREFIX(tracep);
    VL_TRACE_POP_PREFIX(tracep);
    VL_TRACE_DECL_BIT(tracep,c+1,0,"busy",-1, VerilatedTraceSigDirection::OUTPUT);
    VL_TRACE_POP_PREFIX(tracep);
"""

NAMES = ["board.top.core.array.lane_0.sum", "board.top.core.host.cycles", "board.top.core.go"]


def test_names(tmp_path: Path) -> None:
    file = tmp_path / "Vtop__Trace__0__Slow.cpp"
    file.write_text(DECLARATIONS)
    seen: list[str] = []
    names = Waves(kind="vcd", accept=seen.extend).names(tmp_path)
    assert names == seen == ["board.core.layer__width", "board.busy"]
    assert '"layer__width"' in file.read_text() and "layer.width" not in file.read_text()


def test_patterns() -> None:
    assert choose(NAMES, ()) == NAMES
    assert choose(NAMES, ("array*",)) == NAMES[:1]
    assert choose(NAMES, ("cycles", "go")) == NAMES[1:]
    assert choose(NAMES, ("board.top.core.*",)) == NAMES
    with pytest.raises(InputError, match=r"arra: fits none of 3 signals.*array, host"):
        choose(NAMES, ("array*", "arra"))


def test_files() -> None:
    assert Wave(path="x.FST").kind == "fst" and Wave(path="a.b.vcd").kind == "vcd"
    with pytest.raises(InputError, match=r"as \.fst, or as \.vcd"):
        check_file("wave.png")


def test_headers(tmp_path: Path) -> None:
    missing = tmp_path / "compiler"
    missing.write_text("#!/bin/sh\nexit 1\n")
    missing.chmod(0o755)
    check_headers("vcd", [str(missing)])
    with pytest.raises(InputError, match=r"name a \.vcd file"):
        check_headers("fst", [str(missing)])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(tiny_model())
    return path


def frame(folder: Path) -> tuple[Path, np.ndarray]:
    x = np.random.default_rng(2).integers(-128, 128, (1, 4, 4, 8)).astype(np.int8)
    np.save(folder / "x.npy", x)
    return folder / "x.npy", x


@pytest.mark.parametrize(("options", "message"), [
    (["--wave-window", "0..5"], "say what --wave FILE records"),
    (["--wave", "x.png"], "waves are written as"),
    (["--wave", "none/x.vcd"], "its folder is missing"),
    (["--wave", "x.vcd", "--wave-window", "7..7"], "there are no cycles in it"),
    (["--wave", "x.vcd", "--wave-window", " nothing"], "--wave-window ' nothing': the core has"),
    (["--wave", "x.vcd", "--wave-window", "999999..9999999"], "an inference takes"),
    (["--wave", "x.vcd", "--backend", "golden"], "leave out --backend golden"),
])
def test_bad_options(
    options: list[str], message: str, model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sw.run.main([str(model), str(frame(tmp_path)[0]), *BOARD, *options]) == 2
    assert message in error_of(capsys)
    assert not list(tmp_path.glob("x.vcd"))


def test_one_program_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model, x = tmp_path / "net.tflite", tmp_path / "x.npy"
    model.write_bytes(host_between())
    np.save(x, np.zeros((1, 8, 6, 3), np.int8))
    board = boards.get("icebreaker")
    programs = compile_network(importer.load(model), board.config, board=board.name,
                               flash_address=board.flash.program_base).programs
    first = sum(predict(programs[0]))
    for window, message in (([], "runs as 2 programs"),
                            (["--wave-window", f"0..{first + 1}"], "program 1 ends after")):
        assert sw.run.main([str(model), str(x), *BOARD, "--wave", "x.vcd", *window]) == 2
        assert message in error_of(capsys)


def test_the_window_ends_with_the_inference(model: Path, tmp_path: Path) -> None:
    board = boards.get("icebreaker")
    plan = compile_network(importer.load(model), board.config, board=board.name,
                           flash_address=board.flash.program_base)
    end = sum(predict(plan.programs[0]))
    path = str(tmp_path / "x.vcd")

    def wave(window: str) -> Wave:
        return wave_of(Namespace(wave=path, wave_window=window, wave_signals=[]), plan)

    assert (wave(f"10..{end}").first, wave(f"10..{end}").end) == (10, end)
    for first in (10, end, end + 5):
        with pytest.raises(InputError, match=f"the last is {end - 1}; end at {end}, or before"):
            wave(f"{first}..{end + 10}")


def test_nothing_on_the_core(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = tmp_path / "net.tflite", tmp_path / "x.npy"
    model.write_bytes(host_alone())
    np.save(x, np.zeros((1, 1, 1, 6), np.int8))
    assert sw.run.main([str(model), str(x), *BOARD, "--wave", str(tmp_path / "x.vcd")]) == 2
    assert "nothing of this network runs on the core" in capsys.readouterr().err


def test_a_layer_is_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sim.layer.main([str(model), *BOARD, "--wave", str(tmp_path / "x.vcd")]) == 2
    assert "name it with --layer N" in error_of(capsys)


def last_layer(model: Path) -> tuple[Program, int, int]:
    """Return the program, and the last layer's first cycle and the one behind its last."""
    board = boards.get("icebreaker")
    plan = compile_network(importer.load(model), board.config, board=board.name,
                           flash_address=board.flash.program_base)
    cycles = predict(plan.programs[0])
    return plan.programs[0], sum(cycles[:-1]), sum(cycles)


def written(wave: Waveform, lanes: int) -> dict[int, list[int]]:
    """Return the halfwords that each lane's memory was written, by address."""
    memory: dict[int, list[int]] = {}
    for lane in range(lanes):
        ports = [f"scratchpad.slice_{lane}.{name}" for name in
                 ("write_enable", "address", "write_data")]
        for cycle in range(wave.first, wave.end):
            enable, address, data = (wave.at(port, cycle) for port in ports)
            if enable:
                memory.setdefault(address, [0] * lanes)[lane] = data
    return memory


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vcd", "fst"])
def test_what_is_recorded_is_the_golden_models(
    kind: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The window is the layer's, cycle by cycle, and its writes are the layer's output."""
    if kind == "fst":
        try:
            check_headers(kind, verilate.compiler())
        except InputError as error:
            pytest.skip(str(error))
    program, first, end = last_layer(model)
    path, (given, x) = tmp_path / f"x.{kind}", frame(tmp_path)
    arguments = [str(model), str(given), *BOARD, "--verify", "--wave", str(path)]
    window = ["--wave-window", program.layers[-1].name]
    signals = ["--wave-signals", "host.cycles", "--wave-signals", "scratchpad.slice_?.*"]
    assert sw.run.main([*arguments, *window, *signals]) == 0
    wave = Waveform(path)
    assert (wave.first, wave.end) == (first, end)
    assert [wave.at("host.cycles", cycle) for cycle in range(first, end)] == [*range(first, end)]
    output = program.tensors[program.outputs[0]]
    memory = written(wave, program.config.lanes)
    words = np.array([memory[output.address + n] for n in range(output.words)], np.uint16)
    graph = importer.load(model)
    expected = golden.run(graph, x)[output.index]
    np.testing.assert_array_equal(output.unpack(words.view(np.int8)), expected)
    # A pattern that fits nothing leaves what was there.
    before = path.read_bytes()
    capsys.readouterr()
    assert sw.run.main([*arguments, "--wave-signals", "nothing*"]) == 2
    assert "fits none of" in capsys.readouterr().err
    assert path.read_bytes() == before and not list(tmp_path.glob(".separable-*"))


@pytest.mark.slow
def test_layer_in_cocotb(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.vcd"
    arguments = [str(model), *BOARD, "--layer", "0", "--wave", str(path)]
    signals = ["--wave-signals", "host.cycles", "--wave-signals", "host.busy"]
    assert sim.layer.main([*arguments, "--wave-window", "10..60", *signals]) == 0
    wave = Waveform(path)
    assert (wave.first, wave.end, len(wave.names)) == (10, 60, 2)
    assert [wave.at("host.cycles", cycle) for cycle in range(10, 60)] == [*range(10, 60)]
    assert wave.at("host.busy", 30) == 1
    capsys.readouterr()
