"""Files that tools write: whole, or what was there before."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.float_networks import random_images, random_weights
from support.networks import TINY_SHAPE, tiny_model
from support.places import REPOSITORY

import sim.pty
from common import tool
from common.errors import SeparableError
from common.files import appearing, write_bytes, write_text
from hw import build
from hw.flow.report import BuildResult
from sw import compile as compile_tool
from sw import models, run
from sw.bench import chart
from sw.bench.__main__ import main as bench
from sw.explore import __main__ as explore
from sw.networks.architecture import mobilenet_v1
from sw.quantize import weights
from sw.quantize.__main__ import main as quantize

BOARD = ["--board", "icebreaker"]
OLD = b"what was there before\n"


@contextmanager
def full_disk(size: int = 8) -> Iterator[None]:
    """Let files grow to so many bytes only."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new", b"abc")
    assert (tmp_path / "new").read_bytes() == b"abc"
    write_text(tmp_path / "new", "α\n")
    assert (tmp_path / "new").read_text("utf-8") == "α\n"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_what_others_write_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "wave.vcd"
    target.write_bytes(OLD)
    with pytest.raises(ZeroDivisionError), appearing(target) as partial:
        partial.write_bytes(b"half")
        raise ZeroDivisionError
    assert target.read_bytes() == OLD and list(tmp_path.iterdir()) == [target]
    with appearing(target) as partial:
        partial.write_bytes(b"all")
        assert target.read_bytes() == OLD and partial.parent == tmp_path
    assert target.read_bytes() == b"all" and list(tmp_path.iterdir()) == [target]
    os.mkfifo(tmp_path / "pipe")
    for path, reason in ((tmp_path / "pipe", "it is no file"), (tmp_path / "no" / "x", "No such")):
        with pytest.raises(SeparableError, match=reason), appearing(path) as partial:
            partial.write_bytes(b"")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "old"
    target.write_bytes(OLD)
    for path in (target, tmp_path / "new"):
        with full_disk(1000), pytest.raises(SeparableError, match=f"{path}: cannot be written"):
            write_bytes(path, bytes(5000))
    assert target.read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "new", b"abc")
    assert not list(tmp_path.iterdir())


def test_permissions(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_bytes(OLD)
    old.chmod(0o640)
    mask = os.umask(0o027)
    try:
        for path in (new, old):
            write_bytes(path, b"abc")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    old.chmod(0o777)
    write_bytes(old, b"x")
    assert stat.S_IMODE(old.stat().st_mode) == 0o777


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_is_not_to_be_written_is_not(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(OLD)
    (tmp_path / "old").chmod(0o444)
    with pytest.raises(SeparableError, match="Permission denied"):
        write_bytes(tmp_path / "old", b"abc")
    assert (tmp_path / "old").read_bytes() == OLD


def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link, dangling = tmp_path / "folder" / "target", tmp_path / "a", tmp_path / "b"
    target.write_bytes(OLD)
    link.symlink_to("folder/target")
    dangling.symlink_to("folder/new")
    for path in (link, dangling):
        write_bytes(path, b"abc")
        assert path.is_symlink() and path.read_bytes() == b"abc"
    assert target.read_bytes() == b"abc" and not target.is_symlink()
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["new", "target"]


@pytest.mark.parametrize(("path", "reason"), [
    ("missing/file", "No such file or directory"), ("folder", "Is a directory"),
    ("file/file", "Not a directory"), ("n" * 300, "File name too long"), ("loop", "symbolic"),
])
def test_what_cannot_be_written_is_named(path: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SeparableError) as error:
        write_bytes(tmp_path / path, b"abc")
    assert str(error.value).startswith(f"{tmp_path / path}: cannot be written")
    assert reason in str(error.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder", "loop"]


def test_names_may_be_long(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("n" * 255), b"abc")


def test_pipes_and_devices_are_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_bytes(pipe, b"abc")
    reader.join()
    assert got == [b"abc"] and stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(SeparableError, match="/dev/full: cannot be written"):
        write_bytes("/dev/full", b"abc")
    write_bytes("/dev/null", b"abc")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_standard_output_keeps_what_was_printed(tmp_path: Path) -> None:
    code = ("from common.files import write_text; "
            "print('first'); write_text('/dev/stdout', 'second\\n')")
    target = tmp_path / "out"
    with target.open("wb") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True, cwd=REPOSITORY)
    assert target.read_text() == "first\nsecond\n"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, cwd=REPOSITORY
    )
    assert done.stdout == b"first\nsecond\n"


Tool = Callable[[str], int]
"""Writes a file of this name; returns the exit code."""


def _tools(folder: Path) -> dict[str, Tool]:
    """Return every tool that writes files, as cheap as it can be."""
    model = str(folder / "small.tflite")
    Path(model).write_bytes(tiny_model())
    np.save(folder / "x.npy", np.zeros(TINY_SHAPE, np.int8))
    net = mobilenet_v1(0.25, 32, classes=10, channels=1, name="small")
    weights.save(folder / "w.npz", random_weights(net))
    np.savez(folder / "images.npz", images=random_images(net, 4))
    golden = [model, str(folder / "x.npy"), *BOARD, "--backend", "golden"]
    sweep = ["--alphas", "0.25", "--sizes", "128", "--jobs", "1", *BOARD]
    shape = ["--alpha", "0.25", "--resolution", "32", "--classes", "10", "--channels", "1"]
    images = ["--images", str(folder / "images.npz")]
    built = BuildResult(board="icebreaker", seed=1, utilization={})
    return {
        "compile --output": lambda name: compile_tool.main([model, *BOARD, "--output", name]),
        "compile --json": lambda name: compile_tool.main([model, *BOARD, "--json", name]),
        "run --json": lambda name: run.main([*golden, "--json", name]),
        "bench --json": lambda name: bench([model, "--model", *BOARD, "--json", name]),
        "explore --csv": lambda name: explore.main([*sweep, "--csv", name]),
        "explore --json": lambda name: explore.main([*sweep, "--json", name]),
        "explore --plot": lambda name: explore.main([*sweep, "--plot", name]),
        "models --json": lambda name: models.main(["list", "--json", name]),
        "quantize --output": lambda name: quantize(
            [str(folder / "w.npz"), "--network", "v1", *shape, *images, "--output", name]),
        "chart": tool.command(lambda _: chart._save(Figure(), Path(str(_))) or 0),
        "build --json": tool.command(lambda _: build._show(built, str(_)) or 0),
        "weights": tool.command(lambda _: weights.save(str(_), random_weights(net)) or 0),
    }


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tool]:
    return _tools(tmp_path_factory.mktemp("tools"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    "compile --output", "compile --json", "run --json", "bench --json", "explore --csv",
    "explore --json", "explore --plot", "models --json", "quantize --output", "chart",
    "build --json", "weights",
])
def test_tools_on_a_full_disk(
    name: str, tools: dict[str, Tool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "target.svg"
    target.write_bytes(OLD)
    with full_disk():
        assert tools[name](str(target)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {target}: cannot be written (File too large)"
    assert target.read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["target.svg"]


def test_the_flash_of_a_simulated_board(tmp_path: Path) -> None:
    class Board:
        flash_size = 1 << 24

        def read_flash(self, address: int, size: int) -> bytes:
            return b"abc" + b"\xff" * (size - 3)

    sim.pty._store_flash(Board(), tmp_path / "flash")    # type: ignore[arg-type]
    assert (tmp_path / "flash").read_bytes() == b"abc"
    with full_disk(1), pytest.raises(SeparableError, match="flash: cannot be written"):
        sim.pty._store_flash(Board(), tmp_path / "flash")    # type: ignore[arg-type]
    assert (tmp_path / "flash").read_bytes() == b"abc"


@pytest.mark.parametrize("arguments", [["sw.models", "list"], ["sw.run", *BOARD, "--images", "1",
                                                               "--backend", "golden"]])
def test_standard_output_on_a_full_disk(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
            cwd=REPOSITORY,
        )
    assert done.stderr == "error: standard output: No space left on device\n"
    assert done.returncode == 2
