"""What people give by mistake is refused in one line, before any work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.places import REPOSITORY

import hw.build
import sim.layer
import sim.pty
import sw.compile
import sw.models
import sw.run
from common.errors import ModelFormatError
from hw.selftest.__main__ import main as selftest
from sw import importer
from sw.bench.__main__ import default_models
from sw.bench.__main__ import main as bench
from sw.explore.__main__ import main as explore
from sw.fuzz.__main__ import main as fuzz
from sw.networks.shipped import default_model
from sw.quantize.__main__ import main as quantize
from sw.stream.__main__ import main as stream
from sw.training.train import main as train

BOARD = ["--board", "icebreaker"]
GOLDEN = [*BOARD, "--backend", "golden"]

Main = Callable[[list[str]], int]

DOORS: list[Main] = [
    hw.build.main, sw.run.main, sw.compile.main, stream, bench, explore, quantize, fuzz,
    sw.models.main, sim.layer.main, sim.pty.main, selftest,
]  # fmt: skip


def refused(main: Main, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that is all that a command says."""
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@pytest.mark.parametrize("main", DOORS)
@pytest.mark.parametrize("empty", ["", "--json="])
def test_empty_arguments(main: Main, empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A variable of a script that is not set would mean a default, and another network's answer."""
    assert refused(main, [empty, *BOARD], capsys).startswith("an argument is empty")


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(shutil.copy(default_model(), tmp_path / "m.tflite"))


@pytest.mark.parametrize("option", ["--output", "--json"])
def test_outputs_that_are_inputs(
    option: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(model).read_bytes()
    link = tmp_path / "link"
    link.symlink_to(model)
    for name in (model, str(link)):
        line = refused(sw.compile.main, [model, *BOARD, option, name], capsys)
        assert line == f"{name}: cannot be written, {model!r} is read; use another name"
    assert Path(model).read_bytes() == before


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (sw.run.main, ["MODEL", *GOLDEN, "--json", "MODEL"]),
        (sim.layer.main, ["MODEL", *BOARD, "--json", "MODEL"]),
        (bench, ["MODEL", *BOARD, "--model", "--json", "MODEL"]),
        (bench, ["MODEL", *BOARD, "--model", "--chart", "MODEL"]),
        (quantize, ["MODEL", "--network", "v1", "--images", "X", "--output", "MODEL"]),
    ],
)
def test_inputs_of_others(
    main: Main, arguments: list[str], model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(main, [model if word == "MODEL" else word for word in arguments], capsys)
    assert f"{model!r} is read" in line


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (sw.run.main, [*GOLDEN, "--json"]),
        (sw.compile.main, [*BOARD, "--json"]),
        (sw.compile.main, [*BOARD, "--output"]),
        (bench, [*BOARD, "--model", "--json"]),
        (explore, [*BOARD, "--csv"]),
        (explore, [*BOARD, "--plot"]),
        (sw.models.main, ["list", "--json"]),
        (sim.layer.main, [*BOARD, "--json"]),
        (fuzz, ["--json"]),
        (hw.build.main, [*BOARD, "--json"]),
        (sim.pty.main, ["--flash"]),
        (train, ["v1", "--data", "X", "--output"]),
        (quantize, ["X", "--network", "v1", "--images", "X", "--output"]),
    ],
)
def test_outputs_that_cannot_be(
    main: Main, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said before the work, not after it."""
    line = refused(main, [*arguments, str(tmp_path / "no" / "file.svg")], capsys)
    assert line.endswith("no/file.svg: cannot be written, its folder is missing; make it first")
    line = refused(main, [*arguments, str(tmp_path)], capsys)
    assert line.endswith("cannot be written, it is a folder; name a file in it")


def test_outputs_that_are_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) not in forbidden
                        and access(path, mode))
    name = tmp_path / "report.json"
    forbidden = {str(tmp_path)}
    line = refused(sw.compile.main, [*BOARD, "--json", str(name)], capsys)
    assert line == f"{name}: cannot be written, it or its folder is read-only"
    line = refused(fuzz, ["--keep", str(tmp_path / "a" / "b")], capsys)
    assert line.endswith(f"cannot be written, {tmp_path} is no writable folder")
    name.write_text("old")
    forbidden = {str(name)}
    refused(sw.compile.main, [*BOARD, "--json", str(name)], capsys)
    assert name.read_text() == "old"


def test_pictures_are_checked_before_anything_is_measured(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sw.bench.__main__._all", None)
    monkeypatch.setattr("sw.explore.__main__.sweep", None)
    line = refused(bench, [model, *BOARD, "--model", "--chart", "x.svg"], capsys)
    assert "name vww_96_int8.tflite as well" in line
    vww = shutil.copy(model, Path(model).parent / "vww_96_int8.tflite")
    assert "as .svg or .png" in refused(bench, [str(vww), *BOARD, "--chart", "x.pdf"], capsys)
    odd = [*BOARD, "--alphas", "0.3", "--plot", "x.svg"]
    assert "no accuracy was published" in refused(explore, odd, capsys)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install" in refused(bench, [str(vww), *BOARD, "--chart", "x.svg"], capsys)
    assert "pip install" in refused(explore, [*BOARD, "--plot", "x.svg"], capsys)


def test_one_output_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(tmp_path / "file")
    line = refused(sw.compile.main, [*BOARD, "--output", name, "--json", name], capsys)
    assert line == f"{name}: cannot be written, {name!r} is written; use another name"
    assert not os.path.exists(name)


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (bench, [*BOARD, "--seed", "-1"], "--seed must not be negative, not -1"),
        (hw.build.main, [*BOARD, "--seed", "-1"], "seeds must be 0 to"),
        (hw.build.main, [*BOARD, "--seed", "9999999999"], "seeds must be 0 to"),
        (hw.build.main, [*BOARD, "--output", "/dev/null"], "/dev/null: is not a folder"),
        (explore, [*BOARD, "--sizes", "100000"], "more than 16,777,216 values"),
        (explore, [*BOARD, "--classes", "100000000"], "more than 16,777,216 values"),
    ],
)
def test_numbers_out_of_range(
    main: Main, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(main, arguments, capsys)


def test_a_folder_of_networks_that_is_empty_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the shell, that is as good as not set."""
    expected = default_models()
    monkeypatch.setenv("SEPARABLE_MODELS", "")
    assert default_models() == expected


@pytest.mark.parametrize("name", ["lfs.tflite", "other", "x.npy", "x.dat", "x.png"])
def test_pointers_of_git_lfs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is counts, not what it is called."""
    path = tmp_path / name
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    for main, arguments in ((sw.compile.main, BOARD), (sw.run.main, GOLDEN)):
        line = refused(main, [str(path), *arguments], capsys)
        assert line.startswith(f"{path}: is a pointer of Git LFS")


def test_errors_of_a_model_name_its_file(tmp_path: Path) -> None:
    path = tmp_path / "lfs.bin"
    path.write_text("neither")
    with pytest.raises(ModelFormatError, match=r"lfs\.bin: this is not a TensorFlow Lite model"):
        importer.load(path)


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["0", "1", "2", "012"])
def test_closed_standard_streams(closed: str) -> None:
    redirections = " ".join({"0": "<&-", "1": ">&-", "2": "2>&-"}[number] for number in closed)
    line = f"exec '{sys.executable}' -m sw.run {' '.join(GOLDEN)} {redirections}"
    done = subprocess.run(["sh", "-c", line], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("line", [
    ["sw.compile", *BOARD], ["sw.models", "list"], ["sw.run", "--help"],
    *(pytest.param(line, marks=pytest.mark.slow) for line in (
        ["sw.run", *GOLDEN], ["sw.bench", *BOARD, "--model"], ["sw.figures", "--text"],
        ["sw.survey", "sw/networks/data", "--no-judge", "--no-core"],
        ["sw.explore", *BOARD, "--alphas", "0.25", "--sizes", "96"],
        ["sim.layer", *BOARD, "--layer", "2"], ["sw.fuzz", "mutants", "--count", "2"],
    )),
], ids=lambda line: line[0])
def test_a_reader_that_has_seen_enough(line: list[str]) -> None:
    """No traceback, and not the exit code of a difference."""
    process = subprocess.Popen(
        [sys.executable, "-m", *line], cwd=REPOSITORY, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    # Of what fits into a buffer nobody knows whether it is read.
    assert process.wait(60) in (0, 2)
    process.stderr.close()
