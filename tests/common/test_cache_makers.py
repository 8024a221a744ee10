"""The cache of build results: makers that were killed, and folders that cannot be written to."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.cache_entries import FILES, entries, flip, get

from common import cache
from common.errors import CacheError
from sim.board import verilate
from sim.errors import BuildError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEPARABLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


MAKER = """
import sys, time
from pathlib import Path
from common import cache

def make(folder):
    (folder / "half").write_text("x")
    print("begun", flush=True)
    time.sleep(60)

cache.entry("kind", sys.argv[1], make)
"""


def begin(name: str) -> subprocess.Popen[str]:
    """Return a process in the middle of making an entry."""
    maker = subprocess.Popen(
        [sys.executable, "-c", MAKER, name], stdout=subprocess.PIPE, text=True
    )
    assert maker.stdout is not None and maker.stdout.readline() == "begun\n"
    return maker


def kill(maker: subprocess.Popen[str]) -> None:
    maker.kill()
    maker.communicate()


@pytest.mark.parametrize("name", ["name", "another"])
def test_what_killed_makers_leave_is_deleted(folder: Path, name: str) -> None:
    kill(begin(name))
    (left,) = (path for path in (folder / "kind").iterdir() if path.is_dir())
    assert (left / "half").exists()
    assert get() == (FILES, 1)
    assert entries(folder) == ["name"]


def test_makers_that_live_are_left_alone(folder: Path) -> None:
    maker = begin("another")
    try:
        before = entries(folder)
        assert len(before) == 2
        assert get() == (FILES, 1)
        assert entries(folder) == [*before, "name"]
    finally:
        kill(maker)


def test_who_waits_for_a_maker_that_is_killed(folder: Path) -> None:
    maker = begin("name")
    found: list[tuple[dict[str, bytes], int]] = []
    waiting = threading.Thread(target=lambda: found.append(get()))
    waiting.start()
    time.sleep(0.2)
    assert not found
    kill(maker)
    waiting.join(10)
    assert found == [(FILES, 1)]
    assert entries(folder) == ["name"]


def test_a_lock_is_deleted_while_it_is_waited_for(folder: Path) -> None:
    """The next one has another file, which counts."""
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(30):
            with cache.exclusive(folder / "kind" / "name"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert entries(folder) == []


def test_a_folder_that_cannot_be_made(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.write_text("a file")
    for _ in range(2):
        assert get() == (FILES, 1)
        assert "name cannot be kept (" in caplog.messages[-1]
    assert folder.read_text() == "a file"


READER = """
import os, sys
from common import cache
os.setuid(65534)
calls = []

def make(folder):
    calls.append(folder)
    (folder / "file").write_text("new")

found = cache.entry("kind", sys.argv[1], make)
print(found["file"].decode(), len(calls), calls[0].exists() if calls else "")
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="gives up root's rights")
def test_folders_of_others(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is there is used; what is not, or damaged, is made elsewhere, and deleted."""
    for name in ("good", "bad"):
        cache.entry("kind", name, lambda into: (into / "file").write_text("old") and None)
    flip(folder / "kind" / "bad" / "file", 0)
    # pytest's own folders are their owner's alone, as many as there are.
    for path in (folder, *folder.parents):
        if path.stat().st_mode & 0o005 != 0o005:
            path.chmod(path.stat().st_mode | 0o555)
    for name, expected in (("good", "old 0"), ("bad", "new 1 False"), ("none", "new 1 False")):
        done = subprocess.run(
            [sys.executable, "-c", READER, name], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
        assert ("Permission denied): it is made anew" in done.stderr) == (expected != "old 0")
    assert entries(folder) == ["bad", "good"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk")
def test_a_full_disk_while_it_is_made(folder: Path) -> None:
    def make(_: Path) -> None:
        Path("/dev/full").write_text("x")

    with pytest.raises(CacheError, match=r"kind/name\.\w+ cannot be filled \(No space left"):
        cache.entry("kind", "name", make)
    assert entries(folder) == []


def test_a_full_disk_at_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was made is used all the same."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    assert get() == (FILES, 1)
    assert "No space left" in caplog.text
    assert entries(folder) == []


def test_a_tool_that_fails_on_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is what is said; its log cannot be kept."""
    folder.write_text("a file")
    script = "import sys; sys.exit('ld: final link failed: No space left on device')"
    with pytest.raises(BuildError, match=r"ld failed: ld: final .* No space left on device$"):
        verilate._run([sys.executable, "-c", script], "ld")
