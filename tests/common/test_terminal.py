"""Names that come from others are no commands for the terminal, and no encoding stops a tool."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table
from support.command import BOARD
from support.networks import TINY_SHAPE, tiny_model
from support.places import REPOSITORY

import sim.pty
from common import tool
from common.terminal import Screen, printable
from sw import compile as compile_tool
from sw import report, run
from sw.bench.__main__ import main as bench
from sw.stream.__main__ import main as stream

# Clears the screen, turns the direction of writing, a C1 command, sets the title, ends the line.
EVIL = "e\x1b[2Jv\u202ei\x9b31ml\x1b]0;t\x07\n\r\b\x00\x7f\u2028\u2066error: no"
FILE = EVIL.replace("\x00", "")


def check(text: str) -> None:
    """Check that text is lines of what a terminal shows and nothing else."""
    assert "\ufffd" in text
    assert all(line.isprintable() for line in text.split("\n")), text.encode("unicode_escape")
    assert not any(line.startswith("error: no") for line in text.split("\n"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / f"{FILE}.tflite"
    path.write_bytes(tiny_model())
    return path


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    np.save(tmp_path / "x", np.zeros(TINY_SHAPE, np.int8))
    (tmp_path / "x.npy").rename(tmp_path / f"x{FILE}.npy")
    return tmp_path / f"x{FILE}.npy"


def test_printable() -> None:
    assert printable("naïve 猫 ½ – £") == "naïve 猫 ½ – £"
    check(printable(EVIL))
    assert len(printable(EVIL)) == len(EVIL)
    assert printable("caf\udce9") == "caf\ufffd"


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    tool.complain(EVIL)
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and text.startswith("error: e\ufffd[2Jv")
    check(text)


def test_tables_and_texts() -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=300)
    layer = report.LayerReport(name=EVIL, op=EVIL, macs=1, cycles=1, utilization=1.0)
    screen.print(report.layer_table([layer], title=printable(EVIL), multipliers=16))
    table = Table("name")
    table.add_row(EVIL.replace("\n", ""))
    screen.print(table)
    screen.print(printable(EVIL))
    check(file.getvalue())


@pytest.mark.parametrize("tool", ["run", "compile", "bench", "stream"])
def test_tools(
    tool: str, model: Path, frame: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels"
    labels.write_text("\n".join([EVIL.split("\n")[0]] * 4))
    target = tmp_path / "report.json"
    code = {
        "run": lambda: run.main([str(model), str(frame), *BOARD, "--backend", "golden", "--labels",
                                 str(labels), "--json", str(target)]),
        "compile": lambda: compile_tool.main([str(model), *BOARD, "--json", str(target)]),
        "bench": lambda: bench([str(model), "--model", "--layers", *BOARD, "--json", str(target)]),
        "stream": lambda: stream([str(model), str(frame), *BOARD, "--backend", "golden",
                                  "--labels", str(labels)]),
    }[tool]()
    assert code == 0
    captured = capsys.readouterr()
    assert not captured.err
    check(captured.out)
    if tool != "stream":
        # JSON has it as it is.
        data = json.loads(target.read_text())
        assert (data["networks"][0] if tool == "bench" else data)["model"] == FILE
        if tool == "run":
            assert data["results"][0]["input"] == str(frame)


@pytest.mark.parametrize("main", [run.main, compile_tool.main, bench, stream, sim.pty.main])
def test_errors_that_name_files(main: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(main)
    name = f"missing/{FILE}.tflite"
    arguments = [name, *BOARD]
    if main is sim.pty.main:
        arguments = ["--board", EVIL]
    elif main in (run.main, stream):
        arguments.insert(1, "x.npy")
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    assert code == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ") and text.count("\n") == 1
    assert all(char.isprintable() for char in text[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("tool", ["sw.run", "sw.compile", "sw.stream", "missing"])
def test_any_encoding(encoding: str, tool: str, tmp_path: Path) -> None:
    model = os.fsencode(tmp_path) + b"/caf\xe9 \xe7\x8c\xab \xc2\x9b.tflite"
    frame = os.fsencode(tmp_path) + b"/\xff.npy"
    with open(model, "wb") as file:
        file.write(tiny_model())
    with open(frame, "wb") as file:
        np.save(file, np.zeros(TINY_SHAPE, np.int8))
    inputs = [] if tool == "sw.compile" else [frame, b"--backend", b"golden"]
    if tool == "missing":
        tool, model = "sw.run", model + b"x"
    done = subprocess.run(
        [sys.executable, "-m", tool, model, *inputs, *BOARD], capture_output=True, cwd=REPOSITORY,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    missing = model.endswith(b"x")
    assert done.returncode == (2 if missing else 0), done.stderr
    output = done.stderr if missing else done.stdout
    assert b"Traceback" not in done.stderr and output.count(b"\n") >= 1
    assert b"\xe9" not in output and b"\xc2\x9b" not in output
    if not missing:
        assert not done.stderr
