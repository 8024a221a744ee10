"""The cache of build results."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cache_entries import FILES, entries, flip, get
from support.standin import StandIn

from common import cache
from common.errors import CacheError
from hw.contract.config import CoreConfig
from sim.board import verilate
from sim.board.simulated import SimulatedBoard
from sim.board.top import SimTop


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEPARABLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def entry(folder: Path) -> Path:
    """An entry that is there."""
    assert get() == (FILES, 1)
    return folder / "kind" / "name"


def test_directory(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    assert cache.directory() == folder
    monkeypatch.delenv("SEPARABLE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.directory() == Path("/xdg/separable")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.directory() == Path.home() / ".cache" / "separable"


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in containers whose user is a number."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("SEPARABLE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(CacheError, match=r"no home folder .* set SEPARABLE_CACHE"):
        get()


def test_key_depends_on_every_part() -> None:
    keys = {cache.key(p) for p in (["ab", "c"], ["a", "bc"], ["abc"], ["c", "ab"], ["ab", b"d"])}
    assert len(keys) == 5
    assert cache.key(["ab", b"c"]) == cache.key([b"ab", "c"])


def test_made_once(folder: Path) -> None:
    assert get() == (FILES, 1)
    assert get() == (FILES, 0)
    assert entries(folder) == ["name"]


def test_failure_leaves_nothing(folder: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.entry("kind", "name", make)
    assert entries(folder) == []


@pytest.mark.parametrize("locked", [True, False])
def test_parallel_makers(folder: Path, monkeypatch: pytest.MonkeyPatch, locked: bool) -> None:
    barrier = threading.Barrier(1 if locked else 4)
    calls: list[Path] = []
    found: list[dict[str, bytes]] = []
    if not locked:
        monkeypatch.setattr(cache, "fcntl", None)

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("x")
        # Without locks nobody is finished before everybody has begun.
        barrier.wait(10)

    threads = [
        threading.Thread(target=lambda: found.append(cache.entry("kind", "name", make)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"file": b"x"}] * 4
    assert len(calls) == (1 if locked else 4)
    assert entries(folder) == ["name"]


# -- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["library", "design", cache.CHECKSUMS])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_bits_that_flip(entry: Path, file: str, where: float) -> None:
    flip(entry / file, round(where * (8 * (entry / file).stat().st_size - 1)))
    assert get() == (FILES, 1)
    assert get() == (FILES, 0)


@pytest.mark.parametrize("file", ["library", "design", cache.CHECKSUMS])
@pytest.mark.parametrize("part", [0.0, 0.5])
def test_files_that_are_cut(entry: Path, file: str, part: float) -> None:
    path = entry / file
    os.truncate(path, int(part * path.stat().st_size))
    assert get() == (FILES, 1)
    assert get() == (FILES, 0)


def as_file(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_text("x")


def as_link(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.symlink_to("nowhere")


def with_pipe(entry: Path) -> None:
    (entry / "library").unlink()
    os.mkfifo(entry / "library")


def with_folder(entry: Path) -> None:
    (entry / "design").unlink()
    (entry / "design").mkdir()


def of_another_version(entry: Path) -> None:
    checksums = entry / cache.CHECKSUMS
    checksums.write_text(checksums.read_text().replace(cache.FORMAT, "separable cache entry 0"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "empty").unlink(),
        lambda entry: (entry / "library").rename(entry / "lybrary"),
        lambda entry: (entry / "more").write_text("x"),
        # As entries were before they had checksums.
        lambda entry: (entry / cache.CHECKSUMS).unlink(),
        of_another_version,
        as_file,
        as_link,
        with_pipe,
        with_folder,
        lambda entry: entry.chmod(0),
        lambda entry: (entry / "library").chmod(0),
    ],
)
def test_other_damage(
    entry: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    damage(entry)
    assert get()[0] == FILES
    assert get() == (FILES, 0)
    assert entries(entry.parent.parent) == ["name"]
    assert not caplog.records


def test_files_of_the_system_do_not_count(entry: Path) -> None:
    (entry / ".nfs0001").write_text("x")
    assert get() == (FILES, 0)


@pytest.mark.parametrize("locked", [True, False])
def test_damaged_under_two_readers(
    entry: Path, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """All get what was written, whoever makes it again."""
    if not locked:
        monkeypatch.setattr(cache, "fcntl", None)
    flip(entry / "library", 7)
    found: list[tuple[dict[str, bytes], int]] = []
    threads = [threading.Thread(target=lambda: found.append(get())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [files for files, _ in found] == [FILES] * 4
    if locked:
        assert sum(count for _, count in found) == 1
    assert get() == (FILES, 0)


# -- makers that were killed ---------------------------------------------------------------------


# -- folders that cannot be written to -----------------------------------------------------------


# -- the compiled library ------------------------------------------------------------------------

CONFIG = CoreConfig(memory_depth=1024)


@pytest.mark.slow
def test_a_damaged_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither used nor in the way of one that is in use; it is compiled again."""
    monkeypatch.undo()
    SimulatedBoard(CONFIG, core=StandIn(CONFIG)).close()
    top = SimTop(CONFIG, StandIn(CONFIG))
    size = {"memories": CONFIG.lanes, "depth": CONFIG.memory_depth}
    good = verilate.library(top, **size)[verilate.LIBRARY]
    (source,) = (
        path.parent
        for path in (cache.directory() / "library").glob("*/library.so")
        if path.read_bytes() == good
    )
    shutil.copytree(source, folder / "library" / source.name)
    monkeypatch.setenv("SEPARABLE_CACHE", str(folder))
    library = folder / "library" / source.name / "library.so"
    compiled = []

    def compile_design(into: Path, _: object, output: Path, __: object) -> None:
        compiled.append(into)
        output.write_bytes(good)

    monkeypatch.setattr(verilate, "verilog", lambda _: "")
    monkeypatch.setattr(verilate, "translate", lambda *_, **__: None)
    monkeypatch.setattr(verilate, "_name_memories", lambda *_: None)
    monkeypatch.setattr(verilate, "compile_design", compile_design)
    with SimulatedBoard(CONFIG, core=StandIn(CONFIG)) as board:
        expected = board.cycle
        os.truncate(library, 0)
        board.run(1000)
        board.write_flash(0, b"x")
    assert not compiled
    for data in (b"", good[: len(good) // 2]):
        library.write_bytes(data)
        with SimulatedBoard(CONFIG, core=StandIn(CONFIG)) as board:
            assert board.cycle == expected
        assert library.read_bytes() == good
    assert len(compiled) == 2


def test_tools_are_kept_where_it_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A read-only home: SEPARABLE_CACHE is all that has to be set, and said to be."""
    name = "YOWASP_CACHE_DIR"
    monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert name not in cache.yowasp_environment()
    access = os.access

    def read_only(path: os.PathLike[str], mode: int) -> bool:
        return str(path) not in forbidden and access(path, mode)

    (tmp_path / "home").mkdir()
    (tmp_path / "cache").mkdir(exist_ok=True)
    forbidden = {str(tmp_path / "home")}
    monkeypatch.setattr(os, "access", read_only)
    assert cache.yowasp_environment()[name] == str(tmp_path / "cache" / "yowasp")
    forbidden.add(str(tmp_path / "cache"))
    with pytest.raises(CacheError, match="set SEPARABLE_CACHE to another folder"):
        cache.yowasp_environment()
    monkeypatch.setenv(name, "somewhere")
    assert cache.yowasp_environment()[name] == "somewhere"


def test_a_folder_that_cannot_be_written_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEPARABLE_CACHE", str(tmp_path / "file"))
    found = cache.entry("kind", "name", lambda folder: (folder / "x").write_text("y") and None)
    assert found == {"x": b"y"}
    assert "SEPARABLE_CACHE names another folder" in caplog.text
