"""``sw.run``, ``sw.stream`` and ``sw.bench`` take what ``sw.compile --output`` wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command import BOARD
from support.networks import TINY_SHAPE, tiny_model
from support.plans import load_program, save_program

import boards
import sim.layer
from sw import compile as compile_tool
from sw import golden, importer, run
from sw.bench.__main__ import main as bench
from sw.compiler.timing import predict
from sw.driver.simulation import SimTransport
from sw.stream.__main__ import main as stream


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "small.tflite").write_bytes(tiny_model())
    target = folder / "small.prog"
    assert compile_tool.main([str(folder / "small.tflite"), *BOARD, "--output", str(target)]) == 0
    return target.read_bytes()


@pytest.fixture
def program(compiled: bytes, tmp_path: Path) -> Path:
    """Return a program whose name looks like an input's: it is recognised by its contents."""
    path = tmp_path / "program.png"
    path.write_bytes(compiled)
    return path


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    x = np.random.default_rng(1).integers(-128, 128, TINY_SHAPE).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    return tmp_path / "x.npy"


@pytest.mark.parametrize("backend", ["sim", "golden"])
def test_run_verifies_it(program: Path, frame: Path, tmp_path: Path, backend: str) -> None:
    target = tmp_path / "report.json"
    arguments = [str(program), str(frame), *BOARD, "--backend", backend, "--json", str(target)]
    assert run.main([*arguments, "--verify"]) == 0
    data = json.loads(target.read_text())
    graph = importer.loads(tiny_model())
    expected = golden.run(graph, np.load(frame))[graph.outputs[0]].ravel().tolist()
    assert data["model"] == "small" and data["results"][0]["output"] == expected
    device = backend == "sim"
    assert data["cycles"] == (sum(predict(load_program(program))) if device else None)
    for layer in data["layers"]:
        assert layer["exact"] is (True if device else None)
        assert layer["proven"] is (True if device else None)


@pytest.mark.slow
def test_without_verify_nothing_is_called_exact(
    program: Path, frame: Path, tmp_path: Path
) -> None:
    target = tmp_path / "report.json"
    assert run.main([str(program), str(frame), *BOARD, "--json", str(target)]) == 0
    data = json.loads(target.read_text())
    assert all(layer["exact"] is None and layer["proven"] for layer in data["layers"])
    assert data["results"][0]["exact"] is None


def test_differences_are_found(
    program: Path, frame: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = SimTransport.write_memory

    def wrong(self: SimTransport, address: int, data: Any, *rest: Any) -> Any:
        return right(self, address, data ^ 1, *rest)

    monkeypatch.setattr(SimTransport, "write_memory", wrong)
    assert run.main([str(program), str(frame), *BOARD, "--verify"]) == 1
    assert "the golden model's" in capsys.readouterr().err


@pytest.mark.slow
def test_stream_runs_it(
    program: Path, frame: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*BOARD, "--verify", "--json-lines"]
    assert stream([str(program), str(frame), *options]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["exact"] is True


def test_stream_takes_it_for_the_network_not_the_source(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stream([str(program), *BOARD]) == 2
    assert "SOURCE is missing: network 'small'" in capsys.readouterr().err


def test_bench_measures_it(program: Path, tmp_path: Path) -> None:
    target = tmp_path / "bench.json"
    assert bench([str(program), *BOARD, "--json", str(target)]) == 0
    (result,) = json.loads(target.read_text())["networks"]
    assert result["model"] == "small" and result["source"] == "counters"
    assert result["cycles"] == sum(predict(load_program(program)))


def error_of(capsys: pytest.CaptureFixture[str], path: Path) -> str:
    """Return the error: one line that names the file and says what to do."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"error: {path}: "), lines
    return lines[0]


TOOLS: dict[str, Callable[[list[str]], int]] = {"run": run.main, "stream": stream, "bench": bench}


@pytest.mark.parametrize("tool", TOOLS)
def test_programs_for_something_else(
    tool: str, program: Path, frame: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(program), *([] if tool == "bench" else [str(frame)]), *BOARD]

    def refused(*more: str) -> str:
        assert TOOLS[tool]([*arguments, *more]) == 2
        return error_of(capsys, program)

    assert "--drop-constant-channels would change nothing" in refused("--drop-constant-channels")
    assert "--compact-input would" in refused("--compact-input")
    both = refused("--drop-constant-channels", "--no-compact-input")
    assert "--drop-constant-channels and --no-compact-input would" in both

    original = load_program(program)
    board = boards.get("icebreaker")
    for changed, message in (
        (replace(original, board="icebrea\x1b[31mker2"), "for board 'icebrea"),
        (replace(original, config=replace(board.config, core_mhz=12)), "core_mhz 12.0, and"),
        (replace(original, config=replace(board.config, acc_bits=23)), "acc_bits 23, and"),
        (replace(original, flash_address=0x80000), "flash address 0x80000, and"),
    ):
        save_program(changed, program)
        error = refused()
        assert message in error and "compile the network again with --board icebreaker" in error
        assert "\x1b" not in error

    data = bytearray(program.read_bytes())
    data[-100] ^= 1
    program.write_bytes(data)
    assert "damaged" in refused() and "sw.compile" in refused()
    program.write_bytes(data.replace(b"program ", b"program 9", 1))
    assert "another version" in refused()


def test_tools_that_compile(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for main in (compile_tool.main, sim.layer.main):
        assert main([str(program), *BOARD]) == 2
        assert "a compiled program" in error_of(capsys, program)
