"""The cache of build results."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sim import cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEPARABLE_CACHE", str(tmp_path))
    return tmp_path


def entries(folder: Path) -> list[str]:
    return [path.name for path in (folder / "kind").iterdir() if path.suffix != ".lock"]


def test_directory(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    assert cache.directory() == folder
    monkeypatch.delenv("SEPARABLE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.directory() == Path("/xdg/separable")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.directory() == Path.home() / ".cache" / "separable"


def test_key_depends_on_every_part() -> None:
    keys = {cache.key(p) for p in (["ab", "c"], ["a", "bc"], ["abc"], ["c", "ab"], ["ab", b"d"])}
    assert len(keys) == 5
    assert cache.key(["ab", b"c"]) == cache.key([b"ab", "c"])


def test_made_once() -> None:
    calls = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("x")

    for _ in range(2):
        assert (cache.entry("kind", "name", make) / "file").read_text() == "x"
    assert len(calls) == 1


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
    found: list[str] = []
    if not locked:
        monkeypatch.setattr(cache, "fcntl", None)

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("x")
        # Without locks nobody is finished before everybody has begun.
        barrier.wait(10)

    def get() -> None:
        found.append((cache.entry("kind", "name", make) / "file").read_text())

    threads = [threading.Thread(target=get) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["x"] * 4
    assert len(calls) == (1 if locked else 4)
    assert entries(folder) == ["name"]
