"""Ctrl-C at any moment of any command: exit code 130, one line at most, nothing left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.places import REPOSITORY

from common import door

ROOT = REPOSITORY
LONG = 120
"""Seconds that something may take on a busy computer."""

HOOK = """
import os, signal, sys

moment = os.environ.pop("INTERRUPT_AT", None)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            os.kill(os.getpid(), signal.SIGINT)

if moment:
    sys.meta_path.insert(0, Finder())
"""
"""Presses Ctrl-C when a module is about to be imported."""


def doors() -> list[str]:
    """Return all commands, each by its module."""
    found = []
    for folder in ("hw", "sim", "sw"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if '__name__ == "__main__"' in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                found.append(".".join(part for part in parts if part != "__main__"))
    return found


def begin(module: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Begin a command in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=ROOT, env={**os.environ, **environment}, start_new_session=True,
        # What a shell begins in the background ignores Ctrl-C, and so would what it begins.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def members(session: int) -> list[int]:
    """Return the processes of a session that are alive, but for its first one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != session:
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(status[3]) == session and status[0] not in "ZX":
                found.append(int(entry.name))
    return found


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + LONG
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def check_end(process: subprocess.Popen[str], code: int = 130) -> None:
    """Check that a command ends as it should."""
    try:
        output, errors = process.communicate(timeout=LONG)
        assert process.returncode == code, errors
        assert output == ""
        assert errors in ("", "error: interrupted\n")
        wait_for(lambda: not members(process.pid))
    finally:
        for pid in (process.pid, *members(process.pid)):
            if process.poll() is None or pid != process.pid:
                os.kill(pid, signal.SIGKILL)


def test_all_commands_end_in_one_place() -> None:
    modules = doors()
    assert {"hw.build", "sw.run", "sw.stream", "sim.layer"} <= set(modules)
    for module in modules:
        path = ROOT / module.replace(".", "/")
        file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert re.search(
            r'^if __name__ == "__main__":\n    door\.run\(main\)\n\Z',
            file.read_text(encoding="utf-8"), re.MULTILINE,
        ), module  # fmt: skip


@pytest.mark.parametrize("module", [module for module in doors() if "networks" not in module])
@pytest.mark.parametrize("moment", ["argparse", "rich.console"])
def test_while_libraries_are_imported(module: str, moment: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    check_end(begin(module, PYTHONPATH=str(tmp_path), INTERRUPT_AT=moment))


@pytest.mark.parametrize("moment", ["argparse", "rich.console", "sw.compile", "numpy"])
def test_while_the_command_looks_for_its_door(moment: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    check_end(begin("separable", "compile", PYTHONPATH=str(tmp_path), INTERRUPT_AT=moment))


def test_while_main_imports(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    output = tmp_path / "output"
    check_end(
        begin(
            "hw.build", "--board", "icebreaker", "--output", str(output),
            PYTHONPATH=str(tmp_path), INTERRUPT_AT="hw.core",
        )
    )  # fmt: skip
    assert not output.exists()


linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


@pytest.mark.slow
@linux
@pytest.mark.parametrize(("everybody", "number"), [
    (True, signal.SIGINT), (False, signal.SIGINT), (False, signal.SIGTERM),
])
@pytest.mark.parametrize(
    "line",
    [
        ["hw.build", "--board", "icebreaker", "--output", "OUTPUT"],
        ["sw.run", "--board", "icebreaker", "--json", "OUTPUT"],
        ["sim.layer", "--board", "icebreaker", "--json", "OUTPUT"],
        ["sw.explore", "--board", "icebreaker", "--jobs", "2", "--csv", "OUTPUT"],
        ["sw.fuzz", "--jobs", "2", "--json", "REPORT"],
    ],
    ids=lambda line: line[0],
)
def test_while_others_work_for_it(
    line: list[str], everybody: bool, number: int, tmp_path: Path
) -> None:
    """A terminal sends the signal to its whole group, others to the command alone."""
    folder = tmp_path / "folder"
    folder.mkdir()
    # A campaign that was interrupted says what it has done so far.
    places = {"OUTPUT": str(folder / "output"), "REPORT": str(tmp_path / "report")}
    process = begin(
        *(places.get(word, word) for word in line),
        SEPARABLE_CACHE=str(tmp_path / "cache"),
    )
    wait_for(lambda: process.poll() is not None or members(process.pid))
    # Tools and workers are in the middle of their own imports, or behind them.
    time.sleep(0.1 if everybody else 1)
    (os.killpg if everybody else os.kill)(process.pid, number)
    check_end(process, 128 + number)
    assert not list(folder.iterdir())
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


TOOL = """
import sys
from common import door, process

def main():
    print("begun", flush=True)
    process.run(["sh", "-c", "sleep 60 & wait"])

door.run(main)
"""

WORKERS = """
from common import door, parallel, process

def main():
    print("begun", flush=True)
    for _ in parallel.parallel(process.run, [["sh", "-c", "sleep 60 & wait"]] * 2, jobs=2):
        pass

door.run(main)
"""

WARNS = """
import signal, warnings
from common import door

class Unused:
    def __del__(self):
        warnings.warn("created, but never used")

def main():
    unused = Unused()
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        del unused
        raise

door.run(main)
"""

LOST = """
import signal, time
from common import door

class Thing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def main():
    thing = Thing()
    del thing
    time.sleep(60)

door.run(main)
"""


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("code", "begun"), [(TOOL, 2), (WORKERS, 7)], ids=["tool", "workers"])
def test_what_tools_begin_ends_with_them(
    code: str, begun: int, number: signal.Signals
) -> None:
    """Those of the command itself, and those of its workers, whose resources are tracked."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=ROOT, start_new_session=True,
        # Ctrl-C is ignored by what a shell begins in the background, and SIGHUP behind nohup.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )  # fmt: skip
    wait_for(lambda: len(members(process.pid)) == begun)
    process.send_signal(number)
    output, errors = process.communicate(timeout=LONG)
    assert (process.returncode, output, errors) == (128 + number, "begun\n", "")
    wait_for(lambda: not members(process.pid))


def test_what_is_left_unfinished_is_not_warned_about() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WARNS], capture_output=True, text=True, cwd=ROOT, timeout=30,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interrupt_that_python_drops() -> None:
    """It comes where nothing can be raised, and counts all the same."""
    done = subprocess.run(
        [sys.executable, "-c", LOST], capture_output=True, text=True, cwd=ROOT, timeout=30,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_who_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    code = (
        "import signal\nfrom common import door\n"
        "door.run(lambda: signal.raise_signal(signal.SIGINT) or 7)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (7, "")


def test_a_library_does_not_touch_signals() -> None:
    """Importing a module that is a command does not change how others handle signals."""
    code = (
        "import signal, sw.run\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert door.INTERRUPTED == 130
